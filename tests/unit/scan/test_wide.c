/* 500 and 5,000 columns, in order and reversed: only that the rows are right. */
#include "mock_executor.h"

#include <stdio.h>

static void name_of(int64_t i, char name[24])
{
	snprintf(name, 24, "column_%lld", (long long)i);
}

static struct ArrowSchema wide(int64_t n, bool reversed)
{
	struct ArrowSchema schema;
	mock_struct_init(&schema, "", n);
	schema.flags = 0;
	for (int64_t i = 0; i < n; i++) {
		struct ArrowSchema field;
		char name[24];
		int64_t column = reversed ? n - 1 - i : i;
		name_of(column, name);
		/* Types differ with the number, so that a wrong match is an error. */
		mock_field_init(&field, name, column % 3 == 0 ? "l" : column % 3 == 1 ? "i" : "g");
		mock_set_child(&schema, i, &field);
	}
	return schema;
}

/* Every `step`th column, from the last to the first, is asked. */
static void reads_right_rows(int64_t n, bool reversed, int64_t step)
{
	struct ArrowSchema declared = wide(n, false), yielded = wide(n, reversed);
	struct mock_batch batches[] = {{.n_rows = 3, .schema = &yielded},
	                               {.n_rows = 2, .same_schema = true, .schema = &yielded}};
	struct mock_partition partitions[] = {{batches, 2}, {batches, 2}};
	struct mock mock;
	mock_init(&mock, &declared, partitions, 2);
	struct bsc_source *source = mock_source(&mock);
	struct bsc_plan *plan = NULL;
	struct bsc_scan *scan = NULL;
	struct bsc_cursor *cursor = NULL;
	struct bsc_error err;
	int64_t n_asked = 0, *asked = bsc__calloc((size_t)n, sizeof(*asked));
	for (int64_t i = n - 1; i >= 0; i -= step) {
		asked[n_asked++] = i;
	}
	struct bsc_request request = {.columns = asked, .n_columns = n_asked};
	assert_ok(bsc_plan_new(source, &request, NULL, &plan, &err), &err);
	assert_ok(bsc_scan_open(plan, &scan, &err), &err);
	assert_ok(bsc_cursor_open(scan, &cursor, &err), &err);
	struct ArrowArrayView view;
	assert_int_equal(ArrowArrayViewInitFromSchema(&view, bsc_plan_schema(plan), NULL), NANOARROW_OK);
	int64_t n_rows = 0;
	for (int64_t b = 0;; b++) {
		struct ArrowArray batch;
		assert_ok(bsc_cursor_next(cursor, NULL, &batch, &err), &err);
		if (!batch.release) {
			break;
		}
		assert_int_equal(batch.n_children, n_asked);
		assert_int_equal(ArrowArrayViewSetArray(&view, &batch, NULL), NANOARROW_OK);
		for (int64_t i = 0; i < n_asked; i++) {
			char name[24];
			name_of(asked[i], name);
			assert_string_equal(bsc_plan_schema(plan)->children[i]->name, name);
			for (int64_t row = 0; row < batch.length; row++) {
				double want = (double)(1000000 * bsc_cursor_partition(cursor) + 1000 * (b % 2) + row);
				assert_true(ArrowArrayViewGetDoubleUnsafe(view.children[i], row) == want);
			}
		}
		n_rows += batch.length;
		batch.release(&batch);
	}
	assert_int_equal(n_rows, 10);
	ArrowArrayViewReset(&view);
	bsc__free(asked);
	bsc_cursor_close(cursor);
	bsc_scan_close(scan);
	bsc_plan_free(plan);
	bsc_source_close(source);
	mock_assert_all_closed(&mock);
	yielded.release(&yielded);
	declared.release(&declared);
}

static void test_500_columns_read_right(void **state)
{
	(void)state;
	reads_right_rows(500, false, 1);
	reads_right_rows(500, false, 7);
}

static void test_500_columns_in_reversed_order_read_right(void **state)
{
	(void)state;
	reads_right_rows(500, true, 1);
	reads_right_rows(500, true, 7);
}

static void test_5000_columns_read_right(void **state)
{
	(void)state;
	reads_right_rows(5000, false, 1);
	reads_right_rows(5000, false, 7);
}

static void test_5000_columns_in_reversed_order_read_right(void **state)
{
	(void)state;
	reads_right_rows(5000, true, 1);
	reads_right_rows(5000, true, 4999);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_500_columns_read_right),
	    cmocka_unit_test(test_500_columns_in_reversed_order_read_right),
	    cmocka_unit_test(test_5000_columns_read_right),
	    cmocka_unit_test(test_5000_columns_in_reversed_order_read_right),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
