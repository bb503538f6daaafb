/* What a worker says beside rows: how many there are, which predicates it claims, which partitions it leaves out; and
 * what becomes of a query whose worker says what can't be. */
#include <stdlib.h>

#include "fake_worker.h"
#include "filter/filter.h"

#define OPTIONS(...)                                                                                                   \
	(const char *const[])                                                                                              \
	{                                                                                                                  \
		__VA_ARGS__, NULL                                                                                              \
	}

static struct bsc_error err;

static struct bsc_source *opened(const char *text)
{
	struct bsc_source *source;
	assert_ok(fake_open(text, OPTIONS("partitions", "3", "batches", "2", "rows", "10"), &source, &err), &err);
	return source;
}

/* Whatever came before, the next query is well. */
static void assert_well(void)
{
	int64_t rows;
	assert_ok(fake_query("good:Table", OPTIONS("rows", "7"), &rows, &err), &err);
	assert_int_equal(rows, 7);
}

/* ---- statistics ---- */

static void test_class_without_statistics_is_not_asked(void **state)
{
	(void)state;
	struct bsc_source *source = opened("good:Table");
	struct bsc_statistics found = {7, 7, true};
	bsc_process_end_workers(5000);
	assert_ok(bsc_source_statistics(source, NULL, &found, &err), &err);
	assert_true(found.n_rows == -1 && found.n_bytes == -1 && !found.exact);
	assert_int_equal(bsc_process_worker_count(), 0);
	bsc_source_close(source);
}

static void test_statistics_come_from_a_worker(void **state)
{
	(void)state;
	struct bsc_source *source = opened("statistics:Table");
	/* In the worker that opened it, and in one that must open it first. */
	for (int i = 0; i < 2; i++) {
		struct bsc_statistics found = {0};
		assert_ok(bsc_source_statistics(source, NULL, &found, &err), &err);
		assert_int_equal(found.n_rows, 60);
		assert_int_equal(found.n_bytes, -1); /* the worker said -7 */
		assert_true(found.exact);
		bsc_source_close(source);
		source = opened("statistics:Table");
		bsc_process_end_workers(5000);
	}
	bsc_source_close(source);
}

static void test_unknown_rows_are_not_exact(void **state)
{
	(void)state;
	struct bsc_source *source = opened("counts_below_0:Table");
	struct bsc_statistics found = {0};
	assert_ok(bsc_source_statistics(source, NULL, &found, &err), &err);
	assert_true(found.n_rows == -1 && !found.exact);
	bsc_source_close(source);
}

static void test_worker_that_ends_while_it_counts(void **state)
{
	(void)state;
	struct bsc_statistics found;
	struct bsc_source *source = opened("dies_in_statistics:Table");
	assert_fails(bsc_source_statistics(source, NULL, &found, &err), BSC_WORKER, &err,
	             "dies_in_statistics:Table: statistics: the worker process ");
	assert_true(found.n_rows == -1 && found.n_bytes == -1 && !found.exact);
	bsc_source_close(source);
	source = opened("exits_in_statistics:Table");
	assert_fails(bsc_source_statistics(source, NULL, &found, &err), BSC_WORKER, &err,
	             "exits_in_statistics:Table: statistics: the worker process ");
	bsc_source_close(source);
	assert_well();
}

/* ---- claims ---- */

/* n of n = 0, n = 1, ... */
static struct bsc_filter *equals(const struct bsc_source *source, int64_t n, struct bsc__bytes *bytes)
{
	struct bsc_filter *children[8], *out;
	for (int64_t i = 0; i < n; i++) {
		const struct bsc_literal literal = {"l", true, {(const char *)&i, sizeof(i)}};
		assert_ok(bsc_filter_new(BSC_FILTER_EQUAL, 0, &literal, 1, &children[i], &err), &err);
	}
	assert_ok(bsc_filter_join(BSC_FILTER_AND, children, (size_t)n, &out, &err), &err);
	bsc__bytes_init(bytes, 1 << 20);
	bsc__filters_put(bytes, out, bsc_source_schema(source));
	assert_false(bytes->failed);
	return out;
}

static int claim(const char *text, int64_t n, bool exact[8])
{
	struct bsc__bytes bytes;
	struct bsc_source *source = opened(text);
	struct bsc_filter *filter = equals(source, n, &bytes);
	memset(exact, 0, 8 * sizeof(*exact));
	int rc =
	    bsc_source_claim(source, (struct bsc_str){(const char *)bytes.ptr, bytes.len}, NULL, exact, (size_t)n, &err);
	bsc__bytes_release(&bytes);
	bsc_filter_free(filter);
	bsc_source_close(source);
	return rc;
}

static void test_first_predicate_alone_is_claimed(void **state)
{
	(void)state;
	bool exact[8];
	for (int64_t n = 1; n <= 8; n++) {
		assert_ok(claim("good:Table", n, exact), &err);
		assert_true(exact[0]);
		for (int i = 1; i < 8; i++) {
			assert_false(exact[i]);
		}
	}
}

static void test_nothing_is_asked_of_no_predicates(void **state)
{
	(void)state;
	bool none[1];
	struct bsc_source *source = opened("dies_in_claim:Table");
	assert_ok(bsc_source_claim(source, (struct bsc_str){"\0\0\0\0", 4}, NULL, none, 0, &err), &err);
	bsc_source_close(source);
}

static void test_worker_that_claims_wrongly_or_ends(void **state)
{
	(void)state;
	bool exact[8];
	assert_fails(claim("miscounts_claims:Table", 2, exact), BSC_WORKER, &err,
	             "miscounts_claims:Table: push_filters: the worker process ");
	assert_non_null(strstr(err.message, " answered for another number of predicates"));
	assert_false(exact[0] || exact[1]);
	assert_fails(claim("dies_in_claim:Table", 2, exact), BSC_WORKER, &err,
	             "dies_in_claim:Table: push_filters: the worker process ");
	assert_false(exact[0] || exact[1]);
	assert_well();
}

/* ---- offsets ---- */

static const struct bsc_offsets a_to_b = {{"a", 1}, {"b", 1}};

static int offset(const char *text, enum bsc_offset_question question, char **answer)
{
	struct bsc_source *source = opened(text);
	int rc = bsc_source_offset(source, question, &a_to_b, NULL, answer, &err);
	bsc_source_close(source);
	return rc;
}

static void test_offsets_come_from_a_worker(void **state)
{
	(void)state;
	char *answer;
	struct bsc_source *source = opened("good:Table");
	/* In the worker that opened it, and in one that must open it first. */
	for (int i = 0; i < 2; i++) {
		assert_ok(bsc_source_offset(source, BSC_OFFSET_LATEST, &a_to_b, NULL, &answer, &err), &err);
		assert_string_equal(answer, "1: a..b");
		free(answer);
		assert_ok(bsc_source_offset(source, BSC_OFFSET_INITIAL, NULL, NULL, &answer, &err), &err);
		assert_string_equal(answer, "0: ..");
		free(answer);
		assert_ok(bsc_source_offset(source, BSC_OFFSET_COMMIT, &a_to_b, NULL, &answer, &err), &err);
		assert_null(answer);
		bsc_process_end_workers(5000);
	}
	bsc_source_close(source);
}

static void test_worker_that_says_no_offset_or_ends(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum bsc_offset_question question;
	} cases[] = {{"offsets_no_text:Table", BSC_OFFSET_LATEST},
	             {"offsets_a_nul:Table", BSC_OFFSET_LATEST},
	             {"offsets_none:Table", BSC_OFFSET_INITIAL},
	             {"offsets_short:Table", BSC_OFFSET_INITIAL},
	             {"offsets_all:Table", BSC_OFFSET_COMMIT}};
	char *answer;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		assert_fails(offset(cases[i].text, cases[i].question, &answer), BSC_WORKER, &err,
		             " sent an offset that is none");
		assert_null(answer);
	}
	assert_fails(offset("dies_in_offset:Table", BSC_OFFSET_LATEST, &answer), BSC_WORKER, &err,
	             "dies_in_offset:Table: latest_offset: the worker process ");
	assert_well();
}

static void test_micro_batch_is_told_to_the_worker(void **state)
{
	(void)state;
	struct bsc_source *source = opened("good:Table");
	struct bsc_plan *plan;
	assert_ok(bsc_plan_new(source, &(struct bsc_request){.offsets = a_to_b}, NULL, &plan, &err), &err);
	assert_string_equal(bsc_plan_pushed(plan), "a..b");
	bsc_plan_free(plan);
	assert_ok(bsc_plan_new(source, NULL, NULL, &plan, &err), &err);
	assert_string_equal(bsc_plan_pushed(plan), "");
	bsc_plan_free(plan);
	bsc_source_close(source);
}

/* ---- plans ---- */

static struct bsc_plan *planned(struct bsc_source *source, const struct bsc_request *request)
{
	struct bsc_plan *plan;
	assert_ok(bsc_plan_new(source, request, NULL, &plan, &err), &err);
	assert_int_equal(bsc_plan_partition_count(plan), 3);
	return plan;
}

static void test_rows_are_known_where_the_worker_says_so(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t rows;
	} cases[] = {{"knows_rows:Table", 60}, {"good:Table", -1}};
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct bsc_source *source = opened(cases[i].text);
		struct bsc_plan *plan = planned(source, NULL);
		assert_int_equal(bsc_plan_row_count(plan), cases[i].rows);
		bsc_plan_free(plan);
		bsc_source_close(source);
	}
}

static void test_rows_are_not_known_of_a_plan_with_a_filter(void **state)
{
	(void)state;
	struct bsc__bytes bytes;
	struct bsc_source *source = opened("knows_rows:Table");
	struct bsc_filter *filter = equals(source, 1, &bytes);
	struct bsc_plan *plan = planned(source, &(struct bsc_request){.filter = filter});
	assert_int_equal(bsc_plan_row_count(plan), -1);
	assert_string_equal(bsc_plan_pushed(plan), "");
	bsc_plan_free(plan);
	bsc__bytes_release(&bytes);
	bsc_filter_free(filter);
	bsc_source_close(source);
}

/* A number of the newest scan. */
static int64_t newest(const char *name)
{
	struct ArrowSchema schema;
	struct ArrowArray array;
	int64_t i = 0;
	assert_ok(bsc_scans_export(NULL, &schema, &array, &err), &err);
	while (i < schema.n_children && strcmp(schema.children[i]->name, name) != 0) {
		i++;
	}
	assert_true(i < schema.n_children && array.length > 0 && strcmp(schema.children[i]->format, "l") == 0);
	int64_t value = ((const int64_t *)array.children[i]->buffers[1])[0];
	array.release(&array);
	schema.release(&schema);
	return value;
}

static void test_pruned_partitions_are_counted_and_what_was_pushed_is_said(void **state)
{
	(void)state;
	struct bsc_source *source = opened("prunes:Table");
	struct bsc_plan *plan = planned(source, NULL);
	int64_t rows;
	assert_string_equal(bsc_plan_pushed(plan), "n > 1");
	bsc_plan_free(plan);
	assert_ok(fake_read(source, 2, &rows, &err), &err);
	assert_int_equal(rows, 60);
	assert_int_equal(newest("partitions"), 6);
	assert_int_equal(newest("partitions_pruned"), 3);
	assert_int_equal(newest("partitions_read"), 3);
	bsc_source_close(source);
}

static void test_plans_that_cant_be_are_the_workers_failure(void **state)
{
	(void)state;
	static const struct {
		const char *text, *words;
	} cases[] = {
	    {"miscounts:Table", "sent another number of partitions than it said"},
	    {"prunes_less_than_none:Table", "sent another number of partitions than it said"},
	    {"prunes_beyond_numbers:Table", "sent another number of partitions than it said"},
	    {"pushes_no_text:Table", "said what it was told in bytes that are no text"},
	    {"specs_without_rows:Table", "broke the protocol and was killed: "},
	};
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct bsc_source *source = opened(cases[i].text);
		struct bsc_plan *plan = (struct bsc_plan *)&err;
		assert_fails(bsc_plan_new(source, NULL, NULL, &plan, &err), BSC_WORKER, &err, cases[i].words);
		assert_null(plan);
		bsc_source_close(source);
		assert_well();
	}
}

static int end_workers(void **state)
{
	(void)state;
	bsc_process_end_workers(5000);
	assert_int_equal(bsc_process_worker_count(), 0);
	return 0;
}

int main(int argc, char **argv)
{
	FAKE_WORKER(argc, argv)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_class_without_statistics_is_not_asked),
	    cmocka_unit_test(test_statistics_come_from_a_worker),
	    cmocka_unit_test(test_unknown_rows_are_not_exact),
	    cmocka_unit_test(test_worker_that_ends_while_it_counts),
	    cmocka_unit_test(test_first_predicate_alone_is_claimed),
	    cmocka_unit_test(test_nothing_is_asked_of_no_predicates),
	    cmocka_unit_test(test_worker_that_claims_wrongly_or_ends),
	    cmocka_unit_test(test_offsets_come_from_a_worker),
	    cmocka_unit_test(test_worker_that_says_no_offset_or_ends),
	    cmocka_unit_test(test_micro_batch_is_told_to_the_worker),
	    cmocka_unit_test(test_rows_are_known_where_the_worker_says_so),
	    cmocka_unit_test(test_rows_are_not_known_of_a_plan_with_a_filter),
	    cmocka_unit_test(test_pruned_partitions_are_counted_and_what_was_pushed_is_said),
	    cmocka_unit_test(test_plans_that_cant_be_are_the_workers_failure),
	};
	return cmocka_run_group_tests(tests, NULL, end_workers);
}
