/* The executor that runs classes in worker processes: bsc_executor over the pool. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "process/layout.h"
#include "process/plan.h"
#include "process/pool.h"
#include "process/surroundings.h"

struct reader {
	struct bsc__plan *plan;  /* outlives the reader */
	struct bsc_meter *meter; /* so does it */
	int64_t partition;
	unsigned since;
	struct bsc__worker *worker; /* NULL: not begun, or over */
	bool has_turn;
	bool of_plan;    /* it is the plan's own */
	bool begun;      /* READ was sent */
	uint64_t number; /* of the READ */
	struct bsc__unlayout unlayout;
	uint64_t budget; /* bytes that the worker may be ahead, at most */
	uint64_t ahead;  /* now: slow start, so that a LIMIT wastes little */
	uint64_t taken;
	uint64_t window; /* the last one sent */
};

/* ---- class ---- */

/* Which interpreter runs a file that names its own dependencies? */
static int prepare(const struct bsc__pool_key *key, struct bsc_str file, const struct bsc_run_settings *run,
                   const struct bsc_poll *poll, char **python_out, struct bsc_error *err)
{
	struct bsc__question q = {.meter = NULL};
	struct bsc__frame frame;
	struct bsc__worker *worker;
	*python_out = NULL;
	snprintf(q.doing, sizeof(q.doing), "preparing the environment of %.*s", BSC__ARG(file));
	q.wait = bsc__wait_begin(poll, run->timeout_ms, bsc__on_main());
	char label[BSC__LABEL_CAP];
	snprintf(label, sizeof(label), "%.*s", BSC__ARG(file));
	int rc = bsc__pool_check_out(key, 0, run->n_workers, label, &q.wait, &worker, err);
	if (rc != BSC_OK) {
		return rc;
	}
	bsc__ask(&q, worker, BSC__PREPARE);
	bsc__put_str(&q.out, file);
	rc = bsc__question_send(&q, err);
	if (rc == BSC_OK) {
		rc = bsc__await(&q, BSC__PREPARED, NULL, NULL, &frame, err);
	}
	if (rc == BSC_OK) {
		struct bsc_str python = bsc__get_str(&frame.payload, 4096);
		if (python.len && !(*python_out = bsc__strndup(python))) {
			rc = bsc__fail_nomem(err, q.doing);
		}
	}
	bsc__settle(worker, rc == BSC_NOMEM ? BSC_OK : rc);
	return rc;
}

static int resolve(void *state, const struct bsc_locator *locator, const struct bsc_run_settings *run,
                   const struct bsc_poll *poll, void **class_out, struct bsc_error *err)
{
	(void)state;
	struct bsc_run_settings settings = *run;
	settings.n_workers = settings.n_workers ? settings.n_workers : BSC_WORKERS_DEFAULT;
	struct bsc__class *cls = NULL;
	int rc = bsc__class_find(locator, &settings, poll, prepare, &cls, err);
	*class_out = cls;
	return rc;
}

static void class_release(void *state, void *cls)
{
	(void)state;
	bsc__class_release(cls);
}

/* ---- reader ---- */

static int read_open(void *ptr, int64_t partition, struct bsc_meter *meter, void **reader_out, struct bsc_error *err)
{
	struct bsc__plan *plan = ptr;
	struct reader *reader = bsc__calloc(1, sizeof(*reader));
	if (!reader) {
		return bsc__fail_nomem(err, "opening a partition");
	}
	const struct bsc_run_settings *run = &plan->instance->cls->run;
	reader->plan = plan;
	reader->meter = meter;
	reader->partition = partition;
	reader->since = bsc__interrupts();
	reader->budget = (uint64_t)run->readahead_bytes / (uint64_t)run->n_workers;
	*reader_out = reader;
	return BSC_OK;
}

static void describe(const struct reader *reader, char *text, size_t cap)
{
	snprintf(text, cap, "%.*s, partition %lld of %lld: read_partition", BSC__LABEL_CAP, reader->plan->instance->label,
	         (long long)reader->partition, (long long)reader->plan->n);
}

static bool own_is_free(void *ctx)
{
	struct bsc__plan *plan = ctx;
	pthread_mutex_lock(&plan->lock);
	bool is_free = plan->pinned && !plan->in_use && !plan->worker->foreign;
	pthread_mutex_unlock(&plan->lock);
	return is_free;
}

static bool take_own(struct reader *reader)
{
	struct bsc__plan *plan = reader->plan;
	pthread_mutex_lock(&plan->lock);
	if (plan->pinned && !plan->in_use && !plan->worker->foreign) {
		plan->in_use = reader->of_plan = true;
		reader->worker = plan->worker;
	}
	pthread_mutex_unlock(&plan->lock);
	if (reader->of_plan) {
		bsc__pool_park(reader->worker, false);
	}
	if (reader->of_plan && !bsc__pool_is_well(reader->worker)) {
		/* It died while it was at rest: another one reads from the spec. */
		struct bsc__worker *dead = reader->worker;
		pthread_mutex_lock(&plan->lock);
		plan->pinned = plan->in_use = reader->of_plan = false;
		reader->worker = NULL;
		pthread_mutex_unlock(&plan->lock);
		bsc__pool_discard(dead);
	}
	return reader->of_plan;
}

/* The plan's own worker, or another, whichever is free first. */
static int take_worker(struct reader *reader, struct bsc__question *q, struct bsc_error *err)
{
	struct bsc__plan *plan = reader->plan;
	const struct bsc__instance *instance = plan->instance;
	int rc = BSC_OK;
	q->wait.over = own_is_free;
	q->wait.over_ctx = plan;
	while (rc == BSC_OK && !reader->worker && !take_own(reader)) {
		rc = bsc__instance_worker(instance, q, bsc__turns_most(&plan->turns), &reader->worker, err);
	}
	q->wait.over = NULL;
	return rc;
}

/* The worker goes where it came from. rc: how the read ended; BSC_CANCELLED: before its end. */
static void let_go(struct reader *reader, int rc)
{
	struct bsc__plan *plan = reader->plan;
	struct bsc__worker *worker = reader->worker;
	bool keep = reader->of_plan && bsc__is_whole_after(rc);
	reader->worker = NULL;
	if (keep) {
		bsc__pool_park(worker, true);
	}
	pthread_mutex_lock(&plan->lock);
	if (reader->of_plan) {
		plan->in_use = false;
		plan->pinned = plan->pinned && keep;
		reader->of_plan = false;
	}
	pthread_mutex_unlock(&plan->lock);
	if (worker && !keep) {
		bsc__settle(worker, rc);
	}
	if (reader->has_turn) {
		reader->has_turn = false;
		bsc__turns_give_back(&plan->turns);
	}
}

/* Begins the READ. */
static int begin(struct reader *reader, struct bsc__question *q, struct bsc_error *err)
{
	struct bsc__plan *plan = reader->plan;
	struct bsc__instance *instance = plan->instance;
	int rc = take_worker(reader, q, err);
	if (rc == BSC_OK) {
		rc = bsc__instance_ensure(q, reader->worker, instance, err);
	}
	if (rc != BSC_OK) {
		return rc;
	}
	reader->window = 1; /* one batch */
	bsc__ask(q, reader->worker, BSC__READ);
	reader->number = reader->worker->request;
	reader->begun = true;
	bsc__put_u64(&q->out, instance->number);
	bsc__put_i64(&q->out, reader->partition);
	bsc__put_i64(&q->out, plan->n);
	bsc__put_u64(&q->out, reader->window);
	bsc__put(&q->out, plan->hints.ptr, plan->hints.len);
	bsc__put_str(&q->out, bsc__plan_spec_of(plan, reader->partition));
	return bsc__question_send(q, err);
}

/* BATCH, as an array, and its schema where that is new. */
static int take_batch(struct reader *reader, struct bsc__frame *frame, struct ArrowArray *array,
                      struct ArrowSchema *schema, uint64_t *bytes, struct bsc_error *err)
{
	int rc = BSC_OK;
	if (bsc__get_u8(&frame->payload)) {
		rc = bsc__get_schema(&frame->payload, schema, err);
		if (rc == BSC_OK) {
			bsc__unlayout_release(&reader->unlayout);
			rc = bsc__unlayout_init(&reader->unlayout, schema, err);
		}
	} else if (!reader->unlayout.schema.release) {
		rc = bsc__fail(err, BSC_MALFORMED, "the first batch has no schema");
	}
	if (rc == BSC_OK) {
		struct bsc__on_release on_release = {bsc__pool_release_slot, reader->worker};
		bsc__worker_ref(reader->worker);
		rc = bsc__array_read(&reader->unlayout, &frame->payload, &reader->worker->segments, frame->number, &on_release,
		                     array, bytes, err);
		if (rc != BSC_OK) {
			bsc__worker_unref(reader->worker);
		}
	}
	return rc;
}

/* After a batch was taken: how far the worker may go. The first batch lets it read one more; then twice as
 * much each time, up to the budget. */
static int widen(struct reader *reader, uint64_t bytes, struct bsc_error *err)
{
	reader->taken += bytes;
	reader->ahead = reader->ahead ? 2 * reader->ahead : 1;
	uint64_t most = reader->budget ? reader->budget : 1;
	reader->ahead = reader->ahead < bytes ? bytes : reader->ahead;
	reader->ahead = reader->ahead > most ? most : reader->ahead;
	uint64_t window = reader->taken + reader->ahead;
	if (window - reader->window < reader->ahead / 4) {
		return BSC_OK; /* it has enough to do */
	}
	struct bsc__bytes out;
	bsc__bytes_init(&out, 16 << 20);
	size_t begin = bsc__frame_begin(&out, BSC__WINDOW, reader->number);
	bsc__put_u64(&out, window);
	bsc__put_u64(&out, reader->taken);
	bsc__frame_end(&out, begin);
	/* Without it both would wait for ever. */
	int rc = out.failed ? bsc__fail_nomem(err, "reading a partition") : BSC_OK;
	(void)bsc__pool_send(reader->worker, &out);
	bsc__bytes_release(&out);
	reader->window = window;
	return rc;
}

static int next_of_worker(struct reader *reader, struct bsc__question *q, struct ArrowArray *array,
                          struct ArrowSchema *schema, bool *ended, struct bsc_error *err)
{
	struct bsc__frame frame;
	struct bsc_error why;
	uint64_t bytes = 0;
	int rc = bsc__pool_next_frame(reader->worker, &q->wait, q->doing, &frame, err);
	while (rc == BSC_OK && frame.type == BSC__METRICS && frame.number == reader->number) {
		bsc__take_metrics(reader->meter, &frame);
		rc = bsc__wait_unwanted(&q->wait) ? bsc__fail(err, BSC_CANCELLED, "%s: cancelled", q->doing)
		                                  : bsc__pool_next_frame(reader->worker, &q->wait, q->doing, &frame, err);
	}
	if (rc != BSC_OK) {
		return rc;
	}
	if (frame.number == reader->number && frame.type == BSC__FAILED) {
		return bsc__take_failure(reader->worker, &frame, q->doing, err);
	}
	if (frame.number == reader->number && frame.type == BSC__END && reader->worker->ending) {
		return bsc__fail(err, BSC_WORKER, "%s: this process ended its worker processes meanwhile", q->doing);
	}
	if (frame.number == reader->number && frame.type == BSC__END) {
		*ended = true;
		return BSC_OK;
	}
	if (frame.type != BSC__BATCH) {
		rc = bsc__fail(&why, BSC_MALFORMED, "a frame of type %d in a read", (int)frame.type);
	} else {
		rc = take_batch(reader, &frame, array, schema, &bytes, &why);
	}
	if (rc != BSC_OK) {
		return bsc__fail(err, rc == BSC_NOMEM ? BSC_NOMEM : BSC_WORKER,
		                 "%s: the worker process %d broke the protocol and was killed: %s", q->doing,
		                 (int)reader->worker->pid, why.message);
	}
	rc = widen(reader, bytes, err);
	if (rc != BSC_OK) {
		array->release(array);
		array->release = NULL;
	}
	return rc;
}

static int read_next(void *ptr, const struct bsc_poll *poll, struct ArrowArray *array, struct ArrowSchema *schema,
                     bool *ended, struct bsc_error *err)
{
	struct reader *reader = ptr;
	struct bsc__plan *plan = reader->plan;
	struct bsc__question q = {.meter = reader->meter};
	int64_t asked = bsc__now_ns();
	describe(reader, q.doing, sizeof(q.doing));
	q.worker = reader->worker;
	q.wait = (struct bsc__wait){
	    .poll = poll,
	    .timeout_ms = plan->instance->cls->run.timeout_ms,
	    .on_main = plan->instance->on_main,
	    .since = reader->since,
	};
	int rc = BSC_OK;
	if (reader->has_turn) {
		bsc__turns_ask(&plan->turns);
	} else {
		rc = bsc__turns_take(&plan->turns, reader->partition, &q.wait, q.doing, err);
		reader->has_turn = rc == BSC_OK;
	}
	if (rc == BSC_OK) {
		rc = reader->begun ? BSC_OK : begin(reader, &q, err);
		if (reader->worker) {
			bsc_meter_worker(reader->meter, reader->worker->pid);
		}
		if (rc == BSC_OK) {
			rc = next_of_worker(reader, &q, array, schema, ended, err);
		}
		bsc__turns_got(&plan->turns);
	}
	bsc_meter_time(reader->meter, 0, bsc__now_ns() - asked);
	if (rc != BSC_OK || *ended) {
		if (schema->release) {
			schema->release(schema);
			schema->release = NULL;
		}
		let_go(reader, rc);
	}
	return rc;
}

static void read_close(void *ptr)
{
	struct reader *reader = ptr;
	if (reader->worker || reader->has_turn) {
		let_go(reader, BSC_CANCELLED);
	}
	bsc__unlayout_release(&reader->unlayout);
	bsc__free(reader);
}

/* ---- the executor ---- */

const struct bsc_executor *bsc_process_executor(void)
{
	static const struct bsc_executor executor = {
	    .name = "process",
	    .resolve = resolve,
	    .class_release = class_release,
	    .open = bsc__instance_open,
	    .close = bsc__instance_close,
	    .statistics = bsc__instance_statistics,
	    .claim = bsc__instance_claim,
	    .offset = bsc__instance_offset,
	    .plan = bsc__plan_new,
	    .plan_free = bsc__plan_free,
	    .plan_spec = bsc__plan_spec,
	    .plan_readers = bsc__plan_readers,
	    .read_open = read_open,
	    .read_next = read_next,
	    .read_close = read_close,
	};
	return &executor;
}
