/* Plans: asked of one worker, their specs kept as bytes. */
#include "process/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "process/pool.h"

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

static int add_spec(struct bsc__plan *plan, struct bsc_str spec)
{
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
	return BSC_OK;
}

/* SPECS: appends them. */
static int take_specs(void *ctx, struct bsc__frame *frame)
{
	struct bsc__plan *plan = ctx;
	if (frame->type != BSC__SPECS) {
		return BSC_WORKER;
	}
	uint32_t n = bsc__get_u32(&frame->payload);
	int64_t first = plan->n;
	for (uint32_t i = 0; i < n; i++) {
		struct bsc_str spec = bsc__get_str(&frame->payload, BSC__PAYLOAD_MAX);
		int rc = frame->payload.failed ? BSC_WORKER : add_spec(plan, spec);
		if (rc != BSC_OK) {
			return rc;
		}
	}
	for (int64_t i = first; i < plan->n; i++) {
		plan->rows[i] = bsc__get_i64(&frame->payload);
	}
	return frame->payload.failed ? BSC_WORKER : BSC_OK;
}

/* PLANNED. *planned is filled on success alone. */
static int take_planned(struct bsc__plan *plan, struct bsc__question *q, struct bsc__frame *frame,
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
	char *copy = pushed.len ? bsc__strndup(pushed) : NULL;
	if (pushed.len && !copy) {
		return bsc__fail_nomem(err, "planning a scan");
	}
	*planned = (struct bsc_planned){n, n_pruned, has_rows ? plan->rows : NULL, copy};
	plan->rows = has_rows ? NULL : plan->rows;
	return BSC_OK;
}

void bsc__plan_free(void *ptr)
{
	struct bsc__plan *plan = ptr;
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

/* Asks a worker, which then is the plan's. */
static int ask_worker(struct bsc__plan *plan, struct bsc__question *q, const struct bsc_hints *hints,
                      struct bsc_planned *planned, struct bsc_error *err)
{
	struct bsc__instance *instance = plan->instance;
	const struct bsc_run_settings *run = &instance->cls->run;
	struct bsc__worker *worker;
	struct bsc__frame frame;
	int rc = bsc__instance_worker(instance, q, run->n_workers, &worker, err);
	if (rc != BSC_OK) {
		return rc;
	}
	rc = bsc__instance_ensure(q, worker, instance, err);
	if (rc == BSC_OK) {
		bsc__ask(q, worker, BSC__PLAN);
		bsc__put_u64(&q->out, instance->number);
		bsc__put_u64(&q->out, plan->number);
		bsc__put(&q->out, plan->hints.ptr, plan->hints.len);
		bsc__put_str(&q->out, hints->offsets.start);
		bsc__put_str(&q->out, hints->offsets.end);
		bsc__put_u8(&q->out, hints->portable);
		rc = bsc__question_send(q, err);
	}
	if (rc == BSC_OK) {
		rc = bsc__await(q, BSC__PLANNED, take_specs, plan, &frame, err);
	}
	if (rc == BSC_OK) {
		rc = bsc__turns_init(&plan->turns, plan->n, run->n_workers, err);
	}
	if (rc == BSC_OK) {
		rc = take_planned(plan, q, &frame, planned, err);
	}
	if (rc != BSC_OK) {
		bsc__settle(worker, rc == BSC_NOMEM ? BSC_OK : rc);
		return rc;
	}
	bsc__worker_ref(worker);
	plan->worker = worker;
	plan->pinned = true;
	bsc__pool_park(worker, true);
	return BSC_OK;
}

/* The plan that another process made; no worker has it. */
static int take_given(struct bsc__plan *plan, const struct bsc_hints *hints, const char *doing,
                      struct bsc_planned *planned, struct bsc_error *err)
{
	int rc = BSC_OK;
	for (int64_t i = 0; rc == BSC_OK && i < hints->n_specs; i++) {
		rc = add_spec(plan, hints->specs[i]);
	}
	if (rc == BSC_WORKER) {
		return bsc__fail(err, BSC_INVALID, "%s: the given partitions are more than %d or %zu GiB", doing,
		                 PARTITIONS_MAX, SPECS_MAX >> 30);
	}
	if (rc != BSC_OK) {
		return bsc__fail_nomem(err, "planning a scan");
	}
	*planned = (struct bsc_planned){.n_partitions = plan->n};
	return bsc__turns_init(&plan->turns, plan->n, plan->instance->cls->run.n_workers, err);
}

int bsc__plan_new(void *ptr, const struct bsc_hints *hints, struct bsc_meter *meter, const struct bsc_poll *poll,
                  void **plan_out, struct bsc_planned *planned, struct bsc_error *err)
{
	struct bsc__instance *instance = ptr;
	struct bsc__question q = {.meter = meter};
	struct bsc__plan *plan = bsc__calloc(1, sizeof(*plan));
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
	q.wait = bsc__wait_begin(poll, instance->cls->run.timeout_ms, instance->on_main);
	int rc;
	if (plan->hints.no_memory) {
		rc = bsc__fail_nomem(err, "planning a scan");
	} else if (plan->hints.failed) {
		rc = bsc__fail(err, BSC_INVALID,
		               "%s: the names of its columns and its predicates are of more than %u MiB in all", q.doing,
		               BSC__PAYLOAD_MAX >> 20);
	} else if (hints->specs) {
		rc = take_given(plan, hints, q.doing, planned, err);
	} else {
		rc = ask_worker(plan, &q, hints, planned, err);
	}
	if (rc != BSC_OK) {
		bsc__plan_free(plan);
		return rc;
	}
	*plan_out = plan;
	return BSC_OK;
}

struct bsc_str bsc__plan_spec_of(const struct bsc__plan *plan, int64_t partition)
{
	size_t from = partition ? plan->ends[partition - 1] : 0;
	struct bsc_str spec = {NULL, plan->ends[partition] - from};
	if (spec.len) {
		spec.ptr = (const char *)plan->specs.ptr + from;
	}
	return spec;
}

int bsc__plan_spec(void *ptr, int64_t partition, char **spec_out, size_t *len_out, struct bsc_error *err)
{
	struct bsc_str spec = bsc__plan_spec_of(ptr, partition);
	char *copy = malloc(spec.len + 1);
	if (!copy) {
		return bsc__fail_nomem(err, "copying a partition's spec");
	}
	if (spec.len) {
		memcpy(copy, spec.ptr, spec.len);
	}
	*spec_out = copy;
	*len_out = spec.len;
	return BSC_OK;
}

int64_t bsc__plan_readers(void *ptr)
{
	const struct bsc__plan *plan = ptr;
	return plan->instance->cls->run.n_workers;
}
