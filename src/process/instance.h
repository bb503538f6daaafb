/* instance: one source in its workers, each of which has an instance of the class: OPEN, STATISTICS, CLAIM,
 * OFFSET, CLOSE.
 * The functions are bsc_executor's, but for worker and ensure. */
#ifndef BSC_PROCESS_INSTANCE_H
#define BSC_PROCESS_INSTANCE_H

#include "process/classes.h"
#include "process/question.h"

struct bsc__instance {
	struct bsc__class *cls;
	uint64_t number;
	char *label;
	struct bsc_str identity; /* owned: of the class, as the first worker loaded it; empty: not known yet */
	bool on_main;            /* opened by the thread that Ctrl-C is for */
	bool has_statistics;
	struct bsc__bytes open; /* the payload of OPEN, but for its `infer`, and identity */
};

int bsc__instance_open(void *state, void *cls, const struct bsc_opening *opening, const struct bsc_poll *poll,
                       void **instance_out, struct ArrowSchema *schema_out, struct bsc_error *err);
void bsc__instance_close(void *ptr);

/* bsc__pool_check_out for this instance. */
int bsc__instance_worker(const struct bsc__instance *instance, struct bsc__question *q, int64_t most,
                         struct bsc__worker **worker, struct bsc_error *err);

/* Opens it in a worker that has it not. */
int bsc__instance_ensure(struct bsc__question *q, struct bsc__worker *worker, struct bsc__instance *instance,
                         struct bsc_error *err);

int bsc__instance_statistics(void *ptr, const struct bsc_poll *poll, struct bsc_statistics *out, struct bsc_error *err);
int bsc__instance_claim(void *ptr, struct bsc_str filters, const struct bsc_poll *poll, bool *exact, size_t n,
                        struct bsc_error *err);
int bsc__instance_offset(void *ptr, enum bsc_offset_question question, const struct bsc_offsets *offsets,
                         const struct bsc_poll *poll, char **answer_out, struct bsc_error *err);

#endif
