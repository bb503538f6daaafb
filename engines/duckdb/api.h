/* The C API v2 as this adapter uses it: its function table, errors, strings. */
#ifndef BSC_DUCKDB_API_H
#define BSC_DUCKDB_API_H

#include <string.h>

#include "bascule.h"

#define DUCKDB_V2_API_ALLOW_UNSTABLE 1
#include "duckdb_extension_v2.h"
#include "duckdb_static_extension.h"

/* Rows of DuckDB's chunks; the importer cuts a batch into such. */
#define CHUNK_ROWS 2048

/* Filled by api_load; each duckdb_v2_* name is a member of it. */
DUCKDB_EXTENSION_EXTERN

/* Fills the table by name from the shared object that holds DuckDB, which is
 * loaded already; all of it, or an error that says what is missing.
 * *register_out: DuckDB's function that registers a static extension. */
typedef int32_t (*duckdb_register_fn)(duckdb_extension_describe_t describe);
int api_load(const char *library_path, duckdb_register_fn *register_out, struct bsc_error *err) BSC_MUST_CHECK;

/* Reports a failure of the core, or of this adapter, in DuckDB's terms. */
void fail_with(duckdb_v2_error_info_handle *err, const struct bsc_error *error);
void fail_text(duckdb_v2_error_info_handle *err, DUCKDB_V2_ERROR code, const char *text);

/* Ends a function that has a `code` and one way out. */
#define TRY(call)                                                                                                      \
	do {                                                                                                               \
		code = (call);                                                                                                 \
		if (code != DUCKDB_V2_ERROR_NONE) {                                                                            \
			goto out;                                                                                                  \
		}                                                                                                              \
	} while (0)

static inline duckdb_v2_str str_of(const char *text)
{
	return (duckdb_v2_str){text, strlen(text)};
}

#endif
