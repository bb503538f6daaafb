/* plan: the partitions of one query, as a worker planned them (PLAN, SPECS, PLANNED) or the caller gave them.
 * The functions are bsc_executor's. */
#ifndef BSC_PROCESS_PLAN_H
#define BSC_PROCESS_PLAN_H

#include "process/instance.h"
#include "process/turns.h"

struct bsc__plan {
	struct bsc__instance *instance; /* outlives the plan */
	uint64_t number;
	struct bsc__bytes hints; /* as in PLAN and READ */
	struct bsc__bytes specs;
	size_t *ends;  /* of each spec in `specs` */
	int64_t *rows; /* of each partition, until they are handed over */
	int64_t n, cap;

	struct bsc__turns turns;

	pthread_mutex_t lock;       /* guards what follows; a leaf but for the pool's */
	struct bsc__worker *worker; /* that planned, with a reference: its specs may hold sessions; NULL: gone */
	bool pinned;                /* no other plan's readers get it */
	bool in_use;                /* one of ours has it */
};

int bsc__plan_new(void *ptr, const struct bsc_hints *hints, struct bsc_meter *meter, const struct bsc_poll *poll,
                  void **plan_out, struct bsc_planned *planned, struct bsc_error *err);
void bsc__plan_free(void *ptr);
int bsc__plan_spec(void *ptr, int64_t partition, char **spec_out, size_t *len_out, struct bsc_error *err);
int64_t bsc__plan_readers(void *ptr);

/* The bytes of a partition's spec. Borrowed. */
struct bsc_str bsc__plan_spec_of(const struct bsc__plan *plan, int64_t partition);

#endif
