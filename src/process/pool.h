/* pool: the host's worker processes. Started when needed, kept warm, shared by all
 * scans of the process, ended when idle, killed when they don't answer.
 *
 * A worker belongs to one caller from check-out to check-in (or discard, or drain), which also
 * drop the reference that the check-out gave.
 * One thread of the pool's prints what workers print, ends what is idle, waits for
 * what was stopped, and reaps. A batch in the engine's hands keeps the struct of
 * its worker, for the message that its slot is free.
 *
 * Lock order: pool (pool.c), then a worker's `lock`, then its channel's or that of prints. None is held
 * while waiting for a worker. */
#ifndef BSC_POOL_H
#define BSC_POOL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "process/arena.h"
#include "process/channel.h"
#include "process/waiting.h"

/* Which workers can stand in for each other. Strings are owned where the key is. */
struct bsc__pool_key {
	char *python;
	bool has_path; /* it imports from where the host does */
	int64_t memory_bytes;
};

int bsc__pool_key_copy(const struct bsc__pool_key *key, struct bsc__pool_key *out,
                       struct bsc_error *err) BSC_MUST_CHECK;
bool bsc__pool_key_equal(const struct bsc__pool_key *a, const struct bsc__pool_key *b);
void bsc__pool_key_release(struct bsc__pool_key *key);

enum bsc__worker_state {
	BSC__WORKER_STARTING, /* its caller's, who waits for HELLO */
	BSC__WORKER_BUSY,     /* its caller's */
	BSC__WORKER_IDLE,     /* whoever checks it out */
	BSC__WORKER_DRAINING, /* the pool's: what it was asked is not wanted any more */
	BSC__WORKER_QUITTING, /* the pool's: it was told to end */
	BSC__WORKER_DEAD,     /* the pool's: killed or gone, to be reaped */
};

#define BSC__LABEL_CAP 256

struct bsc__worker {
	struct bsc__pool_key key;
	pid_t pid;
	struct bsc__channel channel;
	struct bsc__segments segments; /* the caller's or, DRAINING, the pool's */
	_Atomic uint64_t request;      /* the last one asked; the caller sets it */
	_Atomic bool ending;           /* bsc_process_end_workers: what it answers from now on may be cut short */
	uint64_t surroundings;         /* version that it was told of; the caller's */
	_Atomic int64_t refs;

	/* The pool's lock guards these. */
	struct bsc__worker *next;
	enum bsc__worker_state state;
	uint64_t draining;   /* DRAINING: the request whose answer is awaited; 0: none */
	uint64_t closing;    /* the last instance that it was told to close, and has not yet; 0: none */
	bool parked;         /* BUSY, but at rest: it is kept for its caller */
	int64_t parked_ms;   /* since when */
	int64_t since_ms;    /* in this state */
	bool interrupted;    /* DRAINING: SIGINT was sent */
	uint64_t *instances; /* that it has open */
	size_t n_instances;

	pthread_mutex_t lock;       /* guards what follows */
	_Atomic int output;         /* what it prints; -1: closed. Others may look whether it is */
	int crash;                  /* where faulthandler writes; -1: none */
	char label[BSC__LABEL_CAP]; /* whose prints they are */
	struct bsc__bytes rest;     /* of a line that was read, and has no end yet */
	int64_t rest_ms;            /* since when */
	bool reaped;
	char how[128];              /* it ended */
	struct bsc__bytes releases; /* u64 slots that the host holds no more, to be told */
	uint64_t release_bytes;
	bool foreign; /* in a child made by fork: the parent's */
};

/* A worker for its caller alone, warm or new. prefer_instance: one that has it open, if there is one; 0: any.
 * n_workers: how many the caller's scans have in all, before it waits for one to come back; while none does, one more
 * is started every now and then. *out NULL after BSC_OK: wait->over. label: for messages. */
int bsc__pool_check_out(const struct bsc__pool_key *key, uint64_t prefer_instance, int64_t n_workers, const char *label,
                        const struct bsc__wait *wait, struct bsc__worker **out, struct bsc_error *err) BSC_MUST_CHECK;
/* Back to the others: it has answered all that it was asked. */
void bsc__pool_check_in(struct bsc__worker *worker);
/* Its caller keeps it, and asks nothing of it for a while: it counts for no scan's number of workers. */
void bsc__pool_park(struct bsc__worker *worker, bool parked);
/* Kills it. */
void bsc__pool_discard(struct bsc__worker *worker);
/* Tells it that what it was asked last is not wanted, and leaves it to the pool. */
void bsc__pool_drain(struct bsc__worker *worker);

/* Of one that is asked nothing: false where it has hung up, or says what nobody asked. */
bool bsc__pool_is_well(struct bsc__worker *worker);

/* Does it have the instance? add: from now on it has. drop: it closes it, if it has. */
bool bsc__pool_has_instance(struct bsc__worker *worker, uint64_t instance);
bool bsc__pool_add_instance(struct bsc__worker *worker, uint64_t instance);
void bsc__pool_drop_instance(struct bsc__worker *worker, uint64_t instance);
/* It forgets a plan, whoever has it. */
void bsc__pool_free_plan(struct bsc__worker *worker, uint64_t plan);
/* It has answered CLOSE. */
void bsc__pool_closed(struct bsc__worker *worker, uint64_t instance);
/* Every worker that has it closes it; one that was idle is so again once it has. */
void bsc__pool_close_instance(uint64_t instance);

/* Waits for the next frame that is the caller's: segments are mapped, dropped, within. BSC_WORKER: the
 * worker died, hung, or broke the protocol, *err says it with `doing` ("acme:Orders: infer_schema") before it; and
 * BSC_CANCELLED: the host doesn't want to wait. The caller discards or drains. */
int bsc__pool_next_frame(struct bsc__worker *worker, const struct bsc__wait *wait, const char *doing,
                         struct bsc__frame *frame, struct bsc_error *err) BSC_MUST_CHECK;
/* Sends frames, and with them what was released; false: it is dead, the next frame says how. */
bool bsc__pool_send(struct bsc__worker *worker, struct bsc__bytes *frames);

/* The host has released a batch, which held a reference of its worker (ctx). Any thread. */
void bsc__pool_release_slot(void *ctx, uint64_t slot, uint64_t bytes);

void bsc__worker_ref(struct bsc__worker *worker);
void bsc__worker_unref(struct bsc__worker *worker);

#endif
