/* Scans and cursors: partitions handed out, batches pulled. */
#include "scan/internal.h"

#include <stdio.h>

/* How long a cursor goes without asking the host whether to stop. */
#define POLL_INTERVAL_NS (20 * 1000 * 1000)

struct bsc_cursor {
	struct bsc_scan *scan;
	struct bsc__match match;
	struct bsc__validate validate;
	bool ready;  /* match and validate are made */
	bool single; /* one partition, else claims them */
	bool ended;
	int64_t partition; /* that `reader` reads, or is to read */
	int64_t handed;    /* the last batch's; -1 before */
	int64_t batch;
	int64_t retries;                      /* of this partition, so far */
	bool handed_any;                      /* of this partition: it can't be read again */
	bool open;                            /* a partition is being read, or counted */
	int64_t rows;                         /* handed over by this cursor */
	struct bsc__partition_record *record; /* of the partition */
	struct bsc__span pull;                /* what is under way; its costs are the meter's before it */
	void *reader;
	int64_t polled_at_ns;
	struct bsc_error failure; /* status BSC_OK: none yet */
};

/* ---- scan ---- */

int bsc_scan_open(struct bsc_plan *plan, struct bsc_scan **out, struct bsc_error *err)
{
	struct bsc_scan *scan = *out = bsc__calloc(1, sizeof(*scan));
	if (!scan) {
		return bsc__fail_nomem(err, "opening a scan");
	}
	const struct bsc__scan_record what = {
	    .label = plan->source->label,
	    .columns = plan->asked,
	    .pushed = plan->pushed,
	    .executor = plan->source->executor->name,
	    .limited = plan->limited,
	    .limit = plan->limit,
	    .n_partitions = plan->n_partitions,
	    .n_pruned = plan->n_pruned,
	};
	scan->record = bsc__scan_record_new(&what, &plan->meter);
	if (!scan->record) {
		bsc__free(scan);
		*out = NULL;
		return bsc__fail_nomem(err, "opening a scan");
	}
	bsc_plan_ref(plan);
	scan->plan = plan;
	scan->refs = 1;
	return BSC_OK;
}

int bsc_scans_export(const struct bsc_scan *scan, struct ArrowSchema *schema, struct ArrowArray *array,
                     struct bsc_error *err)
{
	return bsc__scan_records_export(scan ? scan->record : NULL, schema, array, err);
}

int64_t bsc_scan_number(const struct bsc_scan *scan)
{
	return scan->record->id;
}

double bsc_scan_progress(const struct bsc_scan *scan)
{
	/* More than there are where hosts read a partition again, or a class said too few. */
	int64_t n = scan->plan->n_partitions, done = atomic_load(&scan->done);
	int64_t n_rows = scan->plan->n_wanted, rows = atomic_load(&scan->rows);
	if (done < n && n_rows > 0) {
		return rows < n_rows ? (double)rows / (double)n_rows : 1.0;
	}
	return done < n ? (double)done / (double)n : 1.0;
}

void bsc_scan_cancel(struct bsc_scan *scan)
{
	atomic_store(&scan->cancelled, true);
}

void bsc_scan_finish(struct bsc_scan *scan)
{
	atomic_store(&scan->finished, true);
	bsc_scan_cancel(scan);
}

void bsc_scan_ref(struct bsc_scan *scan)
{
	atomic_fetch_add(&scan->refs, 1);
}

static enum bsc__scan_state end_of(const struct bsc_scan *scan)
{
	if (atomic_load(&scan->failed)) {
		return BSC__SCAN_FAILED;
	}
	bool cancelled = atomic_load(&scan->cancelled) || atomic_load(&scan->stopped);
	if (cancelled && !atomic_load(&scan->finished)) {
		return BSC__SCAN_CANCELLED;
	}
	return atomic_load(&scan->done) < scan->plan->n_partitions ? BSC__SCAN_ENDED_EARLY : BSC__SCAN_DONE;
}

void bsc_scan_close(struct bsc_scan *scan)
{
	if (scan && atomic_fetch_sub(&scan->refs, 1) == 1) {
		bsc__scan_record_end(scan->record, end_of(scan));
		bsc_plan_free(scan->plan);
		bsc__free(scan);
	}
}

/* ---- cursor ---- */

int bsc_cursor_open(struct bsc_scan *scan, struct bsc_cursor **out, struct bsc_error *err)
{
	struct bsc_cursor *cursor = *out = bsc__calloc(1, sizeof(*cursor));
	if (!cursor) {
		return bsc__fail_nomem(err, "opening a cursor");
	}
	bsc_scan_ref(scan);
	cursor->scan = scan;
	cursor->handed = -1;
	return BSC_OK;
}

int bsc_cursor_open_partition(struct bsc_scan *scan, int64_t partition, struct bsc_cursor **out, struct bsc_error *err)
{
	const struct bsc_plan *plan = scan->plan;
	*out = NULL;
	if (partition < 0 || partition >= plan->n_partitions) {
		return bsc__fail_partition(plan, partition, err);
	}
	int rc = bsc_cursor_open(scan, out, err);
	if (rc == BSC_OK) {
		(*out)->single = true;
		(*out)->partition = partition;
	}
	return rc;
}

int64_t bsc_cursor_partition(const struct bsc_cursor *cursor)
{
	return cursor->handed;
}

static int reader_open(struct bsc_cursor *cursor, struct bsc_error *err)
{
	const struct bsc_plan *plan = cursor->scan->plan;
	return plan->source->executor->read_open(plan->handle, cursor->partition, &cursor->record->meter, &cursor->reader,
	                                         err);
}

static void reader_close(struct bsc_cursor *cursor)
{
	if (cursor->reader) {
		cursor->scan->plan->source->executor->read_close(cursor->reader);
		cursor->reader = NULL;
	}
}

void bsc_cursor_close(struct bsc_cursor *cursor)
{
	if (!cursor) {
		return;
	}
	reader_close(cursor);
	bsc__validate_release(&cursor->validate);
	bsc__match_release(&cursor->match);
	bsc_scan_close(cursor->scan);
	bsc__free(cursor);
}

static int check_cancel(struct bsc_cursor *cursor, const struct bsc_poll *poll, struct bsc_error *err)
{
	bool stop = atomic_load(&cursor->scan->cancelled);
	if (!stop && poll && poll->interrupted) {
		int64_t now = bsc__now_ns();
		if (now - cursor->polled_at_ns >= POLL_INTERVAL_NS) {
			cursor->polled_at_ns = now;
			stop = poll->interrupted(poll->ctx) != 0;
		}
	}
	if (!stop) {
		return BSC_OK;
	}
	return bsc__fail(err, BSC_CANCELLED, "the scan of %s was cancelled", cursor->scan->plan->source->label);
}

/* Nothing to free: it has no buffers. */
static void forget(struct ArrowArray *array)
{
	array->release = NULL;
}

/* How many rows of `n` the request's limit leaves. */
static int64_t within_limit(const struct bsc_cursor *cursor, int64_t n)
{
	const struct bsc_plan *plan = cursor->scan->plan;
	int64_t left = plan->limit - cursor->rows;
	return plan->limited && left < n ? left : n;
}

/* Are there enough rows? Cursors that claim partitions stop together. */
static bool is_satisfied(const struct bsc_cursor *cursor)
{
	const struct bsc_plan *plan = cursor->scan->plan;
	return plan->limited &&
	       (cursor->rows >= plan->limit || (!cursor->single && atomic_load(&cursor->scan->handed) >= plan->limit));
}

static void begin_pull(struct bsc_cursor *cursor)
{
	cursor->pull = (struct bsc__span){
	    .begun_ns = bsc__now_ns(),
	    .python_ns = atomic_load(&cursor->record->meter.python_ns),
	    .waiting_ns = atomic_load(&cursor->record->meter.waiting_ns),
	    .bytes = atomic_load(&cursor->record->bytes),
	};
}

/* rows: of the batch that is handed over; 0: none is. */
static void end_pull(struct bsc_cursor *cursor, int64_t rows)
{
	struct bsc__span *pull = &cursor->pull;
	struct bsc__partition_record *record = cursor->record;
	pull->ended_ns = bsc__now_ns();
	pull->pulled_ns = pull->ended_ns - pull->begun_ns;
	pull->python_ns = atomic_load(&record->meter.python_ns) - pull->python_ns;
	pull->waiting_ns = atomic_load(&record->meter.waiting_ns) - pull->waiting_ns;
	pull->pulls = 1;
	pull->batches = rows > 0;
	pull->rows = rows;
	pull->bytes = atomic_load(&record->bytes) - pull->bytes;
	pull->thread = bsc__thread_id();
	pull->worker = atomic_load(&record->meter.worker);
	bsc__scan_record_pull(cursor->scan->record, cursor->partition, pull);
}

/* Opens the next partition; none left: cursor->ended. */
static int claim(struct bsc_cursor *cursor, struct bsc_error *err)
{
	struct bsc_plan *plan = cursor->scan->plan;
	if (!cursor->single) {
		/* The counter stops at the end, so that a million asking threads can't
		 * carry it over. */
		int64_t next = atomic_load(&cursor->scan->claimed);
		do {
			if (next >= plan->n_partitions) {
				cursor->ended = true;
				return BSC_OK;
			}
		} while (!atomic_compare_exchange_weak(&cursor->scan->claimed, &next, next + 1));
		cursor->partition = next;
	}
	if (!bsc__scan_record_begin(cursor->scan->record, cursor->partition)) {
		return bsc__fail_nomem(err, "opening a partition");
	}
	cursor->batch = cursor->retries = 0;
	cursor->handed_any = false;
	cursor->open = true;
	cursor->record = bsc__scan_record_partition(cursor->scan->record, cursor->partition);
	atomic_store(&cursor->record->state, BSC__PARTITION_BEGUN);
	begin_pull(cursor);
	return plan->counted ? BSC_OK : reader_open(cursor, err);
}

/* A partition whose rows nobody wants to see: as many, without columns. */
static void count_rows(const struct bsc_cursor *cursor, struct ArrowArray *out, bool *ended)
{
	int64_t rows = within_limit(cursor, cursor->scan->plan->rows[cursor->partition]);
	*ended = cursor->batch > 0 || rows == 0;
	if (!*ended) {
		static const void *no_validity[1];
		*out = (struct ArrowArray){.length = rows, .n_buffers = 1, .buffers = no_validity, .release = forget};
	}
}

/* Moves one batch through match, validate, project. array, schema: moved in any
 * case. out->release == NULL where the batch has no rows. */
static int take_batch(struct bsc_cursor *cursor, struct ArrowArray *array, struct ArrowSchema *schema,
                      struct ArrowArray *out, struct bsc_error *err)
{
	const struct bsc_plan *plan = cursor->scan->plan;
	struct bsc__match *match = &cursor->match;
	struct bsc__place place = {plan->source->label, cursor->partition, plan->n_partitions, cursor->batch};
	int rc = BSC_OK;
	if (!cursor->ready) {
		rc = bsc__match_init(match, &plan->source->schema, plan->columns, plan->n_columns, err);
		if (rc == BSC_OK) {
			rc = bsc__validate_init(&cursor->validate, match, plan->source->validate_full, err);
		}
		cursor->ready = rc == BSC_OK;
	}
	if (rc == BSC_OK) {
		rc = bsc__match_schema(match, schema, &place, err);
	}
	if (rc == BSC_OK) {
		rc = bsc__validate_batch(&cursor->validate, match, array, &place, err);
	}
	if (rc == BSC_OK && array->length > 0) {
		atomic_fetch_add(&cursor->record->bytes, bsc__validate_bytes(&cursor->validate));
		rc = bsc__project(array, match, out, err);
	}
	if (schema->release) {
		schema->release(schema);
	}
	if (array->release) {
		array->release(array);
	}
	return rc;
}

/* After a failure: begins the partition again, if it may be. Only what a source or its worker
 * failed with may be better the next time, and only rows that nobody has are not there twice. */
static bool read_again(struct bsc_cursor *cursor, struct bsc_error *failure)
{
	const struct bsc_plan *plan = cursor->scan->plan;
	if ((failure->status != BSC_SOURCE && failure->status != BSC_WORKER) || cursor->handed_any ||
	    cursor->retries >= plan->source->retries || atomic_load(&cursor->scan->cancelled)) {
		return false;
	}
	char warning[BSC_ERROR_CAP + 128];
	snprintf(warning, sizeof(warning), "%s\n(read again: bascule_retries, %lld of %lld)", failure->message,
	         (long long)cursor->retries + 1, (long long)plan->source->retries);
	bsc_log_warning(warning);
	reader_close(cursor);
	cursor->retries++;
	atomic_fetch_add(&cursor->record->retries, 1);
	cursor->batch = 0;
	return reader_open(cursor, failure) == BSC_OK;
}

/* What the executor asks while the class runs: the host's poll, and the scan's
 * own cancel. */
struct wish {
	const struct bsc_scan *scan;
	const struct bsc_poll *host; /* NULL: never */
};

static int is_unwanted(void *ctx)
{
	const struct wish *wish = ctx;
	return atomic_load(&wish->scan->cancelled) ||
	       (wish->host && wish->host->interrupted && wish->host->interrupted(wish->host->ctx));
}

/* The next batch of the open partition, counted or read; *out empty: none this time. */
static int next_of_partition(struct bsc_cursor *cursor, const struct bsc_poll *poll, struct ArrowArray *out,
                             bool *ended, struct bsc_error *err)
{
	const struct bsc_plan *plan = cursor->scan->plan;
	struct wish wish = {cursor->scan, poll};
	const struct bsc_poll while_reading = {is_unwanted, &wish};
	struct ArrowArray array = {0};
	struct ArrowSchema schema = {0};
	if (plan->counted) {
		count_rows(cursor, out, ended);
		cursor->batch++;
		return BSC_OK;
	}
	int rc = plan->source->executor->read_next(cursor->reader, &while_reading, &array, &schema, ended, err);
	if (rc != BSC_OK) {
		return read_again(cursor, err) ? BSC_OK : err->status;
	}
	if (array.release) {
		rc = take_batch(cursor, &array, &schema, out, err);
		cursor->batch++;
		*ended = false;
	} else if (schema.release) {
		schema.release(&schema);
	}
	return rc;
}

/* Counts a batch that goes to the host, cut to the limit. */
static void hand_over(struct bsc_cursor *cursor, struct ArrowArray *out)
{
	int64_t n = within_limit(cursor, out->length);
	for (int64_t i = 0; n < out->length && i < out->n_children; i++) {
		struct ArrowArray *child = out->children[i];
		child->length = n;
		child->null_count = child->null_count > 0 ? -1 : child->null_count;
	}
	out->length = n;
	cursor->handed = cursor->partition;
	cursor->handed_any = true;
	cursor->rows += n;
	atomic_fetch_add(&cursor->scan->rows, n);
	if (!cursor->single) {
		atomic_fetch_add(&cursor->scan->handed, n);
	}
	atomic_fetch_add(&cursor->record->rows, n);
	atomic_fetch_add(&cursor->record->batches, 1);
}

static void end_partition(struct bsc_cursor *cursor)
{
	reader_close(cursor);
	cursor->open = false;
	atomic_store(&cursor->record->state, BSC__PARTITION_READ);
	atomic_fetch_add(&cursor->scan->record->n_read, 1);
	atomic_fetch_add(&cursor->scan->done, 1);
	cursor->ended = cursor->single;
}

/* What the partition in hand, or the next one, has: a batch, its end (*ended), or neither this time. */
static int pull(struct bsc_cursor *cursor, const struct bsc_poll *poll, struct ArrowArray *out, bool *ended,
                struct bsc_error *err)
{
	int rc = BSC_OK;
	if (cursor->open) {
		begin_pull(cursor);
	} else {
		rc = claim(cursor, err);
	}
	if (!cursor->open) {
		return rc; /* none is left, or there is no memory */
	}
	if (rc == BSC_OK) {
		rc = next_of_partition(cursor, poll, out, ended, err);
	}
	if (rc == BSC_OK && out->release) {
		hand_over(cursor, out);
	}
	end_pull(cursor, rc == BSC_OK && out->release ? out->length : 0);
	return rc;
}

int bsc_cursor_next(struct bsc_cursor *cursor, const struct bsc_poll *poll, struct ArrowArray *out,
                    struct bsc_error *err)
{
	struct bsc_error *failure = &cursor->failure;
	*out = (struct ArrowArray){0};
	int rc = failure->status;
	while (rc == BSC_OK && !cursor->ended && !out->release) {
		bool ended = false;
		if (is_satisfied(cursor)) {
			cursor->ended = true;
			break;
		}
		rc = check_cancel(cursor, poll, failure);
		if (rc == BSC_OK) {
			rc = pull(cursor, poll, out, &ended, failure);
		}
		if (rc == BSC_OK && !out->release && ended) {
			end_partition(cursor);
		}
	}
	if (rc != BSC_OK || cursor->ended) {
		reader_close(cursor);
	}
	failure->status = rc; /* one that a second read mended is none */
	if (rc != BSC_OK) {
		atomic_store(rc == BSC_CANCELLED ? &cursor->scan->stopped : &cursor->scan->failed, true);
		if (err) {
			*err = *failure;
		}
	}
	return rc;
}
