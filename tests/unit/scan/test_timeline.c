/* Spans of time: kept one by one while there is room, then in pairs; and what is exported of a scan. */
#include "mock_executor.h"
#include "scan/metrics.h"

/* Pull `i` of one that takes 7 ns of every 10. */
static struct bsc__span pull_at(int64_t i)
{
	return (struct bsc__span){.begun_ns = 10 * i,
	                          .ended_ns = 10 * i + 7,
	                          .pulled_ns = 7,
	                          .python_ns = 4,
	                          .waiting_ns = 2,
	                          .pulls = 1,
	                          .batches = 1,
	                          .rows = i,
	                          .bytes = 8 * i,
	                          .thread = 1};
}

static void test_spans_are_merged_where_there_would_be_too_many(void **state)
{
	(void)state;
	struct bsc__timeline timeline;
	bsc__timeline_init(&timeline, 64);
	assert_true(bsc__timeline_begin(&timeline));
	assert_int_equal(timeline.most, BSC__SPANS_PER_SCAN / 64);
	for (int64_t n = 1; n <= 100000; n++) {
		struct bsc__span pull = pull_at(n - 1);
		bsc__timeline_add(&timeline, &pull);
		if (n <= timeline.most) {
			assert_int_equal(timeline.n, n);
		}
		assert_true(timeline.n <= timeline.most);
	}
	assert_true(2 * timeline.n >= timeline.most);
	struct bsc__span sum = {0};
	int64_t at = 0;
	for (int64_t i = 0; i < timeline.n; i++) {
		const struct bsc__span *span = &timeline.spans[i];
		assert_int_equal(span->begun_ns, at);
		assert_int_equal(span->ended_ns, at + 10 * (span->pulls - 1) + 7);
		at += 10 * span->pulls;
		sum.pulled_ns += span->pulled_ns;
		sum.python_ns += span->python_ns;
		sum.waiting_ns += span->waiting_ns;
		sum.batches += span->batches;
		sum.rows += span->rows;
		sum.bytes += span->bytes;
	}
	assert_int_equal(sum.pulled_ns, 700000);
	assert_int_equal(sum.python_ns, 400000);
	assert_int_equal(sum.waiting_ns, 200000);
	assert_int_equal(sum.batches, 100000);
	assert_int_equal(sum.rows, 4999950000);
	assert_int_equal(sum.bytes, 8 * 4999950000);
	bsc__timeline_release(&timeline);
}

static void test_another_thread_or_worker_begins_a_span(void **state)
{
	(void)state;
	struct bsc__timeline timeline;
	bsc__timeline_init(&timeline, 100000);
	assert_true(bsc__timeline_begin(&timeline));
	assert_int_equal(timeline.most, BSC__SPANS_LEAST);
	for (int64_t i = 0; i < 8; i++) {
		struct bsc__span pull = pull_at(i);
		bsc__timeline_add(&timeline, &pull);
	}
	assert_int_equal(timeline.n, 4);
	assert_int_equal(timeline.spans[3].pulls, 2);
	struct bsc__span pull = pull_at(8);
	bsc__timeline_add(&timeline, &pull); /* pairs become fours: 4, 4, 1 */
	assert_int_equal(timeline.n, 3);
	pull = pull_at(9);
	pull.thread = 2;
	bsc__timeline_add(&timeline, &pull);
	assert_int_equal(timeline.n, 4);
	assert_int_equal(timeline.spans[2].pulls, 1);
	pull = pull_at(10);
	pull.thread = 2;
	pull.worker = 77;
	bsc__timeline_add(&timeline, &pull);
	assert_int_equal(timeline.n, 3);
	assert_int_equal(timeline.spans[2].worker, 77);
	bsc__timeline_release(&timeline);
}

static int64_t number(const struct ArrowArrayView *view, int column, int64_t row)
{
	return ArrowArrayViewGetIntUnsafe(view->children[column], row);
}

static void test_a_scan_tells_its_spans_by_partition_and_time(void **state)
{
	(void)state;
	static const struct mock_column columns[] = {{"a", "l", true}};
	static const struct mock_batch batches[] = {{.n_rows = 3}, {.n_rows = 2}};
	static const struct mock_partition partitions[] = {{batches, 2}, {batches, 1}};
	struct mock mock;
	struct ArrowSchema schema;
	struct bsc_error err;
	struct bsc_plan *plan;
	struct bsc_scan *scan;
	struct bsc_cursor *cursor;
	mock_schema_init(&schema, columns, LENGTH(columns));
	mock_init(&mock, &schema, partitions, LENGTH(partitions));
	struct bsc_source *source = mock_source(&mock);
	assert_ok(bsc_plan_new(source, NULL, NULL, &plan, &err), &err);
	assert_ok(bsc_scan_open(plan, &scan, &err), &err);
	int64_t id = bsc_scan_number(scan);
	assert_ok(bsc_cursor_open(scan, &cursor, &err), &err);
	struct ArrowArray batch;
	assert_ok(bsc_cursor_next(cursor, NULL, &batch, &err), &err);
	while (batch.release) {
		batch.release(&batch);
		assert_ok(bsc_cursor_next(cursor, NULL, &batch, &err), &err);
	}
	bsc_cursor_close(cursor);
	bsc_scan_close(scan);
	bsc_plan_free(plan);

	struct ArrowSchema table_schema;
	struct ArrowArray table;
	struct ArrowArrayView view;
	assert_ok(bsc_timeline_export(id, &table_schema, &table, &err), &err);
	assert_int_equal(ArrowArrayViewInitFromSchema(&view, &table_schema, NULL), NANOARROW_OK);
	assert_int_equal(ArrowArrayViewSetArray(&view, &table, NULL), NANOARROW_OK);
	assert_int_equal(ArrowArrayViewValidate(&view, NANOARROW_VALIDATION_LEVEL_FULL, NULL), NANOARROW_OK);
	/* A pull for each batch, and one that finds the end. */
	static const int64_t partition_of[] = {0, 0, 0, 1, 1}, rows_of[] = {3, 2, 0, 3, 0};
	assert_int_equal(table.length, LENGTH(rows_of));
	for (int64_t i = 0; i < table.length; i++) {
		assert_int_equal(number(&view, 0, i), partition_of[i]);
		assert_int_equal(number(&view, 1, i), bsc__thread_id());
		assert_true(ArrowArrayViewIsNull(view.children[2], i));
		double begun = ArrowArrayViewGetDoubleUnsafe(view.children[3], i);
		double ended = ArrowArrayViewGetDoubleUnsafe(view.children[4], i);
		assert_true(0 <= begun && begun <= ended);
		assert_true(ArrowArrayViewGetDoubleUnsafe(view.children[6], i) == MOCK_NEXT_NS / 1e9);
		assert_int_equal(number(&view, 8, i), rows_of[i] > 0);
		assert_int_equal(number(&view, 9, i), rows_of[i]);
		assert_int_equal(number(&view, 10, i), 8 * rows_of[i]);
	}
	ArrowArrayViewReset(&view);
	table.release(&table);
	table_schema.release(&table_schema);

	assert_ok(bsc_timeline_export(id + 1000, &table_schema, &table, &err), &err);
	assert_int_equal(table.length, 0);
	table.release(&table);
	table_schema.release(&table_schema);
	bsc_source_close(source);
	mock_assert_all_closed(&mock);
	schema.release(&schema);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_spans_are_merged_where_there_would_be_too_many),
	    cmocka_unit_test(test_another_thread_or_worker_begins_a_span),
	    cmocka_unit_test(test_a_scan_tells_its_spans_by_partition_and_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
