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
	int64_t retries; /* of this partition, so far */
	bool handed_any; /* of this partition: it can't be read again */
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
	bsc_plan_ref(plan);
	scan->plan = plan;
	scan->refs = 1;
	return BSC_OK;
}

double bsc_scan_progress(const struct bsc_scan *scan)
{
	int64_t n = scan->plan->n_partitions;
	int64_t done = atomic_load(&scan->done); /* more than n where hosts read a partition again */
	return done < n ? (double)done / (double)n : 1.0;
}

void bsc_scan_cancel(struct bsc_scan *scan)
{
	atomic_store(&scan->cancelled, true);
}

void bsc_scan_ref(struct bsc_scan *scan)
{
	atomic_fetch_add(&scan->refs, 1);
}

void bsc_scan_close(struct bsc_scan *scan)
{
	if (scan && atomic_fetch_sub(&scan->refs, 1) == 1) {
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
		return bsc__fail(err, BSC_INVALID, "%s has no partition %lld: it planned %lld", plan->source->label,
		                 (long long)partition, (long long)plan->n_partitions);
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

/* Opens the next partition's reader; none left: cursor->ended. */
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
	cursor->batch = cursor->retries = 0;
	cursor->handed_any = false;
	return plan->source->executor->read_open(plan->handle, cursor->partition, &cursor->reader, err);
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
	cursor->batch = 0;
	return plan->source->executor->read_open(plan->handle, cursor->partition, &cursor->reader, failure) == BSC_OK;
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

int bsc_cursor_next(struct bsc_cursor *cursor, const struct bsc_poll *poll, struct ArrowArray *out,
                    struct bsc_error *err)
{
	const struct bsc_executor *executor = cursor->scan->plan->source->executor;
	*out = (struct ArrowArray){0};
	struct bsc_error *failure = &cursor->failure;
	struct wish wish = {cursor->scan, poll};
	const struct bsc_poll while_reading = {is_unwanted, &wish};
	if (failure->status != BSC_OK) {
		goto out;
	}
	int rc = BSC_OK;
	while (rc == BSC_OK && !cursor->ended && !out->release) {
		rc = check_cancel(cursor, poll, failure);
		if (rc == BSC_OK && !cursor->reader) {
			rc = claim(cursor, failure);
		}
		if (rc != BSC_OK || cursor->ended) {
			break;
		}
		struct ArrowArray array = {0};
		struct ArrowSchema schema = {0};
		bool ended = false;
		rc = executor->read_next(cursor->reader, &while_reading, &array, &schema, &ended, failure);
		if (rc != BSC_OK) {
			if (read_again(cursor, failure)) {
				rc = BSC_OK;
				continue;
			}
			rc = failure->status;
			break;
		}
		if (array.release) {
			rc = take_batch(cursor, &array, &schema, out, failure);
			cursor->batch++;
			cursor->handed = out->release ? cursor->partition : cursor->handed;
			cursor->handed_any = cursor->handed_any || out->release;
			continue;
		}
		if (schema.release) {
			schema.release(&schema);
		}
		if (ended) {
			reader_close(cursor);
			atomic_fetch_add(&cursor->scan->done, 1);
			cursor->ended = cursor->single;
		}
	}
	failure->status = rc;
	if (rc != BSC_OK) {
		reader_close(cursor);
	}
out:
	if (failure->status != BSC_OK && err) {
		*err = *failure;
	}
	return failure->status;
}
