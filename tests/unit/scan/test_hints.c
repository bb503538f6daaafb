/* What a request asks beside columns, what a plan answers beside partitions, and what is counted. */
#include <stdio.h>

#include "mock_executor.h"
#include "scan/internal.h"

static const struct mock_column columns[] = {{"a", "l", true}, {"b", "u", false}};
static const struct mock_batch batches[] = {{.n_rows = 3}, {.n_rows = 2}};
static const struct mock_partition partitions[] = {{batches, 2}, {batches, 2}, {batches, 2}};

struct fixture {
	struct mock mock;
	struct ArrowSchema schema;
	struct bsc_source *source;
	struct bsc_plan *plan;
	struct bsc_scan *scan;
	struct bsc_cursor *cursor;
	struct bsc_error err;
};

static int set_up(void **state)
{
	struct fixture *f = bsc__calloc(1, sizeof(*f));
	mock_schema_init(&f->schema, columns, LENGTH(columns));
	mock_init(&f->mock, &f->schema, partitions, LENGTH(partitions));
	f->source = mock_source(&f->mock);
	*state = f;
	return 0;
}

static void close_scan(struct fixture *f)
{
	bsc_cursor_close(f->cursor);
	bsc_scan_close(f->scan);
	bsc_plan_free(f->plan);
	f->cursor = NULL;
	f->scan = NULL;
	f->plan = NULL;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	close_scan(f);
	bsc_source_close(f->source);
	mock_assert_all_closed(&f->mock);
	f->schema.release(&f->schema);
	bsc__free(f);
	return 0;
}

static void open_scan(struct fixture *f, const struct bsc_request *request)
{
	assert_ok(bsc_plan_new(f->source, request, NULL, &f->plan, &f->err), &f->err);
	assert_ok(bsc_scan_open(f->plan, &f->scan, &f->err), &f->err);
	assert_ok(bsc_cursor_open(f->scan, &f->cursor, &f->err), &f->err);
}

/* Rows of the next batch, 0 at the end. */
static int64_t next(struct fixture *f)
{
	struct ArrowArray batch;
	assert_ok(bsc_cursor_next(f->cursor, NULL, &batch, &f->err), &f->err);
	if (!batch.release) {
		return 0;
	}
	int64_t n = batch.length;
	for (int64_t i = 0; i < batch.n_children; i++) {
		assert_int_equal(batch.children[i]->length, n);
	}
	batch.release(&batch);
	return n;
}

static int64_t rest(struct fixture *f)
{
	int64_t n_rows = 0;
	for (int64_t n; (n = next(f)) > 0;) {
		n_rows += n;
	}
	return n_rows;
}

static struct bsc_filter *a_equals(struct fixture *f, int64_t value)
{
	const struct bsc_literal literal = {"l", true, {(const char *)&value, sizeof(value)}};
	struct bsc_filter *filter;
	assert_ok(bsc_filter_new(BSC_FILTER_EQUAL, 0, &literal, 1, &filter, &f->err), &f->err);
	return filter;
}

/* ---- what is asked ---- */

static void test_class_is_told_the_filter_and_the_limit(void **state)
{
	struct fixture *f = *state;
	struct bsc_filter *filter = a_equals(f, 1);
	f->mock.pushed = "a = 1";
	f->mock.n_pruned = 4;
	open_scan(f, &(struct bsc_request){.filter = filter, .limited = true, .limit = 7});
	bsc_filter_free(filter); /* borrowed for the call */
	assert_int_equal(f->mock.n_filters, 1);
	assert_int_equal(f->mock.limit, 7);
	assert_string_equal(f->mock.columns, "*");
	assert_string_equal(bsc_plan_pushed(f->plan), "a = 1");
	close_scan(f);
	f->mock.pushed = NULL;
	open_scan(f, NULL);
	assert_int_equal(f->mock.n_filters, 0);
	assert_int_equal(f->mock.limit, -1);
	assert_string_equal(bsc_plan_pushed(f->plan), "");
}

static void test_negative_limit_is_refused(void **state)
{
	struct fixture *f = *state;
	const struct bsc_request request = {.limited = true, .limit = -1};
	assert_fails(bsc_plan_new(f->source, &request, NULL, &f->plan, &f->err), BSC_INVALID, &f->err, "-1 rows");
}

static void test_limit_ends_the_scan_within_a_batch(void **state)
{
	struct fixture *f = *state;
	open_scan(f, &(struct bsc_request){.limited = true, .limit = 7});
	assert_int_equal(next(f), 3);
	assert_int_equal(next(f), 2);
	assert_int_equal(next(f), 2);
	assert_int_equal(next(f), 0);
	assert_int_equal(next(f), 0);
	assert_int_equal(f->mock.calls[MOCK_READ_OPEN], 2);
	assert_int_equal(f->mock.calls[MOCK_READ_NEXT], 4);
	assert_int_equal(f->mock.readers, f->mock.readers_closed);
}

static void test_limit_of_0_reads_nothing(void **state)
{
	struct fixture *f = *state;
	open_scan(f, &(struct bsc_request){.limited = true});
	assert_int_equal(rest(f), 0);
	assert_int_equal(f->mock.calls[MOCK_READ_OPEN], 0);
}

static void test_cursors_that_claim_stop_together(void **state)
{
	struct fixture *f = *state;
	struct bsc_cursor *first;
	open_scan(f, &(struct bsc_request){.limited = true, .limit = 3});
	first = f->cursor;
	assert_ok(bsc_cursor_open(f->scan, &f->cursor, &f->err), &f->err);
	assert_int_equal(next(f), 3);
	bsc_cursor_close(f->cursor);
	f->cursor = first;
	assert_int_equal(next(f), 0);
	assert_int_equal(f->mock.calls[MOCK_READ_OPEN], 1);
}

static void test_each_partition_alone_hands_over_the_limit(void **state)
{
	struct fixture *f = *state;
	open_scan(f, &(struct bsc_request){.limited = true, .limit = 4});
	for (int64_t i = 0; i < 2; i++) {
		bsc_cursor_close(f->cursor);
		assert_ok(bsc_cursor_open_partition(f->scan, i, &f->cursor, &f->err), &f->err);
		assert_int_equal(rest(f), 4);
	}
}

/* ---- what is known ---- */

static void test_rows_are_counted_without_reading(void **state)
{
	struct fixture *f = *state;
	f->mock.rows = (const int64_t[]){5, 0, INT64_C(1) << 40};
	open_scan(f, &(struct bsc_request){.columns = (const int64_t[]){0}});
	assert_int_equal(bsc_plan_row_count(f->plan), 5 + (INT64_C(1) << 40));
	assert_int_equal(next(f), 5);
	assert_int_equal(next(f), INT64_C(1) << 40);
	assert_int_equal(next(f), 0);
	assert_int_equal(f->mock.calls[MOCK_READ_OPEN], 0);
	assert_true(bsc_scan_progress(f->scan) == 1.0);
	close_scan(f);
	open_scan(f, &(struct bsc_request){.columns = (const int64_t[]){0}, .limited = true, .limit = 7});
	assert_int_equal(next(f), 5);
	assert_int_equal(next(f), 2);
	assert_int_equal(next(f), 0);
}

static void test_rows_are_read_where_one_count_is_unknown_or_a_filter_stands(void **state)
{
	struct fixture *f = *state;
	const struct bsc_request no_columns = {.columns = (const int64_t[]){0}};
	f->mock.rows = (const int64_t[]){5, -1, 5};
	open_scan(f, &no_columns);
	assert_int_equal(bsc_plan_row_count(f->plan), -1);
	assert_int_equal(rest(f), 15);
	assert_int_equal(f->mock.calls[MOCK_READ_OPEN], 3);
	close_scan(f);
	struct bsc_request filtered = no_columns;
	struct bsc_filter *filter = a_equals(f, 1);
	f->mock.rows = (const int64_t[]){5, 5, 5};
	filtered.filter = filter;
	open_scan(f, &filtered);
	assert_int_equal(bsc_plan_row_count(f->plan), -1);
	assert_int_equal(rest(f), 15);
	assert_int_equal(f->mock.calls[MOCK_READ_OPEN], 6);
	bsc_filter_free(filter);
	close_scan(f);
	/* More than can be counted. */
	f->mock.rows = (const int64_t[]){INT64_MAX, 1, 1};
	open_scan(f, &no_columns);
	assert_int_equal(bsc_plan_row_count(f->plan), -1);
}

static int count_once(void *instance, const struct bsc_poll *poll, struct bsc_statistics *out, struct bsc_error *err)
{
	static int calls;
	(void)instance;
	(void)poll;
	*out = (struct bsc_statistics){calls++ ? 0 : 42, -1, true};
	return calls == 1 ? BSC_OK : bsc__fail(err, BSC_SOURCE, "asked again");
}

static void test_statistics_are_asked_once(void **state)
{
	struct fixture *f = *state;
	struct bsc_statistics found;
	assert_ok(bsc_source_statistics(f->source, NULL, &found, &f->err), &f->err);
	assert_true(found.n_rows == -1 && found.n_bytes == -1 && !found.exact);
	bsc_source_close(f->source);
	f->mock.executor.statistics = count_once;
	f->source = mock_source(&f->mock);
	for (int i = 0; i < 2; i++) {
		assert_ok(bsc_source_statistics(f->source, NULL, &found, &f->err), &f->err);
		assert_true(found.n_rows == 42 && found.exact);
	}
}

/* ---- progress ---- */

static void test_progress_is_of_the_rows_where_they_are_known(void **state)
{
	struct fixture *f = *state;
	f->mock.rows = (const int64_t[]){5, 5, 5};
	open_scan(f, NULL);
	int64_t read = 0;
	for (int64_t n; (n = next(f)) > 0;) {
		read += n;
		assert_true(bsc_scan_progress(f->scan) == (double)read / 15);
	}
	assert_int_equal(read, 15);
	close_scan(f);
	open_scan(f, &(struct bsc_request){.limited = true, .limit = 12});
	assert_true(rest(f) == 12 && bsc_scan_progress(f->scan) == 1.0);
	close_scan(f);
	/* The class said too few. */
	f->mock.rows = (const int64_t[]){1, 1, 1};
	open_scan(f, NULL);
	assert_true(next(f) > 1 && next(f) > 0 && bsc_scan_progress(f->scan) == 1.0);
}

static struct bsc_statistics told;

static int tell(void *instance, const struct bsc_poll *poll, struct bsc_statistics *out, struct bsc_error *err)
{
	(void)instance, (void)poll, (void)err;
	*out = told;
	return BSC_OK;
}

/* Progress behind the first batch of a scan of 15 rows in 3 partitions. */
static double progress_at_first(struct fixture *f, struct bsc_statistics statistics, const struct bsc_request *request)
{
	struct bsc_statistics found;
	told = statistics;
	bsc_source_close(f->source);
	f->mock.executor.statistics = tell;
	f->source = mock_source(&f->mock);
	assert_ok(bsc_source_statistics(f->source, NULL, &found, &f->err), &f->err);
	open_scan(f, request);
	assert_true(next(f) == 3);
	double progress = bsc_scan_progress(f->scan);
	close_scan(f);
	return progress;
}

static void test_progress_is_of_the_rows_by_exact_statistics_without_a_filter(void **state)
{
	struct fixture *f = *state;
	struct bsc_filter *filter = a_equals(f, 1);
	assert_true(progress_at_first(f, (struct bsc_statistics){15, -1, true}, NULL) == 0.2);
	assert_true(progress_at_first(f, (struct bsc_statistics){15, -1, false}, NULL) == 0);
	assert_true(progress_at_first(f, (struct bsc_statistics){-1, 100, true}, NULL) == 0);
	assert_true(progress_at_first(f, (struct bsc_statistics){15, -1, true}, &(struct bsc_request){.filter = filter}) ==
	            0);
	bsc_filter_free(filter);
}

/* ---- what is counted ---- */

/* The child of that name of the newest scan's row. */
static struct ArrowArrayView *column_of(struct ArrowArrayView *view, const struct ArrowSchema *schema, const char *name)
{
	for (int64_t i = 0; i < schema->n_children; i++) {
		if (strcmp(schema->children[i]->name, name) == 0) {
			return view->children[i];
		}
	}
	fail_msg("no column %s", name);
	return NULL;
}

struct row {
	struct ArrowSchema schema;
	struct ArrowArray array;
	struct ArrowArrayView view;
};

static void newest(struct row *row, struct fixture *f)
{
	assert_ok(bsc_scans_export(NULL, &row->schema, &row->array, &f->err), &f->err);
	assert_int_equal(ArrowArrayViewInitFromSchema(&row->view, &row->schema, NULL), NANOARROW_OK);
	assert_int_equal(ArrowArrayViewSetArray(&row->view, &row->array, NULL), NANOARROW_OK);
	assert_int_equal(ArrowArrayViewValidate(&row->view, NANOARROW_VALIDATION_LEVEL_FULL, NULL), NANOARROW_OK);
}

static void release_row(struct row *row)
{
	ArrowArrayViewReset(&row->view);
	row->array.release(&row->array);
	row->schema.release(&row->schema);
}

static void has_number(struct row *row, const char *name, int64_t want)
{
	int64_t found = ArrowArrayViewGetIntUnsafe(column_of(&row->view, &row->schema, name), 0);
	if (found != want) {
		fail_msg("%s is %lld, wanted %lld", name, (long long)found, (long long)want);
	}
}

static void has_text(struct row *row, const char *name, const char *want)
{
	struct ArrowStringView text = ArrowArrayViewGetStringUnsafe(column_of(&row->view, &row->schema, name), 0);
	assert_str(((struct bsc_str){text.data, (size_t)text.size_bytes}), want);
}

static void test_scan_is_recorded_while_it_runs_and_after(void **state)
{
	struct fixture *f = *state;
	struct row row;
	f->mock.n_pruned = 2;
	f->mock.pushed = "a = 1";
	open_scan(f, &(struct bsc_request){.columns = (const int64_t[]){0}, .n_columns = 1});
	assert_int_equal(next(f), 3);
	newest(&row, f);
	has_text(&row, "state", "running");
	has_text(&row, "source", bsc_source_label(f->source));
	has_text(&row, "executor", "mock");
	has_text(&row, "pushed_columns", "a");
	has_text(&row, "pushed_filters", "a = 1");
	has_number(&row, "partitions", 5);
	has_number(&row, "partitions_pruned", 2);
	has_number(&row, "partitions_read", 0);
	has_number(&row, "rows", 3);
	has_number(&row, "bytes", 24);
	release_row(&row);
	assert_int_equal(rest(f), 12);
	close_scan(f);
	newest(&row, f);
	has_text(&row, "state", "done");
	has_number(&row, "rows", 15);
	has_number(&row, "batches", 6);
	has_number(&row, "bytes", 120);
	has_number(&row, "partitions_read", 3);
	struct ArrowArrayView *seconds = column_of(&row.view, &row.schema, "python_seconds");
	assert_true(ArrowArrayViewGetDoubleUnsafe(seconds, 0) == 9 * MOCK_NEXT_NS / 1e9);
	assert_int_equal(ArrowArrayViewListChildOffset(column_of(&row.view, &row.schema, "per_partition"), 1), 3);
	release_row(&row);
}

static void ends_as(struct fixture *f, const char *state)
{
	struct row row;
	close_scan(f);
	newest(&row, f);
	has_text(&row, "state", state);
	release_row(&row);
}

static void test_record_says_how_a_scan_ended(void **state)
{
	struct fixture *f = *state;
	struct ArrowArray batch;
	open_scan(f, NULL);
	assert_int_equal(next(f), 3);
	ends_as(f, "ended early");
	open_scan(f, NULL);
	bsc_scan_cancel(f->scan);
	assert_int_equal(bsc_cursor_next(f->cursor, NULL, &batch, &f->err), BSC_CANCELLED);
	ends_as(f, "cancelled");
	open_scan(f, NULL);
	bsc_scan_finish(f->scan);
	assert_int_equal(bsc_cursor_next(f->cursor, NULL, &batch, &f->err), BSC_CANCELLED);
	ends_as(f, "ended early");
	open_scan(f, NULL);
	f->mock.fault[MOCK_READ_NEXT].status = BSC_SOURCE;
	f->mock.fault[MOCK_READ_NEXT].text = "no";
	f->mock.fault[MOCK_READ_NEXT].after = 0;
	assert_int_equal(bsc_cursor_next(f->cursor, NULL, &batch, &f->err), BSC_SOURCE);
	bsc_scan_cancel(f->scan); /* as an adapter does then */
	ends_as(f, "failed");
}

static void test_only_the_last_scans_are_kept_and_those_that_run(void **state)
{
	struct fixture *f = *state;
	struct bsc_scan *first;
	struct row row;
	open_scan(f, NULL);
	first = f->scan;
	bsc_scan_ref(first);
	close_scan(f);
	for (int i = 0; i < BSC__SCANS_KEPT + 50; i++) {
		open_scan(f, NULL);
		close_scan(f);
	}
	newest(&row, f);
	assert_int_equal(row.array.length, BSC__SCANS_KEPT + 1);
	int64_t oldest = ArrowArrayViewGetIntUnsafe(column_of(&row.view, &row.schema, "scan"), BSC__SCANS_KEPT);
	int64_t before = ArrowArrayViewGetIntUnsafe(column_of(&row.view, &row.schema, "scan"), BSC__SCANS_KEPT - 1);
	assert_int_equal(before - oldest, 51);
	release_row(&row);
	bsc_scan_close(first);
}

static void test_reports_of_one_name_are_added_and_there_are_only_so_many(void **state)
{
	(void)state;
	struct bsc__names names;
	bsc__names_init(&names);
	struct bsc_meter meter = {.names = &names};
	char name[BSC_METRIC_NAME_MAX + 2];
	for (int i = 0; i < BSC_METRICS_MAX; i++) {
		int len = snprintf(name, sizeof(name), "n%d", i);
		assert_true(bsc_meter_report(&meter, (struct bsc_str){name, (size_t)len}, i));
		assert_true(bsc_meter_report(&meter, (struct bsc_str){name, (size_t)len}, 0.5));
	}
	assert_false(bsc_meter_report(&meter, bsc__str("more"), 1));
	assert_true(bsc_meter_report(&meter, bsc__str("n3"), 1));
	assert_true(names.items[3].value == 4.5);
	bsc__names_clear(&names);
	memset(name, 'x', sizeof(name));
	assert_false(bsc_meter_report(&meter, (struct bsc_str){name, BSC_METRIC_NAME_MAX + 1}, 1));
	assert_true(bsc_meter_report(&meter, (struct bsc_str){name, BSC_METRIC_NAME_MAX}, 1));
	assert_false(bsc_meter_report(&meter, (struct bsc_str){"a\0b", 3}, 1));
	assert_false(bsc_meter_report(&meter, (struct bsc_str){"\xff", 1}, 1));
	assert_false(bsc_meter_report(&meter, (struct bsc_str){"", 0}, 1));
	bsc_meter_ahead(&meter, 7);
	bsc_meter_ahead(&meter, 5);
	assert_int_equal(meter.ahead_bytes, 7);
	bsc__names_release(&names);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_class_is_told_the_filter_and_the_limit),
	    TEST(test_negative_limit_is_refused),
	    TEST(test_limit_ends_the_scan_within_a_batch),
	    TEST(test_limit_of_0_reads_nothing),
	    TEST(test_cursors_that_claim_stop_together),
	    TEST(test_each_partition_alone_hands_over_the_limit),
	    TEST(test_rows_are_counted_without_reading),
	    TEST(test_rows_are_read_where_one_count_is_unknown_or_a_filter_stands),
	    TEST(test_statistics_are_asked_once),
	    TEST(test_progress_is_of_the_rows_where_they_are_known),
	    TEST(test_progress_is_of_the_rows_by_exact_statistics_without_a_filter),
	    TEST(test_scan_is_recorded_while_it_runs_and_after),
	    TEST(test_record_says_how_a_scan_ended),
	    TEST(test_only_the_last_scans_are_kept_and_those_that_run),
	    cmocka_unit_test(test_reports_of_one_name_are_added_and_there_are_only_so_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
