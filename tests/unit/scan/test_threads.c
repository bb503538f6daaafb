/* Many threads over one registry of sources, one plan, one scan. Written for the
 * thread sanitizer: it sees a race even where the order of a run hid it. */
#include "mock_executor.h"

#include <pthread.h>

#define N_THREADS 8
#define N_ROUNDS 60
#define N_PARTITIONS 12
#define N_ROWS 5 /* of a partition */

static const struct mock_column columns[] = {{"a", "l", true}, {"b", "u", false}, {"c", "i", false}};
static const struct mock_batch batches[] = {{.n_rows = 3}, {.n_rows = -1}, {.n_rows = 2}};

struct shared {
	struct mock mock;
	struct ArrowSchema schema;
	struct mock_partition partitions[N_PARTITIONS];
	struct bsc_source *source;
	struct bsc_plan *plan;
	struct bsc_scan *scan;
	_Atomic int64_t n_rows;
	_Atomic(const char *) failed; /* what a thread found wrong */
	/* Arrays on their way to another thread. */
	pthread_mutex_t lock;
	struct ArrowArray post[16]; /* guarded by lock */
};

struct worker {
	struct shared *shared;
	uint32_t random;
	pthread_t thread;
};

static int set_up(void **state)
{
	struct shared *s = bsc__calloc(1, sizeof(*s));
	mock_schema_init(&s->schema, columns, LENGTH(columns));
	for (int i = 0; i < N_PARTITIONS; i++) {
		s->partitions[i] = (struct mock_partition){batches, LENGTH(batches)};
	}
	mock_init(&s->mock, &s->schema, s->partitions, N_PARTITIONS);
	pthread_mutex_init(&s->lock, NULL);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct shared *s = *state;
	if (s->failed) {
		fail_msg("%s", s->failed);
	}
	for (size_t i = 0; i < LENGTH(s->post); i++) {
		if (s->post[i].release) {
			s->post[i].release(&s->post[i]);
		}
	}
	mock_assert_all_closed(&s->mock);
	pthread_mutex_destroy(&s->lock);
	s->schema.release(&s->schema);
	bsc__free(s);
	return 0;
}

static void expect(struct shared *s, bool promise, const char *what)
{
	if (!promise) {
		atomic_store(&s->failed, what);
	}
}

static uint32_t roll(struct worker *w, uint32_t n)
{
	w->random = w->random * 1664525 + 1013904223;
	return (w->random >> 16) % n;
}

/* Starts `work` on all threads; `meanwhile` runs on this one. */
static void run(struct shared *s, void *(*work)(void *), void (*meanwhile)(struct shared *))
{
	struct worker workers[N_THREADS];
	for (int i = 0; i < N_THREADS; i++) {
		workers[i] = (struct worker){.shared = s, .random = (uint32_t)i};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	if (meanwhile) {
		meanwhile(s);
	}
	for (int i = 0; i < N_THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
	}
}

/* Leaves an array for another thread, and takes what lay in its place. */
static void post(struct worker *w, struct ArrowArray *array)
{
	struct shared *s = w->shared;
	struct ArrowArray other;
	struct ArrowArray *place = &s->post[roll(w, LENGTH(s->post))];
	pthread_mutex_lock(&s->lock);
	other = *place;
	*place = *array;
	pthread_mutex_unlock(&s->lock);
	array->release = NULL;
	if (other.release) {
		other.release(&other);
	}
}

/* Reads at most `n_batches`. Returns the rows; *status: how it ended. Columns go
 * their own ways, to be released by other threads after their batch. */
static int64_t pull(struct worker *w, struct bsc_cursor *cursor, int64_t n_batches, int *status)
{
	static const struct bsc_poll never = {NULL, NULL};
	int64_t n_rows = 0;
	*status = BSC_OK;
	for (int64_t i = 0; i < n_batches; i++) {
		struct ArrowArray batch;
		*status = bsc_cursor_next(cursor, &never, &batch, NULL);
		if (*status != BSC_OK || !batch.release) {
			break;
		}
		n_rows += batch.length;
		for (int64_t k = 0; k < batch.n_children; k++) {
			if (roll(w, 2)) {
				post(w, batch.children[k]);
			}
		}
		batch.release(&batch);
	}
	return n_rows;
}

/* ---- everything at once ---- */

static struct bsc_options *some_options(struct worker *w)
{
	struct bsc_options *options = NULL;
	if (bsc_options_new(&options, NULL) != BSC_OK ||
	    bsc_options_add(options, bsc__str("region"), bsc__str(roll(w, 2) ? "eu" : "us"), NULL) != BSC_OK) {
		bsc_options_free(options);
		return NULL;
	}
	return options;
}

/* From open to close, by this thread alone; sources are shared with the others. */
static void own_scan(struct worker *w)
{
	struct shared *s = w->shared;
	static const int64_t asked[] = {2, 0};
	const struct bsc_request request = {.columns = asked, .n_columns = LENGTH(asked)};
	struct bsc_source *source = NULL;
	struct bsc_plan *plan = NULL;
	struct bsc_scan *scan = NULL;
	struct bsc_cursor *cursor = NULL;
	struct bsc_options *options = some_options(w);
	int status =
	    bsc_source_open(&s->mock.executor, bsc__str("acme:Orders"), options, 1 + roll(w, 3), NULL, &source, NULL);
	expect(s, status == BSC_OK, "a source does not open");
	if (status != BSC_OK) {
		bsc_options_free(options);
		return;
	}
	expect(s, bsc_source_schema(source)->n_children == 3, "a source has another's schema");
	bool all = roll(w, 2);
	if (bsc_plan_new(source, all ? NULL : &request, NULL, &plan, NULL) != BSC_OK ||
	    bsc_scan_open(plan, &scan, NULL) != BSC_OK || bsc_cursor_open(scan, &cursor, NULL) != BSC_OK) {
		expect(s, false, "a plan, a scan or a cursor does not open");
	} else {
		bool whole = roll(w, 2);
		int64_t n_rows = pull(w, cursor, whole ? INT64_MAX : roll(w, 6), &status);
		expect(s, status == BSC_OK && (!whole || n_rows == N_PARTITIONS * N_ROWS), "a scan has too few rows");
	}
	bsc_source_close(source);
	bsc_plan_free(plan);
	bsc_scan_close(scan);
	bsc_cursor_close(cursor);
}

/* A scan of the plan that all share, with two cursors, perhaps cancelled. */
static void scan_of_shared_plan(struct worker *w)
{
	struct shared *s = w->shared;
	struct bsc_scan *scan = NULL;
	struct bsc_cursor *cursors[2] = {NULL, NULL};
	int status;
	bsc_plan_ref(s->plan);
	if (bsc_scan_open(s->plan, &scan, NULL) != BSC_OK || bsc_cursor_open(scan, &cursors[0], NULL) != BSC_OK ||
	    bsc_cursor_open_partition(scan, roll(w, N_PARTITIONS), &cursors[1], NULL) != BSC_OK) {
		expect(s, false, "a scan of the shared plan does not open");
	} else {
		bsc_plan_free(s->plan);
		pull(w, cursors[0], roll(w, 4), &status);
		expect(s, pull(w, cursors[1], INT64_MAX, &status) == N_ROWS, "a partition has too few rows");
		bsc_scan_cancel(scan);
		expect(s, pull(w, cursors[0], 1, &status) == 0 && status == BSC_CANCELLED, "a cancelled cursor reads on");
	}
	bsc_cursor_close(cursors[0]);
	bsc_scan_close(scan);
	bsc_cursor_close(cursors[1]);
}

static void free_plan(struct shared *s)
{
	bsc_plan_free(s->plan);
}

static void *do_anything(void *arg)
{
	struct worker *w = arg;
	for (int i = 0; i < 5 * N_ROUNDS; i++) {
		if (roll(w, 2)) {
			own_scan(w);
		} else {
			scan_of_shared_plan(w);
		}
	}
	bsc_plan_free(w->shared->plan);
	return NULL;
}

static void test_threads_open_read_cancel_and_close_at_once(void **state)
{
	struct shared *s = *state;
	s->source = mock_source(&s->mock);
	assert_int_equal(bsc_plan_new(s->source, NULL, NULL, &s->plan, NULL), BSC_OK);
	bsc_source_close(s->source);
	for (int i = 0; i < N_THREADS; i++) {
		bsc_plan_ref(s->plan);
	}
	run(s, do_anything, free_plan);
}

/* ---- one scan ---- */

static void open_scan(struct shared *s)
{
	s->source = mock_source(&s->mock);
	assert_int_equal(bsc_plan_new(s->source, NULL, NULL, &s->plan, NULL), BSC_OK);
	assert_int_equal(bsc_scan_open(s->plan, &s->scan, NULL), BSC_OK);
	for (int i = 0; i < N_THREADS; i++) {
		bsc_scan_ref(s->scan);
	}
}

static void close_scan(struct shared *s)
{
	bsc_source_close(s->source);
	bsc_plan_free(s->plan);
	bsc_scan_close(s->scan);
}

static void *read_to_the_end(void *arg)
{
	struct worker *w = arg;
	struct shared *s = w->shared;
	struct bsc_cursor *cursor = NULL;
	int status = bsc_cursor_open(s->scan, &cursor, NULL);
	double before = bsc_scan_progress(s->scan);
	if (status == BSC_OK) {
		s->n_rows += pull(w, cursor, INT64_MAX, &status);
	}
	double after = bsc_scan_progress(s->scan);
	expect(s, status == BSC_OK || status == BSC_CANCELLED, "a cursor failed");
	expect(s, before >= 0 && after >= before && after <= 1, "the progress fell, or left its range");
	if (roll(w, 2)) {
		bsc_cursor_close(cursor);
		bsc_scan_close(s->scan);
	} else {
		bsc_scan_close(s->scan);
		bsc_cursor_close(cursor);
	}
	return NULL;
}

static void test_handles_close_under_the_threads_that_read(void **state)
{
	struct shared *s = *state;
	for (int i = 0; i < N_ROUNDS; i++) {
		s->n_rows = 0;
		open_scan(s);
		run(s, read_to_the_end, close_scan);
		assert_int_equal(s->n_rows, N_PARTITIONS * N_ROWS);
	}
	assert_int_equal(s->mock.instances_closed, N_ROUNDS);
}

static void cancel_and_close(struct shared *s)
{
	bsc_scan_cancel(s->scan);
	close_scan(s);
}

static void test_cancel_meets_threads_that_read(void **state)
{
	struct shared *s = *state;
	for (int i = 0; i < N_ROUNDS; i++) {
		s->n_rows = 0;
		open_scan(s);
		run(s, read_to_the_end, cancel_and_close);
		assert_true(s->n_rows <= N_PARTITIONS * N_ROWS);
	}
}

static void *fail_or_read(void *arg)
{
	struct worker *w = arg;
	struct shared *s = w->shared;
	for (int i = 0; i < N_ROUNDS; i++) {
		struct bsc_cursor *cursor = NULL;
		int status = bsc_cursor_open_partition(s->scan, roll(w, N_PARTITIONS), &cursor, NULL);
		if (status == BSC_OK) {
			pull(w, cursor, INT64_MAX, &status);
			int again = status;
			pull(w, cursor, 1, &again);
			expect(s, status == again, "a cursor's failure changed");
		}
		expect(s, status == BSC_OK || status == BSC_SOURCE, "a cursor failed in another way");
		bsc_cursor_close(cursor);
	}
	bsc_scan_close(s->scan);
	return NULL;
}

static void test_class_that_begins_to_fail_fails_every_thread_alone(void **state)
{
	struct shared *s = *state;
	s->mock.fault[MOCK_READ_NEXT].status = BSC_SOURCE;
	s->mock.fault[MOCK_READ_NEXT].text = "the server is gone";
	s->mock.fault[MOCK_READ_NEXT].after = N_THREADS * N_ROUNDS;
	open_scan(s);
	run(s, fail_or_read, close_scan);
	assert_true(s->mock.calls[MOCK_READ_NEXT] > N_THREADS * N_ROUNDS);
}

static void *look_and_free(void *arg)
{
	struct worker *w = arg;
	struct shared *s = w->shared;
	expect(s, bsc_plan_schema(s->plan)->n_children == 3, "a plan was freed too early");
	bsc_plan_free(s->plan);
	return NULL;
}

static void test_last_reference_to_a_plan_may_be_any_thread_s(void **state)
{
	struct shared *s = *state;
	s->source = mock_source(&s->mock);
	for (int i = 0; i < N_ROUNDS; i++) {
		assert_int_equal(bsc_plan_new(s->source, NULL, NULL, &s->plan, NULL), BSC_OK);
		for (int k = 0; k < N_THREADS; k++) {
			bsc_plan_ref(s->plan);
		}
		run(s, look_and_free, free_plan);
		assert_int_equal(s->mock.plans, s->mock.plans_freed);
	}
	bsc_source_close(s->source);
}

/* ---- one batch ---- */

static void *release_columns(void *arg)
{
	struct worker *w = arg;
	struct shared *s = w->shared;
	for (size_t i = 0; i < LENGTH(s->post); i++) {
		struct ArrowArray none = {0}, column;
		pthread_mutex_lock(&s->lock);
		column = s->post[i];
		s->post[i] = none;
		pthread_mutex_unlock(&s->lock);
		if (column.release) {
			column.release(&column);
		}
	}
	return NULL;
}

static void test_columns_of_one_batch_are_released_on_many_threads(void **state)
{
	struct shared *s = *state;
	static const int64_t asked[] = {2, 0, 1, 0, 2, 1, 0, 1};
	const struct bsc_request request = {.columns = asked, .n_columns = LENGTH(asked)};
	s->source = mock_source(&s->mock);
	assert_int_equal(bsc_plan_new(s->source, &request, NULL, &s->plan, NULL), BSC_OK);
	for (int i = 0; i < N_ROUNDS; i++) {
		struct bsc_cursor *cursor = NULL;
		struct ArrowArray batch;
		assert_int_equal(bsc_scan_open(s->plan, &s->scan, NULL), BSC_OK);
		assert_int_equal(bsc_cursor_open(s->scan, &cursor, NULL), BSC_OK);
		assert_int_equal(bsc_cursor_next(cursor, NULL, &batch, NULL), BSC_OK);
		for (size_t k = 0; k < LENGTH(asked); k++) {
			s->post[k] = *batch.children[k];
			batch.children[k]->release = NULL;
		}
		batch.release(&batch);
		bsc_cursor_close(cursor);
		bsc_scan_close(s->scan);
		run(s, release_columns, NULL);
		assert_int_equal(s->mock.arrays, s->mock.arrays_released);
	}
	bsc_plan_free(s->plan);
	bsc_source_close(s->source);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_threads_open_read_cancel_and_close_at_once),
	    TEST(test_handles_close_under_the_threads_that_read),
	    TEST(test_cancel_meets_threads_that_read),
	    TEST(test_class_that_begins_to_fail_fails_every_thread_alone),
	    TEST(test_last_reference_to_a_plan_may_be_any_thread_s),
	    TEST(test_columns_of_one_batch_are_released_on_many_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
