/* One worker process, as its host sees it: started, spoken to, mourned. */
#include "process/worker.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "process/os.h"
#include "process/prints.h"
#include "process/surroundings.h"

#ifndef BSC_VERSION
#error "the build says the version"
#endif

/* How long a new worker may take to say HELLO, and any worker to take what is sent to it. */
#define START_TIMEOUT_MS 60000
#define SEND_TIMEOUT_MS 10000
/* Freed bytes that are told at once; fewer wait for the next frame. */
#define RELEASE_BYTES (1 << 20)
/* The most of it: slots that a dead worker's engine still frees are not told. */
#define RELEASES_MAX (8u << 20)
/* Of the words on a memory limit. */
#define LIMIT_CAP 96

/* ---- its life ---- */

void bsc__worker_ref(struct bsc__worker *worker)
{
	atomic_fetch_add(&worker->refs, 1);
}

static void close_files(struct bsc__worker *worker)
{
	for (int *fd = (int[]){worker->output, worker->crash, -2}; *fd != -2; fd++) {
		if (*fd >= 0) {
			(void)close(*fd);
		}
	}
	worker->output = worker->crash = -1;
}

void bsc__worker_unref(struct bsc__worker *worker)
{
	if (atomic_fetch_sub(&worker->refs, 1) != 1) {
		return;
	}
	if (!worker->foreign) {
		bsc__channel_close(&worker->channel);
	}
	close_files(worker);
	bsc__segments_release(&worker->segments);
	bsc__bytes_release(&worker->releases);
	bsc__bytes_release(&worker->rest);
	bsc__pool_key_release(&worker->key);
	pthread_mutex_destroy(&worker->lock);
	bsc__free(worker->instances);
	bsc__free(worker);
}

bool bsc__worker_reap(struct bsc__worker *worker, int timeout_ms)
{
	enum { SLICE_MS = 5 };
	for (int64_t until = bsc__now_ms() + timeout_ms;;) {
		/* The pool's thread, with all other workers behind it, may want the lock. */
		pthread_mutex_lock(&worker->lock);
		worker->reaped = worker->reaped || bsc__os_reap(worker->pid, worker->how, sizeof(worker->how));
		bool reaped = worker->reaped;
		pthread_mutex_unlock(&worker->lock);
		if (reaped || bsc__now_ms() >= until) {
			return reaped;
		}
		nanosleep(&(struct timespec){0, SLICE_MS * 1000000L}, NULL);
	}
}

/* How it ended, after a while. */
static const char *await_end(struct bsc__worker *worker, int timeout_ms, char how[sizeof(worker->how)])
{
	if (!bsc__worker_reap(worker, timeout_ms)) {
		return "closed its channel";
	}
	pthread_mutex_lock(&worker->lock);
	memcpy(how, worker->how, sizeof(worker->how));
	pthread_mutex_unlock(&worker->lock);
	return how;
}

void bsc__worker_close(struct bsc__worker *worker)
{
	bsc__channel_close(&worker->channel);
	bsc__segments_release(&worker->segments);
	pthread_mutex_lock(&worker->lock);
	close_files(worker);
	pthread_mutex_unlock(&worker->lock);
}

void bsc__worker_signal(struct bsc__worker *worker, int number)
{
	pthread_mutex_lock(&worker->lock);
	if (!worker->reaped && worker->pid > 0) {
		(void)kill(worker->pid, number);
	}
	pthread_mutex_unlock(&worker->lock);
}

/* ---- its death ---- */

/* What faulthandler wrote: which Python line it was in. */
static size_t read_crash(struct bsc__worker *worker, char *text, size_t cap)
{
	ssize_t n = worker->crash < 0 ? 0 : pread(worker->crash, text, cap - 1, 0);
	n = n < 0 ? 0 : n;
	while (n > 0 && text[n - 1] == '\n') {
		n--;
	}
	text[n] = '\0';
	return (size_t)n;
}

/* What may be why it ended. */
static const char *describe_limit(const struct bsc__worker *worker, char text[LIMIT_CAP])
{
	static const struct {
		int64_t bytes;
		const char *name;
	} units[] = {{1 << 30, "GiB"}, {1000000000, "GB"}, {1 << 20, "MiB"}, {1000000, "MB"}, {1, "bytes"}};
	int64_t bytes = worker->key.memory_bytes;
	text[0] = '\0';
	if (bytes > 0 && !worker->foreign) {
		size_t i = 0;
		while (bytes % units[i].bytes) {
			i++;
		}
		snprintf(text, LIMIT_CAP, " (its memory is limited: bascule_worker_memory = %lld %s)",
		         (long long)(bytes / units[i].bytes), units[i].name);
	}
	return text;
}

int bsc__worker_died(struct bsc__worker *worker, const char *doing, struct bsc_error *err)
{
	enum { DEATH_TIMEOUT_MS = 2000 };
	char trace[4096];
	char how[sizeof(worker->how)], limit[LIMIT_CAP];
	const char *end = await_end(worker, DEATH_TIMEOUT_MS, how);
	size_t n = read_crash(worker, trace, sizeof(trace));
	return bsc__fail(err, BSC_WORKER, "%s: the worker process %d %s%s. This query fails, others and the host go on%s%s",
	                 doing, (int)worker->pid, end, describe_limit(worker, limit),
	                 n ? ". Its last Python frames:\n" : "", trace);
}

/* ---- its start ---- */

static int fail_start(struct bsc__worker *worker, const char *doing, struct bsc__told *told, struct bsc_error *err)
{
	char how[sizeof(worker->how)], limit[LIMIT_CAP];
	const char *end = await_end(worker, 1000, how);
	bsc__prints_listen(worker, told);
	while (told->len > 0 && told->text[told->len - 1] == '\n') {
		told->text[--told->len] = '\0';
	}
	return bsc__fail(
	    err, BSC_WORKER,
	    "%s: no worker process could be started with the interpreter %s: it %s%s%s%s\nWorkers need Python 3.11 "
	    "or newer with bascule %s: %s -m pip install bascule==%s; another interpreter is named by "
	    "bascule_python or the environment variable BASCULE_PYTHON",
	    doing, worker->key.python, end, describe_limit(worker, limit), told->len ? ", saying:\n" : "", told->text,
	    BSC_VERSION, worker->key.python, BSC_VERSION);
}

static int check_hello(const struct bsc__worker *worker, struct bsc__frame *frame, const char *doing,
                       struct bsc_error *err)
{
	uint32_t protocol = bsc__get_u32(&frame->payload);
	struct bsc_str version = bsc__get_str(&frame->payload, 64), python = bsc__get_str(&frame->payload, 1024);
	if (frame->type != BSC__HELLO || frame->payload.failed) {
		return bsc__fail(err, BSC_WORKER,
		                 "%s: what %s started as a worker process is none: its first frame is of type %d", doing,
		                 worker->key.python, (int)frame->type);
	}
	if (protocol != BSC__PROTOCOL_VERSION || !bsc__str_equal(version, bsc__str(BSC_VERSION))) {
		return bsc__fail(
		    err, BSC_WORKER,
		    "%s: the interpreter %s (%.*s) has bascule %.*s (protocol %u), and this host has %s (protocol %d): they "
		    "must be the same. "
		    "Run %s -m pip install bascule==%s, or name another interpreter by bascule_python",
		    doing, worker->key.python, BSC__ARG(python), BSC__ARG(version), protocol, BSC_VERSION,
		    BSC__PROTOCOL_VERSION, worker->key.python, BSC_VERSION);
	}
	return BSC_OK;
}

/* Waits for HELLO. */
static int await_hello(struct bsc__worker *worker, const char *doing, const struct bsc__wait *wait,
                       struct bsc_error *err)
{
	enum { SLICE_MS = 20 };
	struct bsc__told told = {.len = 0};
	struct bsc__frame frame;
	struct bsc_error why;
	int64_t begun = bsc__now_ms(), most = wait->timeout_ms ? wait->timeout_ms : START_TIMEOUT_MS;
	struct bsc__waiting waiting = {0};
	int rc = -1;
	while (rc == -1) {
		bsc__prints_listen(worker, &told);
		switch (bsc__channel_receive(&worker->channel, &frame, &why)) {
		case BSC__CHANNEL_FRAME:
			rc = check_hello(worker, &frame, doing, err);
			if (frame.fd >= 0) {
				(void)close(frame.fd);
			}
			break;
		case BSC__CHANNEL_BROKEN:
			rc = why.status == BSC_NOMEM
			         ? bsc__fail_nomem(err, "receiving from a worker")
			         : bsc__fail(err, BSC_WORKER, "%s: what %s started as a worker process is none: %.1000s", doing,
			                     worker->key.python, why.message);
			break;
		case BSC__CHANNEL_CLOSED:
			rc = fail_start(worker, doing, &told, err);
			break;
		case BSC__CHANNEL_EMPTY:
			bsc__waiting_begin(&waiting);
			if (bsc__wait_unwanted(wait)) {
				waiting.interrupted = true;
				rc = bsc__fail(err, BSC_CANCELLED, "%s: cancelled while a worker process was started", doing);
			} else if (bsc__now_ms() - begun > most) {
				rc = bsc__fail(err, BSC_WORKER,
				               "%s: the worker process that %s started did not answer within %lld s%s%s", doing,
				               worker->key.python, (long long)(most / 1000), told.len ? ", saying:\n" : "", told.text);
			} else {
				bsc__channel_wait(&worker->channel, SLICE_MS);
			}
			break;
		}
	}
	bsc__waiting_end(&waiting);
	if (rc == BSC_OK) {
		bsc__prints_told(worker, &told);
	}
	return rc;
}

static int send_setup(struct bsc__worker *worker, struct bsc_error *err)
{
	struct bsc__bytes out;
	bsc__bytes_init(&out, BSC__PAYLOAD_MAX);
	bsc__surroundings_put(&out, &worker->surroundings, worker->key.has_path, (uint64_t)worker->key.memory_bytes,
	                      worker->crash >= 0);
	int rc = BSC_OK;
	if (out.failed) {
		rc = bsc__fail_nomem(err, "starting a worker process");
	} else if (!bsc__channel_send(&worker->channel, out.ptr, out.len, -1, SEND_TIMEOUT_MS)) {
		rc = bsc__worker_died(worker, worker->label, err);
	}
	bsc__bytes_release(&out);
	return rc;
}

int bsc__worker_spawn(struct bsc__worker *worker, struct bsc_error *err)
{
	int sockets[2] = {-1, -1}, pipe_ends[2] = {-1, -1};
	/* -P: a file of the working directory named as a module of ours must not be taken for it. */
	const char *argv[] = {worker->key.python, "-P", "-m", "bascule.worker", NULL};
	struct bsc_error why;
	int rc = bsc__os_socket_pair(sockets, &why);
	if (rc == BSC_OK) {
		rc = bsc__os_pipe(pipe_ends, &why);
	}
	if (rc == BSC_OK) {
		worker->crash = bsc__os_crash_file();
		struct bsc__os_child child = {argv, sockets[1], worker->crash, pipe_ends[1]};
		rc = bsc__os_spawn(&child, &worker->pid, &why);
	}
	for (int *fd = (int[]){sockets[1], pipe_ends[1], -2}; *fd != -2; fd++) {
		if (*fd >= 0) {
			(void)close(*fd);
		}
	}
	worker->output = pipe_ends[0];
	if (sockets[0] >= 0) {
		(void)close(worker->channel.fd);
		bsc__channel_init(&worker->channel, sockets[0]);
	}
	if (rc == BSC_OK) {
		worker->reaped = false;
		return BSC_OK;
	}
	return bsc__fail(err, rc, "%s: %s", worker->label, why.message);
}

int bsc__worker_new(const struct bsc__pool_key *key, const char *label, struct bsc__worker **out, struct bsc_error *err)
{
	*out = NULL;
	struct bsc__worker *worker = bsc__calloc(1, sizeof(*worker));
	if (!worker) {
		return bsc__fail_nomem(err, "starting a worker process");
	}
	worker->refs = 1;
	worker->reaped = true; /* there is nothing to reap */
	worker->output = worker->crash = -1;
	pthread_mutex_init(&worker->lock, NULL);
	bsc__channel_init(&worker->channel, -1);
	bsc__bytes_init(&worker->releases, RELEASES_MAX);
	bsc__bytes_init(&worker->rest, 2 * BSC__PRINTS_REST_BYTES);
	snprintf(worker->label, sizeof(worker->label), "%s", label);
	int rc = bsc__pool_key_copy(key, &worker->key, err);
	if (rc != BSC_OK) {
		bsc__worker_unref(worker);
		return rc;
	}
	*out = worker;
	return BSC_OK;
}

int bsc__worker_greet(struct bsc__worker *worker, const struct bsc__wait *wait, struct bsc_error *err)
{
	int rc = await_hello(worker, worker->label, wait, err);
	if (rc == BSC_OK) {
		rc = send_setup(worker, err);
	}
	if (rc != BSC_OK) {
		bsc__worker_signal(worker, SIGKILL);
		(void)bsc__worker_reap(worker, 1000);
	}
	return rc;
}

/* ---- frames ---- */

int bsc__worker_take_memory(struct bsc__worker *worker, struct bsc__frame *frame, struct bsc_error *err)
{
	if (frame->type == BSC__DROP) {
		bsc__segments_drop(&worker->segments, frame->number);
		return BSC_OK;
	}
	uint64_t size = bsc__get_u64(&frame->payload);
	int rc = frame->payload.failed ? bsc__fail(err, BSC_MALFORMED, "a SEGMENT frame without its size")
	                               : bsc__segments_add(&worker->segments, frame->number, size, frame->fd, err);
	(void)close(frame->fd);
	return rc;
}

static int broken(const struct bsc__worker *worker, const char *doing, const struct bsc_error *why,
                  struct bsc_error *err)
{
	if (why->status == BSC_NOMEM) {
		return bsc__fail(err, BSC_NOMEM, "%s", why->message);
	}
	return bsc__fail(err, BSC_WORKER, "%s: the worker process %d broke the protocol and was killed: %.1000s", doing,
	                 (int)worker->pid, why->message);
}

static bool timed_out(const struct bsc__wait *wait, int64_t begun)
{
	return wait->timeout_ms && bsc__now_ms() - begun >= wait->timeout_ms;
}

int bsc__pool_next_frame(struct bsc__worker *worker, const struct bsc__wait *wait, const char *doing,
                         struct bsc__frame *frame, struct bsc_error *err)
{
	enum { SLICE_MS = 50, FRAMES_UNASKED = 256 };
	struct bsc__waiting waiting = {0};
	int n_frames = 0;
	struct bsc_error why;
	int64_t begun = 0;
	int rc = -1;
	if (worker->foreign) {
		/* What it sent before the fork lies where the parent's reads go on. */
		return bsc__worker_died(worker, doing, err);
	}
	while (rc == -1) {
		switch (bsc__channel_receive(&worker->channel, frame, &why)) {
		case BSC__CHANNEL_FRAME:
			if (frame->type == BSC__SEGMENT || frame->type == BSC__DROP) {
				bool good = bsc__worker_take_memory(worker, frame, &why) == BSC_OK;
				rc = good ? -1 : broken(worker, doing, &why, err);
			} else if (frame->type == BSC__CLOSED) {
				bsc__pool_closed(worker, frame->number);
			} else {
				rc = BSC_OK;
			}
			/* One that floods never lets it come to a wait. */
			if (rc == -1 && ++n_frames % FRAMES_UNASKED == 0 && bsc__wait_unwanted(wait)) {
				rc = bsc__fail(err, BSC_CANCELLED, "%s: cancelled while it ran in a worker process", doing);
			}
			break;
		case BSC__CHANNEL_BROKEN:
			rc = broken(worker, doing, &why, err);
			break;
		case BSC__CHANNEL_CLOSED:
			rc = bsc__worker_died(worker, doing, err);
			break;
		case BSC__CHANNEL_EMPTY:
			begun = begun ? begun : bsc__now_ms();
			bsc__waiting_begin(&waiting);
			if (bsc__wait_unwanted(wait)) {
				waiting.interrupted = true;
				rc = bsc__fail(err, BSC_CANCELLED, "%s: cancelled while it ran in a worker process", doing);
			} else if (timed_out(wait, begun)) {
				rc =
				    bsc__fail(err, BSC_WORKER,
					          "%s: the worker process %d did not answer within %.3g s (bascule_timeout) and was killed",
					          doing, (int)worker->pid, (double)wait->timeout_ms / 1000);
			} else {
				bsc__channel_wait(&worker->channel, SLICE_MS);
			}
			break;
		}
	}
	bsc__waiting_end(&waiting);
	return rc;
}

/* With worker->lock held: the frame that tells of freed slots, at the end of `out`. */
static void put_releases(struct bsc__worker *worker, struct bsc__bytes *out)
{
	size_t len = worker->releases.len, before = out->len;
	if (len && !out->failed) {
		size_t begin = bsc__frame_begin(out, BSC__RELEASE, 0);
		bsc__put_u32(out, (uint32_t)(len / sizeof(uint64_t)));
		bsc__put(out, worker->releases.ptr, len);
		bsc__frame_end(out, begin);
		if (out->failed) {
			/* They can wait, what is sent with them can't. */
			out->len = before;
			out->failed = out->no_memory = false;
			return;
		}
		bsc__bytes_clear(&worker->releases);
		worker->release_bytes = 0;
	}
}

bool bsc__pool_send(struct bsc__worker *worker, struct bsc__bytes *frames)
{
	pthread_mutex_lock(&worker->lock);
	put_releases(worker, frames);
	pthread_mutex_unlock(&worker->lock);
	return !frames->failed && bsc__channel_send(&worker->channel, frames->ptr, frames->len, -1, SEND_TIMEOUT_MS);
}

void bsc__worker_post(struct bsc__worker *worker, const struct bsc__bytes *frames)
{
	if (!frames->failed && bsc__channel_post(&worker->channel, frames->ptr, frames->len)) {
		bsc__pool_wake();
	}
}

void bsc__pool_release_slot(void *ctx, uint64_t slot, uint64_t bytes)
{
	struct bsc__worker *worker = ctx;
	if (!worker->foreign) {
		struct bsc__bytes out;
		bsc__bytes_init(&out, RELEASES_MAX + BSC__FRAME_HEADER + sizeof(uint32_t));
		pthread_mutex_lock(&worker->lock);
		bsc__put_u64(&worker->releases, slot);
		worker->release_bytes += bytes;
		if (worker->release_bytes >= RELEASE_BYTES || worker->releases.len >= RELEASES_MAX / 2) {
			put_releases(worker, &out);
		}
		pthread_mutex_unlock(&worker->lock);
		if (out.len) {
			bsc__worker_post(worker, &out);
		}
		bsc__bytes_release(&out);
	}
	bsc__worker_unref(worker);
}
