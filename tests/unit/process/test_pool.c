/* The pool: workers that are shared, ended, cancelled, inherited. */
#include "fake_worker.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OPTIONS(...)                                                                                                   \
	(const char *const[])                                                                                              \
	{                                                                                                                  \
		__VA_ARGS__, NULL                                                                                              \
	}

static struct bsc_error err;

/* The child of a fork starts a thread of its own here. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "die_after_fork=0";
}

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void sleep_ms(int ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

/* One cursor over a source of its own, and what it stands on. */
struct opened {
	struct bsc_source *source;
	struct bsc_plan *plan;
	struct bsc_scan *scan;
	struct bsc_cursor *cursor;
};

static void open_it(struct opened *o, const char *text, const char *const *pairs)
{
	assert_ok(fake_open(text, pairs, &o->source, &err), &err);
	assert_ok(bsc_plan_new(o->source, NULL, NULL, &o->plan, &err), &err);
	assert_ok(bsc_scan_open(o->plan, &o->scan, &err), &err);
	assert_ok(bsc_cursor_open(o->scan, &o->cursor, &err), &err);
}

static void close_it(struct opened *o)
{
	bsc_cursor_close(o->cursor);
	bsc_scan_close(o->scan);
	bsc_plan_free(o->plan);
	bsc_source_close(o->source);
}

static void take_one(struct opened *o)
{
	struct ArrowArray batch;
	assert_ok(bsc_cursor_next(o->cursor, NULL, &batch, &err), &err);
	assert_non_null(batch.release);
	assert_true(fake_check(&batch) >= 0);
	batch.release(&batch);
}

static int set_up(void **state)
{
	(void)state;
	bsc_process_end_workers(5000);
	assert_int_equal(bsc_process_worker_count(), 0);
	return 0;
}

/* ---- shared ---- */

static void test_warm_worker_is_used_again(void **state)
{
	(void)state;
	int64_t rows;
	for (int i = 0; i < 20; i++) {
		assert_ok(fake_query("good:T", NULL, &rows, &err), &err);
		assert_int_equal(bsc_process_worker_count(), 1);
	}
}

static void test_scans_have_no_more_workers_than_they_ask_for(void **state)
{
	(void)state;
	struct bsc_source *source;
	int64_t rows;
	assert_ok(fake_open("good:T", OPTIONS("partitions", "16", "batches", "3", "rows", "100", "bascule_workers", "3"),
	                    &source, &err),
	          &err);
	assert_ok(fake_read(source, 6, &rows, &err), &err);
	assert_int_equal(rows, 16 * 300);
	assert_in_range(bsc_process_worker_count(), 1, 4);
	bsc_source_close(source);
}

static void test_worker_that_went_away_idle_is_replaced(void **state)
{
	(void)state;
	int64_t rows;
	assert_ok(fake_query("good:T", NULL, &rows, &err), &err);
	fake_kill_children();
	sleep_ms(300);
	assert_ok(fake_query("good:T", NULL, &rows, &err), &err);
	assert_int_equal(rows, 1);
}

static void *query(void *arg)
{
	struct bsc_error *failure = arg;
	int64_t rows;
	failure->status = BSC_OK;
	int rc = fake_query("good:T", OPTIONS("batches", "3", "rows", "100"), &rows, failure);
	if (rc == BSC_OK && rows != 300) {
		(void)bsc__fail(failure, BSC_SOURCE, "%lld rows", (long long)rows);
	}
	return NULL;
}

static void test_twenty_scans_at_once(void **state)
{
	(void)state;
	fake_at_once(20, query);
	/* Those beyond what a scan asks for are not kept. */
	int64_t until = now_ms() + 10000;
	while (bsc_process_worker_count() > BSC_WORKERS_DEFAULT && now_ms() < until) {
		sleep_ms(10);
	}
	assert_true(bsc_process_worker_count() <= BSC_WORKERS_DEFAULT);
}

/* ---- cancelled ---- */

struct cancel {
	struct bsc_scan *scan;
	int after_ms;
};

static void *cancel_later(void *arg)
{
	const struct cancel *c = arg;
	sleep_ms(c->after_ms);
	bsc_scan_cancel(c->scan);
	return NULL;
}

static void test_cancel_ends_a_wait_for_a_worker(void **state)
{
	(void)state;
	static const char *const texts[] = {"hangs_in_read:T", "deaf_in_read:T", "hangs_in_batch:T"};
	for (size_t i = 0; i < LENGTH(texts); i++) {
		struct opened o;
		pthread_t thread;
		open_it(&o, texts[i], OPTIONS("batches", "2"));
		if (i == 2) {
			take_one(&o);
		}
		struct cancel cancel = {o.scan, 100};
		struct ArrowArray batch;
		int64_t begun = now_ms();
		assert_int_equal(pthread_create(&thread, NULL, cancel_later, &cancel), 0);
		assert_fails(bsc_cursor_next(o.cursor, NULL, &batch, &err), BSC_CANCELLED, &err, "cancelled");
		assert_in_range(now_ms() - begun, 90, 3000);
		pthread_join(thread, NULL);
		close_it(&o);
	}
	/* Those that don't stop are killed. */
	int64_t until = now_ms() + 10000, rows;
	while (bsc_process_worker_count() > 0 && now_ms() < until) {
		sleep_ms(10);
	}
	assert_int_equal(bsc_process_worker_count(), 0);
	assert_ok(fake_query("good:T", NULL, &rows, &err), &err);
}

static int count_down(void *ctx)
{
	return --*(int *)ctx < 0;
}

static void test_poll_of_the_host_ends_any_wait(void **state)
{
	(void)state;
	struct bsc_source *source = NULL;
	struct bsc_plan *plan = NULL;
	struct bsc_options *options;
	int left = 3;
	const struct bsc_poll poll = {count_down, &left};
	assert_ok(bsc_options_new(&options, &err), &err);
	assert_ok(bsc_options_add(options, bsc__str("bascule_python"), bsc__str(fake_python()), &err), &err);
	assert_fails(bsc_source_open(NULL, bsc__str("hangs_in_open:T"), options, 0, &poll, &source, &err), BSC_CANCELLED,
	             &err, "hangs_in_open:T: infer_schema: cancelled");
	bsc_process_end_workers(0);
	(void)setenv("FAKE_WORKER", "says_nothing", 1);
	left = 3;
	int rc = bsc_source_open(NULL, bsc__str("good:T"), options, 0, &poll, &source, &err);
	(void)unsetenv("FAKE_WORKER");
	assert_int_equal(rc, BSC_CANCELLED);
	assert_non_null(strstr(err.message, "cancelled while a worker process was started"));
	bsc_options_free(options);
	assert_ok(fake_open("hangs_in_plan:T", NULL, &source, &err), &err);
	left = 3;
	assert_fails(bsc_plan_new(source, NULL, &poll, &plan, &err), BSC_CANCELLED, &err, "plan_partitions: cancelled");
	bsc_source_close(source);
}

/* ---- ended ---- */

static void *end_workers_later(void *arg)
{
	sleep_ms(*(int *)arg);
	bsc_process_end_workers(3000);
	return NULL;
}

/* What is cut short must not look like a whole table. */
static void test_read_during_which_workers_are_ended_fails(void **state)
{
	(void)state;
	for (int ms = 0; ms < 60; ms += 15) {
		struct opened o;
		pthread_t thread;
		open_it(&o, "slow:T", OPTIONS("batches", "1000", "bascule_readahead", "0"));
		take_one(&o);
		assert_int_equal(pthread_create(&thread, NULL, end_workers_later, &ms), 0);
		struct ArrowArray batch;
		int rc;
		while ((rc = bsc_cursor_next(o.cursor, NULL, &batch, &err)) == BSC_OK && batch.release) {
			batch.release(&batch);
		}
		assert_int_equal(rc, BSC_WORKER);
		pthread_join(thread, NULL);
		close_it(&o);
		assert_int_equal(bsc_process_worker_count(), 0);
	}
}

static void test_source_lives_on_with_new_workers(void **state)
{
	(void)state;
	struct bsc_source *source;
	int64_t rows;
	assert_ok(fake_open("good:T", OPTIONS("rows", "5"), &source, &err), &err);
	for (int i = 0; i < 3; i++) {
		bsc_process_end_workers(3000);
		assert_ok(fake_read(source, 1, &rows, &err), &err);
		assert_int_equal(rows, 5);
	}
	bsc_source_close(source);
}

static void test_workers_that_do_not_end_are_killed(void **state)
{
	(void)state;
	struct opened o;
	open_it(&o, "deaf_in_batch:T", OPTIONS("batches", "2"));
	take_one(&o);
	sleep_ms(100);
	int64_t begun = now_ms();
	bsc_process_end_workers(200);
	assert_in_range(now_ms() - begun, 190, 3000);
	assert_int_equal(bsc_process_worker_count(), 0);
	struct ArrowArray batch;
	assert_fails(bsc_cursor_next(o.cursor, NULL, &batch, &err), BSC_WORKER, &err, "was killed by signal 9");
	close_it(&o);
}

static void *query_until(void *arg)
{
	_Atomic bool *stop = arg;
	struct bsc_error failure;
	int64_t rows;
	while (!*stop) {
		int rc = fake_query("good:T", OPTIONS("partitions", "3", "batches", "3", "rows", "10"), &rows, &failure);
		if (rc == BSC_OK ? rows != 90 : rc != BSC_WORKER && rc != BSC_CANCELLED) {
			fprintf(stderr, "%lld rows, %s\n", (long long)rows, rc == BSC_OK ? "" : failure.message);
			abort();
		}
	}
	return NULL;
}

static void test_workers_are_ended_under_threads_that_start_them(void **state)
{
	(void)state;
	enum { N = 3 };
	pthread_t threads[N];
	_Atomic bool stop = false;
	for (int i = 0; i < N; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, query_until, &stop), 0);
	}
	for (int i = 0; i < 10; i++) {
		sleep_ms(i * 20);
		bsc_process_end_workers(i % 2 ? 0 : 2000);
	}
	stop = true;
	for (int i = 0; i < N; i++) {
		pthread_join(threads[i], NULL);
	}
}

/* ---- forked ---- */

static int wait_for(pid_t pid)
{
	int status = -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int use_in_child(struct opened *o, struct bsc_source *source)
{
	int64_t rows;
	struct ArrowArray batch;
	if (bsc_process_worker_count() != 0) {
		return 2;
	}
	/* What the parent reads is not the child's. */
	if (bsc_cursor_next(o->cursor, NULL, &batch, &err) != BSC_WORKER ||
	    !strstr(err.message, "belongs to the process that this one is a fork of")) {
		return 3;
	}
	if (fake_read(source, 2, &rows, &err) != BSC_OK || rows != 30) {
		return 4;
	}
	if (fake_query("good:T", NULL, &rows, &err) != BSC_OK || rows != 1) {
		return 5;
	}
	close_it(o);
	bsc_source_close(source);
	bsc_process_end_workers(3000);
	return bsc_process_worker_count() == 0 ? 0 : 6;
}

static void test_child_of_the_host_uses_its_own_workers(void **state)
{
	(void)state;
	struct opened o;
	struct bsc_source *source;
	int64_t rows;
	open_it(&o, "endless:T", NULL);
	assert_ok(fake_open("good:T", OPTIONS("partitions", "3", "rows", "10"), &source, &err), &err);
	take_one(&o);
	int64_t n = bsc_process_worker_count();
	for (int i = 0; i < 3; i++) {
		fflush(NULL);
		pid_t pid = fork();
		if (pid == 0) {
			/* Not the sanitizer's end: what other threads had is not lost. */
			_exit(use_in_child(&o, source));
		}
		assert_int_equal(wait_for(pid), 0);
		take_one(&o);
		assert_ok(fake_read(source, 2, &rows, &err), &err);
		assert_int_equal(rows, 30);
	}
	assert_true(bsc_process_worker_count() <= n + 1);
	bsc_source_close(source);
	close_it(&o);
}

static void test_forks_under_threads_that_query(void **state)
{
	(void)state;
	pthread_t thread;
	_Atomic bool stop = false;
	assert_int_equal(pthread_create(&thread, NULL, query_until, &stop), 0);
	for (int i = 0; i < 20; i++) {
		fflush(NULL);
		pid_t pid = fork();
		if (pid == 0) {
			_exit(bsc_process_worker_count() == 0 ? 0 : 1);
		}
		assert_int_equal(wait_for(pid), 0);
		sleep_ms(i);
	}
	stop = true;
	pthread_join(thread, NULL);
}

/* Of this process, which has one thread that starts some. */
static int other_child(pid_t child)
{
	int pid, other = 0;
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	FILE *file = fopen(path, "re");
	while (file && fscanf(file, "%d", &pid) == 1) {
		other = pid == child ? other : pid;
	}
	if (file) {
		(void)fclose(file);
	}
	return other;
}

/* A child that lives on must not keep the parent's workers from seeing its end. */
static void test_workers_of_a_host_that_died_end_under_its_child(void **state)
{
	(void)state;
	int ends[2], life[2];
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(pipe(life), 0);
	fflush(NULL);
	pid_t host = fork();
	if (host == 0) {
		int64_t rows;
		if (fake_query("good:T", NULL, &rows, &err) != BSC_OK) {
			_exit(1);
		}
		pid_t child = fork();
		if (child == 0) {
			char byte;
			(void)close(life[1]);
			(void)!read(life[0], &byte, 1);
			_exit(0);
		}
		int worker = other_child(child);
		(void)!write(ends[1], &worker, sizeof(worker));
		_exit(0);
	}
	int worker = 0;
	assert_int_equal(wait_for(host), 0);
	assert_int_equal(read(ends[0], &worker, sizeof(worker)), sizeof(worker));
	assert_true(worker > 0);
	int64_t until = now_ms() + 10000;
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/exe", worker);
	while (access(path, F_OK) == 0 && now_ms() < until) {
		sleep_ms(20);
	}
	assert_int_equal(access(path, F_OK), -1);
	for (int i = 0; i < 2; i++) {
		(void)close(ends[i]);
		(void)close(life[i]);
	}
}

/* ---- descriptors ---- */

static void test_process_without_descriptors_says_so_and_recovers(void **state)
{
	(void)state;
	struct rlimit before, low;
	int64_t rows;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	struct fake_usage usage = fake_usage();
	for (rlim_t room = 0; room < 8; room++) {
		int next = dup(STDIN_FILENO);
		(void)close(next);
		low.rlim_cur = (rlim_t)next + room;
		bsc_process_end_workers(5000);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
		int rc = fake_query("good:T", OPTIONS("batches", "2"), &rows, &err);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
		if (rc != BSC_OK && !strstr(err.message, "ulimit -n")) {
			fail_msg("%s", err.message);
		}
	}
	assert_ok(fake_query("good:T", NULL, &rows, &err), &err);
	bsc_process_end_workers(5000);
	assert_true(fake_settles(&usage));
}

int main(int argc, char **argv)
{
	FAKE_WORKER(argc, argv)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_warm_worker_is_used_again, set_up),
	    cmocka_unit_test_setup(test_scans_have_no_more_workers_than_they_ask_for, set_up),
	    cmocka_unit_test_setup(test_worker_that_went_away_idle_is_replaced, set_up),
	    cmocka_unit_test_setup(test_twenty_scans_at_once, set_up),
	    cmocka_unit_test_setup(test_cancel_ends_a_wait_for_a_worker, set_up),
	    cmocka_unit_test_setup(test_poll_of_the_host_ends_any_wait, set_up),
	    cmocka_unit_test_setup(test_read_during_which_workers_are_ended_fails, set_up),
	    cmocka_unit_test_setup(test_source_lives_on_with_new_workers, set_up),
	    cmocka_unit_test_setup(test_workers_that_do_not_end_are_killed, set_up),
	    cmocka_unit_test_setup(test_workers_are_ended_under_threads_that_start_them, set_up),
	    cmocka_unit_test_setup(test_child_of_the_host_uses_its_own_workers, set_up),
	    cmocka_unit_test_setup(test_forks_under_threads_that_query, set_up),
	    cmocka_unit_test_setup(test_workers_of_a_host_that_died_end_under_its_child, set_up),
	    cmocka_unit_test_setup(test_process_without_descriptors_says_so_and_recovers, set_up),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	bsc_process_end_workers(5000);
	return failed;
}
