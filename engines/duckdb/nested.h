/* nested: what DuckDB 2.0.0's Arrow importer can't take of nested columns. Decided
 * here alone; each rule has a test that sees the day when DuckDB takes it.
 *
 * The importer drops the offset of a struct or union below another nested type,
 * and then reads wrong rows; some encodings inside others crash it or give wrong
 * values. Offsets are taken out by pointer, the rest is refused with a message. */
#ifndef BSC_DUCKDB_NESTED_H
#define BSC_DUCKDB_NESTED_H

#include "api.h"

/* At bind: is the schema's every column of a type that DuckDB reads right? False:
 * `err` names the column and what to cast. */
bool nested_check_schema(const struct bsc_source *source, duckdb_v2_error_info_handle *err);

/* True if batches of this schema must go through nested_prepare. */
bool nested_needs_prepare(const struct ArrowSchema *schema);

/* Takes the offsets out of the structs and unions of a batch, and refuses what can
 * be seen in a batch only.
 *
 * batch  replaced, on success; no buffer is copied but the validity bits of structs
 *        that begin within a byte. The children of the new batch live as long as it
 *        does: they can't be moved out
 * rest   zeroed by the caller; out: rows that must go as a batch of their own, after
 *        this one, through this function again. release == NULL: none */
bool nested_prepare(const struct ArrowSchema *schema, struct ArrowArray *batch, struct ArrowArray *rest,
                    duckdb_v2_error_info_handle *err);

#endif
