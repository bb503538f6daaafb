/* A source's instances in workers: opened in each that reads it. */
#include "process/instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "process/pool.h"
#include "process/surroundings.h"

static void instance_free(struct bsc__instance *instance)
{
	bsc__class_release(instance->cls);
	bsc__bytes_release(&instance->open);
	bsc__free((char *)(uintptr_t)instance->identity.ptr);
	bsc__free(instance->label);
	bsc__free(instance);
}

/* The payload of OPEN. `infer` is its ninth byte. */
static void put_open(struct bsc__instance *instance, const struct bsc_opening *opening)
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

static int keep_identity(struct bsc__instance *instance, struct bsc_str identity, struct bsc_error *err)
{
	char *copy = bsc__strndup(identity);
	if (!copy) {
		return bsc__fail_nomem(err, "opening a source");
	}
	instance->identity = (struct bsc_str){copy, identity.len};
	return BSC_OK;
}

/* Opens the instance in a worker that hasn't it. schema: out, where it is asked for; else NULL. */
static int open_in(struct bsc__question *q, struct bsc__worker *worker, struct bsc__instance *instance,
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

int bsc__instance_open(void *state, void *cls, const struct bsc_opening *opening, const struct bsc_poll *poll,
                       void **instance_out, struct ArrowSchema *schema_out, struct bsc_error *err)
{
	(void)state;
	struct bsc__instance *instance = bsc__calloc(1, sizeof(*instance));
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

void bsc__instance_close(void *ptr)
{
	struct bsc__instance *instance = ptr;
	bsc__pool_close_instance(instance->number);
	instance_free(instance);
}

/* The instance in `worker`, opened there if need be. */
int bsc__instance_ensure(struct bsc__question *q, struct bsc__worker *worker, struct bsc__instance *instance,
                         struct bsc_error *err)
{
	return bsc__pool_has_instance(worker, instance->number) ? BSC_OK : open_in(q, worker, instance, NULL, err);
}

int bsc__instance_worker(const struct bsc__instance *instance, struct bsc__question *q, int64_t most,
                         struct bsc__worker **worker, struct bsc_error *err)
{
	return bsc__pool_check_out(&instance->cls->key, instance->number, most, instance->label, &q->wait, worker, err);
}

/* One question about the instance, with the answer in *frame, which stays valid until the worker is settled.
 * more: what the question's payload has behind the instance's number; NULL: nothing.
 * rc != BSC_OK: it is settled. */
static int ask_instance(struct bsc__instance *instance, struct bsc__question *q, enum bsc__frame_type type,
                        enum bsc__frame_type answer, const struct bsc__bytes *more, struct bsc__frame *frame,
                        struct bsc_error *err)
{
	struct bsc__worker *worker;
	int rc = bsc__instance_worker(instance, q, instance->cls->run.n_workers, &worker, err);
	if (rc != BSC_OK) {
		return rc;
	}
	rc = bsc__instance_ensure(q, worker, instance, err);
	if (rc == BSC_OK) {
		bsc__ask(q, worker, type);
		bsc__put_u64(&q->out, instance->number);
		if (more) {
			bsc__put(&q->out, more->ptr, more->len);
			q->out.failed |= more->failed;
			q->out.no_memory |= more->no_memory;
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

int bsc__instance_statistics(void *ptr, const struct bsc_poll *poll, struct bsc_statistics *out, struct bsc_error *err)
{
	struct bsc__instance *instance = ptr;
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

int bsc__instance_claim(void *ptr, struct bsc_str filters, const struct bsc_poll *poll, bool *exact, size_t n,
                        struct bsc_error *err)
{
	struct bsc__instance *instance = ptr;
	struct bsc__frame frame;
	struct bsc__question q = {.meter = NULL};
	snprintf(q.doing, sizeof(q.doing), "%.*s: push_filters", BSC__LABEL_CAP, instance->label);
	q.wait = bsc__wait_begin(poll, instance->cls->run.timeout_ms, instance->on_main);
	struct bsc__bytes more;
	bsc__bytes_init(&more, BSC__PAYLOAD_MAX);
	bsc__put_str(&more, filters);
	int rc = ask_instance(instance, &q, BSC__CLAIM, BSC__CLAIMED, &more, &frame, err);
	bsc__bytes_release(&more);
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

int bsc__instance_offset(void *ptr, enum bsc_offset_question question, const struct bsc_offsets *offsets,
                         const struct bsc_poll *poll, char **answer_out, struct bsc_error *err)
{
	static const char *const methods[] = {"initial_offset", "latest_offset", "commit_offset"};
	struct bsc__instance *instance = ptr;
	struct bsc__frame frame;
	struct bsc__question q = {.meter = NULL};
	snprintf(q.doing, sizeof(q.doing), "%.*s: %s", BSC__LABEL_CAP, instance->label, methods[question]);
	q.wait = bsc__wait_begin(poll, instance->cls->run.timeout_ms, instance->on_main);
	struct bsc__bytes more;
	bsc__bytes_init(&more, BSC__PAYLOAD_MAX);
	bsc__put_u8(&more, (uint8_t)question);
	bsc__put_str(&more, offsets->start);
	bsc__put_str(&more, offsets->end);
	int rc = ask_instance(instance, &q, BSC__OFFSET, BSC__LOCATED, &more, &frame, err);
	bsc__bytes_release(&more);
	if (rc != BSC_OK) {
		return rc;
	}
	struct bsc_str answer = bsc__get_str(&frame.payload, BSC__PAYLOAD_MAX);
	bool right = !frame.payload.failed && (answer.len != 0) == (question != BSC_OFFSET_COMMIT) &&
	             bsc__utf8_valid(answer.ptr, answer.len) == answer.len &&
	             (answer.len == 0 || !memchr(answer.ptr, 0, answer.len));
	char *copy = right && answer.len ? bsc__strndup(answer) : NULL;
	int pid = (int)q.worker->pid;
	bsc__settle(q.worker, right ? BSC_OK : BSC_WORKER);
	if (!right) {
		return bsc__fail(err, BSC_WORKER, "%s: the worker process %d sent an offset that is none", q.doing, pid);
	}
	if (answer.len && !copy) {
		return bsc__fail_nomem(err, q.doing);
	}
	*answer_out = copy;
	return BSC_OK;
}
