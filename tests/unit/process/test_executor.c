/* Scans that run in worker processes: what arrives, in what order of calls. */
#include "fake_worker.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OPTIONS(...)                                                                                                   \
	(const char *const[])                                                                                              \
	{                                                                                                                  \
		__VA_ARGS__, NULL                                                                                              \
	}

static struct bsc_error err;

/* ---- what arrives ---- */

static void test_rows_of_all_partitions_arrive_on_any_number_of_threads(void **state)
{
	(void)state;
	static const int n_threads[] = {1, 2, 5};
	for (size_t i = 0; i < LENGTH(n_threads); i++) {
		struct bsc_source *source;
		int64_t rows;
		assert_ok(fake_open("good:Table", OPTIONS("partitions", "7", "batches", "9", "rows", "100"), &source, &err),
		          &err);
		assert_ok(fake_read(source, n_threads[i], &rows, &err), &err);
		assert_int_equal(rows, 7 * 9 * 100);
		bsc_source_close(source);
	}
}

static void test_source_has_the_schema_of_its_worker(void **state)
{
	(void)state;
	struct bsc_source *source;
	assert_ok(fake_open("good:Table", NULL, &source, &err), &err);
	const struct ArrowSchema *schema = bsc_source_schema(source);
	assert_int_equal(schema->n_children, 2);
	assert_string_equal(schema->children[0]->name, "n");
	assert_string_equal(schema->children[0]->format, "l");
	assert_int_equal(schema->children[0]->flags, 0);
	assert_string_equal(schema->children[1]->name, "t");
	assert_string_equal(schema->children[1]->format, "u");
	bsc_source_close(source);
}

static void test_only_the_columns_that_are_asked_for_are_sent(void **state)
{
	(void)state;
	static const int64_t second[] = {1};
	const struct bsc_request request = {.columns = second, .n_columns = 1};
	struct bsc_source *source;
	struct bsc_plan *plan;
	struct bsc_scan *scan;
	struct bsc_cursor *cursor;
	struct ArrowArray batch;
	assert_ok(fake_open("good:Table", OPTIONS("rows", "3"), &source, &err), &err);
	assert_ok(bsc_plan_new(source, &request, NULL, &plan, &err), &err);
	assert_ok(bsc_scan_open(plan, &scan, &err), &err);
	assert_ok(bsc_cursor_open(scan, &cursor, &err), &err);
	assert_ok(bsc_cursor_next(cursor, NULL, &batch, &err), &err);
	assert_int_equal(batch.n_children, 1);
	assert_memory_equal(batch.children[0]->buffers[2], "text of row 0text of row 1text of row 2", 39);
	batch.release(&batch);
	bsc_cursor_close(cursor);
	bsc_scan_close(scan);
	bsc_plan_free(plan);
	bsc_source_close(source);
}

static void test_plan_of_100000_partitions(void **state)
{
	(void)state;
	struct bsc_source *source;
	struct bsc_plan *plan;
	struct bsc_scan *scan;
	struct bsc_cursor *cursor;
	struct ArrowArray batch;
	assert_ok(fake_open("good:Table", OPTIONS("partitions", "100000"), &source, &err), &err);
	assert_ok(bsc_plan_new(source, NULL, NULL, &plan, &err), &err);
	assert_int_equal(bsc_plan_partition_count(plan), 100000);
	assert_ok(bsc_scan_open(plan, &scan, &err), &err);
	/* The worker checks that a partition comes with its own spec. */
	for (int64_t i = 0; i < 100000; i += 9999) {
		assert_ok(bsc_cursor_open_partition(scan, i, &cursor, &err), &err);
		assert_ok(bsc_cursor_next(cursor, NULL, &batch, &err), &err);
		assert_int_equal(((const int64_t *)batch.children[0]->buffers[1])[0], i * FAKE_STRIDE);
		batch.release(&batch);
		bsc_cursor_close(cursor);
	}
	bsc_scan_close(scan);
	bsc_plan_free(plan);
	bsc_source_close(source);
}

static void test_table_without_partitions_or_without_rows(void **state)
{
	(void)state;
	int64_t rows;
	assert_ok(fake_query("good:Table", OPTIONS("partitions", "0"), &rows, &err), &err);
	assert_int_equal(rows, 0);
	assert_ok(fake_query("good:Table", OPTIONS("batches", "0"), &rows, &err), &err);
	assert_int_equal(rows, 0);
	assert_ok(fake_query("good:Table", OPTIONS("batches", "3", "rows", "0"), &rows, &err), &err);
	assert_int_equal(rows, 0);
}

static void test_small_read_ahead_and_large_batches(void **state)
{
	(void)state;
	int64_t rows;
	assert_ok(
	    fake_query("good:Table", OPTIONS("batches", "20", "rows", "20000", "bascule_readahead", "0"), &rows, &err),
	    &err);
	assert_int_equal(rows, 20 * 20000);
	assert_ok(
	    fake_query("good:Table", OPTIONS("batches", "20", "rows", "20000", "bascule_readahead", "1MiB"), &rows, &err),
	    &err);
	assert_int_equal(rows, 20 * 20000);
}

/* ---- several at once ---- */

static void *query(void *arg)
{
	struct bsc_error *failure = arg;
	int64_t rows;
	failure->status = BSC_OK;
	for (int i = 0; i < 5 && failure->status == BSC_OK; i++) {
		int rc = fake_query("good:Table", OPTIONS("partitions", "3", "batches", "4", "rows", "50"), &rows, failure);
		if (rc == BSC_OK && rows != 600) {
			(void)bsc__fail(failure, BSC_SOURCE, "%lld rows", (long long)rows);
		}
	}
	return NULL;
}

static void test_sources_are_read_at_once(void **state)
{
	(void)state;
	fake_at_once(4, query);
}

/* ---- one worker ---- */

struct opened {
	struct bsc_source *source;
	struct bsc_plan *plan;
	struct bsc_scan *scan;
	struct bsc_cursor *cursors[2];
};

static void open_two(struct opened *o, const char *text, const char *const *pairs)
{
	assert_ok(fake_open(text, pairs, &o->source, &err), &err);
	assert_ok(bsc_plan_new(o->source, NULL, NULL, &o->plan, &err), &err);
	assert_ok(bsc_scan_open(o->plan, &o->scan, &err), &err);
	assert_ok(bsc_cursor_open_partition(o->scan, 0, &o->cursors[0], &err), &err);
	assert_ok(bsc_cursor_open_partition(o->scan, 1, &o->cursors[1], &err), &err);
}

static void close_two(struct opened *o)
{
	bsc_cursor_close(o->cursors[0]);
	bsc_cursor_close(o->cursors[1]);
	bsc_scan_close(o->scan);
	bsc_plan_free(o->plan);
	bsc_source_close(o->source);
}

static void test_two_cursors_of_one_thread_share_one_worker(void **state)
{
	(void)state;
	struct opened o;
	int64_t rows = 0;
	open_two(&o, "good:Table", OPTIONS("partitions", "2", "batches", "5", "rows", "10", "bascule_workers", "1"));
	for (int open = 3; open;) {
		for (int i = 0; i < 2; i++) {
			struct ArrowArray batch;
			assert_ok(bsc_cursor_next(o.cursors[i], NULL, &batch, &err), &err);
			if (batch.release) {
				rows += fake_check(&batch);
				batch.release(&batch);
			} else {
				open &= ~(1 << i);
			}
		}
	}
	assert_int_equal(rows, 100);
	close_two(&o);
}

static void test_two_threads_share_one_worker(void **state)
{
	(void)state;
	struct bsc_source *source;
	int64_t rows;
	bsc_process_end_workers(5000);
	assert_ok(fake_open("slow:Table", OPTIONS("partitions", "4", "batches", "3", "rows", "10", "bascule_workers", "1"),
	                    &source, &err),
	          &err);
	assert_ok(fake_read(source, 2, &rows, &err), &err);
	assert_int_equal(rows, 120);
	assert_int_equal(bsc_process_worker_count(), 1);
	bsc_source_close(source);
}

/* ---- the end ---- */

static void test_scan_that_is_left_early_leaves_its_worker_to_the_next(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct opened o;
		struct ArrowArray batch;
		int64_t rows;
		open_two(&o, "endless:Table", OPTIONS("partitions", "2", "rows", "1000"));
		for (int k = 0; k < i % 4; k++) {
			assert_ok(bsc_cursor_next(o.cursors[k % 2], NULL, &batch, &err), &err);
			assert_int_equal(fake_check(&batch), 1000);
			batch.release(&batch);
		}
		close_two(&o);
		assert_ok(fake_query("good:Table", OPTIONS("rows", "10"), &rows, &err), &err);
		assert_int_equal(rows, 10);
	}
	/* Nothing was killed: it was asked to stop, and did. */
	assert_true(bsc_process_worker_count() <= 4);
}

static void test_batches_outlive_everything(void **state)
{
	(void)state;
	enum { N = 6 };
	struct ArrowArray batches[N];
	struct opened o;
	open_two(&o, "good:Table", OPTIONS("partitions", "2", "batches", "10", "rows", "5000"));
	for (int i = 0; i < N; i++) {
		assert_ok(bsc_cursor_next(o.cursors[i % 2], NULL, &batches[i], &err), &err);
	}
	close_two(&o);
	batches[0].release(&batches[0]);
	bsc_process_end_workers(5000);
	assert_int_equal(bsc_process_worker_count(), 0);
	for (int i = 1; i < N; i++) {
		assert_int_equal(fake_check(&batches[i]), 5000);
	}
	struct ArrowArray column = *batches[1].children[1];
	batches[1].children[1]->release = NULL;
	for (int i = 1; i < N; i++) {
		batches[i].release(&batches[i]);
	}
	assert_memory_equal(column.buffers[2], "text of row 1000000", 19);
	column.release(&column);
}

static void test_slots_are_used_again_under_batches_that_are_kept(void **state)
{
	(void)state;
	enum { N = 8 };
	struct ArrowArray kept[N] = {{0}};
	struct opened o;
	open_two(&o, "good:Table", OPTIONS("partitions", "2", "batches", "200", "rows", "2000"));
	for (int i = 0; i < 200; i++) {
		struct ArrowArray batch;
		assert_ok(bsc_cursor_next(o.cursors[0], NULL, &batch, &err), &err);
		assert_int_equal(fake_check(&batch), 2000);
		struct ArrowArray *place = &kept[(i * 7) % N];
		if (place->release) {
			assert_int_equal(fake_check(place), 2000);
			place->release(place);
		}
		*place = batch;
	}
	close_two(&o);
	for (int i = 0; i < N; i++) {
		if (kept[i].release) {
			assert_int_equal(fake_check(&kept[i]), 2000);
			kept[i].release(&kept[i]);
		}
	}
}

/* ---- reading again ---- */

static void test_partition_is_read_again_where_nothing_was_handed_over(void **state)
{
	(void)state;
	char once[] = "/tmp/bascule-once-XXXXXX";
	int64_t rows;
	int fd = mkstemp(once);
	(void)close(fd);
	(void)unlink(once);
	assert_fails(fake_query("good:Table", OPTIONS("once", once), &rows, &err), BSC_SOURCE, &err, "fake: can't read");
	(void)unlink(once);
	assert_ok(fake_query("good:Table", OPTIONS("once", once, "rows", "7", "bascule_retries", "1"), &rows, &err), &err);
	assert_int_equal(rows, 7);
	(void)unlink(once);
	assert_fails(fake_query("dies_in_batch:Table", OPTIONS("batches", "3", "bascule_retries", "5"), &rows, &err),
	             BSC_WORKER, &err, "was killed by signal 9");
	assert_int_equal(rows, 1);
}

/* ---- growth ---- */

/* On a busy machine one more worker may be started late, and stays warm. What leaks grows in every round. */
static void test_1000_scans_leave_nothing(void **state)
{
	(void)state;
	int64_t rows;
	bool settled = false;
	for (int round = 0; round < 4 && !settled; round++) {
		struct fake_usage before = {0};
		for (int i = 0; i < 1000; i++) {
			assert_ok(fake_query("good:Table", OPTIONS("partitions", "2", "rows", "10"), &rows, &err), &err);
			assert_int_equal(rows, 20);
			if (i == 50) {
				before = fake_usage();
			}
		}
		settled = fake_settles(&before);
	}
	assert_true(settled);
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
	    cmocka_unit_test(test_rows_of_all_partitions_arrive_on_any_number_of_threads),
	    cmocka_unit_test(test_source_has_the_schema_of_its_worker),
	    cmocka_unit_test(test_only_the_columns_that_are_asked_for_are_sent),
	    cmocka_unit_test(test_plan_of_100000_partitions),
	    cmocka_unit_test(test_table_without_partitions_or_without_rows),
	    cmocka_unit_test(test_small_read_ahead_and_large_batches),
	    cmocka_unit_test(test_sources_are_read_at_once),
	    cmocka_unit_test(test_two_cursors_of_one_thread_share_one_worker),
	    cmocka_unit_test(test_two_threads_share_one_worker),
	    cmocka_unit_test(test_scan_that_is_left_early_leaves_its_worker_to_the_next),
	    cmocka_unit_test(test_batches_outlive_everything),
	    cmocka_unit_test(test_slots_are_used_again_under_batches_that_are_kept),
	    cmocka_unit_test(test_partition_is_read_again_where_nothing_was_handed_over),
	    cmocka_unit_test(test_1000_scans_leave_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, end_workers);
}
