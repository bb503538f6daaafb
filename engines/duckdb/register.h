/* What DuckDB is told of us. */
#ifndef BSC_DUCKDB_REGISTER_H
#define BSC_DUCKDB_REGISTER_H

#include "api.h"

/* Registers the table functions, the replacement scan and the settings with a database that
 * opens or loads the extension; a failure is in input->err. The function table is filled.
 *
 * opener  borrowed for good: see bsc_source_open; the same in each call */
void register_adapter(const struct duckdb_v2_extension_input *input, const struct bsc_executor *opener);

#endif
