/* serve: the worker's end of the conversation, whatever the class is written in.
 *
 * A worker has one of these over its socket. Its main thread asks for the next
 * request, does it, answers; and of a READ, for each batch:
 *
 *   bsc__serving_receive    -> READ
 *   bsc__serving_begin
 *   bsc__serving_wait       until the host wants another batch, or none
 *   bsc__serving_batch      into shared memory, and its description to the host
 *   bsc__serving_end
 *   bsc__serving_answer     END, or bsc__serving_fail
 *
 * What may come at any time is taken whenever the socket is looked at: RELEASE,
 * and WINDOW and STOP of the READ that lasts. The rest is kept for later, in order.
 * The worker never waits for the host to read while it does not read itself.
 *
 * No locks: one thread, but for the one that bsc__serving_watch starts. None of
 * these functions needs the language's own lock. */
#ifndef BSC_SERVE_H
#define BSC_SERVE_H

#include "base/meter.h"
#include "process/channel.h"
#include "process/layout.h"

struct bsc__serving {
	struct bsc__channel channel;
	struct bsc__arena *arena;
	struct bsc__bytes out;   /* the frame that is being made */
	struct bsc__bytes later; /* frames for the host that go before the next one */
	struct bsc__bytes kept;  /* frames of the host that came too early; from kept_at on */
	size_t kept_at;
	bool gone;  /* the host, or what it sent can't be read */
	bool quits; /* QUIT came */
	/* Of the request that lasts, what the host was not told yet: */
	struct bsc__names names;
	struct bsc_meter meter;
	int64_t told_ns; /* when it was told last; 0: of this request nothing */
	/* Of the READ that lasts: */
	bool reads, stopped;
	uint64_t number, window, sent, taken;
	const char *const *columns; /* borrowed; NULL: all */
	size_t n_columns;
	struct ArrowSchema schema; /* of the last batch; release == NULL: none yet */
	struct bsc__layout layout;
	bool *asked; /* for each child of the schema; NULL: all */
};

/* fd: moved, on success. Must not be moved in memory afterwards. */
int bsc__serving_open(struct bsc__serving *serving, int fd, struct bsc_error *err) BSC_MUST_CHECK;
/* Closes the socket and frees its own; a zeroed one must not be given. */
void bsc__serving_close(struct bsc__serving *serving);

enum bsc__serving_state {
	BSC__SERVING_GO,          /* there is something to do */
	BSC__SERVING_INTERRUPTED, /* a signal came, or may have: see to it and call again */
	BSC__SERVING_STOPPED,     /* the READ is not wanted any more */
	BSC__SERVING_ENDED,       /* QUIT, or the host is gone: close everything and exit */
};

/* Waits for the next frame that is for the worker itself: SETUP, a request, CLOSE or FREE. frame: out, on GO;
 * borrowed until the next call of any of these functions. */
enum bsc__serving_state bsc__serving_receive(struct bsc__serving *serving, struct bsc__frame *frame);

/* Sends a frame. False: the host is gone, or the payload is longer than one may be. */
bool bsc__serving_answer(struct bsc__serving *serving, enum bsc__frame_type type, uint64_t number, const void *payload,
                         size_t len);
bool bsc__serving_fail(struct bsc__serving *serving, uint64_t number, int status, struct bsc_str message);
/* OPENED. schema: borrowed, NULL where it was not asked for. identity: of the class as it was loaded, empty where
 * there is but one. statistics: the class has them. BSC_SOURCE for one that can't be sent; then
 * nothing was. A host that is gone is no failure. */
int bsc__serving_opened(struct bsc__serving *serving, uint64_t number, const struct ArrowSchema *schema,
                        struct bsc_str identity, bool statistics, struct bsc_error *err) BSC_MUST_CHECK;

/* A READ begins. columns: borrowed until its end, the names that are asked for; NULL: all. */
void bsc__serving_begin(struct bsc__serving *serving, uint64_t number, uint64_t window_bytes,
                        const char *const *columns, size_t n_columns);
/* Waits until the next batch may be made. GO, or any other state. */
enum bsc__serving_state bsc__serving_wait(struct bsc__serving *serving);
/* Copies a batch into shared memory and sends its description. schema, array: borrowed.
 *
 * BSC_MISMATCH: what it is of is no table, BSC_MALFORMED: it breaks the C Data Interface, BSC_NOMEM: the system has no
 * shared memory left. A host that is gone is no failure: the next wait says so. */
int bsc__serving_batch(struct bsc__serving *serving, const struct ArrowSchema *schema, const struct ArrowArray *array,
                       struct bsc_error *err) BSC_MUST_CHECK;
/* The READ has ended, however. Gives memory back. Before it is answered. */
void bsc__serving_end(struct bsc__serving *serving);

/* Starts a thread that ends this process (_exit) one second after the other end of the socket is gone,
 * whatever its other threads do, and lets children made by fork close the socket, lest they keep the host
 * waiting for an end. Once. fd: borrowed for good. */
int bsc__serving_watch(int fd, struct bsc_error *err) BSC_MUST_CHECK;

/* Are two schemas the same in all that they say, metadata included? Both whole. */
bool bsc__schema_equal(const struct ArrowSchema *a, const struct ArrowSchema *b);

#endif
