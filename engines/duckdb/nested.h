/* nested: what DuckDB 2.0.0's Arrow importer can't take of nested columns. Decided
 * here alone; each rule has a test that sees the day when DuckDB takes it.
 *
 * The importer drops the offset of a struct or union below another nested type,
 * and then reads wrong rows; a chunk whose lists are all empty, or a short one with
 * a dictionary in a struct, can lose the database; some types crash it or give
 * wrong values. Those types are refused with a message, the rest is helped. */
#ifndef BSC_DUCKDB_NESTED_H
#define BSC_DUCKDB_NESTED_H

#include "api.h"
#include "shadow.h"

/* At bind: is the schema's every column of a type that DuckDB reads right? False:
 * `err` names the column and what to cast. */
bool nested_check_schema(const struct bsc_source *source, duckdb_v2_error_info_handle *err);

/* True if batches of this schema must go through nested_prepare. */
bool nested_needs_prepare(const struct ArrowSchema *schema);

/* Rows of a batch that wait for their turn. Zeroed: none. */
struct nested_rest {
	struct origin *origin;
	int64_t from;
};

void nested_drop(struct nested_rest *rest);

/* The next piece of a batch for the importer: all of it as it is, where possible.
 *
 * batch       in: a batch, or where rows are waiting release == NULL; out: the piece
 * rest        out: the rows that follow it, which come before any other batch
 * own_schema  zeroed by the caller; out: the schema to import the piece by, or
 *             release == NULL: `schema`. DuckDB's types are the same */
bool nested_prepare(const struct ArrowSchema *schema, struct ArrowArray *batch, struct nested_rest *rest,
                    struct ArrowSchema *own_schema, duckdb_v2_error_info_handle *err);

#endif
