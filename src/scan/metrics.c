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
	bool good = bsc__table_init(&table);
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
