/* Records of scans, and their spans of time, as Arrow struct arrays. */
#include "scan/metrics_table.h"

#include <string.h>

/* A column: name and Arrow format; children follow it. */
struct field {
	const char *name, *format;
	int n_children;
};

enum { N_COLUMNS = 22, N_PARTITION_COLUMNS = 9, N_SPAN_COLUMNS = 11 };

/* What bsc__table_append appends, in order. */
static const struct field scan_fields[] = {
    {"scan", "l", 0},
    {"source", "u", 0},
    {"executor", "u", 0},
    {"state", "u", 0},
    {"begun", "tsu:UTC", 0},
    {"seconds", "g", 0},
    {"pushed_columns", "u", 0},
    {"pushed_filters", "u", 0},
    {"pushed_limit", "l", 0},
    {"partitions", "l", 0},
    {"partitions_pruned", "l", 0},
    {"partitions_read", "l", 0},
    {"rows", "l", 0},
    {"batches", "l", 0},
    {"bytes", "l", 0},
    {"planning_seconds", "g", 0},
    {"python_seconds", "g", 0},
    {"waiting_seconds", "g", 0},
    {"retries", "l", 0},
    {"readahead_bytes", "l", 0},
    {"reported", "+m", 1},
    {"entries", "+s", 2},
    {"key", "u", 0},
    {"value", "g", 0},
    {"per_partition", "+l", 1},
    {"item", "+s", N_PARTITION_COLUMNS},
    {"partition", "l", 0},
    {"state", "u", 0},
    {"rows", "l", 0},
    {"batches", "l", 0},
    {"bytes", "l", 0},
    {"python_seconds", "g", 0},
    {"waiting_seconds", "g", 0},
    {"retries", "l", 0},
    {"readahead_bytes", "l", 0},
};

/* What bsc__table_append_spans appends, in order. */
static const struct field span_fields[] = {
    {"partition", "l", 0}, {"thread", "l", 0},         {"worker", "l", 0},         {"begun", "g", 0},
    {"ended", "g", 0},     {"pulled_seconds", "g", 0}, {"python_seconds", "g", 0}, {"waiting_seconds", "g", 0},
    {"batches", "l", 0},   {"rows", "l", 0},           {"bytes", "l", 0},
};

/* Makes the field at *at, which is moved behind it and its children. */
static bool make_field(struct ArrowSchema *schema, const struct field **at)
{
	const struct field *field = (*at)++;
	ArrowSchemaInit(schema);
	if (ArrowSchemaSetName(schema, field->name) != NANOARROW_OK ||
	    ArrowSchemaSetFormat(schema, field->format) != NANOARROW_OK ||
	    ArrowSchemaAllocateChildren(schema, field->n_children) != NANOARROW_OK) {
		return false;
	}
	for (int i = 0; i < field->n_children; i++) {
		if (!make_field(schema->children[i], at)) {
			return false;
		}
	}
	if (strcmp(field->name, "entries") == 0 || strcmp(field->name, "key") == 0) {
		schema->flags &= ~(int64_t)ARROW_FLAG_NULLABLE; /* as maps have it */
	}
	return true;
}

/* nanoarrow forgets a buffer that could not grow: then it is freed here. */
static uint8_t *reallocate(struct ArrowBufferAllocator *allocator, uint8_t *ptr, int64_t old_size, int64_t new_size)
{
	(void)allocator;
	(void)old_size;
	uint8_t *grown = bsc__resize(ptr, (size_t)new_size, 1);
	if (!grown) {
		bsc__free(ptr);
	}
	return grown;
}

static void deallocate(struct ArrowBufferAllocator *allocator, uint8_t *ptr, int64_t size)
{
	(void)allocator;
	(void)size;
	bsc__free(ptr);
}

static bool set_allocator(struct ArrowArray *array)
{
	const struct ArrowBufferAllocator ours = {reallocate, deallocate, NULL};
	bool good = true;
	for (int64_t i = 0; i < NANOARROW_MAX_FIXED_BUFFERS; i++) {
		good = good && ArrowBufferSetAllocator(ArrowArrayBuffer(array, i), ours) == NANOARROW_OK;
	}
	for (int64_t i = 0; i < array->n_children; i++) {
		good = good && set_allocator(array->children[i]);
	}
	return good;
}

bool bsc__table_init(struct bsc__table *table, enum bsc__table_kind kind)
{
	const struct field *at = kind == BSC__TABLE_SCANS ? scan_fields : span_fields;
	int n = kind == BSC__TABLE_SCANS ? N_COLUMNS : N_SPAN_COLUMNS;
	memset(table, 0, sizeof(*table));
	ArrowSchemaInit(&table->schema);
	if (ArrowSchemaSetTypeStruct(&table->schema, n) != NANOARROW_OK) {
		return false;
	}
	for (int i = 0; i < n; i++) {
		struct ArrowSchema *child = table->schema.children[i];
		ArrowSchemaRelease(child);
		if (!make_field(child, &at)) {
			return false;
		}
	}
	/* Not ArrowArrayInitFromSchema, which leaks its view where it fails. */
	struct ArrowArrayView view;
	if (ArrowArrayViewInitFromSchema(&view, &table->schema, NULL) != NANOARROW_OK) {
		return false;
	}
	bool good = ArrowArrayInitFromArrayView(&table->array, &view, NULL) == NANOARROW_OK &&
	            set_allocator(&table->array) && ArrowArrayStartAppending(&table->array) == NANOARROW_OK;
	ArrowArrayViewReset(&view);
	return good;
}

void bsc__table_release(struct bsc__table *table)
{
	if (table->schema.release) {
		ArrowSchemaRelease(&table->schema);
	}
	if (table->array.release) {
		ArrowArrayRelease(&table->array);
	}
}

/* ---- one row ---- */

/* Appends to the columns of a struct, one after the other. */
struct row {
	struct ArrowArray *array;
	int column;
	bool good;
};

static struct ArrowArray *next_column(struct row *row)
{
	return row->array->children[row->column++];
}

static void put_int(struct row *row, int64_t value)
{
	row->good = ArrowArrayAppendInt(next_column(row), value) == NANOARROW_OK && row->good;
}

static void put_seconds(struct row *row, int64_t ns)
{
	row->good = ArrowArrayAppendDouble(next_column(row), (double)ns / 1e9) == NANOARROW_OK && row->good;
}

static void put_null(struct row *row)
{
	row->good = ArrowArrayAppendNull(next_column(row), 1) == NANOARROW_OK && row->good;
}

static void put_text(struct row *row, const char *text)
{
	struct ArrowArray *column = next_column(row);
	int rc = text ? ArrowArrayAppendString(column, ArrowCharView(text)) : ArrowArrayAppendNull(column, 1);
	row->good = rc == NANOARROW_OK && row->good;
}

static void put_counts(struct row *row, const struct bsc__partition_record *counts)
{
	put_int(row, atomic_load(&counts->rows));
	put_int(row, atomic_load(&counts->batches));
	put_int(row, atomic_load(&counts->bytes));
}

static void put_costs(struct row *row, const struct bsc__partition_record *counts)
{
	put_seconds(row, atomic_load(&counts->meter.python_ns));
	put_seconds(row, atomic_load(&counts->meter.waiting_ns));
	put_int(row, atomic_load(&counts->retries));
	put_int(row, atomic_load(&counts->meter.ahead_bytes));
}

static void put_reported(struct row *row, const struct bsc__names *names)
{
	struct ArrowArray *map = next_column(row), *entries = map->children[0];
	for (int64_t i = 0; i < names->n; i++) {
		row->good = row->good &&
		            ArrowArrayAppendString(entries->children[0], ArrowCharView(names->items[i].name)) == NANOARROW_OK &&
		            ArrowArrayAppendDouble(entries->children[1], names->items[i].value) == NANOARROW_OK &&
		            ArrowArrayFinishElement(entries) == NANOARROW_OK;
	}
	row->good = row->good && ArrowArrayFinishElement(map) == NANOARROW_OK;
}

static void put_partitions(struct row *row, const struct bsc__scan_record *record)
{
	static const char *const states[] = {"unread", "begun", "read"};
	struct ArrowArray *list = next_column(row), *items = list->children[0];
	for (int64_t i = 0; i < record->n_recorded; i++) {
		const struct bsc__partition_record *partition = &record->partitions[i];
		int state = atomic_load(&partition->state);
		if (state == BSC__PARTITION_UNREAD) {
			continue;
		}
		struct row item = {items, 0, true};
		put_int(&item, i);
		put_text(&item, states[state]);
		put_counts(&item, partition);
		put_costs(&item, partition);
		row->good = row->good && item.good && ArrowArrayFinishElement(items) == NANOARROW_OK;
	}
	row->good = row->good && ArrowArrayFinishElement(list) == NANOARROW_OK;
}

static void add_up(struct bsc__partition_record *total, const struct bsc__partition_record *one)
{
	atomic_fetch_add(&total->rows, atomic_load(&one->rows));
	atomic_fetch_add(&total->batches, atomic_load(&one->batches));
	atomic_fetch_add(&total->bytes, atomic_load(&one->bytes));
	atomic_fetch_add(&total->retries, atomic_load(&one->retries));
	bsc_meter_time(&total->meter, atomic_load(&one->meter.python_ns), atomic_load(&one->meter.waiting_ns));
	bsc_meter_ahead(&total->meter, atomic_load(&one->meter.ahead_bytes));
}

bool bsc__table_append(struct bsc__table *table, struct bsc__scan_record *record)
{
	static const char *const states[] = {"running", "done", "ended early", "cancelled", "failed"};
	struct bsc__partition_record total = {0};
	for (int64_t i = 0; i < record->n_recorded; i++) {
		add_up(&total, &record->partitions[i]);
	}
	add_up(&total, &record->others);
	int64_t ended_ns = atomic_load(&record->ended_ns), planning_ns = atomic_load(&record->planning.python_ns);
	struct row row = {&table->array, 0, true};
	put_int(&row, record->id);
	put_text(&row, record->label);
	put_text(&row, record->executor);
	put_text(&row, states[atomic_load(&record->state)]);
	put_int(&row, record->begun_us);
	put_seconds(&row, (ended_ns ? ended_ns : bsc__now_ns()) - record->begun_ns);
	put_text(&row, record->columns);
	put_text(&row, record->pushed);
	if (record->limited) {
		put_int(&row, record->limit);
	} else {
		put_null(&row);
	}
	put_int(&row, record->n_partitions + record->n_pruned);
	put_int(&row, record->n_pruned);
	put_int(&row, atomic_load(&record->n_read));
	put_counts(&row, &total);
	put_seconds(&row, planning_ns);
	put_costs(&row, &total);
	put_reported(&row, &record->names);
	put_partitions(&row, record);
	return row.good && ArrowArrayFinishElement(&table->array) == NANOARROW_OK;
}

static bool append_span(struct bsc__table *table, const struct bsc__scan_record *record, int64_t partition,
                        const struct bsc__span *span)
{
	struct row row = {&table->array, 0, true};
	put_int(&row, partition);
	put_int(&row, span->thread);
	if (span->worker) {
		put_int(&row, span->worker);
	} else {
		put_null(&row);
	}
	put_seconds(&row, span->begun_ns - record->begun_ns);
	put_seconds(&row, span->ended_ns - record->begun_ns);
	put_seconds(&row, span->pulled_ns);
	put_seconds(&row, span->python_ns);
	put_seconds(&row, span->waiting_ns);
	put_int(&row, span->batches);
	put_int(&row, span->rows);
	put_int(&row, span->bytes);
	return row.good && ArrowArrayFinishElement(&table->array) == NANOARROW_OK;
}

bool bsc__table_append_spans(struct bsc__table *table, const struct bsc__scan_record *record)
{
	bool good = true;
	for (int64_t i = 0; i < record->n_recorded; i++) {
		const struct bsc__timeline *timeline = &record->partitions[i].timeline;
		for (int64_t j = 0; good && j < timeline->n; j++) {
			good = append_span(table, record, i, &timeline->spans[j]);
		}
	}
	return good;
}

bool bsc__table_finish(struct bsc__table *table, struct ArrowSchema *schema, struct ArrowArray *array)
{
	if (ArrowArrayFinishBuildingDefault(&table->array, NULL) != NANOARROW_OK) {
		return false;
	}
	ArrowSchemaMove(&table->schema, schema);
	ArrowArrayMove(&table->array, array);
	return true;
}
