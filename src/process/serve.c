/* The worker's end: requests, answers, batches. */
#include "process/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "process/os.h"

/* Of free shared memory, what a worker keeps between two reads. */
#define KEEP_BYTES (64u << 20)
/* How long a wait within a READ is deaf for a signal that came just before it. */
#define SLICE_MS 100

/* How long a READ goes on before the host is told again what it costs. */
#define TELL_NS (50 * 1000 * 1000)

/* Longer buffers are not kept for the next frame. */
#define LARGE_BYTES (4u << 20)
#define NUMBER_AT 8 /* in a frame's header */

/* ---- what comes ---- */

static void release_slots(struct bsc__serving *serving, struct bsc__view view)
{
	for (uint32_t n = bsc__get_u32(&view); n > 0 && !view.failed; n--) {
		uint64_t slot = bsc__get_u64(&view);
		if (!view.failed) {
			bsc__arena_release(serving->arena, slot);
		}
	}
}

static void keep(struct bsc__serving *serving, const struct bsc__frame *frame)
{
	size_t begin = bsc__frame_begin(&serving->kept, frame->type, frame->number);
	bsc__put(&serving->kept, frame->payload.ptr, frame->payload.left);
	bsc__frame_end(&serving->kept, begin);
	if (serving->kept.failed) {
		bsc_log_warning("bascule: the host sends more requests than a worker keeps");
		serving->gone = true;
	}
}

/* WINDOW and STOP, if they are of the READ that lasts. */
static bool steer(struct bsc__serving *serving, const struct bsc__frame *frame)
{
	bool its = serving->reads && frame->number == serving->number;
	if (its && frame->type == BSC__STOP) {
		serving->stopped = true;
	} else if (its && frame->type == BSC__WINDOW) {
		struct bsc__view view = frame->payload;
		uint64_t window = bsc__get_u64(&view);
		serving->window = window > serving->window ? window : serving->window;
		serving->taken = bsc__get_u64(&view);
	}
	return its && (frame->type == BSC__STOP || frame->type == BSC__WINDOW);
}

/* Takes what may come at any time. False: it is for later. */
static bool take(struct bsc__serving *serving, const struct bsc__frame *frame)
{
	if (frame->type == BSC__RELEASE) {
		release_slots(serving, frame->payload);
		return true;
	}
	if (frame->type == BSC__QUIT) {
		serving->quits = true;
		return true;
	}
	return steer(serving, frame);
}

/* The next frame of the socket, without waiting; false: there is none. */
static bool receive(struct bsc__serving *serving, struct bsc__frame *frame)
{
	struct bsc_error err;
	enum bsc__channel_state state =
	    serving->gone ? BSC__CHANNEL_CLOSED : bsc__channel_receive(&serving->channel, frame, &err);
	if (state == BSC__CHANNEL_BROKEN) {
		bsc_log_warning(err.message);
	}
	serving->gone = state == BSC__CHANNEL_CLOSED || state == BSC__CHANNEL_BROKEN;
	if (state == BSC__CHANNEL_FRAME && frame->fd >= 0) {
		(void)close(frame->fd);
	}
	return state == BSC__CHANNEL_FRAME;
}

static void drain(struct bsc__serving *serving)
{
	struct bsc__frame frame;
	while (receive(serving, &frame)) {
		if (!take(serving, &frame)) {
			keep(serving, &frame);
		}
	}
}

/* The first of the kept frames, taken off them; false: there is none. */
static bool take_kept(struct bsc__serving *serving, size_t *at, struct bsc__frame *frame)
{
	if (*at == serving->kept.len) {
		return false;
	}
	struct bsc__view view = {serving->kept.ptr + *at, serving->kept.len - *at, false};
	uint32_t length = bsc__get_u32(&view);
	frame->type = bsc__get_u16(&view);
	(void)bsc__get_u16(&view);
	frame->number = bsc__get_u64(&view);
	frame->payload = (struct bsc__view){view.ptr, length, false};
	frame->fd = -1;
	*at += BSC__FRAME_HEADER + (size_t)length;
	return true;
}

/* False: a signal came. */
static bool wait_for(const struct bsc__serving *serving, short events, int timeout_ms)
{
	struct pollfd wait = {serving->channel.fd, events, 0};
	return poll(&wait, 1, timeout_ms) >= 0 || errno != EINTR;
}

static void forget_costs(struct bsc__serving *serving)
{
	atomic_store(&serving->meter.python_ns, 0);
	atomic_store(&serving->meter.ahead_bytes, 0);
	bsc__names_clear(&serving->names);
}

enum bsc__serving_state bsc__serving_receive(struct bsc__serving *serving, struct bsc__frame *frame)
{
	if (serving->kept_at == serving->kept.len) {
		bsc__bytes_clear(&serving->kept);
		serving->kept_at = 0;
		if (serving->kept.cap > LARGE_BYTES) {
			bsc__bytes_release(&serving->kept);
		}
	}
	for (;;) {
		if (serving->quits || serving->gone) {
			return BSC__SERVING_ENDED;
		}
		if (!take_kept(serving, &serving->kept_at, frame) && !receive(serving, frame)) {
			if (!serving->gone && !wait_for(serving, POLLIN, -1)) {
				return BSC__SERVING_INTERRUPTED;
			}
			continue;
		}
		/* One of a READ that has ended is too late. */
		if (!take(serving, frame) && frame->type != BSC__STOP && frame->type != BSC__WINDOW) {
			forget_costs(serving);
			serving->told_ns = 0;
			return BSC__SERVING_GO;
		}
	}
}

/* ---- what goes ---- */

static bool send_bytes(struct bsc__serving *serving, const struct bsc__bytes *bytes, int fd)
{
	size_t at = 0;
	while (at < bytes->len && !serving->gone) {
		ssize_t n = bsc__os_send(serving->channel.fd, bytes->ptr + at, bytes->len - at, fd);
		if (n >= 0) {
			at += (size_t)n;
			fd = -1;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			/* The host may wait for us to read, before it reads. A signal is seen to when the frame is out. */
			(void)wait_for(serving, POLLIN | POLLOUT, -1);
			drain(serving);
		} else {
			serving->gone = true;
		}
	}
	return !serving->gone;
}

/* Sends what is due before, and `bytes`. */
static bool send_frames(struct bsc__serving *serving, const struct bsc__bytes *bytes, int fd)
{
	/* Sending may make more of them: what goes out must not grow meanwhile. */
	struct bsc__bytes before = serving->later;
	bsc__bytes_init(&serving->later, before.max);
	bool good = !bytes->failed;
	if (before.failed) {
		serving->gone = true; /* the host would keep memory for good */
	}
	good = good && send_bytes(serving, &before, -1) && send_bytes(serving, bytes, fd);
	bsc__bytes_release(&before);
	return good;
}

/* What the host was not told yet, as a frame before the next one. */
static void put_costs(struct bsc__serving *serving, struct bsc__bytes *out, uint64_t number)
{
	int64_t python_ns = atomic_load(&serving->meter.python_ns), ahead = atomic_load(&serving->meter.ahead_bytes);
	if (!python_ns && !ahead && !serving->names.n) {
		return;
	}
	size_t begin = bsc__frame_begin(out, BSC__METRICS, number);
	bsc__put_u64(out, (uint64_t)python_ns);
	bsc__put_u64(out, (uint64_t)ahead);
	pthread_mutex_lock(&serving->names.lock);
	bsc__put_u32(out, (uint32_t)serving->names.n);
	for (int64_t i = 0; i < serving->names.n; i++) {
		uint64_t bits;
		memcpy(&bits, &serving->names.items[i].value, sizeof(bits));
		bsc__put_str(out, bsc__str(serving->names.items[i].name));
		bsc__put_u64(out, bits);
	}
	pthread_mutex_unlock(&serving->names.lock);
	bsc__frame_end(out, begin);
	forget_costs(serving);
	serving->told_ns = bsc__now_ns();
}

bool bsc__serving_answer(struct bsc__serving *serving, enum bsc__frame_type type, uint64_t number, const void *payload,
                         size_t len)
{
	bsc__bytes_clear(&serving->out);
	if (type == BSC__END || type == BSC__PLANNED) {
		put_costs(serving, &serving->out, number);
	}
	size_t begin = bsc__frame_begin(&serving->out, type, number);
	bsc__put(&serving->out, payload, len);
	bsc__frame_end(&serving->out, begin);
	bool good = send_frames(serving, &serving->out, -1);
	if (serving->out.cap > LARGE_BYTES) {
		bsc__bytes_release(&serving->out);
	}
	return good;
}

bool bsc__serving_fail(struct bsc__serving *serving, uint64_t number, int status, struct bsc_str message)
{
	bsc__bytes_clear(&serving->out);
	size_t begin = bsc__frame_begin(&serving->out, BSC__FAILED, number);
	bsc__put_u32(&serving->out, (uint32_t)status);
	bsc__put_str(&serving->out, message);
	bsc__frame_end(&serving->out, begin);
	return send_frames(serving, &serving->out, -1);
}

static bool send_segment(void *ctx, uint64_t segment, uint64_t size, int fd)
{
	struct bsc__serving *serving = ctx;
	struct bsc__bytes frame;
	bsc__bytes_init(&frame, 2 * BSC__FRAME_HEADER);
	size_t begin = bsc__frame_begin(&frame, BSC__SEGMENT, segment);
	bsc__put_u64(&frame, size);
	bsc__frame_end(&frame, begin);
	bool good = send_frames(serving, &frame, fd);
	bsc__bytes_release(&frame);
	return good;
}

/* May be called while a frame is half sent. */
static void send_drop(void *ctx, uint64_t segment)
{
	struct bsc__serving *serving = ctx;
	bsc__frame_end(&serving->later, bsc__frame_begin(&serving->later, BSC__DROP, segment));
}

/* ---- schemas ---- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_metadata(const char *a, const char *b)
{
	if (a == b || !a || !b) {
		return a == b;
	}
	int64_t length = bsc__metadata_length(a, INT64_MAX);
	return length == bsc__metadata_length(b, INT64_MAX) && memcmp(a, b, (size_t)length) == 0;
}

bool bsc__schema_equal(const struct ArrowSchema *a, const struct ArrowSchema *b)
{
	bool same = strcmp(a->format, b->format) == 0 && same_text(a->name, b->name) && a->flags == b->flags &&
	            a->n_children == b->n_children && !a->dictionary == !b->dictionary &&
	            same_metadata(a->metadata, b->metadata);
	for (int64_t i = 0; same && i < a->n_children; i++) {
		same = bsc__schema_equal(a->children[i], b->children[i]);
	}
	return same && (!a->dictionary || bsc__schema_equal(a->dictionary, b->dictionary));
}

/* BSC_OK: a schema is whole. subject: "the batch", "the schema". */
static int check_whole(const struct ArrowSchema *schema, const char *subject, enum bsc_status status,
                       struct bsc_error *err)
{
	const char *what = bsc__field_broken(schema);
	if (what) {
		return bsc__fail(err, status, "%s %s", subject, what);
	}
	for (int64_t i = 0; i < schema->n_children; i++) {
		const struct ArrowSchema *child = schema->children[i];
		what = bsc__field_broken_at(child, 1);
		if (what && child && child->release) {
			return bsc__fail(err, status, "column '%.200s' %s. Check the library that made %s's schema",
			                 child->name ? child->name : "", what, subject);
		}
		if (what) {
			return bsc__fail(err, status, "column %lld of %s %s. Check the library that made it", (long long)i + 1,
			                 subject, what);
		}
	}
	what = schema->dictionary ? bsc__field_broken_at(schema->dictionary, 1) : NULL;
	return what ? bsc__fail(err, status, "%s %s", subject, what) : BSC_OK;
}

int bsc__serving_opened(struct bsc__serving *serving, uint64_t number, const struct ArrowSchema *schema,
                        struct bsc_str identity, bool statistics, struct bsc_error *err)
{
	int rc = schema ? check_whole(schema, "the table", BSC_SOURCE, err) : BSC_OK;
	if (rc != BSC_OK) {
		return rc;
	}
	bsc__bytes_clear(&serving->out);
	size_t begin = bsc__frame_begin(&serving->out, BSC__OPENED, number);
	bsc__put_u8(&serving->out, schema != NULL);
	if (schema) {
		bsc__put_schema(&serving->out, schema);
	}
	bsc__put_str(&serving->out, identity);
	bsc__put_u8(&serving->out, statistics);
	bsc__frame_end(&serving->out, begin);
	if (serving->out.failed) {
		return bsc__fail(err, BSC_SOURCE, "the schema is longer than the %u bytes that can be sent", BSC__PAYLOAD_MAX);
	}
	(void)send_frames(serving, &serving->out, -1);
	return BSC_OK;
}

/* ---- a READ ---- */

void bsc__serving_begin(struct bsc__serving *serving, uint64_t number, uint64_t window_bytes,
                        const char *const *columns, size_t n_columns)
{
	serving->reads = true;
	serving->stopped = false;
	serving->number = number;
	serving->window = window_bytes;
	serving->sent = serving->taken = 0;
	serving->columns = columns;
	serving->n_columns = n_columns;
	/* What came for it while it was itself kept; when their turn comes they are too late. */
	struct bsc__frame frame;
	for (size_t at = serving->kept_at; take_kept(serving, &at, &frame);) {
		(void)steer(serving, &frame);
	}
}

enum bsc__serving_state bsc__serving_wait(struct bsc__serving *serving)
{
	drain(serving);
	bool signalled = false, waited = false;
	for (;;) {
		if (serving->gone) {
			return BSC__SERVING_ENDED;
		}
		if (serving->stopped || serving->quits) {
			return BSC__SERVING_STOPPED;
		}
		if (serving->sent < serving->window) {
			return BSC__SERVING_GO;
		}
		if (signalled || waited) {
			return BSC__SERVING_INTERRUPTED;
		}
		signalled = !wait_for(serving, POLLIN, SLICE_MS);
		waited = true;
		drain(serving);
	}
}

static void forget_schema(struct bsc__serving *serving)
{
	if (serving->schema.release) {
		serving->schema.release(&serving->schema);
		serving->schema.release = NULL;
		bsc__layout_release(&serving->layout);
	}
	bsc__free(serving->asked);
	serving->asked = NULL;
}

static bool is_asked(const struct bsc__serving *serving, const char *name)
{
	for (size_t i = 0; i < serving->n_columns; i++) {
		if (strcmp(serving->columns[i], name ? name : "") == 0) {
			return true;
		}
	}
	return false;
}

/* The batches that follow are of another schema. */
static int learn_schema(struct bsc__serving *serving, const struct ArrowSchema *schema, struct bsc_error *err)
{
	forget_schema(serving);
	if (strcmp(schema->format, "+s") != 0) {
		char text[256];
		bsc_schema_describe(schema, text, sizeof(text));
		return bsc__fail(err, BSC_MISMATCH, "expected a record batch (a struct of columns), got %s", text);
	}
	bool *asked = serving->columns ? bsc__calloc((size_t)schema->n_children + 1, sizeof(*asked)) : NULL;
	if (serving->columns && !asked) {
		return bsc__fail_nomem(err, "reading a batch");
	}
	for (int64_t i = 0; asked && i < schema->n_children; i++) {
		asked[i] = is_asked(serving, schema->children[i]->name);
	}
	int rc = bsc__layout_init(&serving->layout, schema, err);
	if (rc == BSC_OK && (rc = bsc_schema_copy(schema, &serving->schema, err)) != BSC_OK) {
		bsc__layout_release(&serving->layout);
	}
	if (rc != BSC_OK) {
		bsc__free(asked);
		return rc;
	}
	serving->asked = asked;
	return BSC_OK;
}

int bsc__serving_batch(struct bsc__serving *serving, const struct ArrowSchema *schema, const struct ArrowArray *array,
                       struct bsc_error *err)
{
	int rc = check_whole(schema, "the batch", BSC_MISMATCH, err);
	bool other = rc == BSC_OK && (!serving->schema.release || !bsc__schema_equal(schema, &serving->schema));
	if (other) {
		rc = learn_schema(serving, schema, err);
	}
	if (rc != BSC_OK) {
		return rc;
	}
	struct bsc__bytes *out = &serving->out;
	struct bsc__slot slot;
	bsc__bytes_clear(out);
	if (bsc__now_ns() - serving->told_ns >= TELL_NS) {
		put_costs(serving, out, serving->number);
	}
	size_t begin = bsc__frame_begin(out, BSC__BATCH, 0);
	bsc__put_u8(out, other);
	if (other) {
		bsc__put_schema(out, schema);
	}
	rc = bsc__layout_write(&serving->layout, array, serving->asked, serving->arena, out, &slot, err);
	if (rc != BSC_OK) {
		return serving->gone ? BSC_OK : rc;
	}
	bsc__frame_end(out, begin);
	if (out->failed) {
		bsc__arena_release(serving->arena, slot.number);
		return bsc__fail(err, BSC_SOURCE, "the description of a batch is longer than the %u bytes that can be sent",
		                 BSC__PAYLOAD_MAX);
	}
	memcpy(out->ptr + begin + NUMBER_AT, &slot.number, sizeof(slot.number));
	serving->sent += slot.size;
	bsc_meter_ahead(&serving->meter, (int64_t)(serving->sent - serving->taken));
	(void)send_frames(serving, out, -1);
	return BSC_OK;
}

void bsc__serving_end(struct bsc__serving *serving)
{
	forget_schema(serving);
	serving->reads = false;
	serving->columns = NULL;
	serving->n_columns = 0;
	bsc__arena_trim(serving->arena, KEEP_BYTES);
}

/* ---- its life ---- */

int bsc__serving_open(struct bsc__serving *serving, int fd, struct bsc_error *err)
{
	*serving = (struct bsc__serving){0};
	const struct bsc__arena_host host = {send_segment, send_drop, serving};
	int rc = bsc__arena_new(&host, &serving->arena, err);
	if (rc != BSC_OK) {
		return rc;
	}
	bsc__bytes_init(&serving->out, (size_t)BSC__PAYLOAD_MAX + BSC__FRAME_HEADER);
	bsc__bytes_init(&serving->later, 1u << 20);
	bsc__bytes_init(&serving->kept, 2 * ((size_t)BSC__PAYLOAD_MAX + BSC__FRAME_HEADER));
	bsc__channel_init(&serving->channel, fd);
	bsc__names_init(&serving->names);
	serving->meter.names = &serving->names;
	return BSC_OK;
}

void bsc__serving_close(struct bsc__serving *serving)
{
	serving->gone = true;
	forget_schema(serving);
	bsc__arena_free(serving->arena);
	serving->arena = NULL;
	bsc__channel_close(&serving->channel);
	bsc__bytes_release(&serving->out);
	bsc__bytes_release(&serving->later);
	bsc__bytes_release(&serving->kept);
	bsc__names_release(&serving->names);
}

/* ---- watching the host ---- */

static int watched = -1;

static void close_in_child(void)
{
	(void)close(watched);
}

static void *watch(void *ctx)
{
	(void)ctx;
	bsc__os_wait_gone(watched);
	/* The main thread, if it sees it too, has this long to close what is open. */
	nanosleep(&(struct timespec){1, 0}, NULL);
	_exit(1);
}

int bsc__serving_watch(int fd, struct bsc_error *err)
{
	pthread_t thread;
	pthread_attr_t attributes;
	sigset_t all, before;
	watched = fd;
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	int code = pthread_atfork(NULL, NULL, close_in_child);
	if (code == 0 && (code = pthread_attr_init(&attributes)) == 0) {
		enum { STACK_BYTES = 128 << 10 };
		(void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
		(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
		/* Signals are the main thread's. */
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		code = pthread_create(&thread, &attributes, watch, NULL);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		(void)pthread_attr_destroy(&attributes);
	}
	return code == 0 ? BSC_OK : bsc__fail(err, BSC_WORKER, "a worker can't watch its host: %s", strerror(code));
}
