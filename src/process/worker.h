/* worker: one worker process, as its host sees it. For pool.c; the others use pool.h. */
#ifndef BSC_WORKER_H
#define BSC_WORKER_H

#include "process/pool.h"

/* A worker, to be started. */
int bsc__worker_new(const struct bsc__pool_key *key, const char *label, struct bsc__worker **out,
                    struct bsc_error *err) BSC_MUST_CHECK;
/* Starts its process. With the pool's lock held: a child of a fork at this moment would have the other
 * ends of what is opened here. */
int bsc__worker_spawn(struct bsc__worker *worker, struct bsc_error *err) BSC_MUST_CHECK;
/* Waits until it has said HELLO. BSC_WORKER: *err says why it can't, and what to install where. */
int bsc__worker_greet(struct bsc__worker *worker, const struct bsc__wait *wait, struct bsc_error *err) BSC_MUST_CHECK;

/* Sends a signal, if it has not been reaped. */
void bsc__worker_signal(struct bsc__worker *worker, int number);

/* True: it has ended, worker->how says how. */
bool bsc__worker_reap(struct bsc__worker *worker, int timeout_ms);

/* Closes what it holds in this process, but for what batches need. Nobody has it any more. */
void bsc__worker_close(struct bsc__worker *worker);

/* SEGMENT or DROP: its shared memory, as it grows and shrinks. BSC_MALFORMED, BSC_NOMEM ...: it can't be had. */
int bsc__worker_take_memory(struct bsc__worker *worker, struct bsc__frame *frame, struct bsc_error *err) BSC_MUST_CHECK;

/* Frames for whom nobody waits. Never waits itself. */
void bsc__worker_post(struct bsc__worker *worker, const struct bsc__bytes *frames);

/* The pool's thread is to look again. */
void bsc__pool_wake(void);

/* The error for one whose channel is closed. Returns BSC_WORKER. */
int bsc__worker_died(struct bsc__worker *worker, const char *doing, struct bsc_error *err);

#endif
