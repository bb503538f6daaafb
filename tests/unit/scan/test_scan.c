#include "mock_executor.h"

#include <pthread.h>
#include <time.h>

static const struct mock_column columns[] = {{"a", "l", true}, {"b", "u", false}};
static const struct mock_batch two_batches[] = {{.n_rows = 3}, {.n_rows = 2}};
static const struct mock_partition three[] = {{two_batches, 2}, {two_batches, 2}, {two_batches, 2}};

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
	mock_init(&f->mock, &f->schema, three, LENGTH(three));
	*state = f;
	return 0;
}

/* Source, plan, scan and one cursor over `partitions`. */
static void open_all(struct fixture *f, const struct mock_partition *partitions, int64_t n)
{
	f->mock.partitions = partitions;
	f->mock.n_partitions = n;
	f->source = mock_source(&f->mock);
	assert_ok(bsc_plan_new(f->source, NULL, NULL, &f->plan, &f->err), &f->err);
	assert_ok(bsc_scan_open(f->plan, &f->scan, &f->err), &f->err);
	assert_ok(bsc_cursor_open(f->scan, &f->cursor, &f->err), &f->err);
}

static void close_all(struct fixture *f)
{
	bsc_cursor_close(f->cursor);
	bsc_scan_close(f->scan);
	bsc_plan_free(f->plan);
	bsc_source_close(f->source);
	f->cursor = NULL;
	f->scan = NULL;
	f->plan = NULL;
	f->source = NULL;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	close_all(f);
	mock_assert_all_closed(&f->mock);
	f->schema.release(&f->schema);
	bsc__free(f);
	return 0;
}

/* Rows of the next batch, which is released; 0 at the end. */
static int64_t next(struct fixture *f)
{
	struct ArrowArray batch;
	memset(&batch, 0xAA, sizeof(batch));
	assert_ok(bsc_cursor_next(f->cursor, NULL, &batch, &f->err), &f->err);
	int64_t n = batch.release ? batch.length : 0;
	assert_true(!batch.release || n > 0);
	if (batch.release) {
		batch.release(&batch);
	}
	return n;
}

static void next_fails(struct fixture *f, const struct bsc_poll *poll, int status, const char *message)
{
	struct ArrowArray batch, zero = {0};
	memset(&batch, 0xAA, sizeof(batch));
	assert_fails(bsc_cursor_next(f->cursor, poll, &batch, &f->err), status, &f->err, message);
	assert_memory_equal(&batch, &zero, sizeof(batch));
}

/* ---- closing ---- */

static void test_handles_close_in_every_order(void **state)
{
	struct fixture *f = *state;
	for (int code = 0; code < 256; code++) {
		int order[] = {code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6 & 3};
		if ((1 << order[0] | 1 << order[1] | 1 << order[2] | 1 << order[3]) != 15) {
			continue;
		}
		struct mock *mock = &f->mock;
		mock_init(mock, &f->schema, three, LENGTH(three));
		open_all(f, three, LENGTH(three));
		next(f);
		for (int i = 0; i < 4; i++) {
			assert_int_equal(mock->instances_closed, 0);
			switch (order[i]) {
			case 0:
				bsc_cursor_close(f->cursor);
				assert_int_equal(mock->readers_closed, 1);
				break;
			case 1:
				bsc_scan_close(f->scan);
				break;
			case 2:
				bsc_plan_free(f->plan);
				break;
			default:
				bsc_source_close(f->source);
				break;
			}
		}
		f->cursor = NULL;
		f->scan = NULL;
		f->plan = NULL;
		f->source = NULL;
		assert_int_equal(mock->instances_closed, 1);
		mock_assert_all_closed(mock);
	}
}

static void test_batch_outlives_everything(void **state)
{
	struct fixture *f = *state;
	open_all(f, three, LENGTH(three));
	struct ArrowArray batch;
	assert_ok(bsc_cursor_next(f->cursor, NULL, &batch, &f->err), &f->err);
	close_all(f);
	assert_int_equal(f->mock.instances_closed, 1);
	assert_int_equal(f->mock.arrays_released, 0);
	assert_int_equal(((const int64_t *)batch.children[0]->buffers[1])[2], 2);
	batch.release(&batch);
}

static void test_closing_nothing_does_nothing(void **state)
{
	(void)state;
	bsc_cursor_close(NULL);
	bsc_scan_close(NULL);
}

static void test_scan_lives_until_its_last_reference(void **state)
{
	struct fixture *f = *state;
	open_all(f, three, LENGTH(three));
	bsc_scan_ref(f->scan);
	bsc_scan_close(f->scan);
	assert_true(bsc_scan_progress(f->scan) == 0);
	assert_int_equal(next(f), 3);
}

static void test_cursor_that_was_never_read_opens_nothing(void **state)
{
	struct fixture *f = *state;
	open_all(f, three, LENGTH(three));
	close_all(f);
	assert_int_equal(f->mock.readers, 0);
}

/* ---- partitions ---- */

static void test_cursor_reads_all_partitions_in_order(void **state)
{
	struct fixture *f = *state;
	open_all(f, three, LENGTH(three));
	for (int64_t p = 0; p < 3; p++) {
		assert_int_equal(next(f), 3);
		assert_int_equal(bsc_cursor_partition(f->cursor), p);
		assert_int_equal(next(f), 2);
		assert_int_equal(bsc_cursor_partition(f->cursor), p);
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(next(f), 0);
		assert_int_equal(bsc_cursor_partition(f->cursor), 2);
	}
	assert_int_equal(f->mock.readers_closed, 3);
}

static void test_partition_is_that_of_the_last_batch(void **state)
{
	struct fixture *f = *state;
	static const struct mock_partition partitions[] = {{NULL, 0}, {two_batches, 1}, {NULL, 0}, {NULL, 0}};
	open_all(f, partitions, LENGTH(partitions));
	assert_int_equal(bsc_cursor_partition(f->cursor), -1);
	assert_int_equal(next(f), 3);
	assert_int_equal(bsc_cursor_partition(f->cursor), 1);
	assert_int_equal(next(f), 0);
	assert_int_equal(bsc_cursor_partition(f->cursor), 1);
}

static void test_partition_is_minus_one_where_there_was_no_batch(void **state)
{
	struct fixture *f = *state;
	static const struct mock_partition partitions[] = {{NULL, 0}, {NULL, 0}};
	open_all(f, partitions, LENGTH(partitions));
	assert_int_equal(next(f), 0);
	assert_int_equal(bsc_cursor_partition(f->cursor), -1);
}

static void test_scan_of_no_partitions_ends_at_once(void **state)
{
	struct fixture *f = *state;
	open_all(f, NULL, 0);
	assert_int_equal(bsc_plan_partition_count(f->plan), 0);
	assert_int_equal(next(f), 0);
	assert_int_equal(next(f), 0);
	assert_true(bsc_scan_progress(f->scan) == 1.0);
	assert_int_equal(f->mock.calls[MOCK_READ_OPEN], 0);
}

static void test_nothing_and_batches_without_rows_are_skipped(void **state)
{
	struct fixture *f = *state;
	static const struct mock_batch batches[] = {{.n_rows = -1}, {.n_rows = 0},  {.n_rows = 4},
	                                            {.n_rows = 0},  {.n_rows = -1}, {.n_rows = 1}};
	static const struct mock_partition partitions[] = {{batches, LENGTH(batches)}, {batches, 2}, {batches, 3}};
	open_all(f, partitions, LENGTH(partitions));
	assert_int_equal(next(f), 4);
	assert_int_equal(next(f), 1);
	assert_int_equal(next(f), 4);
	assert_int_equal(bsc_cursor_partition(f->cursor), 2);
	assert_int_equal(next(f), 0);
}

static void test_schema_without_a_batch_is_released(void **state)
{
	struct fixture *f = *state;
	static const struct mock_batch batches[] = {{.n_rows = -1, .schema_alone = true}, {.n_rows = 4}};
	static const struct mock_partition partitions[] = {{batches, LENGTH(batches)}};
	open_all(f, partitions, LENGTH(partitions));
	assert_int_equal(next(f), 4);
	assert_int_equal(next(f), 0);
}

static void damage_length(struct ArrowArray *array)
{
	array->children[1]->length = -1;
}

static void test_batch_without_rows_is_checked_too(void **state)
{
	struct fixture *f = *state;
	static const struct mock_batch batches[] = {{.n_rows = 0, .damage = damage_length}};
	static const struct mock_partition partitions[] = {{batches, LENGTH(batches)}};
	open_all(f, partitions, LENGTH(partitions));
	next_fails(f, NULL, BSC_MALFORMED, "column 'b'");
}

static void test_cursors_share_the_partitions(void **state)
{
	struct fixture *f = *state;
	open_all(f, three, LENGTH(three));
	struct bsc_cursor *first = f->cursor, *second = NULL;
	assert_ok(bsc_cursor_open(f->scan, &second, &f->err), &f->err);
	assert_int_equal(next(f), 3);
	f->cursor = second;
	assert_int_equal(next(f), 3);
	assert_int_equal(bsc_cursor_partition(second), 1);
	f->cursor = first;
	assert_int_equal(next(f), 2);
	assert_int_equal(next(f), 3);
	assert_int_equal(bsc_cursor_partition(first), 2);
	bsc_cursor_close(second);
}

#define N_THREADS 4
#define N_PARTITIONS 500

struct worker {
	struct bsc_scan *scan;
	int64_t n_rows;
	const char *failed;
};

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct bsc_cursor *cursor = NULL;
	static const struct bsc_poll never = {NULL, NULL};
	if (bsc_cursor_open(worker->scan, &cursor, NULL) != BSC_OK) {
		worker->failed = "no cursor";
		return NULL;
	}
	int64_t last = -1;
	for (;;) {
		struct ArrowArray batch;
		if (bsc_cursor_next(cursor, &never, &batch, NULL) != BSC_OK) {
			worker->failed = "next failed";
			break;
		}
		if (!batch.release) {
			break;
		}
		int64_t partition = bsc_cursor_partition(cursor);
		int64_t row = ((const int64_t *)batch.children[0]->buffers[1])[0];
		if (partition < last || row / 1000000 != partition) {
			worker->failed = "the partition's number fell, or is another's";
		}
		last = partition;
		worker->n_rows += batch.length;
		batch.release(&batch);
	}
	bsc_cursor_close(cursor);
	return NULL;
}

static void test_threads_claim_each_partition_once_in_rising_order(void **state)
{
	struct fixture *f = *state;
	static struct mock_partition partitions[N_PARTITIONS];
	for (int i = 0; i < N_PARTITIONS; i++) {
		partitions[i] = (struct mock_partition){two_batches, i % 3};
	}
	int64_t want = 0;
	for (int i = 0; i < N_PARTITIONS; i++) {
		want += i % 3 == 0 ? 0 : i % 3 == 1 ? 3 : 5;
	}
	open_all(f, partitions, N_PARTITIONS);
	pthread_t threads[N_THREADS];
	struct worker workers[N_THREADS];
	for (int i = 0; i < N_THREADS; i++) {
		workers[i] = (struct worker){f->scan, 0, NULL};
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	int64_t got = 0;
	for (int i = 0; i < N_THREADS; i++) {
		pthread_join(threads[i], NULL);
		if (workers[i].failed) {
			fail_msg("%s", workers[i].failed);
		}
		got += workers[i].n_rows;
	}
	assert_int_equal(got, want);
	for (int i = 0; i < N_PARTITIONS; i++) {
		assert_int_equal(f->mock.reads_of[i], 1);
	}
	assert_true(bsc_scan_progress(f->scan) == 1.0);
}

/* ---- one partition ---- */

static void test_single_cursor_reads_its_partition_alone(void **state)
{
	struct fixture *f = *state;
	open_all(f, three, LENGTH(three));
	bsc_cursor_close(f->cursor);
	assert_ok(bsc_cursor_open_partition(f->scan, 1, &f->cursor, &f->err), &f->err);
	assert_int_equal(bsc_cursor_partition(f->cursor), -1);
	assert_int_equal(next(f), 3);
	assert_int_equal(bsc_cursor_partition(f->cursor), 1);
	assert_int_equal(next(f), 2);
	assert_int_equal(next(f), 0);
	assert_int_equal(next(f), 0);
	assert_int_equal(f->mock.reads_of[0] + f->mock.reads_of[2], 0);
	assert_int_equal(f->mock.reads_of[1], 1);
}

static void test_single_cursors_may_read_a_partition_again(void **state)
{
	struct fixture *f = *state;
	open_all(f, three, LENGTH(three));
	for (int i = 0; i < 3; i++) {
		bsc_cursor_close(f->cursor);
		assert_ok(bsc_cursor_open_partition(f->scan, 2, &f->cursor, &f->err), &f->err);
		assert_int_equal(next(f) + next(f) + next(f), 5);
	}
	assert_int_equal(f->mock.reads_of[2], 3);
}

static void test_single_cursor_leaves_the_shared_counter_alone(void **state)
{
	struct fixture *f = *state;
	open_all(f, three, LENGTH(three));
	struct bsc_cursor *shared = f->cursor;
	assert_ok(bsc_cursor_open_partition(f->scan, 0, &f->cursor, &f->err), &f->err);
	assert_int_equal(next(f) + next(f) + next(f), 5);
	bsc_cursor_close(f->cursor);
	f->cursor = shared;
	assert_int_equal(next(f), 3);
	assert_int_equal(bsc_cursor_partition(f->cursor), 0);
}

static void test_partition_out_of_range_is_refused(void **state)
{
	struct fixture *f = *state;
	open_all(f, three, LENGTH(three));
	static const int64_t bad[] = {3, -1, INT64_MAX, INT64_MIN};
	for (size_t i = 0; i < LENGTH(bad); i++) {
		struct bsc_cursor *cursor = f->cursor;
		assert_fails(bsc_cursor_open_partition(f->scan, bad[i], &cursor, &f->err), BSC_INVALID, &f->err,
		             "acme:Orders has no partition");
		assert_null(cursor);
	}
}

/* ---- failures ---- */

static void test_failed_read_open_is_repeated(void **state)
{
	struct fixture *f = *state;
	f->mock.fault[MOCK_READ_OPEN].status = BSC_SOURCE;
	f->mock.fault[MOCK_READ_OPEN].after = 1;
	f->mock.fault[MOCK_READ_OPEN].text = "partition is gone";
	open_all(f, three, LENGTH(three));
	assert_int_equal(next(f) + next(f), 5);
	for (int i = 0; i < 3; i++) {
		next_fails(f, NULL, BSC_SOURCE, "partition is gone");
	}
	assert_int_equal(f->mock.calls[MOCK_READ_OPEN], 2);
	assert_int_equal(f->mock.readers_closed, 1);
}

static void test_failed_read_next_closes_the_reader_and_is_repeated(void **state)
{
	struct fixture *f = *state;
	f->mock.fault[MOCK_READ_NEXT].status = BSC_SOURCE;
	f->mock.fault[MOCK_READ_NEXT].after = 1;
	f->mock.fault[MOCK_READ_NEXT].text = "ZeroDivisionError";
	open_all(f, three, LENGTH(three));
	assert_int_equal(next(f), 3);
	for (int i = 0; i < 3; i++) {
		next_fails(f, NULL, BSC_SOURCE, "ZeroDivisionError");
		assert_int_equal(f->mock.readers_closed, 1);
	}
	assert_int_equal(f->mock.calls[MOCK_READ_NEXT], 2);
	assert_true(bsc_scan_progress(f->scan) == 0);
}

static void test_failure_of_one_cursor_leaves_the_others(void **state)
{
	struct fixture *f = *state;
	f->mock.fault[MOCK_READ_NEXT].status = BSC_SOURCE;
	f->mock.fault[MOCK_READ_NEXT].text = "once";
	open_all(f, three, LENGTH(three));
	next_fails(f, NULL, BSC_SOURCE, "once");
	f->mock.fault[MOCK_READ_NEXT].status = BSC_OK;
	next_fails(f, NULL, BSC_SOURCE, "once");
	bsc_cursor_close(f->cursor);
	assert_ok(bsc_cursor_open(f->scan, &f->cursor, &f->err), &f->err);
	assert_int_equal(next(f), 3);
	assert_int_equal(bsc_cursor_partition(f->cursor), 1);
}

static void test_mismatch_names_source_partition_and_batch_and_is_repeated(void **state)
{
	struct fixture *f = *state;
	static const struct mock_column other[] = {{"a", "l", false}, {"b", "i", false}};
	struct ArrowSchema type;
	mock_schema_init(&type, other, LENGTH(other));
	const struct mock_batch batches[] = {{.n_rows = 3}, {.n_rows = 3, .schema = &type}, {.n_rows = 3}};
	const struct mock_partition partitions[] = {{NULL, 0}, {batches, LENGTH(batches)}};
	open_all(f, partitions, LENGTH(partitions));
	assert_int_equal(next(f), 3);
	for (int i = 0; i < 2; i++) {
		next_fails(f, NULL, BSC_MISMATCH, "acme:Orders, partition 1 of 2, batch 1: column 'b'");
	}
	assert_int_equal(f->mock.arrays_released, 2);
	type.release(&type);
}

static void test_broken_batch_is_released_and_its_failure_repeated(void **state)
{
	struct fixture *f = *state;
	static const struct mock_batch batches[] = {{.n_rows = 3}, {.n_rows = 3, .damage = damage_length}};
	static const struct mock_partition partitions[] = {{batches, LENGTH(batches)}};
	open_all(f, partitions, LENGTH(partitions));
	assert_int_equal(next(f), 3);
	for (int i = 0; i < 2; i++) {
		next_fails(f, NULL, BSC_MALFORMED, "acme:Orders, partition 0 of 1, batch 1: column 'b'");
	}
	assert_int_equal(f->mock.arrays_released, 2);
}

static void test_first_batch_without_a_schema_is_a_mismatch(void **state)
{
	struct fixture *f = *state;
	static const struct mock_batch batches[] = {{.n_rows = 3, .same_schema = true}};
	static const struct mock_partition partitions[] = {{batches, LENGTH(batches)}};
	open_all(f, partitions, LENGTH(partitions));
	next_fails(f, NULL, BSC_MISMATCH, "the batch has no schema");
}

static void test_failure_needs_no_error_to_write_to(void **state)
{
	struct fixture *f = *state;
	f->mock.fault[MOCK_READ_NEXT].status = BSC_SOURCE;
	f->mock.fault[MOCK_READ_NEXT].text = "silent";
	open_all(f, three, LENGTH(three));
	struct ArrowArray batch;
	assert_int_equal(bsc_cursor_next(f->cursor, NULL, &batch, NULL), BSC_SOURCE);
	next_fails(f, NULL, BSC_SOURCE, "silent");
}

/* ---- stopping ---- */

static void test_cancel_stops_every_cursor(void **state)
{
	struct fixture *f = *state;
	open_all(f, three, LENGTH(three));
	struct bsc_cursor *first = f->cursor;
	assert_int_equal(next(f), 3);
	bsc_scan_cancel(f->scan);
	bsc_scan_cancel(f->scan);
	next_fails(f, NULL, BSC_CANCELLED, "the scan of acme:Orders was cancelled");
	assert_int_equal(f->mock.readers_closed, 1);
	assert_ok(bsc_cursor_open(f->scan, &f->cursor, &f->err), &f->err);
	next_fails(f, NULL, BSC_CANCELLED, "cancelled");
	assert_int_equal(f->mock.calls[MOCK_READ_OPEN], 1);
	bsc_cursor_close(first);
}

static void test_cancel_leaves_other_scans_of_the_plan(void **state)
{
	struct fixture *f = *state;
	open_all(f, three, LENGTH(three));
	bsc_scan_cancel(f->scan);
	bsc_cursor_close(f->cursor);
	bsc_scan_close(f->scan);
	assert_ok(bsc_scan_open(f->plan, &f->scan, &f->err), &f->err);
	assert_ok(bsc_cursor_open(f->scan, &f->cursor, &f->err), &f->err);
	assert_int_equal(next(f), 3);
}

static void *cancel_later(void *arg)
{
	nanosleep(&(struct timespec){0, 30 * 1000 * 1000}, NULL);
	bsc_scan_cancel(arg);
	return NULL;
}

static void test_cancel_from_a_thread_ends_endless_nothing(void **state)
{
	struct fixture *f = *state;
	static const struct mock_batch nothing[] = {{.n_rows = -1, .forever = true}};
	static const struct mock_partition partitions[] = {{nothing, LENGTH(nothing)}};
	open_all(f, partitions, LENGTH(partitions));
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, cancel_later, f->scan), 0);
	next_fails(f, NULL, BSC_CANCELLED, "cancelled");
	pthread_join(thread, NULL);
	assert_int_equal(f->mock.readers_closed, 1);
}

static void test_poll_that_says_stop_cancels_before_anything_is_read(void **state)
{
	struct fixture *f = *state;
	int left = 0;
	const struct bsc_poll poll = {mock_stop_after, &left};
	open_all(f, three, LENGTH(three));
	next_fails(f, &poll, BSC_CANCELLED, "the scan of acme:Orders was cancelled");
	assert_int_equal(f->mock.calls[MOCK_READ_OPEN], 0);
	next_fails(f, NULL, BSC_CANCELLED, "cancelled");
}

static void test_poll_that_goes_on_lets_everything_through(void **state)
{
	struct fixture *f = *state;
	int left = 1000000;
	const struct bsc_poll poll = {mock_stop_after, &left};
	open_all(f, three, LENGTH(three));
	int64_t n_rows = 0;
	for (;;) {
		struct ArrowArray batch;
		assert_ok(bsc_cursor_next(f->cursor, &poll, &batch, &f->err), &f->err);
		if (!batch.release) {
			break;
		}
		n_rows += batch.length;
		batch.release(&batch);
	}
	assert_int_equal(n_rows, 15);
	assert_true(left < 1000000);
}

static void test_poll_is_asked_again_while_a_class_yields_nothing(void **state)
{
	struct fixture *f = *state;
	static const struct mock_batch nothing[] = {{.n_rows = -1}, {.n_rows = 0, .forever = true}};
	static const struct mock_partition partitions[] = {{nothing, LENGTH(nothing)}};
	int left = 3;
	const struct bsc_poll poll = {mock_stop_after, &left};
	open_all(f, partitions, LENGTH(partitions));
	next_fails(f, &poll, BSC_CANCELLED, "cancelled");
	assert_int_equal(left, -1);
	assert_int_equal(f->mock.readers_closed, 1);
}

static void test_poll_that_stops_one_cursor_leaves_the_others(void **state)
{
	struct fixture *f = *state;
	int left = 0;
	const struct bsc_poll poll = {mock_stop_after, &left};
	open_all(f, three, LENGTH(three));
	next_fails(f, &poll, BSC_CANCELLED, "cancelled");
	bsc_cursor_close(f->cursor);
	assert_ok(bsc_cursor_open(f->scan, &f->cursor, &f->err), &f->err);
	assert_int_equal(next(f), 3);
}

static void test_cancel_from_a_thread_ends_a_call_that_waits(void **state)
{
	struct fixture *f = *state;
	f->mock.waits[MOCK_READ_NEXT] = true;
	open_all(f, three, LENGTH(three));
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, cancel_later, f->scan), 0);
	next_fails(f, NULL, BSC_CANCELLED, "stopped in the middle");
	pthread_join(thread, NULL);
	assert_int_equal(f->mock.readers_closed, 1);
}

static void test_poll_reaches_a_call_that_waits(void **state)
{
	struct fixture *f = *state;
	f->mock.waits[MOCK_READ_NEXT] = true;
	int left = 5;
	const struct bsc_poll poll = {mock_stop_after, &left};
	open_all(f, three, LENGTH(three));
	next_fails(f, &poll, BSC_CANCELLED, "stopped in the middle");
	assert_true(left < 0);
}

static void test_cancel_after_the_end_changes_nothing(void **state)
{
	struct fixture *f = *state;
	open_all(f, three, 1);
	assert_int_equal(next(f) + next(f) + next(f), 5);
	bsc_scan_cancel(f->scan);
	assert_int_equal(next(f), 0);
}

/* ---- progress ---- */

static void test_progress_counts_partitions_read_to_their_end(void **state)
{
	struct fixture *f = *state;
	open_all(f, three, LENGTH(three));
	assert_true(bsc_scan_progress(f->scan) == 0);
	next(f), next(f);
	assert_true(bsc_scan_progress(f->scan) == 0);
	next(f);
	assert_true(bsc_scan_progress(f->scan) == 1.0 / 3);
	while (next(f)) {
	}
	assert_true(bsc_scan_progress(f->scan) == 1.0);
}

static void test_progress_stays_within_one_where_a_partition_is_read_again(void **state)
{
	struct fixture *f = *state;
	open_all(f, three, LENGTH(three));
	while (next(f)) {
	}
	for (int i = 0; i < 3; i++) {
		bsc_cursor_close(f->cursor);
		assert_ok(bsc_cursor_open_partition(f->scan, 0, &f->cursor, &f->err), &f->err);
		while (next(f)) {
		}
	}
	assert_true(bsc_scan_progress(f->scan) <= 1.0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_handles_close_in_every_order),
	    TEST(test_batch_outlives_everything),
	    TEST(test_closing_nothing_does_nothing),
	    TEST(test_scan_lives_until_its_last_reference),
	    TEST(test_cursor_that_was_never_read_opens_nothing),
	    TEST(test_cursor_reads_all_partitions_in_order),
	    TEST(test_partition_is_that_of_the_last_batch),
	    TEST(test_partition_is_minus_one_where_there_was_no_batch),
	    TEST(test_scan_of_no_partitions_ends_at_once),
	    TEST(test_nothing_and_batches_without_rows_are_skipped),
	    TEST(test_schema_without_a_batch_is_released),
	    TEST(test_batch_without_rows_is_checked_too),
	    TEST(test_cursors_share_the_partitions),
	    TEST(test_threads_claim_each_partition_once_in_rising_order),
	    TEST(test_single_cursor_reads_its_partition_alone),
	    TEST(test_single_cursors_may_read_a_partition_again),
	    TEST(test_single_cursor_leaves_the_shared_counter_alone),
	    TEST(test_partition_out_of_range_is_refused),
	    TEST(test_failed_read_open_is_repeated),
	    TEST(test_failed_read_next_closes_the_reader_and_is_repeated),
	    TEST(test_failure_of_one_cursor_leaves_the_others),
	    TEST(test_mismatch_names_source_partition_and_batch_and_is_repeated),
	    TEST(test_broken_batch_is_released_and_its_failure_repeated),
	    TEST(test_first_batch_without_a_schema_is_a_mismatch),
	    TEST(test_failure_needs_no_error_to_write_to),
	    TEST(test_cancel_stops_every_cursor),
	    TEST(test_cancel_leaves_other_scans_of_the_plan),
	    TEST(test_cancel_from_a_thread_ends_endless_nothing),
	    TEST(test_poll_that_says_stop_cancels_before_anything_is_read),
	    TEST(test_poll_that_goes_on_lets_everything_through),
	    TEST(test_poll_is_asked_again_while_a_class_yields_nothing),
	    TEST(test_poll_that_stops_one_cursor_leaves_the_others),
	    TEST(test_cancel_from_a_thread_ends_a_call_that_waits),
	    TEST(test_poll_reaches_a_call_that_waits),
	    TEST(test_cancel_after_the_end_changes_nothing),
	    TEST(test_progress_counts_partitions_read_to_their_end),
	    TEST(test_progress_stays_within_one_where_a_partition_is_read_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
