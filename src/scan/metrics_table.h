/* metrics_table: records of scans as an Arrow struct array. docs/metrics.md lists its columns. */
#ifndef BSC_METRICS_TABLE_H
#define BSC_METRICS_TABLE_H

#include "nanoarrow/nanoarrow.h"
#include "scan/metrics.h"

struct bsc__table {
	struct ArrowSchema schema;
	struct ArrowArray array;
};

/* False: out of memory; release it then too. */
bool bsc__table_init(struct bsc__table *table);
/* One row. The record's names are locked. */
bool bsc__table_append(struct bsc__table *table, struct bsc__scan_record *record);
/* schema, array: out. */
bool bsc__table_finish(struct bsc__table *table, struct ArrowSchema *schema, struct ArrowArray *array);
void bsc__table_release(struct bsc__table *table);

#endif
