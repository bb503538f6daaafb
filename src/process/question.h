/* question: one request to one worker, and its answer; what the executor's functions have in common. */
#ifndef BSC_QUESTION_H
#define BSC_QUESTION_H

#include "process/pool.h"

/* One question to one worker. */
struct bsc__question {
	struct bsc__worker *worker;
	struct bsc__wait wait;
	char doing[BSC__LABEL_CAP + 128];
	struct bsc_meter *meter; /* takes METRICS; NULL: nobody does */
	struct bsc__bytes out;
	size_t begin;
};

/* Of instances, plans, requests: never the same again. */
uint64_t bsc__new_number(void);

/* Begins it; the payload is put to q->out next. */
void bsc__ask(struct bsc__question *q, struct bsc__worker *worker, enum bsc__frame_type type);
/* Sends what was asked, the payload is complete. A worker that is gone is met in the answer. */
int bsc__question_send(struct bsc__question *q, struct bsc_error *err) BSC_MUST_CHECK;

/* The answer: of `type`, or an error. more: takes what comes before it, may be NULL; BSC_WORKER: that is
 * nothing for it. */
int bsc__await(struct bsc__question *q, enum bsc__frame_type type, int (*more)(void *ctx, struct bsc__frame *frame),
               void *ctx, struct bsc__frame *frame, struct bsc_error *err) BSC_MUST_CHECK;

/* FAILED, as an error: the worker's words are complete. */
int bsc__take_failure(struct bsc__worker *worker, struct bsc__frame *frame, const char *doing, struct bsc_error *err);
/* METRICS of a request, added up. meter: may be NULL. */
void bsc__take_metrics(struct bsc_meter *meter, struct bsc__frame *frame);

/* May a worker be asked again after a question that ended with rc? A class that failed may have left anything
 * behind. */
bool bsc__is_whole_after(int rc);
/* What becomes of a worker whose question ended with rc. */
void bsc__settle(struct bsc__worker *worker, int rc);

#endif
