/* channel: frames over a Unix stream socket, with descriptors beside them. Either
 * end's: the host's of a worker, the worker's of its host.
 *
 * One thread receives at a time; any thread sends. Locks: send_lock, then post_lock; nothing
 * else is locked under them. */
#ifndef BSC_CHANNEL_H
#define BSC_CHANNEL_H

#include <pthread.h>

#include "process/wire.h"

struct bsc__channel {
	int fd;                    /* -1: closed */
	pthread_mutex_t send_lock; /* over sending; guards: */
	struct bsc__bytes going;   /* that was posted; from going_at on, not sent yet */
	size_t going_at;
	pthread_mutex_t post_lock; /* guards: */
	struct bsc__bytes posted;
	struct bsc__bytes in; /* received; frames are parsed from `at` on */
	size_t at;
	int fds[8]; /* received, for frames to come */
	int n_fds;
};

/* fd: moved; a stream socket. Made non-blocking. */
void bsc__channel_init(struct bsc__channel *channel, int fd);
/* Closes what it holds. A zeroed one must not be given, an initialised one may twice. */
void bsc__channel_close(struct bsc__channel *channel);

enum bsc__channel_state {
	BSC__CHANNEL_FRAME,  /* one was received */
	BSC__CHANNEL_EMPTY,  /* none is there yet */
	BSC__CHANNEL_CLOSED, /* the other end is gone */
	BSC__CHANNEL_BROKEN, /* what came is no frame; *err says what */
};

/* The next frame, without waiting. */
enum bsc__channel_state bsc__channel_receive(struct bsc__channel *channel, struct bsc__frame *frame,
                                             struct bsc_error *err);

/* Waits at most timeout_ms (-1: as long as it takes) for more to receive, or the
 * other end's closing. */
void bsc__channel_wait(const struct bsc__channel *channel, int timeout_ms);

/* Sends whole frames. fd: borrowed, goes with the first byte; -1: none. Waits at most
 * timeout_ms for the other end to take them. False: it is gone or doesn't, and nothing
 * more can be sent to it. */
bool bsc__channel_send(struct bsc__channel *channel, const void *frames, size_t len, int fd, int timeout_ms);

/* Leaves whole frames to go before the next ones that are sent, and sends now what can be sent without waiting. True:
 * something is left, for bsc__channel_flush. An end that takes nothing while they pile up is given up. */
bool bsc__channel_post(struct bsc__channel *channel, const void *frames, size_t len);
/* Sends what was posted, as far as that goes without waiting. True: something is left. */
bool bsc__channel_flush(struct bsc__channel *channel);

/* In a child made by fork: closes its copy of the socket, whatever other threads were doing with the channel. */
void bsc__channel_forked(struct bsc__channel *channel);

#endif
