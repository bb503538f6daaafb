/* The worker's end of the conversation, with a raw socket as its host. */
#include "check.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mock_executor.h"
#include "nanoarrow/nanoarrow.h"
#include "process/serve.h"

struct fixture {
	struct bsc__serving serving;
	struct bsc__channel host;
	struct bsc_error err;
};

static int set_up(void **state)
{
	struct fixture *f = *state = bsc__calloc(1, sizeof(*f));
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_ok(bsc__serving_open(&f->serving, fds[0], &f->err), &f->err);
	bsc__channel_init(&f->host, fds[1]);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	bsc__serving_close(&f->serving);
	bsc__channel_close(&f->host);
	bsc__free(f);
	return 0;
}

static void host_sends(struct fixture *f, enum bsc__frame_type type, uint64_t number, const void *payload, size_t len)
{
	struct bsc__bytes frame;
	bsc__bytes_init(&frame, BSC__PAYLOAD_MAX);
	size_t begin = bsc__frame_begin(&frame, type, number);
	bsc__put(&frame, payload, len);
	bsc__frame_end(&frame, begin);
	assert_true(bsc__channel_send(&f->host, frame.ptr, frame.len, -1, 1000));
	bsc__bytes_release(&frame);
}

static void host_sends_window(struct fixture *f, uint64_t number, uint64_t bytes)
{
	const uint64_t window[] = {bytes, 0};
	host_sends(f, BSC__WINDOW, number, window, sizeof(window));
}

/* The next frame that the host gets, which is there; what costs are told between is not looked at. */
static struct bsc__frame host_gets(struct fixture *f, enum bsc__frame_type type)
{
	struct bsc__frame frame;
	do {
		assert_int_equal(bsc__channel_receive(&f->host, &frame, &f->err), BSC__CHANNEL_FRAME);
	} while (frame.type == BSC__METRICS && type != BSC__METRICS);
	assert_int_equal(frame.type, type);
	if (frame.fd >= 0) {
		(void)close(frame.fd);
	}
	return frame;
}

static void host_gets_nothing(struct fixture *f)
{
	struct bsc__frame frame;
	assert_int_equal(bsc__channel_receive(&f->host, &frame, &f->err), BSC__CHANNEL_EMPTY);
}

/* The next request is this. */
static void serves(struct fixture *f, enum bsc__frame_type type, uint64_t number)
{
	struct bsc__frame frame;
	assert_int_equal(bsc__serving_receive(&f->serving, &frame), BSC__SERVING_GO);
	assert_int_equal(frame.type, type);
	assert_int_equal(frame.number, number);
}

/* ---- requests ---- */

static void requests_come_in_order(void **state)
{
	struct fixture *f = *state;
	struct bsc__frame frame;
	host_sends(f, BSC__SETUP, 0, "setup", 5);
	host_sends(f, BSC__STOP, 9, NULL, 0);          /* of nothing: not seen */
	host_sends(f, BSC__RELEASE, 0, "\1\0\0\0", 4); /* cut short: the same */
	host_sends_window(f, 9, 1);
	host_sends(f, BSC__OPEN, 7, "open", 4);
	assert_int_equal(bsc__serving_receive(&f->serving, &frame), BSC__SERVING_GO);
	assert_int_equal(frame.type, BSC__SETUP);
	assert_int_equal(frame.payload.left, 5);
	assert_memory_equal(frame.payload.ptr, "setup", 5);
	serves(f, BSC__OPEN, 7);
}

static void quit_ends_it(void **state)
{
	struct fixture *f = *state;
	struct bsc__frame frame;
	host_sends(f, BSC__OPEN, 1, NULL, 0);
	host_sends(f, BSC__QUIT, 0, NULL, 0);
	serves(f, BSC__OPEN, 1);
	assert_int_equal(bsc__serving_receive(&f->serving, &frame), BSC__SERVING_ENDED);
	assert_int_equal(bsc__serving_receive(&f->serving, &frame), BSC__SERVING_ENDED);
}

static void a_host_that_is_gone_ends_it(void **state)
{
	struct fixture *f = *state;
	struct bsc__frame frame;
	bsc__channel_close(&f->host);
	assert_int_equal(bsc__serving_receive(&f->serving, &frame), BSC__SERVING_ENDED);
	assert_false(bsc__serving_answer(&f->serving, BSC__END, 1, NULL, 0));
	bsc__serving_begin(&f->serving, 1, 1, NULL, 0);
	assert_int_equal(bsc__serving_wait(&f->serving), BSC__SERVING_ENDED);
	bsc__serving_end(&f->serving);
}

static void ignore(const char *text)
{
	(void)text;
}

static void garbage_ends_it(void **state)
{
	struct fixture *f = *state;
	struct bsc__frame frame;
	static const unsigned char garbage[16] = {255, 255, 255, 255};
	bsc_log_set_sink(ignore);
	assert_true(bsc__channel_send(&f->host, garbage, sizeof(garbage), -1, 1000));
	assert_int_equal(bsc__serving_receive(&f->serving, &frame), BSC__SERVING_ENDED);
	bsc_log_set_sink(NULL);
}

static void do_nothing(int number)
{
	(void)number;
}

static void a_signal_ends_a_wait(void **state)
{
	struct fixture *f = *state;
	struct bsc__frame frame;
	struct sigaction action = {.sa_handler = do_nothing}, before;
	sigaction(SIGALRM, &action, &before);
	alarm(1);
	assert_int_equal(bsc__serving_receive(&f->serving, &frame), BSC__SERVING_INTERRUPTED);
	sigaction(SIGALRM, &before, NULL);
}

/* ---- answers ---- */

static void answers_carry_their_payload(void **state)
{
	struct fixture *f = *state;
	assert_true(bsc__serving_answer(&f->serving, BSC__PREPARED, 3, "abc", 3));
	struct bsc__frame frame = host_gets(f, BSC__PREPARED);
	assert_int_equal(frame.number, 3);
	assert_int_equal(frame.payload.left, 3);
	assert_true(bsc__serving_fail(&f->serving, 4, BSC_SOURCE, bsc__str("it raised")));
	frame = host_gets(f, BSC__FAILED);
	assert_int_equal(frame.number, 4);
	assert_int_equal(bsc__get_u32(&frame.payload), BSC_SOURCE);
	assert_str(bsc__get_str(&frame.payload, 100), "it raised");
	assert_int_equal(frame.payload.left, 0);
}

static void an_answer_that_is_too_long_is_not_sent(void **state)
{
	struct fixture *f = *state;
	size_t len = (size_t)BSC__PAYLOAD_MAX + 1;
	void *payload = bsc__calloc(len, 1);
	assert_non_null(payload);
	assert_false(bsc__serving_answer(&f->serving, BSC__SPECS, 3, payload, len));
	bsc__free(payload);
	host_gets_nothing(f);
	assert_true(bsc__serving_answer(&f->serving, BSC__END, 3, NULL, 0));
	(void)host_gets(f, BSC__END);
}

static void *read_slowly(void *ctx)
{
	struct fixture *f = ctx;
	struct bsc__frame frame;
	/* What it sends must be read by a worker that waits for it to read. */
	for (uint64_t i = 0; i < 200; i++) {
		static const char large[4096];
		host_sends(f, BSC__FREE, i, large, sizeof(large));
	}
	size_t got = 0;
	while (got < 40) {
		if (bsc__channel_receive(&f->host, &frame, &f->err) == BSC__CHANNEL_FRAME) {
			got++;
		} else {
			bsc__channel_wait(&f->host, 100);
		}
	}
	return NULL;
}

static void it_reads_while_the_host_does_not(void **state)
{
	struct fixture *f = *state;
	static const char large[100000];
	pthread_t host;
	pthread_create(&host, NULL, read_slowly, f);
	for (int i = 0; i < 40; i++) {
		assert_true(bsc__serving_answer(&f->serving, BSC__SPECS, 1, large, sizeof(large)));
	}
	pthread_join(host, NULL);
	for (uint64_t i = 0; i < 200; i++) {
		serves(f, BSC__FREE, i);
	}
}

static void opened_has_the_schema(void **state)
{
	struct fixture *f = *state;
	struct ArrowSchema schema, got;
	ArrowSchemaInit(&schema);
	assert_int_equal(ArrowSchemaSetTypeStruct(&schema, 1), NANOARROW_OK);
	assert_int_equal(ArrowSchemaSetType(schema.children[0], NANOARROW_TYPE_INT64), NANOARROW_OK);
	assert_int_equal(ArrowSchemaSetName(schema.children[0], "a"), NANOARROW_OK);
	assert_ok(bsc__serving_opened(&f->serving, 2, &schema, bsc__str("as of today"), true, &f->err), &f->err);
	struct bsc__frame frame = host_gets(f, BSC__OPENED);
	assert_int_equal(bsc__get_u8(&frame.payload), 1);
	assert_ok(bsc__get_schema(&frame.payload, &got, &f->err), &f->err);
	assert_string_equal(got.children[0]->name, "a");
	got.release(&got);
	assert_str(bsc__get_str(&frame.payload, 64), "as of today");
	assert_int_equal(bsc__get_u8(&frame.payload), 1);
	assert_int_equal(frame.payload.left, 0);
	assert_ok(bsc__serving_opened(&f->serving, 2, NULL, bsc__str(""), false, &f->err), &f->err);
	frame = host_gets(f, BSC__OPENED);
	assert_int_equal(bsc__get_u8(&frame.payload), 0);
	assert_str(bsc__get_str(&frame.payload, 64), "");
	assert_int_equal(bsc__get_u8(&frame.payload), 0);
	assert_int_equal(frame.payload.left, 0);

	const char *format = schema.children[0]->format;
	schema.children[0]->format = NULL;
	assert_fails(bsc__serving_opened(&f->serving, 2, &schema, bsc__str(""), false, &f->err), BSC_SOURCE, &f->err,
	             "column 'a' has a schema without a format");
	schema.children[0]->format = format;
	host_gets_nothing(f);
	schema.release(&schema);
}

/* ---- reads ---- */

/* A batch of two columns, "a" and "b", of `rows` numbers. */
static void make_batch(struct ArrowSchema *schema, struct ArrowArray *array, int64_t rows)
{
	struct ArrowError error;
	ArrowSchemaInit(schema);
	assert_int_equal(ArrowSchemaSetTypeStruct(schema, 2), NANOARROW_OK);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ArrowSchemaSetType(schema->children[i], NANOARROW_TYPE_INT64), NANOARROW_OK);
		assert_int_equal(ArrowSchemaSetName(schema->children[i], i ? "b" : "a"), NANOARROW_OK);
	}
	assert_int_equal(ArrowArrayInitFromSchema(array, schema, &error), NANOARROW_OK);
	assert_int_equal(ArrowArrayStartAppending(array), NANOARROW_OK);
	for (int64_t row = 0; row < rows; row++) {
		for (int i = 0; i < 2; i++) {
			assert_int_equal(ArrowArrayAppendInt(array->children[i], row), NANOARROW_OK);
		}
		assert_int_equal(ArrowArrayFinishElement(array), NANOARROW_OK);
	}
	assert_int_equal(ArrowArrayFinishBuildingDefault(array, &error), NANOARROW_OK);
}

static void release_batch(struct ArrowSchema *schema, struct ArrowArray *array)
{
	array->release(array);
	schema->release(schema);
}

/* Gets a BATCH; does it have a schema? */
static bool host_gets_batch(struct fixture *f, uint64_t *slot)
{
	struct bsc__frame frame = host_gets(f, BSC__BATCH);
	*slot = frame.number;
	return bsc__get_u8(&frame.payload);
}

static void batches_go_until_the_window_is_full(void **state)
{
	struct fixture *f = *state;
	struct ArrowSchema schema;
	struct ArrowArray array;
	uint64_t slot, size;
	make_batch(&schema, &array, 100);
	bsc__serving_begin(&f->serving, 5, 1, NULL, 0);
	assert_int_equal(bsc__serving_wait(&f->serving), BSC__SERVING_GO);
	assert_ok(bsc__serving_batch(&f->serving, &schema, &array, &f->err), &f->err);
	(void)host_gets(f, BSC__SEGMENT);
	assert_true(host_gets_batch(f, &slot));
	assert_true(slot != 0);
	size = f->serving.sent;
	assert_true(size >= 1600);
	assert_int_equal(bsc__serving_wait(&f->serving), BSC__SERVING_INTERRUPTED);
	host_sends_window(f, 6, 1 << 20); /* another one's */
	assert_int_equal(bsc__serving_wait(&f->serving), BSC__SERVING_INTERRUPTED);
	host_sends_window(f, 5, size + 1);
	host_sends_window(f, 5, 0); /* never less */
	assert_int_equal(bsc__serving_wait(&f->serving), BSC__SERVING_GO);
	assert_ok(bsc__serving_batch(&f->serving, &schema, &array, &f->err), &f->err);
	assert_false(host_gets_batch(f, &slot));
	assert_int_equal(f->serving.sent, 2 * size);
	host_sends(f, BSC__STOP, 6, NULL, 0);
	assert_int_equal(bsc__serving_wait(&f->serving), BSC__SERVING_INTERRUPTED);
	host_sends(f, BSC__STOP, 5, NULL, 0);
	assert_int_equal(bsc__serving_wait(&f->serving), BSC__SERVING_STOPPED);
	bsc__serving_end(&f->serving);
	release_batch(&schema, &array);
	/* What came for others is kept, and too late for all. */
	host_sends(f, BSC__CLOSE, 1, NULL, 0);
	serves(f, BSC__CLOSE, 1);
}

static void what_comes_within_a_read_is_kept(void **state)
{
	struct fixture *f = *state;
	bsc__serving_begin(&f->serving, 5, 0, NULL, 0);
	host_sends(f, BSC__CLOSE, 1, NULL, 0);
	host_sends(f, BSC__READ, 6, "read", 4);
	host_sends_window(f, 6, 77);
	host_sends(f, BSC__STOP, 6, NULL, 0);
	host_sends(f, BSC__FREE, 2, NULL, 0);
	assert_int_equal(bsc__serving_wait(&f->serving), BSC__SERVING_INTERRUPTED);
	bsc__serving_end(&f->serving);
	serves(f, BSC__CLOSE, 1);
	struct bsc__frame frame;
	assert_int_equal(bsc__serving_receive(&f->serving, &frame), BSC__SERVING_GO);
	assert_int_equal(frame.number, 6);
	assert_memory_equal(frame.payload.ptr, "read", 4);
	bsc__serving_begin(&f->serving, 6, 1, NULL, 0);
	assert_int_equal(f->serving.window, 77);
	assert_int_equal(bsc__serving_wait(&f->serving), BSC__SERVING_STOPPED);
	bsc__serving_end(&f->serving);
	serves(f, BSC__FREE, 2);
}

static void a_slot_that_is_released_is_used_again(void **state)
{
	struct fixture *f = *state;
	struct ArrowSchema schema;
	struct ArrowArray array;
	uint64_t slot;
	make_batch(&schema, &array, 10000);
	bsc__serving_begin(&f->serving, 5, UINT64_MAX, NULL, 0);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(bsc__serving_wait(&f->serving), BSC__SERVING_GO);
		assert_ok(bsc__serving_batch(&f->serving, &schema, &array, &f->err), &f->err);
		if (i == 0) {
			(void)host_gets(f, BSC__SEGMENT);
		}
		(void)host_gets_batch(f, &slot);
		struct bsc__bytes list;
		bsc__bytes_init(&list, 64);
		bsc__put_u32(&list, 1);
		bsc__put_u64(&list, slot);
		host_sends(f, BSC__RELEASE, 0, list.ptr, list.len);
		bsc__bytes_release(&list);
	}
	bsc__serving_end(&f->serving);
	release_batch(&schema, &array);
}

static void only_asked_columns_are_sent(void **state)
{
	struct fixture *f = *state;
	struct ArrowSchema schema;
	struct ArrowArray array;
	static const char *const columns[] = {"b", "nope"};
	make_batch(&schema, &array, 1000);
	bsc__serving_begin(&f->serving, 5, UINT64_MAX, columns, 2);
	assert_ok(bsc__serving_batch(&f->serving, &schema, &array, &f->err), &f->err);
	assert_in_range(f->serving.sent, 8000, 8200);
	bsc__serving_end(&f->serving);
	bsc__serving_begin(&f->serving, 6, UINT64_MAX, columns, 0);
	assert_ok(bsc__serving_batch(&f->serving, &schema, &array, &f->err), &f->err);
	assert_in_range(f->serving.sent, 1, 200);
	bsc__serving_end(&f->serving);
	release_batch(&schema, &array);
}

static void what_is_no_batch_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct ArrowSchema schema, number;
	struct ArrowArray array;
	make_batch(&schema, &array, 3);
	bsc__serving_begin(&f->serving, 5, UINT64_MAX, NULL, 0);
	assert_int_equal(ArrowSchemaInitFromType(&number, NANOARROW_TYPE_INT64), NANOARROW_OK);
	assert_fails(bsc__serving_batch(&f->serving, &number, &array, &f->err), BSC_MISMATCH, &f->err,
	             "expected a record batch (a struct of columns), got int64");
	number.release(&number);
	const char *format = schema.children[1]->format;
	schema.children[1]->format = NULL;
	assert_fails(bsc__serving_batch(&f->serving, &schema, &array, &f->err), BSC_MISMATCH, &f->err,
	             "column 'b' has a schema without a format. Check the library that made the batch's schema");
	schema.children[1]->format = format;
	array.children[0]->n_buffers = 1;
	assert_fails(bsc__serving_batch(&f->serving, &schema, &array, &f->err), BSC_MALFORMED, &f->err, "'a'");
	array.children[0]->n_buffers = 2;
	host_gets_nothing(f);
	assert_ok(bsc__serving_batch(&f->serving, &schema, &array, &f->err), &f->err);
	bsc__serving_end(&f->serving);
	release_batch(&schema, &array);
}

/* ---- schemas ---- */

static void schemas_are_equal_in_all_that_they_say(void **state)
{
	(void)state;
	static const char metadata[] = "\1\0\0\0\1\0\0\0k\1\0\0\0v", other[] = "\1\0\0\0\1\0\0\0k\1\0\0\0w";
	struct ArrowSchema a, b;
	struct ArrowArray array;
	make_batch(&a, &array, 1);
	array.release(&array);
	make_batch(&b, &array, 1);
	array.release(&array);
	assert_true(bsc__schema_equal(&a, &b));
	struct ArrowSchema *child = b.children[1];
	const struct ArrowSchema same = *child;
	child->flags = 0;
	assert_false(bsc__schema_equal(&a, &b));
	*child = same;
	child->name = "c";
	assert_false(bsc__schema_equal(&a, &b));
	child->name = NULL;
	assert_false(bsc__schema_equal(&a, &b));
	*child = same;
	child->format = "i";
	assert_false(bsc__schema_equal(&a, &b));
	*child = same;
	child->dictionary = &a;
	assert_false(bsc__schema_equal(&a, &b));
	*child = same;
	child->metadata = metadata;
	assert_false(bsc__schema_equal(&a, &b));
	const struct ArrowSchema mine = *a.children[1];
	a.children[1]->metadata = other;
	assert_false(bsc__schema_equal(&a, &b));
	child->metadata = other;
	assert_true(bsc__schema_equal(&a, &b));
	*a.children[1] = mine;
	*child = same;
	b.n_children = 1;
	assert_false(bsc__schema_equal(&a, &b));
	b.n_children = 2;
	a.release(&a);
	b.release(&b);
}

/* ---- its host's end ---- */

static void it_ends_soon_after_its_host(void **state)
{
	(void)state;
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	pid_t worker = fork();
	if (worker == 0) {
		struct bsc_error err;
		(void)close(fds[1]);
		if (bsc__serving_watch(fds[0], &err) != BSC_OK) {
			_exit(9);
		}
		/* A child of its own does not hold the socket. */
		pid_t child = fork();
		if (child == 0) {
			_exit(write(fds[0], "x", 1) == 1);
		}
		int status;
		_exit(waitpid(child, &status, 0) == child && status == 0 && sleep(60) == 0 ? 7 : 8);
	}
	(void)close(fds[0]);
	struct pollfd wait = {fds[1], POLLIN, 0};
	assert_int_equal(poll(&wait, 1, 300), 0); /* it lives, and its child wrote nothing */
	(void)close(fds[1]);
	int status;
	assert_int_equal(waitpid(worker, &status, 0), worker);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
}

static void costs_are_told_before_the_end(void **state)
{
	struct fixture *f = *state;
	host_sends(f, BSC__READ, 5, NULL, 0);
	serves(f, BSC__READ, 5);
	bsc_meter_time(&f->serving.meter, 1234, 0);
	bsc_meter_ahead(&f->serving.meter, 99);
	assert_true(bsc_meter_report(&f->serving.meter, bsc__str("requests"), 2));
	assert_true(bsc_meter_report(&f->serving.meter, bsc__str("requests"), 0.5));
	assert_true(bsc__serving_answer(&f->serving, BSC__END, 5, NULL, 0));
	struct bsc__frame frame = host_gets(f, BSC__METRICS);
	assert_int_equal(frame.number, 5);
	assert_int_equal(bsc__get_u64(&frame.payload), 1234);
	assert_int_equal(bsc__get_u64(&frame.payload), 99);
	assert_int_equal(bsc__get_u32(&frame.payload), 1);
	assert_str(bsc__get_str(&frame.payload, 64), "requests");
	uint64_t bits = bsc__get_u64(&frame.payload);
	double value;
	memcpy(&value, &bits, sizeof(value));
	assert_true(value == 2.5);
	assert_int_equal(frame.payload.left, 0);
	(void)host_gets(f, BSC__END);
	/* Told once. */
	assert_true(bsc__serving_answer(&f->serving, BSC__END, 5, NULL, 0));
	assert_int_equal(bsc__channel_receive(&f->host, &frame, &f->err), BSC__CHANNEL_FRAME);
	assert_int_equal(frame.type, BSC__END);
}

static void costs_of_one_request_are_not_the_next_ones(void **state)
{
	struct fixture *f = *state;
	struct bsc__frame frame;
	bsc_meter_time(&f->serving.meter, 1234, 0);
	assert_true(bsc_meter_report(&f->serving.meter, bsc__str("requests"), 2));
	host_sends(f, BSC__READ, 6, NULL, 0);
	serves(f, BSC__READ, 6);
	assert_true(bsc__serving_answer(&f->serving, BSC__END, 6, NULL, 0));
	assert_int_equal(bsc__channel_receive(&f->host, &frame, &f->err), BSC__CHANNEL_FRAME);
	assert_int_equal(frame.type, BSC__END);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(requests_come_in_order, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(quit_ends_it, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_host_that_is_gone_ends_it, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(garbage_ends_it, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_signal_ends_a_wait, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(answers_carry_their_payload, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(an_answer_that_is_too_long_is_not_sent, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(it_reads_while_the_host_does_not, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(opened_has_the_schema, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(batches_go_until_the_window_is_full, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(what_comes_within_a_read_is_kept, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_slot_that_is_released_is_used_again, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(only_asked_columns_are_sent, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(what_is_no_batch_is_an_error, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(costs_are_told_before_the_end, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(costs_of_one_request_are_not_the_next_ones, set_up, tear_down),
	    cmocka_unit_test(schemas_are_equal_in_all_that_they_say),
	    cmocka_unit_test(it_ends_soon_after_its_host),
	};
	return cmocka_run_group_tests_name("serve", tests, NULL, NULL);
}
