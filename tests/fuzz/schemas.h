/* Schemas out of bytes. */
#ifndef FUZZ_SCHEMAS_H
#define FUZZ_SCHEMAS_H

#include "fuzz.h"

/* How deep they nest, a column being at 1. */
#define SCHEMA_DEPTH 6

/* A struct of columns. damaged: formats may be any text, and what the C Data
 * Interface asks for may be missing (children, formats, a release). Metadata is
 * always well framed: its length is known by its frame alone.
 *
 * The caller releases it, once; a child may be released before it, not moved. */
void schema_of_bytes(struct input *in, bool damaged, struct ArrowSchema *out);

/* The same columns, their order turned around; some of their pieces may be those
 * of another type. */
void schema_turned(struct input *in, const struct ArrowSchema *schema, struct ArrowSchema *out);

/* Schemas made and not released. */
int64_t schemas_live(void);

#endif
