/* What a worker may do wrong: the query that meets it fails with words that help, another that runs beside it in the
 * same pool goes on, and nothing is left. */
#include "fake_worker.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define OPTIONS(...)                                                                                                   \
	(const char *const[])                                                                                              \
	{                                                                                                                  \
		__VA_ARGS__, NULL                                                                                              \
	}

static struct bsc_error err;

/* ---- a query that is well ---- */

struct beside {
	pthread_t thread;
	_Atomic bool stop;
	int64_t n_queries;
	struct bsc_error failure;
};

static void *query_on(void *arg)
{
	struct beside *b = arg;
	b->failure.status = BSC_OK;
	do {
		int64_t rows;
		int rc =
		    fake_query("good:Table", OPTIONS("partitions", "2", "batches", "5", "rows", "100"), &rows, &b->failure);
		if (rc == BSC_OK && rows != 1000) {
			rc = bsc__fail(&b->failure, BSC_SOURCE, "%lld rows", (long long)rows);
		}
		if (rc != BSC_OK) {
			break;
		}
		b->n_queries++;
	} while (!b->stop);
	return NULL;
}

static struct beside beside;
static struct fake_usage unused; /* before there was a worker, and a pool */

static int set_up(void **state)
{
	(void)state;
	int64_t rows;
	beside = (struct beside){0};
	assert_ok(fake_query("good:Table", NULL, &rows, &err), &err);
	assert_int_equal(pthread_create(&beside.thread, NULL, query_on, &beside), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	beside.stop = true;
	pthread_join(beside.thread, NULL);
	if (beside.failure.status != BSC_OK) {
		fail_msg("the query beside: %s", beside.failure.message);
	}
	assert_true(beside.n_queries > 0);
	return 0;
}

static void expect(const char *text, const char *const *pairs, int status, const char *words)
{
	int64_t rows;
	assert_fails(fake_query(text, pairs, &rows, &err), status, &err, words);
}

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- it dies ---- */

static void test_worker_that_is_killed(void **state)
{
	(void)state;
	expect("dies_in_open:T", NULL, BSC_WORKER, "dies_in_open:T: infer_schema: the worker process ");
	expect("dies_in_open:T", NULL, BSC_WORKER,
	       " was killed by signal 9 (Killed). This query fails, others and the host");
	expect("dies_in_plan:T", NULL, BSC_WORKER, "dies_in_plan:T: plan_partitions: the worker process ");
	expect("dies_in_read:T", OPTIONS("partitions", "3"), BSC_WORKER,
	       "dies_in_read:T, partition 0 of 3: read_partition: the worker process ");
	expect("dies_in_batch:T", OPTIONS("batches", "2"), BSC_WORKER, "was killed by signal 9");
}

static void test_worker_that_exits(void **state)
{
	(void)state;
	expect("exits_in_open:T", NULL, BSC_WORKER, "exited with status 3");
	expect("exits_in_plan:T", NULL, BSC_WORKER, "exited with status 3");
	expect("exits_in_read:T", NULL, BSC_WORKER, "exited with status 3");
	expect("exits_in_batch:T", OPTIONS("batches", "2"), BSC_WORKER, "exited with status 3");
}

static void test_worker_that_hangs_up_and_lives(void **state)
{
	(void)state;
	expect("closes_in_read:T", NULL, BSC_WORKER, "partition 0 of 1: read_partition: the worker process ");
}

static void test_worker_that_hangs(void **state)
{
	(void)state;
	static const char *const texts[] = {"hangs_in_open:T", "hangs_in_plan:T", "hangs_in_read:T", "deaf_in_read:T"};
	for (size_t i = 0; i < LENGTH(texts); i++) {
		int64_t begun = now_ms();
		expect(texts[i], OPTIONS("bascule_timeout", "1.5"), BSC_WORKER,
		       "did not answer within 1.5 s (bascule_timeout) and was killed");
		assert_in_range(now_ms() - begun, 1500, 10000);
	}
}

/* ---- it says what it must not ---- */

static void test_worker_that_says_what_is_no_frame(void **state)
{
	(void)state;
	expect("garbage_in_open:T", NULL, BSC_WORKER,
	       "broke the protocol and was killed: what came over the channel is no");
	expect("garbage_in_plan:T", NULL, BSC_WORKER, "its length is 4294967295");
	expect("garbage_in_batch:T", OPTIONS("batches", "2"), BSC_WORKER, "partition 0 of 1: read_partition");
}

static void test_worker_that_lies_about_its_memory(void **state)
{
	(void)state;
	expect("bad_offset:T", NULL, BSC_WORKER, "broke the protocol and was killed: ");
	expect("bad_buffers:T", NULL, BSC_WORKER, "broke the protocol and was killed: ");
	expect("unsealed_segment:T", NULL, BSC_WORKER, "can still shrink or grow");
	expect("short_segment:T", NULL, BSC_WORKER, "has 2048 bytes, not 4096");
	expect("segment_without_descriptor:T", NULL, BSC_WORKER, "no descriptor came with segment 1000");
	expect("batch_without_schema:T", NULL, BSC_WORKER, "the first batch has no schema");
	expect("broken_schema:T", NULL, BSC_WORKER, "broke the protocol and was killed: ");
}

static void test_worker_that_answers_what_was_not_asked(void **state)
{
	(void)state;
	expect("answers_another:T", NULL, BSC_WORKER, "a frame of type 4 in a read");
	expect("miscounts:T", NULL, BSC_WORKER, "sent another number of partitions than it said");
}

/* Sets *(int64_t *)ctx to a time: from then on it is not wanted. */
static int is_past(void *ctx)
{
	return now_ms() >= *(const int64_t *)ctx;
}

static void test_flood_is_ended_by_the_host_s_wish(void **state)
{
	(void)state;
	static const char *const texts[] = {"endless_specs:T", "floods:T", "endless:T"};
	for (size_t i = 0; i < LENGTH(texts); i++) {
		struct bsc_source *source;
		struct bsc_plan *plan = NULL;
		struct bsc_scan *scan = NULL;
		struct bsc_cursor *cursor = NULL;
		assert_ok(fake_open(texts[i], OPTIONS("batches", "2"), &source, &err), &err);
		int64_t begun = now_ms(), until = begun + 300;
		const struct bsc_poll poll = {is_past, &until};
		int rc = bsc_plan_new(source, NULL, &poll, &plan, &err);
		if (rc == BSC_OK) {
			assert_ok(bsc_scan_open(plan, &scan, &err), &err);
			assert_ok(bsc_cursor_open(scan, &cursor, &err), &err);
		}
		while (rc == BSC_OK) {
			struct ArrowArray batch;
			rc = bsc_cursor_next(cursor, &poll, &batch, &err);
			if (rc == BSC_OK) {
				assert_non_null(batch.release);
				batch.release(&batch);
			}
		}
		assert_int_equal(rc, BSC_CANCELLED);
		assert_true(now_ms() - begun < 5000);
		bsc_cursor_close(cursor);
		bsc_scan_close(scan);
		bsc_plan_free(plan);
		bsc_source_close(source);
	}
}

/* The pool drains it: others must get their workers meanwhile. */
static void test_worker_that_floods_when_it_is_to_stop(void **state)
{
	(void)state;
	static const char *const texts[] = {"floods:T", "floods_batches:T", "floods_output:T"};
	for (size_t i = 0; i < LENGTH(texts); i++) {
		struct bsc_source *source;
		struct bsc_plan *plan;
		struct bsc_scan *scan;
		struct bsc_cursor *cursor;
		struct ArrowArray batch;
		int64_t rows;
		assert_ok(fake_open(texts[i], OPTIONS("batches", "2"), &source, &err), &err);
		assert_ok(bsc_plan_new(source, NULL, NULL, &plan, &err), &err);
		assert_ok(bsc_scan_open(plan, &scan, &err), &err);
		assert_ok(bsc_cursor_open(scan, &cursor, &err), &err);
		assert_ok(bsc_cursor_next(cursor, NULL, &batch, &err), &err);
		batch.release(&batch);
		bsc_cursor_close(cursor);
		bsc_scan_close(scan);
		bsc_plan_free(plan);
		bsc_source_close(source);
		int64_t begun = now_ms();
		assert_ok(fake_query("good:Table", NULL, &rows, &err), &err);
		assert_true(now_ms() - begun < 2500);
	}
}

/* ---- the class fails ---- */

static void test_failure_of_the_class_is_told_in_its_words(void **state)
{
	(void)state;
	expect("fails_in_open:T", NULL, BSC_NOT_FOUND, "fake: no such table");
	expect("fails_in_plan:T", NULL, BSC_SOURCE, "fake: can't plan");
	expect("fails_in_read:T", NULL, BSC_SOURCE, "fake: can't read");
	expect("fails_in_batch:T", OPTIONS("batches", "2"), BSC_SOURCE, "fake: the server went away");
}

/* A worker that could not open an instance is asked to, the next time. */
static void test_instance_that_could_not_be_opened_is_opened_again(void **state)
{
	(void)state;
	struct bsc_source *source;
	int64_t rows;
	assert_ok(fake_open("fails_in_second_open:T", OPTIONS("partitions", "8"), &source, &err), &err);
	bsc_process_end_workers(5000);
	for (int i = 0; i < 2; i++) {
		assert_fails(fake_read(source, 1, &rows, &err), BSC_NOT_FOUND, &err, "fake: no such table");
	}
	bsc_source_close(source);
}

/* ---- it does not start ---- */

static void start_as(const char *how)
{
	bsc_process_end_workers(5000);
	assert_true(fake_settles(&unused));
	if (how) {
		(void)setenv("FAKE_WORKER", how, 1);
	} else {
		(void)unsetenv("FAKE_WORKER");
	}
}

static void test_process_that_is_no_worker(void **state)
{
	(void)state;
	struct fake_usage before;
	int64_t rows;
	start_as("no_module");
	before = fake_usage();
	expect("good:T", NULL, BSC_WORKER, "no worker process could be started with the interpreter ");
	expect("good:T", NULL, BSC_WORKER, "it exited with status 1, saying:\nNo module named bascule");
	expect("good:T", NULL, BSC_WORKER, "-m pip install bascule==" BSC_VERSION);
	start_as("wrong_version");
	expect("good:T", NULL, BSC_WORKER, "(fake 1.0) has bascule 9.9 (protocol 3), and this host has " BSC_VERSION);
	start_as("garbage");
	expect("good:T", NULL, BSC_WORKER, "");
	start_as("segment_first");
	expect("good:T", NULL, BSC_WORKER, "as a worker process is none: its first frame is of type 5");
	start_as("says_nothing");
	expect("good:T", OPTIONS("bascule_timeout", "1"), BSC_WORKER, "did not answer within 1 s, saying:\nstill thinking");
	assert_true(fake_settles(&before));
	start_as("closes_stdout");
	assert_ok(fake_query("good:T", NULL, &rows, &err), &err);
	assert_int_equal(rows, 1);
}

static int start_well(void **state)
{
	(void)state;
	start_as(NULL);
	return 0;
}

static void test_interpreter_that_is_none(void **state)
{
	(void)state;
	struct bsc_source *source;
	struct bsc_options *options;
	assert_ok(bsc_options_new(&options, &err), &err);
	assert_ok(bsc_options_add(options, bsc__str("bascule_python"), bsc__str("/no/such/python"), &err), &err);
	assert_fails(bsc_source_open(NULL, bsc__str("good:T"), options, 0, NULL, &source, &err), BSC_WORKER, &err,
	             "can't be started with the interpreter /no/such/python: No such file or directory");
	bsc_options_free(options);
}

static int end_workers(void **state)
{
	(void)state;
	bsc_process_end_workers(5000);
	assert_true(fake_settles(&unused));
	return 0;
}

#define BESIDE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	FAKE_WORKER(argc, argv)
	unused = fake_usage();
	unused.descriptors += 2; /* the pool's own */
	const struct CMUnitTest tests[] = {
	    BESIDE(test_worker_that_is_killed),
	    BESIDE(test_worker_that_exits),
	    BESIDE(test_worker_that_hangs_up_and_lives),
	    BESIDE(test_worker_that_hangs),
	    BESIDE(test_worker_that_says_what_is_no_frame),
	    BESIDE(test_worker_that_lies_about_its_memory),
	    BESIDE(test_worker_that_answers_what_was_not_asked),
	    BESIDE(test_flood_is_ended_by_the_host_s_wish),
	    BESIDE(test_worker_that_floods_when_it_is_to_stop),
	    BESIDE(test_failure_of_the_class_is_told_in_its_words),
	    cmocka_unit_test(test_instance_that_could_not_be_opened_is_opened_again),
	    cmocka_unit_test_teardown(test_process_that_is_no_worker, start_well),
	    BESIDE(test_interpreter_that_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, end_workers);
}
