/* The worker's side of fake_worker. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create */
#endif
#include "fake_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mock_executor.h"
#include "process/os.h"
#include "process/serve.h"

#define SOCKET 3
#define INSTANCES_MAX 64

struct table {
	uint64_t instance; /* 0: none */
	char script[64];
	char once[512];
	int64_t partitions, batches, rows;
};

struct fake {
	struct bsc__serving serving;
	struct ArrowSchema schema;
	struct table tables[INSTANCES_MAX];
};

static bool plays(const struct table *table, const char *script)
{
	return strcmp(table->script, script) == 0;
}

/* Sends what the host is not to understand, as it is. */
static void send_raw(const void *bytes, size_t len, int fd)
{
	const char *at = bytes;
	while (len > 0) {
		ssize_t n = bsc__os_send(SOCKET, at, len, fd);
		if (n < 0 && errno != EAGAIN) {
			_exit(1);
		}
		if (n < 0) {
			(void)poll(&(struct pollfd){SOCKET, POLLOUT, 0}, 1, -1);
			continue;
		}
		at += n;
		len -= (size_t)n;
		fd = -1;
	}
}

static void send_bytes(struct bsc__bytes *bytes, int fd)
{
	send_raw(bytes->ptr, bytes->len, fd);
	bsc__bytes_release(bytes);
}

static void sleep_for_ever(void)
{
	for (;;) {
		pause();
	}
}

static bool is_first(const char *path)
{
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd >= 0) {
		(void)close(fd);
	}
	return fd >= 0;
}

/* What may go wrong at any step, named "<what>_in_<step>". */
static void misbehave(const struct table *table, const char *step)
{
	char script[64];
	static const char *const what[] = {"dies", "exits", "hangs", "deaf", "garbage", "closes"};
	for (size_t i = 0; i < LENGTH(what); i++) {
		snprintf(script, sizeof(script), "%s_in_%s", what[i], step);
		if (!plays(table, script)) {
			continue;
		}
		switch (i) {
		case 0:
			(void)raise(SIGKILL);
			break;
		case 1:
			_exit(3);
		case 2:
			sleep_for_ever();
			break;
		case 3:
			(void)signal(SIGINT, SIG_IGN);
			sleep_for_ever();
			break;
		case 4:
			send_raw("\xff\xff\xff\xffgarbage garbage garbage", 27, -1);
			sleep_for_ever();
			break;
		default:
			(void)shutdown(SOCKET, SHUT_RDWR);
			sleep_for_ever();
			break;
		}
	}
}

static bool say_hello(void)
{
	const char *how = getenv("FAKE_WORKER");
	how = how ? how : "";
	if (strcmp(how, "says_nothing") == 0) {
		printf("still thinking\n");
		fflush(stdout);
		sleep_for_ever();
	}
	if (strcmp(how, "no_module") == 0) {
		fprintf(stderr, "No module named bascule\n");
		return false;
	}
	if (strcmp(how, "garbage") == 0) {
		send_raw("HTTP/1.1 200 OK\r\n\r\n", 19, -1);
		sleep_for_ever();
	}
	if (strcmp(how, "closes_stdout") == 0) {
		(void)close(STDOUT_FILENO);
		(void)close(STDERR_FILENO);
	}
	struct bsc__bytes out;
	bsc__bytes_init(&out, 1024);
	bool segment = strcmp(how, "segment_first") == 0;
	size_t begin = bsc__frame_begin(&out, segment ? BSC__SEGMENT : BSC__HELLO, (uint64_t)getpid());
	bsc__put_u32(&out, BSC__PROTOCOL_VERSION);
	bsc__put_str(&out, bsc__str(strcmp(how, "wrong_version") == 0 ? "9.9" : BSC_VERSION));
	bsc__put_str(&out, bsc__str("fake 1.0"));
	bsc__frame_end(&out, begin);
	send_bytes(&out, segment ? STDERR_FILENO : -1);
	return true;
}

static struct table *find(struct fake *fake, uint64_t instance)
{
	for (size_t i = 0; i < INSTANCES_MAX; i++) {
		if (fake->tables[i].instance == instance) {
			return &fake->tables[i];
		}
	}
	return NULL;
}

static void refuse(struct fake *fake, uint64_t number, int status, const char *message)
{
	(void)bsc__serving_fail(&fake->serving, number, status, bsc__str(message));
}

static void copy_str(char *to, size_t cap, struct bsc_str from)
{
	snprintf(to, cap, "%.*s", BSC__ARG(from));
}

/* Said when it is opened, answered when it is asked. */
static bool has_statistics(const struct table *table)
{
	return strstr(table->script, "_in_statistics") || plays(table, "statistics") || plays(table, "counts_below_0");
}

static void do_open(struct fake *fake, struct bsc__frame frame)
{
	struct bsc__view *in = &frame.payload;
	struct table table = {.instance = bsc__get_u64(in), .partitions = 1, .batches = 1, .rows = 1};
	bool infer = bsc__get_u8(in);
	(void)bsc__get_u8(in);
	(void)bsc__get_str(in, 4096);
	(void)bsc__get_u8(in);
	copy_str(table.script, sizeof(table.script), bsc__get_str(in, 4096));
	(void)bsc__get_str(in, 4096);
	for (uint32_t n = bsc__get_u32(in); n > 0; n--) {
		struct bsc_str name = bsc__get_str(in, 4096), value = bsc__get_str(in, 1 << 20);
		char text[512];
		copy_str(text, sizeof(text), value);
		int64_t *number = bsc__str_equal(name, bsc__str("partitions")) ? &table.partitions
		                  : bsc__str_equal(name, bsc__str("batches"))  ? &table.batches
		                  : bsc__str_equal(name, bsc__str("rows"))     ? &table.rows
		                                                               : NULL;
		if (number) {
			*number = atoll(text);
		} else if (bsc__str_equal(name, bsc__str("once"))) {
			copy_str(table.once, sizeof(table.once), value);
		}
	}
	misbehave(&table, "open");
	if (plays(&table, "fails_in_open") || (plays(&table, "fails_in_second_open") && !infer)) {
		refuse(fake, frame.number, BSC_NOT_FOUND, "fake: no such table");
		return;
	}
	struct table *place = find(fake, table.instance);
	place = place ? place : find(fake, 0);
	if (!place) {
		refuse(fake, frame.number, BSC_SOURCE, "fake: too many instances");
		return;
	}
	*place = table;
	struct bsc_error err;
	if (bsc__serving_opened(&fake->serving, frame.number, infer ? &fake->schema : NULL, bsc__str(""),
	                        has_statistics(&table), &err) != BSC_OK) {
		refuse(fake, frame.number, err.status, err.message);
	}
}

#define COLUMNS_MAX 8

/* The columns that hints name. The rest of them is passed over. */
static uint32_t get_hints(struct bsc__view *view, char names[COLUMNS_MAX][32])
{
	uint32_t n = bsc__get_u8(view) ? bsc__get_u32(view) : 0;
	for (uint32_t i = 0; i < n && i < COLUMNS_MAX; i++) {
		copy_str(names[i], sizeof(names[i]), bsc__get_str(view, 4096));
	}
	(void)bsc__get_str(view, 1 << 20); /* filters */
	(void)bsc__get_u8(view);           /* limit */
	(void)bsc__get_i64(view);
	return n;
}

static void do_plan(struct fake *fake, struct bsc__frame frame)
{
	const struct table *table = find(fake, bsc__get_u64(&frame.payload));
	if (!table) {
		refuse(fake, frame.number, BSC_SOURCE, "fake: no such instance");
		return;
	}
	misbehave(table, "plan");
	char micro_batch[64] = "", names[COLUMNS_MAX][32];
	(void)bsc__get_u64(&frame.payload); /* plan */
	(void)get_hints(&frame.payload, names);
	struct bsc_str start = bsc__get_str(&frame.payload, 32), end = bsc__get_str(&frame.payload, 32);
	if (start.len) {
		snprintf(micro_batch, sizeof(micro_batch), "%.*s..%.*s", BSC__ARG(start), BSC__ARG(end));
	}
	if (plays(table, "fails_in_plan")) {
		refuse(fake, frame.number, BSC_SOURCE, "fake: can't plan");
		return;
	}
	bool endless = plays(table, "endless_specs");
	for (int64_t i = 0; endless || i < table->partitions;) {
		enum { AT_ONCE = 4096 };
		struct bsc__bytes out;
		int64_t n = table->partitions - i < AT_ONCE && !endless ? table->partitions - i : AT_ONCE;
		bsc__bytes_init(&out, 1 << 20);
		bsc__put_u32(&out, (uint32_t)n);
		for (int64_t k = 0; k < n; k++, i++) {
			char spec[32];
			snprintf(spec, sizeof(spec), "%lld", (long long)i);
			bsc__put_str(&out, bsc__str(endless ? "" : spec));
		}
		for (int64_t k = 0; k < n && !plays(table, "specs_without_rows"); k++) {
			bsc__put_i64(&out, table->batches * table->rows);
		}
		bool sent = bsc__serving_answer(&fake->serving, BSC__SPECS, frame.number, out.ptr, out.len);
		bsc__bytes_release(&out);
		if (!sent) {
			return;
		}
	}
	struct bsc__bytes out;
	bsc__bytes_init(&out, 1024);
	bsc__put_i64(&out, table->partitions + plays(table, "miscounts"));
	bsc__put_i64(&out, plays(table, "prunes")                  ? 3
	                   : plays(table, "prunes_less_than_none") ? -1
	                   : plays(table, "prunes_beyond_numbers") ? INT64_MAX
	                                                           : 0);
	bsc__put_u8(&out, plays(table, "knows_rows"));
	bsc__put_str(&out, bsc__str(plays(table, "prunes")           ? "n > 1"
	                            : plays(table, "pushes_no_text") ? "n > \xff"
	                                                             : micro_batch));
	(void)bsc_meter_report(&fake->serving.meter, bsc__str("plans"), 1);
	bsc_meter_time(&fake->serving.meter, 1000, 0);
	(void)bsc__serving_answer(&fake->serving, BSC__PLANNED, frame.number, out.ptr, out.len);
	bsc__bytes_release(&out);
}

static void do_statistics(struct fake *fake, struct bsc__frame frame)
{
	const struct table *table = find(fake, bsc__get_u64(&frame.payload));
	struct bsc__bytes out;
	if (table) {
		misbehave(table, "statistics");
	}
	bsc__bytes_init(&out, 64);
	bsc__put_u8(&out, table != NULL);
	bsc__put_i64(&out,
	             !table || plays(table, "counts_below_0") ? -1 : table->partitions * table->batches * table->rows);
	bsc__put_i64(&out, -7);
	bsc__put_u8(&out, true);
	(void)bsc__serving_answer(&fake->serving, BSC__COUNTED, frame.number, out.ptr, out.len);
	bsc__bytes_release(&out);
}

/* Claims the first of the predicates. */
static void do_claim(struct fake *fake, struct bsc__frame frame)
{
	const struct table *table = find(fake, bsc__get_u64(&frame.payload));
	struct bsc_str filters = bsc__get_str(&frame.payload, 1 << 20);
	if (table) {
		misbehave(table, "claim");
	}
	struct bsc__view view = {(const uint8_t *)filters.ptr, filters.len, false};
	uint32_t n = bsc__get_u32(&view) + (table && plays(table, "miscounts_claims"));
	struct bsc__bytes out;
	bsc__bytes_init(&out, 1 << 20);
	bsc__put_u32(&out, n);
	for (uint32_t i = 0; i < n; i++) {
		bsc__put_u8(&out, i == 0);
	}
	(void)bsc__serving_answer(&fake->serving, BSC__CLAIMED, frame.number, out.ptr, out.len);
	bsc__bytes_release(&out);
}

/* The question's number, start and end: "1: a..b". */
static void do_offset(struct fake *fake, struct bsc__frame frame)
{
	const struct table *table = find(fake, bsc__get_u64(&frame.payload));
	uint8_t question = bsc__get_u8(&frame.payload);
	struct bsc_str start = bsc__get_str(&frame.payload, 1 << 20), end = bsc__get_str(&frame.payload, 1 << 20);
	char text[128];
	snprintf(text, sizeof(text), "%d: %.*s..%.*s", question, BSC__ARG(start), BSC__ARG(end));
	struct bsc_str answer = question == BSC_OFFSET_COMMIT ? bsc__str("") : bsc__str(text);
	if (table) {
		misbehave(table, "offset");
		answer = plays(table, "offsets_no_text") ? bsc__str("\xff")
		         : plays(table, "offsets_a_nul") ? (struct bsc_str){"a\0b", 3}
		         : plays(table, "offsets_none")  ? bsc__str("")
		         : plays(table, "offsets_all")   ? bsc__str(text)
		                                         : answer;
	}
	struct bsc__bytes out;
	bsc__bytes_init(&out, 1024);
	bsc__put_str(&out, answer);
	(void)bsc__serving_answer(&fake->serving, BSC__LOCATED, frame.number, out.ptr,
	                          table && plays(table, "offsets_short") ? 2 : out.len);
	bsc__bytes_release(&out);
}

/* ---- batches that lie ---- */

/* A segment of a page. how: what is wrong with it. */
static void send_segment(uint64_t number, const char *how)
{
	enum { SIZE = 4096 };
	struct bsc__bytes out;
	struct bsc_error err;
	void *ptr = NULL;
	int fd = -1;
	if (strcmp(how, "unsealed_segment") == 0) {
		fd = memfd_create("fake", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		(void)!ftruncate(fd, SIZE);
	} else if (strcmp(how, "short_segment") == 0) {
		(void)!bsc__os_memory_new(SIZE / 2, &fd, &ptr, &err);
	} else if (strcmp(how, "segment_without_descriptor") != 0) {
		(void)!bsc__os_memory_new(SIZE, &fd, &ptr, &err);
	}
	bsc__bytes_init(&out, 1024);
	size_t begin = bsc__frame_begin(&out, BSC__SEGMENT, number);
	bsc__put_u64(&out, SIZE);
	bsc__frame_end(&out, begin);
	send_bytes(&out, fd);
}

static void put_node(struct bsc__bytes *out, int64_t length, uint64_t offset, int n_buffers)
{
	bsc__put_u8(out, 0);
	bsc__put_i64(out, length);
	bsc__put_i64(out, 0);
	bsc__put_i64(out, 0);
	bsc__put_u32(out, (uint32_t)n_buffers);
	for (int i = 0; i < n_buffers; i++) {
		bsc__put_u64(out, i ? 1000 : 0);
		bsc__put_u64(out, i ? offset : 0);
		bsc__put_u64(out, i ? 64 : 0);
	}
}

static void send_lie(struct fake *fake, const struct table *table)
{
	struct bsc__bytes out;
	if (!plays(table, "batch_without_schema")) {
		send_segment(1000, table->script);
	}
	bsc__bytes_init(&out, 64 << 10);
	size_t begin = bsc__frame_begin(&out, BSC__BATCH, 1000000);
	bsc__put_u8(&out, !plays(table, "batch_without_schema"));
	if (plays(table, "broken_schema")) {
		bsc__put(&out, "\xff\xff\xff\xff", 4);
	} else {
		bsc__put_schema(&out, &fake->schema);
	}
	put_node(&out, 8, 0, 1);
	put_node(&out, 8, plays(table, "bad_offset") ? 4096 : 0, 2);
	put_node(&out, 8, 0, plays(table, "bad_buffers") ? 2 : 3);
	bsc__frame_end(&out, begin);
	send_bytes(&out, -1);
	sleep_for_ever();
}

static void flood(const struct table *table)
{
	struct bsc__bytes out;
	if (plays(table, "floods_output")) {
		for (;;) {
			printf("spam spam spam\n");
		}
	}
	bsc__bytes_init(&out, 1 << 20);
	for (int i = 0; i < 4096; i++) {
		bsc__frame_end(&out, bsc__frame_begin(&out, plays(table, "floods") ? BSC__DROP : BSC__BATCH, (uint64_t)i));
	}
	for (;;) {
		send_raw(out.ptr, out.len, -1);
	}
}

/* ---- reading ---- */

static bool is_lie(const struct table *table)
{
	static const char *const scripts[] = {
	    "unsealed_segment", "short_segment", "segment_without_descriptor", "batch_without_schema", "broken_schema",
	    "bad_offset",       "bad_buffers",
	};
	for (size_t i = 0; i < LENGTH(scripts); i++) {
		if (plays(table, scripts[i])) {
			return true;
		}
	}
	return false;
}

/* Whether the answer is END. */
static bool send_batches(struct fake *fake, const struct table *table, int64_t partition, uint64_t number)
{
	struct bsc_error err;
	bool endless = plays(table, "endless");
	for (int64_t i = 0; endless || i < table->batches; i++) {
		if (i == 1) {
			misbehave(table, "batch");
			if (plays(table, "fails_in_batch")) {
				refuse(fake, number, BSC_SOURCE, "fake: the server went away");
				return false;
			}
			if (plays(table, "floods") || plays(table, "floods_batches") || plays(table, "floods_output")) {
				flood(table);
			}
		}
		if (plays(table, "slow")) {
			usleep(50000);
		}
		enum bsc__serving_state state;
		while ((state = bsc__serving_wait(&fake->serving)) == BSC__SERVING_INTERRUPTED) {
		}
		if (state != BSC__SERVING_GO) {
			return true;
		}
		struct ArrowArray array;
		mock_array_init(&array, &fake->schema, partition * FAKE_STRIDE + i * table->rows, table->rows);
		int rc = bsc__serving_batch(&fake->serving, &fake->schema, &array, &err);
		array.release(&array);
		if (rc != BSC_OK) {
			refuse(fake, number, rc, err.message);
			return false;
		}
	}
	return true;
}

static void do_read(struct fake *fake, struct bsc__frame frame)
{
	const struct table *table = find(fake, bsc__get_u64(&frame.payload));
	int64_t partition = bsc__get_i64(&frame.payload);
	(void)bsc__get_i64(&frame.payload);
	uint64_t window = bsc__get_u64(&frame.payload);
	char names[COLUMNS_MAX][32];
	const char *columns[COLUMNS_MAX];
	uint32_t n_columns = get_hints(&frame.payload, names);
	for (uint32_t i = 0; i < n_columns && i < COLUMNS_MAX; i++) {
		columns[i] = names[i];
	}
	char spec[32];
	copy_str(spec, sizeof(spec), bsc__get_str(&frame.payload, 4096));
	if (!table) {
		refuse(fake, frame.number, BSC_SOURCE, "fake: no such instance");
		return;
	}
	if (atoll(spec) != partition) {
		refuse(fake, frame.number, BSC_SOURCE, "fake: another partition's spec");
		return;
	}
	misbehave(table, "read");
	if (plays(table, "prints")) {
		printf("reading %s\nand an end without a newline", spec);
		fflush(stdout);
	}
	if (plays(table, "fails_in_read") || (table->once[0] && is_first(table->once))) {
		refuse(fake, frame.number, BSC_SOURCE, "fake: can't read");
		return;
	}
	if (is_lie(table)) {
		send_lie(fake, table);
	}
	if (plays(table, "answers_another")) {
		int64_t none = 0;
		(void)bsc__serving_answer(&fake->serving, BSC__PLANNED, frame.number, &none, sizeof(none));
		sleep_for_ever();
	}
	bsc__serving_begin(&fake->serving, frame.number, window, n_columns ? columns : NULL, n_columns);
	bool ended = send_batches(fake, table, partition, frame.number);
	bsc__serving_end(&fake->serving);
	if (ended) {
		(void)bsc__serving_answer(&fake->serving, BSC__END, frame.number, NULL, 0);
	}
}

static void serve(struct fake *fake)
{
	struct bsc__frame frame;
	for (;;) {
		enum bsc__serving_state state = bsc__serving_receive(&fake->serving, &frame);
		if (state == BSC__SERVING_ENDED) {
			return;
		}
		if (state != BSC__SERVING_GO) {
			continue;
		}
		struct table *table;
		switch (frame.type) {
		case BSC__OPEN:
			do_open(fake, frame);
			break;
		case BSC__PLAN:
			do_plan(fake, frame);
			break;
		case BSC__READ:
			do_read(fake, frame);
			break;
		case BSC__STATISTICS:
			do_statistics(fake, frame);
			break;
		case BSC__CLAIM:
			do_claim(fake, frame);
			break;
		case BSC__OFFSET:
			do_offset(fake, frame);
			break;
		case BSC__CLOSE:
			table = find(fake, frame.number);
			if (table) {
				*table = (struct table){0};
			}
			(void)bsc__serving_answer(&fake->serving, BSC__CLOSED, frame.number, NULL, 0);
			break;
		default:
			break;
		}
	}
}

int fake_worker(void)
{
	static const struct mock_column columns[] = {{"n", "l", true}, {"t", "u", false}};
	static struct fake fake;
	struct bsc_error err;
	if (!say_hello()) {
		return 1;
	}
	mock_schema_init(&fake.schema, columns, LENGTH(columns));
	if (bsc__serving_open(&fake.serving, SOCKET, &err) != BSC_OK || bsc__serving_watch(SOCKET, &err) != BSC_OK) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	serve(&fake);
	bsc__serving_close(&fake.serving);
	fake.schema.release(&fake.schema);
	return 0;
}
