/* metrics_table: records of scans, and their spans of time, as Arrow struct arrays. docs/metrics.md lists its columns.
 */
#ifndef BSC_METRICS_TABLE_H
#define BSC_METRICS_TABLE_H

#include "nanoarrow/nanoarrow.h"
#include "scan/metrics.h"

struct bsc__table {
	struct ArrowSchema schema;
	struct ArrowArray array;
};

enum bsc__table_kind { BSC__TABLE_SCANS, BSC__TABLE_SPANS };

/* False: out of memory; release it then too. */
bool bsc__table_init(struct bsc__table *table, enum bsc__table_kind kind);
/* One row, of BSC__TABLE_SCANS. The record's names are locked. */
bool bsc__table_append(struct bsc__table *table, struct bsc__scan_record *record);
/* A row for each span, of BSC__TABLE_SPANS. The record's timelines are locked. */
bool bsc__table_append_spans(struct bsc__table *table, const struct bsc__scan_record *record);
/* schema, array: out. */
bool bsc__table_finish(struct bsc__table *table, struct ArrowSchema *schema, struct ArrowArray *array);
void bsc__table_release(struct bsc__table *table);

#endif
