/* The C API v2 as this adapter uses it: its function table, errors, strings. */
#ifndef BSC_DUCKDB_API_H
#define BSC_DUCKDB_API_H

#include <string.h>

#include "bascule.h"

#define DUCKDB_V2_API_ALLOW_UNSTABLE 1
#include "duckdb_extension_v2.h"

/* Filled by duckdb_adapter_register; each duckdb_v2_* name below is a member. */
DUCKDB_EXTENSION_EXTERN

/* The executor that opens sources; set with the table above. */
extern const struct bsc_executor *adapter_executor;

/* The entry point that DuckDB calls for each database it opens. */
void adapter_init(struct duckdb_v2_extension_input *input);

/* Registers the table function; the replacement scan and settings. */
DUCKDB_V2_ERROR scan_register(const struct duckdb_v2_extension_input *input, duckdb_v2_factory_handle factory);

/* Opens the source that a call of python(...) names, for a bind callback. */
struct bsc_source *call_open_source(duckdb_v2_function_bind_info_handle call, duckdb_v2_context_handle context,
                                    duckdb_v2_error_info_handle *err);

/* Reports a failure of the core, or of this adapter, in DuckDB's terms. */
void fail_with(duckdb_v2_error_info_handle *err, const struct bsc_error *error);
void fail_text(duckdb_v2_error_info_handle *err, DUCKDB_V2_ERROR code, const char *text);

static inline duckdb_v2_str str_of(const char *text)
{
	return (duckdb_v2_str){text, strlen(text)};
}

#endif
