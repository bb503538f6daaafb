/* metrics: what scans did, kept for the last of them. Records are made by plan.c and
 * scan.c, filled by cursors and executors, and exported as one Arrow table.
 *
 * Locks: the registry's, then a set of names' or a scan's timelines'. Counters are atomic. */
#ifndef BSC_METRICS_H
#define BSC_METRICS_H

#include "base/meter.h"
#include "scan/timeline.h"

enum bsc__partition_state { BSC__PARTITION_UNREAD, BSC__PARTITION_BEGUN, BSC__PARTITION_READ };

/* What reading one partition took, all cursors together. */
struct bsc__partition_record {
	struct bsc_meter meter;
	_Atomic int64_t rows, batches, bytes, retries;
	_Atomic int state;             /* enum bsc__partition_state */
	struct bsc__timeline timeline; /* guarded by the scan's */
};

enum bsc__scan_state {
	BSC__SCAN_RUNNING,
	BSC__SCAN_DONE,
	BSC__SCAN_ENDED_EARLY,
	BSC__SCAN_CANCELLED,
	BSC__SCAN_FAILED
};

/* Partitions of a scan that have a record each; the others share one. */
#define BSC__PARTITIONS_RECORDED 1024
/* Scans that are kept once they have ended. */
#define BSC__SCANS_KEPT 100

struct bsc__scan_record {
	int64_t id;
	char *label, *columns, *pushed; /* owned; columns: NULL for all */
	const char *executor;
	bool limited;
	int64_t limit;
	int64_t n_partitions, n_pruned;
	int64_t begun_us; /* since 1970, UTC */
	int64_t begun_ns; /* monotonic */
	_Atomic int64_t ended_ns;
	_Atomic int64_t n_read; /* partitions, to their end */
	_Atomic int state;      /* enum bsc__scan_state */
	struct bsc__names names;
	pthread_mutex_t timeline_lock; /* a leaf */
	struct bsc_meter planning;
	struct bsc__partition_record *partitions; /* owned */
	int64_t n_recorded;
	struct bsc__partition_record others;
	/* The registry's lock guards these. */
	bool open;
	struct bsc__scan_record *older, *newer;
};

/* A record, among those that are kept; what is too much to remember is left out. label, columns, pushed: copied.
 * planning: of the plan. NULL: out of memory. */
struct bsc__scan_record *bsc__scan_record_new(const struct bsc__scan_record *from, const struct bsc_meter *planning);
/* The scan has ended; the record may go when newer ones come. */
void bsc__scan_record_end(struct bsc__scan_record *record, enum bsc__scan_state state);

/* See bsc_scans_export. only: the record of a scan that is open, or NULL. */
int bsc__scan_records_export(const struct bsc__scan_record *only, struct ArrowSchema *schema_out,
                             struct ArrowArray *array_out, struct bsc_error *err);

/* Before the first pull of a partition. False: out of memory. */
bool bsc__scan_record_begin(struct bsc__scan_record *record, int64_t partition) BSC_MUST_CHECK;

/* A pull of one of the partitions that have a record each. */
void bsc__scan_record_pull(struct bsc__scan_record *record, int64_t partition, const struct bsc__span *pull);

struct bsc__partition_record *bsc__scan_record_partition(struct bsc__scan_record *record, int64_t partition);

#endif
