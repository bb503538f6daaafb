/* The executor that runs classes in worker processes: bsc_executor over the pool. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "process/classes.h"
#include "process/layout.h"
#include "process/pool.h"
#include "process/question.h"
#include "process/surroundings.h"
#include "process/turns.h"

struct instance {
	struct bsc__class *cls;
	uint64_t number;
	char *label;
	struct bsc_str identity; /* owned: of the class, as the first worker loaded it; empty: not known yet */
	bool on_main;            /* opened by the thread that Ctrl-C is for */
	bool has_statistics;
	struct bsc__bytes open; /* the payload of OPEN, but for its `infer`, and identity */
};

struct plan {
	struct instance *instance; /* outlives the plan */
	uint64_t number;
	struct bsc__bytes hints; /* as in PLAN and READ */
	struct bsc__bytes specs;
	size_t *ends;  /* of each spec in `specs` */
	int64_t *rows; /* of each partition, until they are handed over */
	int64_t n, cap;

	struct bsc__turns turns;

	pthread_mutex_t lock;       /* guards what follows; a leaf but for the pool's */
	struct bsc__worker *worker; /* that planned, with a reference: its specs may hold sessions; NULL: gone */
	bool pinned;                /* no other plan's readers get it */
	bool in_use;                /* one of ours has it */
};

struct reader {
	struct plan *plan;       /* outlives the reader */
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

/* ---- instance ---- */

static void instance_free(struct instance *instance)
{
	bsc__class_release(instance->cls);
	bsc__bytes_release(&instance->open);
	bsc__free((char *)(uintptr_t)instance->identity.ptr);
	bsc__free(instance->label);
	bsc__free(instance);
}

/* The payload of OPEN. `infer` is its ninth byte. */
static void put_open(struct instance *instance, const struct bsc_opening *opening)
{
	struct bsc__bytes *out = &instance->open;
	const struct bsc__class *cls = instance->cls;
	bsc__bytes_init(out, BSC__PAYLOAD_MAX);
	bsc__put_u64(out, instance->number);
	bsc__put_u8(out, 0);
	bsc__put_u8(out, opening->schema_mode == BSC_SCHEMA_EVOLVE);
	bsc__put_str(out, bsc__str(opening->label));
	bsc__put_u8(out, cls->pickle.len ? BSC__CLASS_PICKLED : (uint8_t)cls->kind);
	bsc__put_str(out, cls->pickle.len ? cls->pickle : cls->module);
	bsc__put_str(out, cls->name);
	size_t n = bsc_options_count(opening->options);
	bsc__put_u32(out, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		bsc__put_str(out, bsc_options_name(opening->options, i));
		bsc__put_str(out, bsc_options_value(opening->options, i));
	}
	bsc__put_u64(out, (uint64_t)opening->cache_ttl_ms);
	bsc__put_u64(out, opening->cache_epoch);
}

#define IDENTITY_MAX 65536

static int keep_identity(struct instance *instance, struct bsc_str identity, struct bsc_error *err)
{
	char *copy = bsc__strndup(identity);
	if (!copy) {
		return bsc__fail_nomem(err, "opening a source");
	}
	instance->identity = (struct bsc_str){copy, identity.len};
	return BSC_OK;
}

/* Opens the instance in a worker that hasn't it. schema: out, where it is asked for; else NULL. */
static int open_in(struct bsc__question *q, struct bsc__worker *worker, struct instance *instance,
                   struct ArrowSchema *schema, struct bsc_error *err)
{
	struct bsc__frame frame;
	bsc__ask(q, worker, BSC__OPEN);
	size_t at = q->out.len;
	bsc__put(&q->out, instance->open.ptr, instance->open.len);
	if (!q->out.failed) {
		q->out.ptr[at + sizeof(uint64_t)] = schema != NULL;
	}
	bsc__put_str(&q->out, instance->identity);
	int rc = bsc__question_send(q, err);
	if (rc == BSC_OK && !bsc__pool_add_instance(worker, instance->number)) {
		rc = bsc__fail_nomem(err, q->doing);
	}
	if (rc == BSC_OK) {
		rc = bsc__await(q, BSC__OPENED, NULL, NULL, &frame, err);
	}
	if (rc == BSC_OK && schema) {
		bool has = bsc__get_u8(&frame.payload);
		rc = has ? bsc__get_schema(&frame.payload, schema, err)
		         : bsc__fail(err, BSC_WORKER, "%s: the worker process answered without a schema", q->doing);
	}
	if (rc == BSC_OK && schema) {
		rc = keep_identity(instance, bsc__get_str(&frame.payload, IDENTITY_MAX), err);
		instance->has_statistics = bsc__get_u8(&frame.payload);
		if (rc != BSC_OK) {
			schema->release(schema);
			schema->release = NULL;
		}
	}
	if (rc != BSC_OK) {
		/* Whether it is open there is not known. */
		bsc__pool_drop_instance(worker, instance->number);
	}
	return rc;
}

static int instance_open(void *state, void *cls, const struct bsc_opening *opening, const struct bsc_poll *poll,
                         void **instance_out, struct ArrowSchema *schema_out, struct bsc_error *err)
{
	(void)state;
	struct instance *instance = bsc__calloc(1, sizeof(*instance));
	struct bsc__worker *worker = NULL;
	struct bsc__question q = {.meter = NULL};
	if (!instance || !(instance->label = bsc__strndup(bsc__str(opening->label)))) {
		bsc__free(instance);
		return bsc__fail_nomem(err, "opening a source");
	}
	instance->cls = bsc__class_ref(cls);
	instance->number = bsc__new_number();
	instance->on_main = bsc__on_main();
	put_open(instance, opening);
	snprintf(q.doing, sizeof(q.doing), "%.*s: infer_schema", BSC__LABEL_CAP, instance->label);
	q.wait = bsc__wait_begin(poll, instance->cls->run.timeout_ms, instance->on_main);
	int rc = instance->open.no_memory ? bsc__fail_nomem(err, "opening a source")
	         : instance->open.failed  ? bsc__fail(err, BSC_INVALID, "%s: its options are of more than %u MiB in all",
	                                              instance->label, BSC__PAYLOAD_MAX >> 20)
	                                  : bsc__pool_check_out(&instance->cls->key, 0, instance->cls->run.n_workers,
	                                                        instance->label, &q.wait, &worker, err);
	if (rc == BSC_OK) {
		rc = open_in(&q, worker, instance, schema_out, err);
		bsc__settle(worker, rc == BSC_MALFORMED || rc == BSC_NOMEM ? BSC_WORKER : rc);
	}
	if (rc != BSC_OK) {
		bsc__pool_close_instance(instance->number);
		instance_free(instance);
		return rc;
	}
	*instance_out = instance;
	return BSC_OK;
}

static void instance_close(void *ptr)
{
	struct instance *instance = ptr;
	bsc__pool_close_instance(instance->number);
	instance_free(instance);
}

/* The instance in `worker`, opened there if need be. */
static int ensure_instance(struct bsc__question *q, struct bsc__worker *worker, struct instance *instance,
                           struct bsc_error *err)
{
	return bsc__pool_has_instance(worker, instance->number) ? BSC_OK : open_in(q, worker, instance, NULL, err);
}

/* One question about the instance, with the answer in *frame, which stays valid until the worker is settled.
 * rc != BSC_OK: it is settled. */
static int ask_instance(struct instance *instance, struct bsc__question *q, enum bsc__frame_type type,
                        enum bsc__frame_type answer, const struct bsc_str *more, struct bsc__frame *frame,
                        struct bsc_error *err)
{
	const struct bsc_run_settings *run = &instance->cls->run;
	struct bsc__worker *worker;
	int rc = bsc__pool_check_out(&instance->cls->key, instance->number, run->n_workers, instance->label, &q->wait,
	                             &worker, err);
	if (rc != BSC_OK) {
		return rc;
	}
	rc = ensure_instance(q, worker, instance, err);
	if (rc == BSC_OK) {
		bsc__ask(q, worker, type);
		bsc__put_u64(&q->out, instance->number);
		if (more) {
			bsc__put_str(&q->out, *more);
		}
		rc = bsc__question_send(q, err);
	}
	if (rc == BSC_OK) {
		rc = bsc__await(q, answer, NULL, NULL, frame, err);
	}
	if (rc != BSC_OK) {
		bsc__settle(worker, rc);
	}
	return rc;
}

static int statistics(void *ptr, const struct bsc_poll *poll, struct bsc_statistics *out, struct bsc_error *err)
{
	struct instance *instance = ptr;
	struct bsc__frame frame;
	struct bsc__question q = {.meter = NULL};
	*out = (struct bsc_statistics){-1, -1, false};
	if (!instance->has_statistics) {
		return BSC_OK;
	}
	snprintf(q.doing, sizeof(q.doing), "%.*s: statistics", BSC__LABEL_CAP, instance->label);
	q.wait = bsc__wait_begin(poll, instance->cls->run.timeout_ms, instance->on_main);
	int rc = ask_instance(instance, &q, BSC__STATISTICS, BSC__COUNTED, NULL, &frame, err);
	if (rc == BSC_OK) {
		bool known = bsc__get_u8(&frame.payload);
		int64_t n_rows = bsc__get_i64(&frame.payload), n_bytes = bsc__get_i64(&frame.payload);
		bool exact = bsc__get_u8(&frame.payload);
		bool right = !frame.payload.failed;
		if (known && right) {
			*out = (struct bsc_statistics){n_rows < 0 ? -1 : n_rows, n_bytes < 0 ? -1 : n_bytes, exact && n_rows >= 0};
		}
		int pid = (int)q.worker->pid;
		bsc__settle(q.worker, right ? BSC_OK : BSC_WORKER);
		rc = right
		         ? BSC_OK
		         : bsc__fail(err, BSC_WORKER, "%s: the worker process %d sent statistics that are none", q.doing, pid);
	}
	return rc;
}

static int claim(void *ptr, struct bsc_str filters, const struct bsc_poll *poll, bool *exact, size_t n,
                 struct bsc_error *err)
{
	struct instance *instance = ptr;
	struct bsc__frame frame;
	struct bsc__question q = {.meter = NULL};
	snprintf(q.doing, sizeof(q.doing), "%.*s: push_filters", BSC__LABEL_CAP, instance->label);
	q.wait = bsc__wait_begin(poll, instance->cls->run.timeout_ms, instance->on_main);
	int rc = ask_instance(instance, &q, BSC__CLAIM, BSC__CLAIMED, &filters, &frame, err);
	if (rc != BSC_OK) {
		return rc;
	}
	bool right = bsc__get_u32(&frame.payload) == n && frame.payload.left == n;
	for (size_t i = 0; right && i < n; i++) {
		exact[i] = bsc__get_u8(&frame.payload);
	}
	int pid = (int)q.worker->pid;
	bsc__settle(q.worker, right ? BSC_OK : BSC_WORKER);
	return right ? BSC_OK
	             : bsc__fail(err, BSC_WORKER, "%s: the worker process %d answered for another number of predicates",
	                         q.doing, pid);
}

/* ---- plan ---- */

static void put_hints(struct bsc__bytes *out, const struct bsc_hints *hints)
{
	bsc__put_u8(out, hints->columns != NULL);
	if (hints->columns) {
		bsc__put_u32(out, (uint32_t)hints->n_columns);
		for (int64_t i = 0; i < hints->n_columns; i++) {
			bsc__put_str(out, bsc__str(hints->columns[i]));
		}
	}
	bsc__put_str(out, hints->filters);
	bsc__put_u8(out, hints->limited);
	bsc__put_i64(out, hints->limit);
}

/* The most that all specs of a plan may take. */
#define SPECS_MAX ((size_t)4 << 30)
#define PARTITIONS_MAX (1 << 27)

/* SPECS: appends them. */
static int take_specs(void *ctx, struct bsc__frame *frame)
{
	struct plan *plan = ctx;
	if (frame->type != BSC__SPECS) {
		return BSC_WORKER;
	}
	uint32_t n = bsc__get_u32(&frame->payload);
	int64_t first = plan->n;
	for (uint32_t i = 0; i < n; i++) {
		struct bsc_str spec = bsc__get_str(&frame->payload, BSC__PAYLOAD_MAX);
		if (frame->payload.failed) {
			return BSC_WORKER;
		}
		if (plan->n == plan->cap) {
			int64_t cap = plan->cap ? 2 * plan->cap : 64;
			size_t *ends = bsc__resize(plan->ends, (size_t)cap, sizeof(*ends));
			plan->ends = ends ? ends : plan->ends;
			int64_t *rows = ends ? realloc(plan->rows, (size_t)cap * sizeof(*rows)) : NULL;
			if (!rows) {
				return BSC_NOMEM;
			}
			plan->rows = rows;
			plan->cap = cap;
		}
		bsc__put(&plan->specs, spec.ptr, spec.len);
		if (plan->specs.failed || plan->n == PARTITIONS_MAX) {
			return plan->specs.no_memory ? BSC_NOMEM : BSC_WORKER;
		}
		plan->ends[plan->n++] = plan->specs.len;
	}
	for (int64_t i = first; i < plan->n; i++) {
		plan->rows[i] = bsc__get_i64(&frame->payload);
	}
	return frame->payload.failed ? BSC_WORKER : BSC_OK;
}

/* PLANNED. *planned is filled on success alone. */
static int take_planned(struct plan *plan, struct bsc__question *q, struct bsc__frame *frame,
                        struct bsc_planned *planned, struct bsc_error *err)
{
	int64_t n = bsc__get_i64(&frame->payload), n_pruned = bsc__get_i64(&frame->payload);
	bool has_rows = bsc__get_u8(&frame->payload);
	struct bsc_str pushed = bsc__get_str(&frame->payload, BSC__PAYLOAD_MAX);
	/* The two are added up, for people. */
	if (frame->payload.failed || n != plan->n || n_pruned < 0 || n_pruned > INT64_MAX - n) {
		return bsc__fail(err, BSC_WORKER, "%s: the worker process %d sent another number of partitions than it said",
		                 q->doing, (int)q->worker->pid);
	}
	/* It becomes a value of bascule_scans(). */
	if (bsc__utf8_valid(pushed.ptr, pushed.len) != pushed.len) {
		return bsc__fail(err, BSC_WORKER, "%s: the worker process %d said what it was told in bytes that are no text",
		                 q->doing, (int)q->worker->pid);
	}
	char *copy = pushed.len ? malloc(pushed.len + 1) : NULL;
	if (pushed.len && !copy) {
		return bsc__fail_nomem(err, "planning a scan");
	}
	if (copy) {
		memcpy(copy, pushed.ptr, pushed.len);
		copy[pushed.len] = '\0';
	}
	*planned = (struct bsc_planned){n, n_pruned, has_rows ? plan->rows : NULL, copy};
	plan->rows = has_rows ? NULL : plan->rows;
	return BSC_OK;
}

static void plan_free(void *ptr)
{
	struct plan *plan = ptr;
	if (plan->worker) {
		bsc__pool_free_plan(plan->worker, plan->number);
		if (plan->pinned) {
			bsc__pool_check_in(plan->worker);
		}
		bsc__worker_unref(plan->worker);
	}
	bsc__bytes_release(&plan->hints);
	bsc__bytes_release(&plan->specs);
	bsc__free(plan->ends);
	free(plan->rows);
	bsc__turns_release(&plan->turns);
	pthread_mutex_destroy(&plan->lock);
	bsc__free(plan);
}

static int plan_new(void *ptr, const struct bsc_hints *hints, struct bsc_meter *meter, const struct bsc_poll *poll,
                    void **plan_out, struct bsc_planned *planned, struct bsc_error *err)
{
	struct instance *instance = ptr;
	const struct bsc_run_settings *run = &instance->cls->run;
	struct bsc__worker *worker;
	struct bsc__frame frame;
	struct bsc__question q = {.meter = meter};
	struct plan *plan = bsc__calloc(1, sizeof(*plan));
	if (!plan) {
		return bsc__fail_nomem(err, "planning a scan");
	}
	plan->instance = instance;
	plan->number = bsc__new_number();
	bsc__bytes_init(&plan->hints, BSC__PAYLOAD_MAX);
	bsc__bytes_init(&plan->specs, SPECS_MAX);
	pthread_mutex_init(&plan->lock, NULL);
	put_hints(&plan->hints, hints);
	snprintf(q.doing, sizeof(q.doing), "%.*s: plan_partitions", BSC__LABEL_CAP, instance->label);
	q.wait = bsc__wait_begin(poll, run->timeout_ms, instance->on_main);
	int rc = plan->hints.no_memory ? bsc__fail_nomem(err, "planning a scan")
	         : plan->hints.failed
	             ? bsc__fail(err, BSC_INVALID,
	                         "%s: the names of its columns and its predicates are of more than %u MiB in all", q.doing,
	                         BSC__PAYLOAD_MAX >> 20)
	             : bsc__pool_check_out(&instance->cls->key, instance->number, run->n_workers, instance->label, &q.wait,
	                                   &worker, err);
	if (rc != BSC_OK) {
		plan_free(plan);
		return rc;
	}
	rc = ensure_instance(&q, worker, instance, err);
	if (rc == BSC_OK) {
		bsc__ask(&q, worker, BSC__PLAN);
		bsc__put_u64(&q.out, instance->number);
		bsc__put_u64(&q.out, plan->number);
		bsc__put(&q.out, plan->hints.ptr, plan->hints.len);
		rc = bsc__question_send(&q, err);
	}
	if (rc == BSC_OK) {
		rc = bsc__await(&q, BSC__PLANNED, take_specs, plan, &frame, err);
	}
	if (rc == BSC_OK) {
		rc = bsc__turns_init(&plan->turns, plan->n, run->n_workers, err);
	}
	if (rc == BSC_OK) {
		rc = take_planned(plan, &q, &frame, planned, err);
	}
	if (rc != BSC_OK) {
		bsc__settle(worker, rc == BSC_NOMEM ? BSC_OK : rc);
		plan_free(plan);
		return rc;
	}
	bsc__worker_ref(worker);
	plan->worker = worker;
	plan->pinned = true;
	bsc__pool_park(worker, true);
	*plan_out = plan;
	return BSC_OK;
}

static int64_t plan_readers(void *ptr)
{
	const struct plan *plan = ptr;
	return plan->instance->cls->run.n_workers;
}

/* ---- reader ---- */

static int read_open(void *ptr, int64_t partition, struct bsc_meter *meter, void **reader_out, struct bsc_error *err)
{
	struct plan *plan = ptr;
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
	struct plan *plan = ctx;
	pthread_mutex_lock(&plan->lock);
	bool is_free = plan->pinned && !plan->in_use && !plan->worker->foreign;
	pthread_mutex_unlock(&plan->lock);
	return is_free;
}

static bool take_own(struct reader *reader)
{
	struct plan *plan = reader->plan;
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
	struct plan *plan = reader->plan;
	const struct instance *instance = plan->instance;
	int rc = BSC_OK;
	q->wait.over = own_is_free;
	q->wait.over_ctx = plan;
	while (rc == BSC_OK && !reader->worker && !take_own(reader)) {
		rc = bsc__pool_check_out(&instance->cls->key, instance->number, bsc__turns_most(&plan->turns), instance->label,
		                         &q->wait, &reader->worker, err);
	}
	q->wait.over = NULL;
	return rc;
}

/* The worker goes where it came from. rc: how the read ended; BSC_CANCELLED: before its end. */
static void let_go(struct reader *reader, int rc)
{
	struct plan *plan = reader->plan;
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
	struct plan *plan = reader->plan;
	struct instance *instance = plan->instance;
	int rc = take_worker(reader, q, err);
	if (rc == BSC_OK) {
		rc = ensure_instance(q, reader->worker, instance, err);
	}
	if (rc != BSC_OK) {
		return rc;
	}
	size_t from = reader->partition ? plan->ends[reader->partition - 1] : 0;
	struct bsc_str spec = {NULL, plan->ends[reader->partition] - from};
	if (spec.len) {
		spec.ptr = (const char *)plan->specs.ptr + from;
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
	bsc__put_str(&q->out, spec);
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
	struct plan *plan = reader->plan;
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
	    .open = instance_open,
	    .close = instance_close,
	    .statistics = statistics,
	    .claim = claim,
	    .plan = plan_new,
	    .plan_free = plan_free,
	    .plan_readers = plan_readers,
	    .read_open = read_open,
	    .read_next = read_next,
	    .read_close = read_close,
	};
	return &executor;
}
