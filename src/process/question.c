/* Questions to workers. */
#include "process/question.h"

#include <string.h>

#include "process/surroundings.h"

static _Atomic uint64_t n_numbers; /* of instances, plans, requests */

uint64_t bsc__new_number(void)
{
	return atomic_fetch_add(&n_numbers, 1) + 1;
}

void bsc__ask(struct bsc__question *q, struct bsc__worker *worker, enum bsc__frame_type type)
{
	bsc__bytes_init(&q->out, 3 * (size_t)BSC__PAYLOAD_MAX);
	q->worker = worker;
	q->worker->request = bsc__new_number();
	bsc__surroundings_put(&q->out, &worker->surroundings, worker->key.has_path, 0, false);
	q->begin = bsc__frame_begin(&q->out, type, q->worker->request);
}

int bsc__question_send(struct bsc__question *q, struct bsc_error *err)
{
	bsc__frame_end(&q->out, q->begin);
	int rc = BSC_OK;
	if (q->out.no_memory) {
		rc = bsc__fail_nomem(err, "asking a worker process");
	} else if (q->out.failed) {
		rc = bsc__fail(
		    err, BSC_INVALID,
		    "%s: options, columns and a partition's spec of more than %u MiB in all can't be sent to a worker process",
		    q->doing, BSC__PAYLOAD_MAX >> 20);
	} else {
		(void)bsc__pool_send(q->worker, &q->out);
	}
	bsc__bytes_release(&q->out);
	return rc;
}

int bsc__take_failure(struct bsc__worker *worker, struct bsc__frame *frame, const char *doing, struct bsc_error *err)
{
	worker->request = 0; /* answered */
	uint32_t status = bsc__get_u32(&frame->payload);
	struct bsc_str text = bsc__get_str(&frame->payload, BSC__PAYLOAD_MAX);
	if (frame->payload.failed || status == BSC_OK || status > BSC_WORKER) {
		return bsc__fail(err, BSC_WORKER, "%s: the worker process failed without saying how", doing);
	}
	return bsc__fail_tail(err, status, text);
}

void bsc__take_metrics(struct bsc_meter *meter, struct bsc__frame *frame)
{
	struct bsc__view *view = &frame->payload;
	int64_t python_ns = (int64_t)(bsc__get_u64(view) & INT64_MAX), ahead = (int64_t)(bsc__get_u64(view) & INT64_MAX);
	uint32_t n = bsc__get_u32(view);
	if (meter && !view->failed) {
		bsc_meter_time(meter, python_ns, 0);
		bsc_meter_ahead(meter, ahead);
	}
	for (uint32_t i = 0; meter && i < n && i < BSC_METRICS_MAX; i++) {
		struct bsc_str name = bsc__get_str(view, BSC_METRIC_NAME_MAX);
		uint64_t bits = bsc__get_u64(view);
		double value;
		memcpy(&value, &bits, sizeof(value));
		if (!view->failed) {
			(void)bsc_meter_report(meter, name, value);
		}
	}
}

int bsc__await(struct bsc__question *q, enum bsc__frame_type type, int (*more)(void *ctx, struct bsc__frame *frame),
               void *ctx, struct bsc__frame *frame, struct bsc_error *err)
{
	enum { FRAMES_UNASKED = 64 };
	for (int64_t n_frames = 0;;) {
		int rc = bsc__pool_next_frame(q->worker, &q->wait, q->doing, frame, err);
		if (rc != BSC_OK) {
			return rc;
		}
		bool ours = frame->number == q->worker->request;
		if (ours && frame->type == BSC__FAILED) {
			return bsc__take_failure(q->worker, frame, q->doing, err);
		}
		if (ours && frame->type == type) {
			return BSC_OK;
		}
		if (++n_frames % FRAMES_UNASKED == 0 && bsc__wait_unwanted(&q->wait)) {
			return bsc__fail(err, BSC_CANCELLED, "%s: cancelled while it ran in a worker process", q->doing);
		}
		if (ours && frame->type == BSC__METRICS) {
			bsc__take_metrics(q->meter, frame);
			continue;
		}
		rc = more ? more(ctx, frame) : BSC_WORKER;
		if (rc == BSC_NOMEM) {
			return bsc__fail_nomem(err, "taking a worker's answer");
		}
		if (rc != BSC_OK) {
			return bsc__fail(err, BSC_WORKER,
			                 "%s: the worker process %d broke the protocol and was killed: a frame of type %d was not "
			                 "asked for",
			                 q->doing, (int)q->worker->pid, (int)frame->type);
		}
	}
}

bool bsc__is_whole_after(int rc)
{
	return rc == BSC_OK || rc == BSC_INVALID || rc == BSC_NOT_FOUND || rc == BSC_MISMATCH;
}

void bsc__settle(struct bsc__worker *worker, int rc)
{
	/* One that has answered CANCELLED was not told to stop: the class raised KeyboardInterrupt itself. */
	if (bsc__is_whole_after(rc) || (rc == BSC_CANCELLED && !worker->request)) {
		bsc__pool_check_in(worker);
	} else if (rc == BSC_CANCELLED) {
		bsc__pool_drain(worker);
	} else {
		bsc__pool_discard(worker);
	}
}
