/* waiting: how the host waits for workers: in slices, asking whether it is still wanted. And
 * what the host itself added (struct bsc_process_host). No locks. */
#ifndef BSC_WAITING_H
#define BSC_WAITING_H

#include "base/base.h"

/* One wait of the host's: for how long, and who may end it. */
struct bsc__wait {
	const struct bsc_poll *poll; /* borrowed; may be NULL */
	int64_t timeout_ms;          /* 0: none */
	bool on_main;                /* Ctrl-C is for it */
	unsigned since;              /* interrupts at its beginning */
	/* Of a check-out: does the caller need none any more? NULL: it does. Called without a lock of the pool's. */
	bool (*over)(void *ctx);
	void *over_ctx;
};

/* The beginning of a wait. */
struct bsc__wait bsc__wait_begin(const struct bsc_poll *poll, int64_t timeout_ms, bool on_main);
/* Does the host want to stop? */
bool bsc__wait_unwanted(const struct bsc__wait *wait);

/* Is Ctrl-C for the calling thread? How often was it pressed so far where only we can act on it? */
bool bsc__on_main(void);
unsigned bsc__interrupts(void);

/* What the host added, never NULL; its members may be. */
const struct bsc_process_host *bsc__process_host(void);

/* The host's own part in a wait, begun at most once. */
struct bsc__waiting {
	bool begun;
	void *host; /* what wait_begin gave */
	bool interrupted;
};
void bsc__waiting_begin(struct bsc__waiting *waiting);
void bsc__waiting_end(struct bsc__waiting *waiting);

void bsc__cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, int timeout_ms);

#endif
