/* From Arrow to DuckDB's columns and chunks. */
#include "importing.h"

DUCKDB_V2_ERROR importing_declare(duckdb_v2_arrow_importer_handle importer,
                                  duckdb_v2_table_function_bind_info_handle result, duckdb_v2_error_info_handle *err)
{
	duckdb_v2_schema_handle schema = NULL;
	idx_t n = 0;
	DUCKDB_V2_ERROR code = duckdb_v2_arrow_importer_get_schema(importer, &schema, err);
	if (code == DUCKDB_V2_ERROR_NONE) {
		code = duckdb_v2_schema_get_count(schema, &n, err);
	}
	for (idx_t i = 0; code == DUCKDB_V2_ERROR_NONE && i < n; i++) {
		duckdb_v2_identifier_t name;
		duckdb_v2_logical_type_handle type; /* borrowed from the schema */
		code = duckdb_v2_schema_get_field(schema, i, &name, &type, err);
		if (code == DUCKDB_V2_ERROR_NONE) {
			code = duckdb_v2_table_function_bind_add_result_column(result, &name, type, err);
		}
	}
	(void)duckdb_v2_schema_destroy(&schema);
	return code;
}

void importing_hand_over(duckdb_v2_data_chunk_handle chunk, duckdb_v2_data_chunk_handle output,
                         duckdb_v2_error_info_handle *err)
{
	idx_t n_rows = 0, n_columns = 0;
	duckdb_v2_vector_handle to = NULL, from = NULL, first = NULL;
	DUCKDB_V2_ERROR code = duckdb_v2_data_chunk_get_size(chunk, &n_rows, err);
	if (code == DUCKDB_V2_ERROR_NONE) {
		code = duckdb_v2_data_chunk_get_vector_count(chunk, &n_columns, err);
	}
	for (idx_t i = 0; code == DUCKDB_V2_ERROR_NONE && i < n_columns; i++) {
		code = duckdb_v2_data_chunk_get_vector(chunk, i, &from, err);
		if (code == DUCKDB_V2_ERROR_NONE) {
			code = duckdb_v2_data_chunk_get_vector(output, i, &to, err);
		}
		if (code == DUCKDB_V2_ERROR_NONE) {
			code = duckdb_v2_vector_reference(to, from, err);
		}
		first = i == 0 ? to : first;
	}
	if (code == DUCKDB_V2_ERROR_NONE && first) {
		(void)duckdb_v2_vector_set_size(first, n_rows, err);
	}
}
