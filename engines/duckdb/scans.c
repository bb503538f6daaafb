/* FROM bascule_scans(), CALL bascule_clear_cache(). */
#include "scans.h"

#include <stdlib.h>

#include "importing.h"

static void fail_memory(duckdb_v2_error_info_handle *err)
{
	fail_text(err, DUCKDB_V2_ERROR_RESOURCE_OUT_OF_MEMORY, "bascule: out of memory");
}

/* ---- bascule_scans() ---- */

/* The scans as they were when the query began. */
struct listing {
	struct ArrowSchema schema;
	duckdb_v2_arrow_importer_handle importer; /* has the rows */
};

static void listing_destroy(void *data)
{
	struct listing *listing = data;
	(void)duckdb_v2_arrow_importer_destroy(&listing->importer);
	if (listing->schema.release) {
		listing->schema.release(&listing->schema);
	}
	free(listing);
}

/* rows: out. NULL: `err` is set. */
static struct listing *listing_new(duckdb_v2_context_handle context, struct ArrowArray *rows,
                                   duckdb_v2_error_info_handle *err)
{
	struct bsc_error error;
	struct listing *listing = calloc(1, sizeof(*listing));
	*rows = (struct ArrowArray){0};
	if (!listing) {
		fail_memory(err);
		return NULL;
	}
	if (bsc_scans_export(NULL, &listing->schema, rows, &error) != BSC_OK) {
		fail_with(err, &error);
		listing_destroy(listing);
		return NULL;
	}
	if (duckdb_v2_arrow_importer_create(context, &listing->schema, CHUNK_ROWS, &listing->importer, err) !=
	    DUCKDB_V2_ERROR_NONE) {
		rows->release(rows);
		listing_destroy(listing);
		return NULL;
	}
	return listing;
}

static void scans_bind(duckdb_v2_function_bind_info_handle info, duckdb_v2_table_function_bind_info_handle result,
                       duckdb_v2_context_handle context, duckdb_v2_error_info_handle *err)
{
	(void)info;
	struct ArrowArray rows;
	struct listing *listing = listing_new(context, &rows, err);
	if (listing) {
		(void)importing_declare(listing->importer, result, err);
		(void)duckdb_v2_table_function_bind_set_cardinality(result, (idx_t)rows.length, false, NULL);
		rows.release(&rows);
		listing_destroy(listing);
	}
}

static void scans_init(duckdb_v2_table_function_init_global_info_handle info, duckdb_v2_context_handle context,
                       duckdb_v2_error_info_handle *err)
{
	struct ArrowArray rows;
	struct listing *listing = listing_new(context, &rows, err);
	if (!listing) {
		return;
	}
	duckdb_v2_opaque data = {listing, listing_destroy, NULL};
	bool good = duckdb_v2_arrow_importer_append(listing->importer, &rows, true, true, err) == DUCKDB_V2_ERROR_NONE;
	if (rows.release) {
		rows.release(&rows);
	}
	if (!good || duckdb_v2_table_function_init_global_set_max_threads(info, 1, err) != DUCKDB_V2_ERROR_NONE ||
	    duckdb_v2_table_function_init_global_set_global_state(info, &data, err) != DUCKDB_V2_ERROR_NONE) {
		listing_destroy(listing);
	}
}

static void scans_exec(duckdb_v2_table_function_exec_info_handle info, duckdb_v2_context_handle context,
                       duckdb_v2_error_info_handle *err)
{
	(void)context;
	void *data = NULL;
	duckdb_v2_data_chunk_handle output, chunk = NULL;
	if (duckdb_v2_table_function_exec_get_global_state(info, &data, err) != DUCKDB_V2_ERROR_NONE ||
	    duckdb_v2_table_function_exec_get_output_chunk(info, &output, err) != DUCKDB_V2_ERROR_NONE) {
		return;
	}
	struct listing *listing = data;
	if (duckdb_v2_arrow_importer_next_chunk(listing->importer, &chunk, err) == DUCKDB_V2_ERROR_NONE && chunk) {
		importing_hand_over(chunk, output, err);
		(void)duckdb_v2_data_chunk_destroy(&chunk);
	}
}

/* ---- bascule_clear_cache() ---- */

static void clear_bind(duckdb_v2_function_bind_info_handle info, duckdb_v2_table_function_bind_info_handle result,
                       duckdb_v2_context_handle context, duckdb_v2_error_info_handle *err)
{
	(void)info;
	duckdb_v2_factory_handle factory;
	duckdb_v2_logical_type_handle type = NULL;
	duckdb_v2_identifier_t name = str_of("Success");
	if (duckdb_v2_context_get_factory(context, &factory, err) == DUCKDB_V2_ERROR_NONE &&
	    duckdb_v2_factory_create_type_from_id(factory, DUCKDB_V2_LOGICAL_TYPE_ID_BOOLEAN, NULL, NULL, 0, &type, err) ==
	        DUCKDB_V2_ERROR_NONE) {
		(void)duckdb_v2_table_function_bind_add_result_column(result, &name, type, err);
	}
	(void)duckdb_v2_logical_type_destroy(&type);
}

static void clear_init(duckdb_v2_table_function_init_global_info_handle info, duckdb_v2_context_handle context,
                       duckdb_v2_error_info_handle *err)
{
	(void)info;
	(void)context;
	(void)err;
	bsc_cache_clear();
}

/* No row: as DuckDB's own CALLs that only do something. */
static void clear_exec(duckdb_v2_table_function_exec_info_handle info, duckdb_v2_context_handle context,
                       duckdb_v2_error_info_handle *err)
{
	(void)info;
	(void)context;
	(void)err;
}

/* ---- both ---- */

struct function {
	const char *name, *says, *shows;
	duckdb_v2_table_function_bind_callback_fn bind;
	duckdb_v2_table_function_init_global_callback_fn init;
	duckdb_v2_table_function_exec_callback_fn exec;
};

static DUCKDB_V2_ERROR register_one(const struct duckdb_v2_extension_input *input, duckdb_v2_factory_handle factory,
                                    const struct function *what)
{
	duckdb_v2_error_info_handle *err = input->err;
	duckdb_v2_table_function_handle function = NULL;
	duckdb_v2_function_docs_handle docs;
	duckdb_v2_identifier_t name = str_of(what->name);
	duckdb_v2_str description = str_of(what->says), title = str_of(""), example = str_of(what->shows);
	DUCKDB_V2_ERROR code;
	TRY(duckdb_v2_table_function_create(factory, &function, err));
	TRY(duckdb_v2_table_function_set_name(function, &name, err));
	TRY(duckdb_v2_table_function_get_docs(function, &docs, err));
	TRY(duckdb_v2_function_docs_set_description(docs, &description, err));
	TRY(duckdb_v2_function_docs_add_example(docs, &title, &example, err));
	TRY(duckdb_v2_table_function_set_bind_callback(function, what->bind, err));
	TRY(duckdb_v2_table_function_set_init_global_callback(function, what->init, err));
	TRY(duckdb_v2_table_function_set_exec_callback(function, what->exec, err));
	TRY(duckdb_v2_extension_register_table_function(input->extension, function, err));
out:
	(void)duckdb_v2_table_function_destroy(&function);
	return code;
}

DUCKDB_V2_ERROR scans_register(const struct duckdb_v2_extension_input *input, duckdb_v2_factory_handle factory)
{
	static const struct function functions[] = {
	    {"bascule_scans",
		 "The scans of python(...) in this process, the newest first: what was pushed, partitions read and "
		 "pruned, rows, bytes, time in Python and waiting. Those that run, and the last hundred.",
		 "FROM bascule_scans()", scans_bind, scans_init, scans_exec},
	    {"bascule_clear_cache", "Forgets what was kept of sources because of bascule_cache_ttl.",
		 "CALL bascule_clear_cache()", clear_bind, clear_init, clear_exec},
	};
	DUCKDB_V2_ERROR code = DUCKDB_V2_ERROR_NONE;
	for (size_t i = 0; code == DUCKDB_V2_ERROR_NONE && i < sizeof(functions) / sizeof(*functions); i++) {
		code = register_one(input, factory, &functions[i]);
	}
	return code;
}
