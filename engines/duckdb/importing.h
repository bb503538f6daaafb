/* importing: from Arrow to DuckDB's columns and chunks, by DuckDB's own importer. */
#ifndef BSC_DUCKDB_IMPORTING_H
#define BSC_DUCKDB_IMPORTING_H

#include "api.h"

/* Declares the importer's columns as the result's. */
DUCKDB_V2_ERROR importing_declare(duckdb_v2_arrow_importer_handle importer,
                                  duckdb_v2_table_function_bind_info_handle result, duckdb_v2_error_info_handle *err);

/* Lets the output's vectors reference those of `chunk`, which an importer made. */
void importing_hand_over(duckdb_v2_data_chunk_handle chunk, duckdb_v2_data_chunk_handle output,
                         duckdb_v2_error_info_handle *err);

#endif
