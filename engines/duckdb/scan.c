/* The table function `python`: how DuckDB reads a source.
 *
 * DuckDB asks a table function in phases, and keeps what each returned:
 *
 *   bind         planning, once or more for a query: which columns are there?
 *                -> bind data: the source, open
 *   filter       optimizing, any number of times: these predicates stand above the scan
 *   pushdown     -> bind data: hints, by which the class may leave rows out
 *   init global  execution begins: which columns are read, how many threads may?
 *                -> global state: plan and scan
 *   init local   a thread joins in -> local state: cursor and importer
 *   exec         a thread wants rows, 2,048 at most; an empty chunk ends its part
 *   partition    after exec, where the query keeps an order: which partition was
 *   data         that? DuckDB puts the rows of lower numbers first
 *   progress     from another thread, at any time
 *
 * A batch of the source becomes many chunks. The importer slices it: each chunk
 * references the Arrow buffers and keeps the batch alive. It is made for the
 * columns that the query reads, in their order, because it converts all that it
 * is given. */
#include "scan.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "call.h"
#include "importing.h"
#include "nested.h"
#include "pushdown.h"
#include "types.h"

/* Without an estimate DuckDB takes a scan for one row and joins it the wrong way
 * round. */
#define DEFAULT_CARDINALITY 1000000

/* Bind data: of one scan in one plan. A source may have several, each with its own hints. A copy of a scan is bound
 * anew, without hints. Not changed any more once the plan is executed, which may be many times. */
struct binding {
	struct bsc_source *source;
	struct bsc_filter *hints;
	bool offered; /* predicates, at least once */
};

struct global {
	struct bsc_plan *plan;
	struct bsc_scan *scan;
	struct ArrowSchema schema; /* of the plan, as the importer is told it */
	bool nested;               /* batches need nested_prepare */
	_Atomic bool failed;
};

struct local {
	struct global *global;
	struct bsc_cursor *cursor;
	duckdb_v2_arrow_importer_handle importer;
	struct nested_rest rest;
	struct ArrowSchema own_schema; /* of a piece that needs one, with its importer */
	duckdb_v2_arrow_importer_handle own_importer;
	duckdb_v2_arrow_importer_handle importing; /* the one that has a batch, or NULL */
	idx_t batch_index;                         /* of the last chunk: its partition */
};

/* ---- interrupt ---- */

static void ignore_path(const duckdb_v2_str *path, void *user_data, duckdb_v2_error_info_handle *err)
{
	(void)path;
	(void)user_data;
	(void)err;
}

/* Has the query been interrupted? The C API has no such question; but a glob
 * through the context's file system fails with the interrupt's code. */
static int interrupted(void *ctx)
{
	duckdb_v2_context_handle context = ctx;
	duckdb_v2_file_system_handle files;
	duckdb_v2_error_info_handle err = NULL;
	duckdb_v2_str path = str_of("/");
	DUCKDB_V2_ERROR code = duckdb_v2_context_get_file_system(context, &files, NULL);
	if (code == DUCKDB_V2_ERROR_NONE) {
		code = duckdb_v2_file_system_path_glob(files, &path, ignore_path, NULL, &err);
	}
	(void)duckdb_v2_error_info_destroy(&err);
	return code == DUCKDB_V2_ERROR_RUNTIME_INTERRUPT;
}

/* ---- bind ---- */

static void bind_destroy(void *data)
{
	struct binding *binding = data;
	bsc_filter_free(binding->hints);
	bsc_source_close(binding->source);
	free(binding);
}

static bool bind_equals(void *a, void *b)
{
	return a == b;
}

static void keep_schema(struct ArrowSchema *schema)
{
	schema->release = NULL; /* borrowed all through */
}

/* A schema as the importer is told it. */
static bool copy_schema(const struct ArrowSchema *schema, struct ArrowSchema *out, duckdb_v2_error_info_handle *err)
{
	struct bsc_error error;
	if (bsc_schema_copy(schema, out, &error) != BSC_OK) {
		fail_with(err, &error);
		return false;
	}
	if (!types_widen(out)) {
		fail_text(err, DUCKDB_V2_ERROR_RESOURCE_OUT_OF_MEMORY, "python(): out of memory");
		out->release(out);
		return false;
	}
	return true;
}

/* Why can't DuckDB import this schema? Tries each column alone, to name it. */
static void fail_import(const struct bsc_source *source, const struct ArrowSchema *schema,
                        duckdb_v2_context_handle context, duckdb_v2_error_info_handle *err)
{
	for (int64_t i = 0; i < schema->n_children; i++) {
		struct ArrowSchema one = {
		    .format = "+s", .n_children = 1, .children = &schema->children[i], .release = keep_schema};
		duckdb_v2_arrow_importer_handle importer = NULL;
		duckdb_v2_error_info_handle why = NULL;
		bool bad = duckdb_v2_arrow_importer_create(context, &one, CHUNK_ROWS, &importer, &why) != DUCKDB_V2_ERROR_NONE;
		(void)duckdb_v2_arrow_importer_destroy(&importer);
		if (bad) {
			duckdb_v2_str said = {NULL, 0};
			char text[1024], type[256];
			(void)duckdb_v2_error_info_get_raw_text(why, &said);
			bsc_schema_describe(schema->children[i], type, sizeof(type));
			snprintf(text, sizeof(text),
			         "%.300s: DuckDB can't read column '%.150s' of type %s (%.*s). Cast it in the class",
			         bsc_source_label(source), schema->children[i]->name, type, (int)(said.len > 150 ? 150 : said.len),
			         said.ptr ? said.ptr : "");
			fail_text(err, DUCKDB_V2_ERROR_QUERY_NOT_IMPLEMENTED, text);
		}
		(void)duckdb_v2_error_info_destroy(&why);
		if (bad) {
			return;
		}
	}
	fail_text(err, DUCKDB_V2_ERROR_QUERY_NOT_IMPLEMENTED, "python(): DuckDB can't import the schema of the class");
}

/* Declares the columns, with the types that DuckDB's own importer gives them. */
static void declare_columns(const struct bsc_source *source, duckdb_v2_table_function_bind_info_handle result,
                            duckdb_v2_context_handle context, duckdb_v2_error_info_handle *err)
{
	duckdb_v2_arrow_importer_handle importer = NULL;
	struct ArrowSchema arrow;
	if (!copy_schema(bsc_source_schema(source), &arrow, err)) {
		return;
	}
	DUCKDB_V2_ERROR code = duckdb_v2_arrow_importer_create(context, &arrow, CHUNK_ROWS, &importer, NULL);
	if (code != DUCKDB_V2_ERROR_NONE) {
		fail_import(source, &arrow, context, err);
		arrow.release(&arrow);
		return;
	}
	(void)importing_declare(importer, result, err);
	(void)duckdb_v2_arrow_importer_destroy(&importer);
	arrow.release(&arrow);
}

/* Tells the optimizer how many rows there are. */
static void estimate(struct bsc_source *source, duckdb_v2_table_function_bind_info_handle result,
                     const struct bsc_poll *poll, duckdb_v2_error_info_handle *err)
{
	struct bsc_statistics statistics;
	struct bsc_error error;
	if (bsc_source_statistics(source, poll, &statistics, &error) != BSC_OK) {
		fail_with(err, &error);
		return;
	}
	bool known = statistics.n_rows >= 0;
	(void)duckdb_v2_table_function_bind_set_cardinality(result, known ? (idx_t)statistics.n_rows : DEFAULT_CARDINALITY,
	                                                    known && statistics.exact, NULL);
}

static void bind(duckdb_v2_function_bind_info_handle info, duckdb_v2_table_function_bind_info_handle result,
                 duckdb_v2_context_handle context, duckdb_v2_error_info_handle *err)
{
	void *function = NULL;
	if (duckdb_v2_function_bind_get_user_data(info, &function, err) != DUCKDB_V2_ERROR_NONE) {
		return;
	}
	const struct bsc_poll poll = {interrupted, context};
	struct bsc_source *source = call_open_source(function, info, context, &poll, err);
	if (!source) {
		return;
	}
	struct binding *binding = calloc(1, sizeof(*binding));
	if (!binding) {
		bsc_source_close(source);
		fail_text(err, DUCKDB_V2_ERROR_RESOURCE_OUT_OF_MEMORY, "python(): out of memory");
		return;
	}
	binding->source = source;
	duckdb_v2_opaque data = {binding, bind_destroy, bind_equals};
	if (duckdb_v2_function_bind_set_bind_data(info, &data, err) != DUCKDB_V2_ERROR_NONE) {
		bind_destroy(binding);
		return;
	}
	if (nested_check_schema(source, err)) {
		declare_columns(source, result, context, err);
	}
	estimate(source, result, &poll, err);
}

/* ---- filter pushdown ---- */

static void filter_pushdown(duckdb_v2_table_function_filter_pushdown_info_handle info, duckdb_v2_context_handle context,
                            duckdb_v2_error_info_handle *err)
{
	(void)context;
	void *data = NULL;
	if (duckdb_v2_table_function_filter_pushdown_get_bind_data(info, &data, err) == DUCKDB_V2_ERROR_NONE) {
		struct binding *binding = data;
		struct bsc_filter *now = pushdown_take(info, bsc_source_schema(binding->source));
		binding->hints = binding->offered ? pushdown_either(binding->hints, now) : now;
		binding->offered = true;
	}
}

/* ---- init ---- */

static void global_destroy(void *data)
{
	struct global *global = data;
	if (global) {
		bsc_scan_close(global->scan);
		bsc_plan_free(global->plan);
		if (global->schema.release) {
			global->schema.release(&global->schema);
		}
		free(global);
	}
}

/* The columns that the query reads; count(*) asks for the first. malloc'ed. */
static int64_t *take_columns(duckdb_v2_table_function_init_global_info_handle info, const struct ArrowSchema *schema,
                             idx_t *n, duckdb_v2_error_info_handle *err)
{
	if (duckdb_v2_table_function_init_global_get_column_count(info, n, err) != DUCKDB_V2_ERROR_NONE) {
		return NULL;
	}
	int64_t *columns = malloc((*n + 1) * sizeof(*columns));
	if (!columns) {
		fail_text(err, DUCKDB_V2_ERROR_RESOURCE_OUT_OF_MEMORY, "python(): out of memory");
		return NULL;
	}
	for (idx_t i = 0; i < *n; i++) {
		idx_t column = 0;
		if (duckdb_v2_table_function_init_global_get_column_index(info, i, &column, err) != DUCKDB_V2_ERROR_NONE) {
			free(columns);
			return NULL;
		}
		if (column >= (idx_t)schema->n_children) {
			fail_text(err, DUCKDB_V2_ERROR_QUERY_NOT_IMPLEMENTED, "python() has no row ids or other virtual columns");
			free(columns);
			return NULL;
		}
		columns[i] = (int64_t)column;
	}
	return columns;
}

/* To DuckDB's log, where that is on: CALL enable_logging(level = 'info'). */
static void log_plan(duckdb_v2_context_handle context, const struct bsc_source *source, const struct bsc_plan *plan)
{
	char text[8192];
	const char *pushed = bsc_plan_pushed(plan);
	snprintf(text, sizeof(text), "%.300s: %lld partitions to read, pushed: %.7000s", bsc_source_label(source),
	         (long long)bsc_plan_partition_count(plan), *pushed ? pushed : "no predicate");
	duckdb_v2_str type = str_of("Bascule"), message = str_of(whole_text(text));
	(void)duckdb_v2_context_log(context, DUCKDB_V2_LOG_LEVEL_INFO, &type, &message, NULL);
}

static void init_global(duckdb_v2_table_function_init_global_info_handle info, duckdb_v2_context_handle context,
                        duckdb_v2_error_info_handle *err)
{
	const struct bsc_poll poll = {interrupted, context};
	void *bound = NULL;
	struct bsc_error error;
	idx_t n = 0;
	if (duckdb_v2_table_function_init_global_get_bind_data(info, &bound, err) != DUCKDB_V2_ERROR_NONE) {
		return;
	}
	const struct binding *binding = bound;
	struct bsc_source *source = binding->source;
	struct global *global = calloc(1, sizeof(*global));
	int64_t *columns = take_columns(info, bsc_source_schema(source), &n, err);
	if (!columns || !global) {
		if (columns) {
			fail_text(err, DUCKDB_V2_ERROR_RESOURCE_OUT_OF_MEMORY, "python(): out of memory");
		}
		goto fail;
	}
	struct bsc_request request = {.columns = columns, .n_columns = (int64_t)n, .filter = binding->hints};
	if (bsc_plan_new(source, &request, &poll, &global->plan, &error) != BSC_OK ||
	    bsc_scan_open(global->plan, &global->scan, &error) != BSC_OK) {
		fail_with(err, &error);
		goto fail;
	}
	if (!copy_schema(bsc_plan_schema(global->plan), &global->schema, err)) {
		goto fail;
	}
	global->nested = nested_needs_prepare(&global->schema);
	log_plan(context, source, global->plan);
	duckdb_v2_opaque data = {global, global_destroy, NULL};
	if (duckdb_v2_table_function_init_global_set_max_threads(info, (idx_t)bsc_plan_concurrency(global->plan), err) !=
	        DUCKDB_V2_ERROR_NONE ||
	    duckdb_v2_table_function_init_global_set_global_state(info, &data, err) != DUCKDB_V2_ERROR_NONE) {
		goto fail;
	}
	free(columns);
	return;
fail:
	free(columns);
	global_destroy(global);
}

static void drop_own(struct local *local)
{
	(void)duckdb_v2_arrow_importer_destroy(&local->own_importer);
	if (local->own_schema.release) {
		local->own_schema.release(&local->own_schema);
	}
	local->own_schema = (struct ArrowSchema){0};
}

static void local_destroy(void *data)
{
	struct local *local = data;
	drop_own(local);
	(void)duckdb_v2_arrow_importer_destroy(&local->importer);
	nested_drop(&local->rest);
	bsc_cursor_close(local->cursor);
	free(local);
}

static void init_local(duckdb_v2_table_function_init_local_info_handle info, duckdb_v2_context_handle context,
                       duckdb_v2_error_info_handle *err)
{
	void *data = NULL;
	if (duckdb_v2_table_function_init_local_get_global_state(info, &data, err) != DUCKDB_V2_ERROR_NONE) {
		return;
	}
	struct global *global = data;
	struct bsc_error error;
	struct local *local = calloc(1, sizeof(*local));
	if (!local) {
		fail_text(err, DUCKDB_V2_ERROR_RESOURCE_OUT_OF_MEMORY, "python(): out of memory");
		return;
	}
	if (bsc_cursor_open(global->scan, &local->cursor, &error) != BSC_OK) {
		fail_with(err, &error);
		free(local);
		return;
	}
	local->global = global;
	/* The importer lives as long as the thread's part of the query, within the
	 * context that it borrows. */
	duckdb_v2_opaque state = {local, local_destroy, NULL};
	if (duckdb_v2_arrow_importer_create(context, &global->schema, CHUNK_ROWS, &local->importer, err) !=
	        DUCKDB_V2_ERROR_NONE ||
	    duckdb_v2_table_function_init_local_set_local_state(info, &state, err) != DUCKDB_V2_ERROR_NONE) {
		local_destroy(local);
	}
}

/* ---- exec ---- */

/* Reads the next batch of the source; release == NULL: none. False with `err` set. */
static bool read_batch(struct local *local, duckdb_v2_context_handle context, struct ArrowArray *batch,
                       duckdb_v2_error_info_handle *err)
{
	const struct bsc_poll poll = {interrupted, context};
	struct bsc_error error;
	if (bsc_cursor_next(local->cursor, &poll, batch, &error) == BSC_OK) {
		return true;
	}
	/* The query fails, so the other threads need not read on. That they were
	 * cancelled is not what the user is to read: they just end. */
	bool first = !atomic_exchange(&local->global->failed, true);
	bsc_scan_cancel(local->global->scan);
	if (first || error.status != BSC_CANCELLED) {
		fail_with(err, &error);
	}
	return false;
}

/* Brings the next batch, or the next piece of one, into an importer. False at the
 * end, or with `err` set. */
static bool next_batch(struct local *local, duckdb_v2_context_handle context, duckdb_v2_error_info_handle *err)
{
	struct ArrowArray batch = {0};
	bool waiting = local->rest.origin;
	drop_own(local);
	if (!waiting && (!read_batch(local, context, &batch, err) || !batch.release)) {
		return false;
	}
	struct global *global = local->global;
	bool good = !global->nested || nested_prepare(&global->schema, &batch, &local->rest, &local->own_schema, err);
	bool own = local->own_schema.release;
	if (good && own) {
		good = duckdb_v2_arrow_importer_create(context, &local->own_schema, CHUNK_ROWS, &local->own_importer, err) ==
		       DUCKDB_V2_ERROR_NONE;
	}
	duckdb_v2_arrow_importer_handle importer = own ? local->own_importer : local->importer;
	/* Flushed, so that no chunk joins rows of two batches: that would be a copy,
	 * and of two partitions a wrong batch index. */
	good = good && duckdb_v2_arrow_importer_append(importer, &batch, true, true, err) == DUCKDB_V2_ERROR_NONE;
	if (batch.release) {
		batch.release(&batch);
	}
	local->importing = good ? importer : NULL;
	local->batch_index = (idx_t)bsc_cursor_partition(local->cursor);
	return good;
}

static void exec(duckdb_v2_table_function_exec_info_handle info, duckdb_v2_context_handle context,
                 duckdb_v2_error_info_handle *err)
{
	void *data = NULL;
	duckdb_v2_data_chunk_handle output;
	if (duckdb_v2_table_function_exec_get_local_state(info, &data, err) != DUCKDB_V2_ERROR_NONE ||
	    duckdb_v2_table_function_exec_get_output_chunk(info, &output, err) != DUCKDB_V2_ERROR_NONE) {
		return;
	}
	struct local *local = data;
	duckdb_v2_data_chunk_handle chunk = NULL;
	while (!chunk) {
		if (!local->importing && !next_batch(local, context, err)) {
			return;
		}
		if (duckdb_v2_arrow_importer_next_chunk(local->importing, &chunk, err) != DUCKDB_V2_ERROR_NONE) {
			return;
		}
		local->importing = chunk ? local->importing : NULL;
	}
	importing_hand_over(chunk, output, err);
	(void)duckdb_v2_data_chunk_destroy(&chunk);
}

static void partition_data(duckdb_v2_table_function_partition_data_info_handle info, duckdb_v2_context_handle context,
                           duckdb_v2_error_info_handle *err)
{
	(void)context;
	void *data = NULL;
	if (duckdb_v2_table_function_partition_data_get_local_state(info, &data, err) == DUCKDB_V2_ERROR_NONE) {
		struct local *local = data;
		(void)duckdb_v2_table_function_partition_data_set_batch_index(info, local->batch_index, err);
	}
}

static void progress(duckdb_v2_table_function_progress_info_handle info, duckdb_v2_context_handle context,
                     duckdb_v2_error_info_handle *err)
{
	(void)context;
	void *data = NULL;
	if (duckdb_v2_table_function_progress_get_global_state(info, &data, err) == DUCKDB_V2_ERROR_NONE && data) {
		struct global *global = data;
		(void)duckdb_v2_table_function_progress_set_progress(info, bsc_scan_progress(global->scan), err);
	}
}

DUCKDB_V2_ERROR scan_set_callbacks(duckdb_v2_table_function_handle function, duckdb_v2_error_info_handle *err)
{
	DUCKDB_V2_ERROR code;
	TRY(duckdb_v2_table_function_set_bind_callback(function, bind, err));
	TRY(duckdb_v2_table_function_set_filter_pushdown_callback(function, filter_pushdown, err));
	TRY(duckdb_v2_table_function_set_init_global_callback(function, init_global, err));
	TRY(duckdb_v2_table_function_set_init_local_callback(function, init_local, err));
	TRY(duckdb_v2_table_function_set_exec_callback(function, exec, err));
	TRY(duckdb_v2_table_function_set_progress_callback(function, progress, err));
	TRY(duckdb_v2_table_function_set_partition_data_callback(function, partition_data, err));
	TRY(duckdb_v2_table_function_set_projection_pushdown(function, true, err));
out:
	return code;
}
