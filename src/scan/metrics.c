/* The records of scans. */
#include "scan/metrics.h"

#include <string.h>

#include "scan/metrics_table.h"

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
/* Guarded by registry_lock. */
static struct bsc__scan_record *newest, *oldest;
static int64_t n_ended, last_id;

/* ---- records ---- */

static void record_free(struct bsc__scan_record *record)
{
	if (record) {
		for (int64_t i = 0; record->partitions && i < record->n_recorded; i++) {
			bsc__timeline_release(&record->partitions[i].timeline);
		}
		pthread_mutex_destroy(&record->timeline_lock);
		bsc__names_release(&record->names);
		bsc__free(record->partitions);
		bsc__free(record->pushed);
		bsc__free(record->columns);
		bsc__free(record->label);
		bsc__free(record);
	}
}

static bool copy_text(char **out, const char *text)
{
	*out = text ? bsc__strndup(bsc__str(text)) : NULL;
	return *out || !text;
}

struct bsc__scan_record *bsc__scan_record_new(const struct bsc__scan_record *from, const struct bsc_meter *planning)
{
	bsc__keep_over_forks(&registry_lock);
	struct bsc__scan_record *record = bsc__calloc(1, sizeof(*record));
	if (!record) {
		return NULL;
	}
	bsc__names_init(&record->names);
	pthread_mutex_init(&record->timeline_lock, NULL);
	record->executor = from->executor;
	record->limited = from->limited;
	record->limit = from->limit;
	record->n_partitions = from->n_partitions;
	record->n_pruned = from->n_pruned;
	record->planning = (struct bsc_meter){.python_ns = atomic_load(&planning->python_ns),
	                                      .waiting_ns = atomic_load(&planning->waiting_ns),
	                                      .names = NULL};
	record->n_recorded = from->n_partitions < BSC__PARTITIONS_RECORDED ? from->n_partitions : BSC__PARTITIONS_RECORDED;
	record->partitions = bsc__calloc(record->n_recorded ? (size_t)record->n_recorded : 1, sizeof(*record->partitions));
	record->others.meter.names = &record->names;
	bool good = record->partitions && copy_text(&record->label, from->label) &&
	            copy_text(&record->columns, from->columns) && copy_text(&record->pushed, from->pushed);
	for (int64_t i = 0; good && i < record->n_recorded; i++) {
		record->partitions[i].meter.names = &record->names;
		bsc__timeline_init(&record->partitions[i].timeline, record->n_partitions);
	}
	good = good && bsc__names_add(&record->names, planning->names);
	if (!good) {
		record_free(record);
		return NULL;
	}
	record->begun_us = bsc__wall_us();
	record->begun_ns = bsc__now_ns();
	pthread_mutex_lock(&registry_lock);
	record->id = ++last_id;
	record->open = true;
	record->older = newest;
	*(newest ? &newest->newer : &oldest) = record;
	newest = record;
	pthread_mutex_unlock(&registry_lock);
	return record;
}

struct bsc__partition_record *bsc__scan_record_partition(struct bsc__scan_record *record, int64_t partition)
{
	return partition < record->n_recorded ? &record->partitions[partition] : &record->others;
}

bool bsc__scan_record_begin(struct bsc__scan_record *record, int64_t partition)
{
	pthread_mutex_lock(&record->timeline_lock);
	bool good = partition >= record->n_recorded || bsc__timeline_begin(&record->partitions[partition].timeline);
	pthread_mutex_unlock(&record->timeline_lock);
	return good;
}

void bsc__scan_record_pull(struct bsc__scan_record *record, int64_t partition, const struct bsc__span *pull)
{
	if (partition < record->n_recorded) {
		pthread_mutex_lock(&record->timeline_lock);
		bsc__timeline_add(&record->partitions[partition].timeline, pull);
		pthread_mutex_unlock(&record->timeline_lock);
	}
}

/* With the lock held: takes the oldest that has ended off the list, where there are more than `most`. */
static struct bsc__scan_record *take_superfluous(int64_t most)
{
	struct bsc__scan_record *record = n_ended > most ? oldest : NULL;
	while (record && record->open) {
		record = record->newer;
	}
	if (record) {
		*(record->older ? &record->older->newer : &oldest) = record->newer;
		*(record->newer ? &record->newer->older : &newest) = record->older;
		n_ended--;
	}
	return record;
}

void bsc__scan_record_end(struct bsc__scan_record *record, enum bsc__scan_state state)
{
	atomic_store(&record->ended_ns, bsc__now_ns());
	atomic_store(&record->state, (int)state);
	pthread_mutex_lock(&registry_lock);
	record->open = false;
	n_ended++;
	struct bsc__scan_record *superfluous = take_superfluous(BSC__SCANS_KEPT);
	pthread_mutex_unlock(&registry_lock);
	record_free(superfluous);
}

void bsc_scans_forget(void)
{
	struct bsc__scan_record *record;
	do {
		pthread_mutex_lock(&registry_lock);
		record = take_superfluous(0);
		pthread_mutex_unlock(&registry_lock);
		record_free(record);
	} while (record);
}

/* ---- as a table ---- */

int bsc__scan_records_export(const struct bsc__scan_record *only, struct ArrowSchema *schema_out,
                             struct ArrowArray *array_out, struct bsc_error *err)
{
	struct bsc__table table;
	*array_out = (struct ArrowArray){0};
	*schema_out = (struct ArrowSchema){0};
	bool good = bsc__table_init(&table, BSC__TABLE_SCANS);
	/* Under the lock no record goes; what is counted meanwhile may or may not be in it. */
	pthread_mutex_lock(&registry_lock);
	for (struct bsc__scan_record *record = newest; good && record; record = record->older) {
		if (only && record != only) {
			continue;
		}
		pthread_mutex_lock(&record->names.lock);
		good = bsc__table_append(&table, record);
		pthread_mutex_unlock(&record->names.lock);
	}
	pthread_mutex_unlock(&registry_lock);
	good = good && bsc__table_finish(&table, schema_out, array_out);
	bsc__table_release(&table);
	return good ? BSC_OK : bsc__fail_nomem(err, "listing scans");
}

int bsc_timeline_export(int64_t scan, struct ArrowSchema *schema_out, struct ArrowArray *array_out,
                        struct bsc_error *err)
{
	struct bsc__table table;
	*array_out = (struct ArrowArray){0};
	*schema_out = (struct ArrowSchema){0};
	bool good = bsc__table_init(&table, BSC__TABLE_SPANS);
	pthread_mutex_lock(&registry_lock);
	struct bsc__scan_record *record = newest;
	while (record && record->id != scan) {
		record = record->older;
	}
	if (good && record) {
		pthread_mutex_lock(&record->timeline_lock);
		good = bsc__table_append_spans(&table, record);
		pthread_mutex_unlock(&record->timeline_lock);
	}
	pthread_mutex_unlock(&registry_lock);
	good = good && bsc__table_finish(&table, schema_out, array_out);
	bsc__table_release(&table);
	return good ? BSC_OK : bsc__fail_nomem(err, "listing spans of time");
}
