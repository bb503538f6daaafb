/* partition_stream: one partition of a scan as a stream of the Arrow C Stream Interface. */
#ifndef BSC_PARTITION_STREAM_H
#define BSC_PARTITION_STREAM_H

#include "bascule.h"

/* plan, scan: borrowed, kept alive by the stream. out: out. */
int partition_stream_open(struct bsc_plan *plan, struct bsc_scan *scan, int64_t partition, struct ArrowArrayStream *out,
                          struct bsc_error *err);

#endif
