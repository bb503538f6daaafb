/* Scans through worker processes with the n-th allocation of the host failing, for all n. The pool's thread
 * allocates too, so that n is another one each time; and where a frame can't be made its worker is given up. So the
 * promise is a weaker one than the twins': the scan is right, or says what it lacked, and nothing is left. */
#include "fake_worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "faults.h"

#define OPTIONS(...)                                                                                                   \
	(const char *const[])                                                                                              \
	{                                                                                                                  \
		__VA_ARGS__, NULL                                                                                              \
	}
#define CALLS_MAX 10000

static int64_t live; /* blocks where no worker is */

/* How a scan may go, each with the rows that it has. */
static const struct {
	const char *name;
	const char *text;
	const char *const *options;
	int64_t rows;
	bool warm;    /* there is a worker, and it stays */
	int64_t most; /* n; what comes then is as in the others. 0: all */
} scans[] = {
    {"cold", "good:T", OPTIONS("partitions", "2", "batches", "3", "rows", "10"), 60, false, 0},
    {"warm", "good:T", OPTIONS("partitions", "2", "batches", "3", "rows", "10"), 60, true, 0},
    {"many specs", "good:T", OPTIONS("partitions", "200", "rows", "1"), 200, true, 80},
};

static bool is_live(int64_t wanted)
{
	bsc_scans_forget();
	for (int i = 0; i < 400 && faults_live() != wanted; i++) {
		nanosleep(&(struct timespec){0, 10000000}, NULL);
	}
	return faults_live() == wanted;
}

static void test_scan_survives_each_failing_allocation(void **state)
{
	size_t i = *(const size_t *)*state;
	struct bsc_error err;
	int64_t rows, n = 1;
	for (; !scans[i].most || n <= scans[i].most; n++) {
		assert_true(n < CALLS_MAX);
		if (scans[i].warm) {
			assert_ok(fake_query("good:T", NULL, &rows, &err), &err);
		}
		faults_arm(n);
		int rc = fake_query(scans[i].text, scans[i].options, &rows, &err);
		bool fired = faults_disarm() >= n;
		if (rc == BSC_OK ? rows != scans[i].rows : rc != BSC_NOMEM && rc != BSC_WORKER) {
			fail_msg("allocation %lld: status %d, %lld rows, %s", (long long)n, rc, (long long)rows,
			         rc == BSC_OK ? "" : err.message);
		}
		if (!fired) {
			assert_int_equal(rc, BSC_OK);
			break;
		}
		rc = fake_query(scans[i].text, scans[i].options, &rows, &err);
		if (rc != BSC_OK || rows != scans[i].rows) {
			fail_msg("after allocation %lld failed: status %d, %lld rows, %s", (long long)n, rc, (long long)rows,
			         rc == BSC_OK ? "" : err.message);
		}
		if (!scans[i].warm || n % 16 == 0) {
			bsc_process_end_workers(5000);
			if (!is_live(live)) {
				fail_msg("allocation %lld: %lld blocks are left", (long long)n, (long long)(faults_live() - live));
			}
		}
	}
	assert_true(n > 20);
	bsc_process_end_workers(5000);
	assert_true(is_live(live));
}

static void test_offset_survives_each_failing_allocation(void **state)
{
	(void)state;
	const struct bsc_offsets offsets = {{"a", 1}, {"b", 1}};
	struct bsc_source *source;
	struct bsc_error err;
	bool fired = true;
	assert_ok(fake_open("good:T", NULL, &source, &err), &err);
	for (int64_t n = 1; fired; n++) {
		assert_true(n < CALLS_MAX);
		char *answer;
		faults_arm(n);
		int rc = bsc_source_offset(source, BSC_OFFSET_LATEST, &offsets, NULL, &answer, &err);
		fired = faults_disarm() >= n;
		if (rc == BSC_OK) {
			assert_string_equal(answer, "1: a..b");
			free(answer);
		} else if (!fired || answer || (rc != BSC_NOMEM && rc != BSC_WORKER)) {
			fail_msg("allocation %lld: status %d, %s", (long long)n, rc, err.message);
		}
	}
	bsc_source_close(source);
	bsc_process_end_workers(5000);
	assert_true(is_live(live));
}

static void test_workers_end_where_they_can_t_be_told(void **state)
{
	(void)state;
	struct bsc_error err;
	for (int64_t n = 1; n < 8; n++) {
		int64_t rows;
		assert_ok(fake_query("good:T", NULL, &rows, &err), &err);
		faults_arm(n);
		bsc_process_end_workers(5000);
		(void)faults_disarm();
		assert_int_equal(bsc_process_worker_count(), 0);
		assert_true(is_live(live));
	}
}

int main(int argc, char **argv)
{
	FAKE_WORKER(argc, argv)
	static size_t numbers[LENGTH(scans)];
	enum { OTHERS = 2 };
	struct CMUnitTest tests[LENGTH(scans) + OTHERS] = {cmocka_unit_test(test_workers_end_where_they_can_t_be_told),
	                                                   cmocka_unit_test(test_offset_survives_each_failing_allocation)};
	for (size_t i = 0; i < LENGTH(scans); i++) {
		numbers[i] = i;
		tests[i + OTHERS] =
		    (struct CMUnitTest){scans[i].name, test_scan_survives_each_failing_allocation, NULL, NULL, &numbers[i]};
	}
	struct bsc_error err;
	int64_t rows;
	if (fake_query("good:T", NULL, &rows, &err) != BSC_OK) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	bsc_process_end_workers(5000);
	nanosleep(&(struct timespec){1, 0}, NULL);
	bsc_scans_forget();
	live = faults_live();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
