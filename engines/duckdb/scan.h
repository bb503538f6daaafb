/* The table function `python`: how DuckDB reads a source. */
#ifndef BSC_DUCKDB_SCAN_H
#define BSC_DUCKDB_SCAN_H

#include "api.h"

/* Sets the callbacks of a table function that is being built; its user data is
 * the executor (struct bsc_executor). */
DUCKDB_V2_ERROR scan_set_callbacks(duckdb_v2_table_function_handle function, duckdb_v2_error_info_handle *err);

#endif
