/* worker: one worker process, as its host sees it. For pool.c; the others use pool.h. */
#ifndef BSC_WORKER_H
#define BSC_WORKER_H

#include "process/pool.h"

/* Starts a process and waits until it has said HELLO. BSC_WORKER: *err says why it can't, and what to
 * install where. */
int bsc__worker_start(const struct bsc__pool_key *key, const char *label, const struct bsc__wait *wait,
                      struct bsc__worker **out, struct bsc_error *err) BSC_MUST_CHECK;

/* Prints what it has printed since, without waiting. False: it has closed its output. */
bool bsc__worker_print(struct bsc__worker *worker);

/* Sends a signal, if it has not been reaped. */
void bsc__worker_signal(struct bsc__worker *worker, int number);

/* True: it has ended, worker->how says how. */
bool bsc__worker_reap(struct bsc__worker *worker, int timeout_ms);

/* The error for one whose channel is closed. Returns BSC_WORKER. */
int bsc__worker_died(struct bsc__worker *worker, const char *doing, struct bsc_error *err);

/* The host's own part in a wait, begun at most once. */
struct bsc__waiting {
	bool begun;
	void *host; /* what wait_begin gave */
	bool interrupted;
};
void bsc__waiting_begin(struct bsc__waiting *waiting);
void bsc__waiting_end(struct bsc__waiting *waiting);

#endif
