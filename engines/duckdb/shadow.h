/* shadow: a batch, or a piece of it, as DuckDB's importer is given it where that
 * must not be the batch itself. */
#ifndef BSC_DUCKDB_SHADOW_H
#define BSC_DUCKDB_SHADOW_H

#include <stdbool.h>

#include "bascule.h"

/* A batch that shadows stand for: released with the last of them and of its other
 * references. */
struct origin;

/* Moves `batch` in; the one reference is the caller's. NULL: out of memory, and the
 * batch is still the caller's. */
struct origin *origin_new(struct ArrowArray *batch);
const struct ArrowArray *origin_batch(const struct origin *origin);
void origin_drop(struct origin *origin);

/* Whether a struct or union in an array of this type has an offset: the importer
 * forgets those below other nested types. */
bool shadow_is_needed(const struct ArrowSchema *field, const struct ArrowArray *array);

/* Rows [from, from + n) of the origin, without offsets of structs and unions. No
 * buffer is copied but the validity bits of structs that begin within a byte. Holds a
 * reference to the origin; its children live as long as it does and can't be moved
 * out. False: out of memory. */
bool shadow_cast(const struct ArrowSchema *schema, struct origin *origin, int64_t from, int64_t n,
                 struct ArrowArray *out);

/* An array of no rows, of a type without encodings; lives as long as `shadow`, for
 * which it may be a child. NULL: out of memory. */
struct ArrowArray *shadow_empty(struct ArrowArray *shadow, const struct ArrowSchema *field);

#endif
