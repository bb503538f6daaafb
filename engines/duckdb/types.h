/* types: which Arrow types DuckDB 2.0.0's importer doesn't read, reads wrong or
 * crashes on. Decided here alone; docs/types.md lists them, and each rule has a test
 * that sees the day when DuckDB takes it. */
#ifndef BSC_DUCKDB_TYPES_H
#define BSC_DUCKDB_TYPES_H

#include <stdbool.h>
#include <string.h>

#include "bascule.h"

static inline bool is_struct(const struct ArrowSchema *field)
{
	return strcmp(field->format, "+s") == 0;
}

static inline bool is_union(const struct ArrowSchema *field)
{
	return strncmp(field->format, "+u", 2) == 0;
}

static inline bool is_run_end(const struct ArrowSchema *field)
{
	return strcmp(field->format, "+r") == 0;
}

static inline bool is_fixed_size_list(const struct ArrowSchema *field)
{
	return strncmp(field->format, "+w:", 3) == 0;
}

/* Makes `field`, a copy that bsc_schema_copy made, a type that DuckDB reads and that
 * may hold the same values: encodings are taken off, numbers become wider, extensions over a
 * storage that isn't theirs become the storage. mended: out; was there something to do?
 * False: out of memory, and the type is any. */
bool types_mend(struct ArrowSchema *field, bool *mended);

/* Makes `field`, such a copy, a type of the same buffers and values that DuckDB takes:
 * decimals get room for their scale. False: out of memory. */
bool types_widen(struct ArrowSchema *field);

/* Takes all encodings off `field`, such a copy: DuckDB's type stays the same. */
void types_decode(struct ArrowSchema *field);

/* Whether DuckDB fails on a chunk where lists of this item are all empty: it then
 * takes the array of an encoded item for one of the values. */
bool types_must_not_be_empty(const struct ArrowSchema *item);

#endif
