/* Arrays out of bytes: hostile in what they say, honest in what can't be checked.
 *
 * The C Data Interface gives a consumer no buffer's size: it follows from lengths,
 * offsets and types. So a producer that says "a million rows" over ten bytes can't
 * be found out, and here none does: each buffer is as long as the array's own words
 * make it, to the byte. What may be wrong, and must be found before it is followed:
 *
 *   lengths, offsets, null counts    negative, beyond any memory, too small for
 *                                    the parent
 *   lists of buffers and children    of another length, or missing
 *   buffers                          missing
 *   structs                          released, missing; a dictionary too many
 *   offsets, sizes, indices,         any value
 *   type ids, run ends
 *   string views, text               any value; with bascule_validation = 'full'
 *                                    found, else left to the reader
 *   sizes of variadic buffers        any value that is not above the real one
 *
 * Nor can a schema's texts, which end where a zero is, its lists of fields, which are as
 * long as it says, and its metadata, whose whole size is said nowhere: only that no count
 * or length in it is negative is looked at. schemas.c makes them honest in that, too.
 */
#ifndef FUZZ_ARRAYS_H
#define FUZZ_ARRAYS_H

#include "fuzz.h"

/* Rows of the batch. */
#define ROWS_BELOW 48

/* A record batch of `schema` (which bsc__schema_check accepts). The caller
 * releases it, once. */
void array_of_bytes(struct input *in, const struct ArrowSchema *schema, struct ArrowArray *out);

/* Arrays made and not released. */
int64_t arrays_live(void);

/* Reads every value of a column as an engine does that trusts it, and ends the
 * run where it can't. full: string views too, and text must be UTF-8. */
void walk_column(const struct ArrowSchema *field, const struct ArrowArray *array, bool full);

/* The number behind the colon of "+w:3". */
int64_t format_number(const char *format);
/* Bytes of a value of fixed width, 0 for a bit, -1 for another type. */
int64_t format_width(const char *format);
/* The child of a union that a type id names, -1: none. */
int64_t format_union_child(const char *format, int8_t id);

#endif
