/* timeline: when a partition's batches were pulled, and what that took. Bounded: what there is no room for is
 * told more coarsely. */
#ifndef BSC_TIMELINE_H
#define BSC_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>

/* Some pulls of one partition, on one thread, one after the other. */
struct bsc__span {
	int64_t begun_ns, ended_ns; /* monotonic */
	int64_t pulled_ns;          /* within them; the rest of the time it was the engine's turn */
	int64_t python_ns, waiting_ns;
	int64_t pulls, batches, rows, bytes;
	int64_t thread; /* the host's, by the system's number */
	int64_t worker; /* process that the rows came from; 0: none */
};

/* Of one partition. Zeroed: empty. */
struct bsc__timeline {
	struct bsc__span *spans; /* owned */
	int64_t n, capacity, most;
	int64_t pulls; /* that one span may hold */
};

/* Spans of all partitions of a scan, more or less. */
#define BSC__SPANS_PER_SCAN 4096
/* Of one partition, at least. */
#define BSC__SPANS_LEAST 4

void bsc__timeline_init(struct bsc__timeline *timeline, int64_t n_partitions);
void bsc__timeline_release(struct bsc__timeline *timeline);
/* Before the first pull; any number of times. False: out of memory. */
bool bsc__timeline_begin(struct bsc__timeline *timeline);
/* One pull, later than those before. Needs no memory: without more of it, spans are merged. */
void bsc__timeline_add(struct bsc__timeline *timeline, const struct bsc__span *pull);

#endif
