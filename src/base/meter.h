/* meter: what an executor tells of a plan's or reader's cost (bsc_meter_*), added up. Locks: each set of
 * names its own, a leaf. */
#ifndef BSC_METER_H
#define BSC_METER_H

#include <stdatomic.h>

#include "base/base.h"

/* What classes count themselves. */
struct bsc__names {
	pthread_mutex_t lock; /* guards what follows */
	int64_t n;
	struct {
		char *name; /* owned */
		double value;
	} items[BSC_METRICS_MAX];
};

void bsc__names_init(struct bsc__names *names);
/* None again. A zeroed set must not be given. */
void bsc__names_clear(struct bsc__names *names);
void bsc__names_release(struct bsc__names *names);
/* Adds all of `from`. False: there are too many, or out of memory. */
bool bsc__names_add(struct bsc__names *names, struct bsc__names *from);

struct bsc_meter {
	_Atomic int64_t python_ns, waiting_ns, ahead_bytes, worker;
	struct bsc__names *names; /* where reports go */
};

#endif
