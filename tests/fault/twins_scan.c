/* Plans, scans and cursors. */
#include "scan/metrics.h"
#include "world.h"

/* ---- plan ---- */

static const int64_t two_and_one_again[] = {2, 0, 2};
static const int64_t no_column[] = {0};

static void some_columns(struct world *w)
{
	w->request = (struct bsc_request){.columns = two_and_one_again, .n_columns = LENGTH(two_and_one_again)};
	world_source(w);
}

static void no_columns(struct world *w)
{
	w->request = (struct bsc_request){.columns = no_column};
	world_source(w);
}

static void nested_source(struct world *w)
{
	world_nested(w);
	world_source(w);
}

static int call_plan(struct world *w, struct bsc_error *err)
{
	return bsc_plan_new(w->source, w->request.columns ? &w->request : NULL, NULL, &w->out.plan, err);
}

static void no_plan_is_left(struct world *w)
{
	assert_int_equal(w->mock.plans, w->mock.plans_freed);
	assert_int_equal(w->mock.instances_closed, 0);
}

static void done_plan(struct world *w)
{
	int64_t n = w->request.columns ? w->request.n_columns : w->schema.n_children;
	assert_int_equal(bsc_plan_schema(w->out.plan)->n_children, n);
	assert_int_equal(bsc_plan_partition_count(w->out.plan), w->mock.n_partitions);
	bsc_plan_free(w->out.plan);
}

static int call_partition_count(struct world *w, struct bsc_error *err)
{
	(void)err;
	assert_int_equal(bsc_plan_partition_count(w->plan), 2);
	return BSC_OK;
}

static int call_concurrency(struct world *w, struct bsc_error *err)
{
	(void)err;
	assert_int_equal(bsc_plan_concurrency(w->plan), 2);
	return BSC_OK;
}

static int call_spec(struct world *w, struct bsc_error *err)
{
	char *spec;
	size_t len;
	int rc = bsc_plan_spec(w->plan, 1, &spec, &len, err);
	if (rc == BSC_OK) {
		assert_int_equal(len, strlen("partition 1"));
		free(spec);
	}
	return rc;
}

static int call_row_count(struct world *w, struct bsc_error *err)
{
	(void)err;
	assert_int_equal(bsc_plan_row_count(w->plan), -1);
	return BSC_OK;
}

static int call_pushed(struct world *w, struct bsc_error *err)
{
	(void)err;
	assert_string_equal(bsc_plan_pushed(w->plan), "");
	return BSC_OK;
}

static int call_plan_schema(struct world *w, struct bsc_error *err)
{
	(void)err;
	assert_string_equal(bsc_plan_schema(w->plan)->children[1]->name, "b");
	return BSC_OK;
}

static int call_plan_ref(struct world *w, struct bsc_error *err)
{
	(void)err;
	bsc_plan_ref(w->plan);
	bsc_plan_free(w->plan);
	assert_int_equal(bsc_plan_partition_count(w->plan), 2);
	return BSC_OK;
}

static int call_plan_free(struct world *w, struct bsc_error *err)
{
	(void)err;
	bsc_plan_free(w->plan);
	bsc_plan_free(NULL);
	w->plan = NULL;
	assert_int_equal(w->mock.plans_freed, 1);
	return BSC_OK;
}

/* ---- scan ---- */

static int call_scan(struct world *w, struct bsc_error *err)
{
	return bsc_scan_open(w->plan, &w->out.scan, err);
}

static void done_scan(struct world *w)
{
	assert_true(bsc_scan_progress(w->out.scan) == 0);
	bsc_scan_close(w->out.scan);
}

static int call_progress(struct world *w, struct bsc_error *err)
{
	(void)err;
	assert_true(bsc_scan_progress(w->scan) == 0);
	return BSC_OK;
}

static int call_cancel(struct world *w, struct bsc_error *err)
{
	(void)err;
	bsc_scan_cancel(w->scan);
	return BSC_OK;
}

static int call_number(struct world *w, struct bsc_error *err)
{
	(void)err;
	assert_true(bsc_scan_number(w->scan) > 0);
	return BSC_OK;
}

static int call_finish(struct world *w, struct bsc_error *err)
{
	(void)err;
	bsc_scan_finish(w->scan);
	return BSC_OK;
}

static int call_scan_ref(struct world *w, struct bsc_error *err)
{
	(void)err;
	bsc_scan_ref(w->scan);
	bsc_scan_close(w->scan);
	assert_true(bsc_scan_progress(w->scan) == 0);
	return BSC_OK;
}

static int call_scan_close(struct world *w, struct bsc_error *err)
{
	(void)err;
	bsc_scan_close(w->scan);
	bsc_scan_close(NULL);
	w->scan = NULL;
	return BSC_OK;
}

/* ---- cursor ---- */

static int call_cursor(struct world *w, struct bsc_error *err)
{
	return bsc_cursor_open(w->scan, &w->out.cursor, err);
}

static int call_cursor_of_one(struct world *w, struct bsc_error *err)
{
	return bsc_cursor_open_partition(w->scan, 1, &w->out.cursor, err);
}

static void done_cursor(struct world *w)
{
	assert_int_equal(bsc_cursor_partition(w->out.cursor), -1);
	bsc_cursor_close(w->out.cursor);
}

static int call_partition(struct world *w, struct bsc_error *err)
{
	(void)err;
	assert_int_equal(bsc_cursor_partition(w->cursor), -1);
	return BSC_OK;
}

/* In the middle of a partition, so that there is something to close. */
static void begun_cursor(struct world *w)
{
	struct bsc_error err;
	struct ArrowArray batch;
	world_cursor(w);
	assert_ok(bsc_cursor_next(w->cursor, NULL, &batch, &err), &err);
	batch.release(&batch);
}

static int call_cursor_close(struct world *w, struct bsc_error *err)
{
	(void)err;
	bsc_cursor_close(w->cursor);
	bsc_cursor_close(NULL);
	w->cursor = NULL;
	assert_int_equal(w->mock.readers_closed, 1);
	return BSC_OK;
}

/* ---- batches ---- */

/* Every batch of the scan, so that an allocation fails in the middle too. */
static int call_next(struct world *w, struct bsc_error *err)
{
	for (;;) {
		memset(&w->out, 0xAA, sizeof(w->out));
		int rc = bsc_cursor_next(w->cursor, NULL, &w->out.array, err);
		if (rc != BSC_OK || !w->out.array.release) {
			return rc;
		}
		assert_int_equal(w->out.array.n_children, bsc_plan_schema(w->plan)->n_children);
		w->out.array.release(&w->out.array);
	}
}

/* The failure is the cursor's last word, even with memory there again. */
static void cursor_is_at_its_end(struct world *w)
{
	struct ArrowArray batch;
	struct bsc_error err;
	for (int i = 0; i < 2; i++) {
		assert_fails(bsc_cursor_next(w->cursor, NULL, &batch, &err), BSC_NOMEM, &err, "out of memory");
		assert_null(batch.release);
	}
	assert_int_equal(w->mock.readers, w->mock.readers_closed);
	assert_int_equal(w->mock.arrays, w->mock.arrays_released);
}

static int call_next_of_another(struct world *w, struct bsc_error *err)
{
	bsc_cursor_close(w->cursor);
	bsc_scan_close(w->scan);
	w->cursor = NULL;
	w->scan = NULL;
	int rc = bsc_scan_open(w->plan, &w->scan, err);
	if (rc == BSC_OK) {
		rc = bsc_cursor_open(w->scan, &w->cursor, err);
	}
	return rc == BSC_OK ? call_next(w, err) : rc;
}

static void done_next(struct world *w)
{
	assert_true(bsc_scan_progress(w->scan) == 1.0);
	assert_null(w->out.array.release);
}

static void cursor_over_some(struct world *w)
{
	w->request = (struct bsc_request){.columns = two_and_one_again, .n_columns = LENGTH(two_and_one_again)};
	world_cursor(w);
}

static void cursor_over_nested(struct world *w)
{
	world_nested(w);
	world_cursor(w);
}

/* Checked in full, opened by hand for its option. */
static void cursor_over_full(struct world *w)
{
	struct bsc_options *options = NULL;
	struct bsc_error err;
	world_flat(w);
	assert_ok(bsc_options_new(&options, &err), &err);
	assert_ok(bsc_options_add(options, bsc__str("bascule_validation"), bsc__str("full"), &err), &err);
	assert_ok(bsc_source_open(&w->mock.executor, bsc__str("acme:Orders"), options, 0, NULL, &w->source, &err), &err);
	assert_ok(bsc_plan_new(w->source, NULL, NULL, &w->plan, &err), &err);
	assert_ok(bsc_scan_open(w->plan, &w->scan, &err), &err);
	assert_ok(bsc_cursor_open(w->scan, &w->cursor, &err), &err);
}

/* ---- metrics ---- */

static struct bsc__names names;
static struct bsc_meter meter;

static void some_meter(struct world *w)
{
	(void)w;
	bsc__names_init(&names);
	meter = (struct bsc_meter){.names = &names};
}

static int call_meter_time(struct world *w, struct bsc_error *err)
{
	(void)w;
	(void)err;
	bsc_meter_time(&meter, 1, 2);
	assert_true(meter.python_ns == 1 && meter.waiting_ns == 2);
	return BSC_OK;
}

static int call_meter_ahead(struct world *w, struct bsc_error *err)
{
	(void)w;
	(void)err;
	bsc_meter_ahead(&meter, 7);
	assert_int_equal(meter.ahead_bytes, 7);
	return BSC_OK;
}

static int call_meter_worker(struct world *w, struct bsc_error *err)
{
	(void)w;
	(void)err;
	bsc_meter_worker(&meter, 77);
	assert_int_equal(meter.worker, 77);
	return BSC_OK;
}

/* It has no error to give: what can't be kept is not. */
static int call_meter_report(struct world *w, struct bsc_error *err)
{
	(void)w;
	return bsc_meter_report(&meter, bsc__str("requests"), 1) ? BSC_OK : bsc__fail_nomem(err, "reporting");
}

static void done_meter(struct world *w)
{
	(void)w;
	bsc__names_release(&names);
}

static int call_export(struct world *w, struct bsc_error *err)
{
	return bsc_scans_export(NULL, &w->out.table.schema, &w->out.table.array, err);
}

static void done_export(struct world *w)
{
	assert_int_equal(w->out.table.array.length, 1);
	w->out.table.array.release(&w->out.table.array);
	w->out.table.schema.release(&w->out.table.schema);
}

static int call_timeline(struct world *w, struct bsc_error *err)
{
	return bsc_timeline_export(bsc_scan_number(w->scan), &w->out.table.schema, &w->out.table.array, err);
}

static void done_timeline(struct world *w)
{
	assert_true(w->out.table.array.length > 0);
	w->out.table.array.release(&w->out.table.array);
	w->out.table.schema.release(&w->out.table.schema);
}

static int call_forget(struct world *w, struct bsc_error *err)
{
	(void)w;
	(void)err;
	bsc_scans_forget();
	return BSC_OK;
}

#define POINTER sizeof(void *)
#define NEXT(situation, set_up)                                                                                        \
	{"bsc_cursor_next",    situation, true, sizeof(struct ArrowArray), set_up, call_next, cursor_is_at_its_end,        \
	 call_next_of_another, done_next}

const struct twin twins_scan[] = {
    {"bsc_plan_new", "all columns", true, POINTER, world_source, call_plan, no_plan_is_left, .done = done_plan},
    {"bsc_plan_new", "some columns", true, POINTER, some_columns, call_plan, no_plan_is_left, .done = done_plan},
    {"bsc_plan_new", "no columns", true, POINTER, no_columns, call_plan, no_plan_is_left, .done = done_plan},
    {"bsc_plan_new", "nested columns", true, POINTER, nested_source, call_plan, no_plan_is_left, .done = done_plan},
    {"bsc_plan_partition_count", "", false, .set_up = world_plan, .call = call_partition_count},
    {"bsc_plan_concurrency", "", false, .set_up = world_plan, .call = call_concurrency},
    {"bsc_plan_spec", "", true, .set_up = world_plan, .call = call_spec},
    {"bsc_plan_row_count", "", false, .set_up = world_plan, .call = call_row_count},
    {"bsc_plan_pushed", "", false, .set_up = world_plan, .call = call_pushed},
    {"bsc_plan_schema", "", false, .set_up = world_plan, .call = call_plan_schema},
    {"bsc_plan_ref", "", false, .set_up = world_plan, .call = call_plan_ref},
    {"bsc_plan_free", "", false, .set_up = world_plan, .call = call_plan_free},
    {"bsc_scan_open", "", true, POINTER, world_plan, call_scan, .done = done_scan},
    {"bsc_scan_number", "", false, .set_up = world_scan, .call = call_number},
    {"bsc_scan_progress", "", false, .set_up = world_scan, .call = call_progress},
    {"bsc_scan_cancel", "", false, .set_up = world_scan, .call = call_cancel},
    {"bsc_scan_finish", "", false, .set_up = world_scan, .call = call_finish},
    {"bsc_scan_ref", "", false, .set_up = world_scan, .call = call_scan_ref},
    {"bsc_scan_close", "", false, .set_up = world_scan, .call = call_scan_close},
    {"bsc_cursor_open", "", true, POINTER, world_scan, call_cursor, .done = done_cursor},
    {"bsc_cursor_open_partition", "", true, POINTER, world_scan, call_cursor_of_one, .done = done_cursor},
    {"bsc_cursor_partition", "", false, .set_up = world_cursor, .call = call_partition},
    {"bsc_cursor_close", "", false, .set_up = begun_cursor, .call = call_cursor_close},
    {"bsc_meter_time", "", false, .set_up = some_meter, .call = call_meter_time, .done = done_meter},
    {"bsc_meter_ahead", "", false, .set_up = some_meter, .call = call_meter_ahead, .done = done_meter},
    {"bsc_meter_worker", "", false, .set_up = some_meter, .call = call_meter_worker, .done = done_meter},
    {"bsc_meter_report", "", true, .set_up = some_meter, .call = call_meter_report, .done = done_meter},
    {"bsc_scans_export", "", true, sizeof(((struct world *)NULL)->out.table), begun_cursor, call_export,
	 .done = done_export},
    {"bsc_timeline_export", "", true, sizeof(((struct world *)NULL)->out.table), begun_cursor, call_timeline,
	 .done = done_timeline},
    {"bsc_scans_forget", "", false, .set_up = world_scan, .call = call_forget},
    NEXT("all columns", world_cursor),
    NEXT("some columns", cursor_over_some),
    NEXT("nested columns", cursor_over_nested),
    NEXT("validation in full", cursor_over_full),
};
const size_t n_twins_scan = LENGTH(twins_scan);
