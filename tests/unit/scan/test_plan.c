#include "mock_executor.h"

static const struct mock_column columns[] = {{"a", "l", true}, {"b", "u", false}, {"c", "i", false}};
static const struct mock_batch two_batches[] = {{.n_rows = 3}, {.n_rows = 2}};
static const struct mock_partition partitions[] = {{two_batches, 2}, {two_batches, 2}};

struct fixture {
	struct mock mock;
	struct ArrowSchema schema;
	struct bsc_source *source;
};

static int set_up(void **state)
{
	struct fixture *f = bsc__calloc(1, sizeof(*f));
	mock_schema_init(&f->schema, columns, LENGTH(columns));
	mock_set_extension(f->schema.children[1], "acme.text");
	mock_set_extension(&f->schema, "acme.table");
	mock_init(&f->mock, &f->schema, partitions, LENGTH(partitions));
	f->source = mock_source(&f->mock);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	bsc_source_close(f->source);
	mock_assert_all_closed(&f->mock);
	f->schema.release(&f->schema);
	bsc__free(f);
	return 0;
}

static struct bsc_plan *plan_of(struct fixture *f, const int64_t *asked, int64_t n)
{
	struct bsc_request request = {.columns = asked, .n_columns = n};
	struct bsc_plan *plan = NULL;
	struct bsc_error err;
	assert_ok(bsc_plan_new(f->source, &request, NULL, &plan, &err), &err);
	return plan;
}

/* Reads everything on one cursor; checks the layout and the row numbers of the
 * int64 columns; returns the rows. */
static int64_t read_all(struct bsc_plan *plan)
{
	const struct ArrowSchema *schema = bsc_plan_schema(plan);
	struct bsc_scan *scan = NULL;
	struct bsc_cursor *cursor = NULL;
	struct bsc_error err;
	int64_t n_rows = 0, n_batches = 0;
	assert_ok(bsc_scan_open(plan, &scan, &err), &err);
	assert_ok(bsc_cursor_open(scan, &cursor, &err), &err);
	for (;;) {
		struct ArrowArray batch;
		assert_ok(bsc_cursor_next(cursor, NULL, &batch, &err), &err);
		if (!batch.release) {
			break;
		}
		assert_int_equal(batch.offset, 0);
		assert_int_equal(batch.n_children, schema->n_children);
		struct ArrowArrayView view;
		assert_int_equal(ArrowArrayViewInitFromSchema(&view, schema, NULL), NANOARROW_OK);
		assert_int_equal(ArrowArrayViewSetArray(&view, &batch, NULL), NANOARROW_OK);
		int64_t first = 1000000 * bsc_cursor_partition(cursor) + 1000 * (n_batches++ % 2);
		for (int64_t i = 0; i < schema->n_children; i++) {
			for (int64_t row = 0; row < batch.length; row++) {
				char text[40];
				if (strcmp(schema->children[i]->format, "u") == 0) {
					struct ArrowStringView s = ArrowArrayViewGetStringUnsafe(view.children[i], row);
					assert_true(bsc__str_equal((struct bsc_str){s.data, (size_t)s.size_bytes},
					                           bsc__str(mock_text(first + row, text))));
				} else {
					assert_int_equal(ArrowArrayViewGetIntUnsafe(view.children[i], row), first + row);
				}
			}
		}
		n_rows += batch.length;
		ArrowArrayViewReset(&view);
		batch.release(&batch);
	}
	bsc_cursor_close(cursor);
	bsc_scan_close(scan);
	return n_rows;
}

static void test_plan_without_a_request_has_all_columns_and_gives_no_hint(void **state)
{
	struct fixture *f = *state;
	struct bsc_plan *plan = NULL;
	struct bsc_error err;
	assert_ok(bsc_plan_new(f->source, NULL, NULL, &plan, &err), &err);
	assert_string_equal(f->mock.columns, "*");
	assert_int_equal(bsc_plan_schema(plan)->n_children, 3);
	assert_int_equal(bsc_plan_partition_count(plan), 2);
	assert_int_equal(read_all(plan), 10);
	bsc_plan_free(plan);
	plan = plan_of(f, NULL, 0);
	assert_string_equal(f->mock.columns, "*");
	assert_int_equal(bsc_plan_schema(plan)->n_children, 3);
	bsc_plan_free(plan);
}

static void test_plan_of_a_subset_names_it_to_the_class(void **state)
{
	struct fixture *f = *state;
	struct bsc_plan *plan = plan_of(f, (int64_t[]){1}, 1);
	assert_string_equal(f->mock.columns, "b,");
	assert_int_equal(bsc_plan_schema(plan)->n_children, 1);
	assert_string_equal(bsc_plan_schema(plan)->children[0]->name, "b");
	assert_int_equal(read_all(plan), 10);
	bsc_plan_free(plan);
}

static void test_plan_keeps_the_order_asked(void **state)
{
	struct fixture *f = *state;
	struct bsc_plan *plan = plan_of(f, (int64_t[]){2, 0, 1}, 3);
	assert_string_equal(f->mock.columns, "c,a,b,");
	assert_string_equal(bsc_plan_schema(plan)->children[0]->format, "i");
	assert_string_equal(bsc_plan_schema(plan)->children[1]->format, "l");
	assert_string_equal(bsc_plan_schema(plan)->children[2]->format, "u");
	assert_int_equal(read_all(plan), 10);
	bsc_plan_free(plan);
}

static void test_plan_may_repeat_a_column_and_names_it_once(void **state)
{
	struct fixture *f = *state;
	struct bsc_plan *plan = plan_of(f, (int64_t[]){1, 1, 0, 1}, 4);
	assert_string_equal(f->mock.columns, "b,a,");
	assert_int_equal(bsc_plan_schema(plan)->n_children, 4);
	assert_int_equal(read_all(plan), 10);
	bsc_plan_free(plan);
}

static void test_plan_of_no_columns_still_counts_rows(void **state)
{
	struct fixture *f = *state;
	struct bsc_plan *plan = plan_of(f, (int64_t[]){0}, 0);
	assert_string_equal(f->mock.columns, "");
	assert_int_equal(bsc_plan_schema(plan)->n_children, 0);
	assert_int_equal(read_all(plan), 10);
	bsc_plan_free(plan);
}

static void test_plan_copies_the_request(void **state)
{
	struct fixture *f = *state;
	int64_t asked[] = {2, 0};
	struct bsc_plan *plan = plan_of(f, asked, 2);
	asked[0] = asked[1] = 99;
	assert_int_equal(read_all(plan), 10);
	bsc_plan_free(plan);
}

static void test_plan_schema_keeps_flags_and_metadata(void **state)
{
	struct fixture *f = *state;
	struct bsc_plan *plan = plan_of(f, (int64_t[]){1, 0}, 2);
	const struct ArrowSchema *schema = bsc_plan_schema(plan);
	struct ArrowStringView name = {NULL, 0};
	assert_int_equal(ArrowMetadataGetValue(schema->children[0]->metadata, ArrowCharView("ARROW:extension:name"), &name),
	                 NANOARROW_OK);
	assert_int_equal(name.size_bytes, strlen("acme.text"));
	assert_int_equal(ArrowMetadataGetValue(schema->metadata, ArrowCharView("ARROW:extension:name"), &name),
	                 NANOARROW_OK);
	assert_int_equal(name.size_bytes, strlen("acme.table"));
	assert_true(schema->children[0]->flags & ARROW_FLAG_NULLABLE);
	assert_false(schema->children[1]->flags & ARROW_FLAG_NULLABLE);
	bsc_plan_free(plan);
}

static void test_column_out_of_range_is_refused(void **state)
{
	struct fixture *f = *state;
	static const int64_t bad[] = {3, -1, INT64_MAX, INT64_MIN};
	for (size_t i = 0; i < LENGTH(bad); i++) {
		struct bsc_request request = {.columns = (int64_t[]){0, bad[i]}, .n_columns = 2};
		struct bsc_plan *plan = (struct bsc_plan *)f;
		struct bsc_error err;
		assert_fails(bsc_plan_new(f->source, &request, NULL, &plan, &err), BSC_INVALID, &err,
		             "acme:Orders has no column");
		assert_null(plan);
	}
	assert_int_equal(f->mock.calls[MOCK_PLAN], 0);
}

static void test_negative_number_of_columns_is_refused(void **state)
{
	struct fixture *f = *state;
	struct bsc_request request = {.columns = (int64_t[]){0}, .n_columns = -1};
	struct bsc_plan *plan = NULL;
	struct bsc_error err;
	assert_fails(bsc_plan_new(f->source, &request, NULL, &plan, &err), BSC_INVALID, &err, "acme:Orders");
	assert_null(plan);
}

static void test_failed_plan_leaks_nothing(void **state)
{
	struct fixture *f = *state;
	f->mock.fault[MOCK_PLAN].status = BSC_SOURCE;
	f->mock.fault[MOCK_PLAN].text = "TypeError in plan_partitions";
	struct bsc_plan *plan = (struct bsc_plan *)f;
	struct bsc_error err;
	assert_fails(bsc_plan_new(f->source, NULL, NULL, &plan, &err), BSC_SOURCE, &err, "TypeError in plan_partitions");
	assert_null(plan);
	assert_int_equal(f->mock.plans_freed, 0);
	assert_int_equal(f->mock.instances_closed, 0);
}

static void test_poll_ends_a_class_that_plans_for_ever(void **state)
{
	struct fixture *f = *state;
	struct bsc_plan *plan = (struct bsc_plan *)f;
	struct bsc_error err;
	int left = 2;
	const struct bsc_poll poll = {mock_stop_after, &left};
	f->mock.waits[MOCK_PLAN] = true;
	assert_fails(bsc_plan_new(f->source, NULL, &poll, &plan, &err), BSC_CANCELLED, &err, "stopped in the middle");
	assert_null(plan);
	assert_int_equal(left, -1);
}

static void test_plan_is_executed_any_number_of_times(void **state)
{
	struct fixture *f = *state;
	struct bsc_plan *plan = plan_of(f, (int64_t[]){0, 1, 2}, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(read_all(plan), 10);
	}
	assert_int_equal(f->mock.calls[MOCK_PLAN], 1);
	assert_int_equal(f->mock.reads_of[1], 3);
	bsc_plan_free(plan);
}

static void test_plan_lives_until_its_last_reference(void **state)
{
	struct fixture *f = *state;
	struct bsc_plan *plan = plan_of(f, (int64_t[]){0}, 1);
	bsc_plan_ref(plan);
	bsc_plan_free(plan);
	assert_int_equal(f->mock.plans_freed, 0);
	assert_int_equal(read_all(plan), 10);
	bsc_plan_free(plan);
	assert_int_equal(f->mock.plans_freed, 1);
	bsc_plan_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static int64_t one_reader(void *plan)
{
	assert_non_null(plan);
	return 1;
}

static int64_t many_readers(void *plan)
{
	(void)plan;
	return 1000;
}

static int64_t no_reader(void *plan)
{
	(void)plan;
	return 0;
}

static void test_concurrency_is_the_executors_and_no_more_than_partitions(void **state)
{
	struct fixture *f = *state;
	struct bsc_plan *plan = plan_of(f, NULL, 0);
	assert_int_equal(bsc_plan_concurrency(plan), 2);
	f->mock.executor.plan_readers = one_reader;
	assert_int_equal(bsc_plan_concurrency(plan), 1);
	f->mock.executor.plan_readers = many_readers;
	assert_int_equal(bsc_plan_concurrency(plan), 2);
	f->mock.executor.plan_readers = no_reader;
	assert_int_equal(bsc_plan_concurrency(plan), 1);
	bsc_plan_free(plan);
}

static void test_specs_stand_for_partitions_in_another_plan(void **state)
{
	struct fixture *f = *state;
	struct bsc_plan *plan = plan_of(f, NULL, 0);
	struct bsc_error err;
	char *spec;
	size_t len;
	assert_int_equal(f->mock.n_specs, -1);
	assert_ok(bsc_plan_spec(plan, 1, &spec, &len, &err), &err);
	assert_true(len == strlen("partition 1") && memcmp(spec, "partition 1", len) == 0);
	bsc_plan_free(plan);
	const struct bsc_str specs[] = {{spec, len}};
	assert_ok(bsc_plan_new(f->source, &(struct bsc_request){.specs = specs, .n_specs = 1}, NULL, &plan, &err), &err);
	assert_int_equal(f->mock.n_specs, 1);
	assert_int_equal(bsc_plan_partition_count(plan), 1);
	bsc_plan_free(plan);
	assert_ok(bsc_plan_new(f->source, &(struct bsc_request){.specs = specs}, NULL, &plan, &err), &err);
	assert_int_equal(bsc_plan_partition_count(plan), 0);
	bsc_plan_free(plan);
	free(spec);
}

static void test_spec_of_a_partition_that_is_not_there_is_refused(void **state)
{
	struct fixture *f = *state;
	struct bsc_plan *plan = plan_of(f, NULL, 0);
	struct bsc_error err;
	char *spec;
	size_t len;
	assert_int_equal(bsc_plan_spec(plan, 2, &spec, &len, &err), BSC_INVALID);
	assert_true(!spec && strstr(err.message, "has no partition 2: it planned 2"));
	assert_int_equal(bsc_plan_spec(plan, -1, &spec, &len, &err), BSC_INVALID);
	bsc_plan_free(plan);
}

static void test_micro_batch_is_told_and_never_half(void **state)
{
	struct fixture *f = *state;
	const struct bsc_str a = {"a", 1}, b = {"b", 1};
	struct bsc_plan *plan = plan_of(f, NULL, 0);
	struct bsc_error err;
	assert_string_equal(f->mock.offsets, "..");
	bsc_plan_free(plan);
	assert_ok(bsc_plan_new(f->source, &(struct bsc_request){.offsets = {a, b}}, NULL, &plan, &err), &err);
	assert_string_equal(f->mock.offsets, "a..b");
	assert_false(f->mock.portable);
	bsc_plan_free(plan);
	assert_ok(bsc_plan_new(f->source, &(struct bsc_request){.portable = true}, NULL, &plan, &err), &err);
	assert_true(f->mock.portable);
	bsc_plan_free(plan);
	assert_fails(bsc_plan_new(f->source, &(struct bsc_request){.offsets.start = a}, NULL, &plan, &err), BSC_INVALID,
	             &err, "was asked for a micro-batch without its end");
	assert_fails(bsc_plan_new(f->source, &(struct bsc_request){.offsets.end = b}, NULL, &plan, &err), BSC_INVALID, &err,
	             "was asked for a micro-batch without its start");
	assert_null(plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_plan_without_a_request_has_all_columns_and_gives_no_hint),
	    TEST(test_plan_of_a_subset_names_it_to_the_class),
	    TEST(test_plan_keeps_the_order_asked),
	    TEST(test_plan_may_repeat_a_column_and_names_it_once),
	    TEST(test_plan_of_no_columns_still_counts_rows),
	    TEST(test_plan_copies_the_request),
	    TEST(test_plan_schema_keeps_flags_and_metadata),
	    TEST(test_column_out_of_range_is_refused),
	    TEST(test_negative_number_of_columns_is_refused),
	    TEST(test_failed_plan_leaks_nothing),
	    TEST(test_poll_ends_a_class_that_plans_for_ever),
	    TEST(test_plan_is_executed_any_number_of_times),
	    TEST(test_plan_lives_until_its_last_reference),
	    TEST(test_specs_stand_for_partitions_in_another_plan),
	    TEST(test_spec_of_a_partition_that_is_not_there_is_refused),
	    TEST(test_concurrency_is_the_executors_and_no_more_than_partitions),
	    TEST(test_micro_batch_is_told_and_never_half),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
