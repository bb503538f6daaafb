/* turns: which of a plan's partitions are read at the same time. As many as the user
 * asks for, the lower ones first: an engine that keeps an order takes nothing of a
 * higher one before.
 *
 * Lock: one mutex; a leaf, not held while waiting for the host's poll. */
#ifndef BSC_TURNS_H
#define BSC_TURNS_H

#include <pthread.h>

#include "process/pool.h"

struct bsc__turn {
	int64_t partition;
	struct bsc__turn *next; /* of those that wait */
};

struct bsc__turns {
	int64_t n;            /* partitions */
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	int64_t most; /* at the same time */
	struct bsc__turn *waiting;
	uint8_t *begun;        /* a bit for each partition */
	int64_t first_unbegun; /* all before it have begun */
	int64_t n_taken;
	int64_t n_asked;  /* of them, whose reader waits for a batch */
	int64_t asked_ms; /* when one last did */
};

/* A zeroed one may be released. */
int bsc__turns_init(struct bsc__turns *turns, int64_t n, int64_t most, struct bsc_error *err) BSC_MUST_CHECK;
void bsc__turns_release(struct bsc__turns *turns);

/* Waits for the turn of a partition, which then is asked for a batch (bsc__turns_ask). BSC_CANCELLED: the host does not
 * wait, and there is nothing to give back. doing: for the message. */
int bsc__turns_take(struct bsc__turns *turns, int64_t partition, const struct bsc__wait *wait, const char *doing,
                    struct bsc_error *err) BSC_MUST_CHECK;
/* How many at the same time: as the user said, or more where the host reads more side by side. */
int64_t bsc__turns_most(struct bsc__turns *turns);
void bsc__turns_give_back(struct bsc__turns *turns);

/* The host asks for a batch of a partition that has its turn, and has got it. */
void bsc__turns_ask(struct bsc__turns *turns);
void bsc__turns_got(struct bsc__turns *turns);

#endif
