/* What the twins of the public functions share: the things that a call may need,
 * and the loop that runs a call with its n-th allocation failing, for all n.
 *
 * A twin is one public function in one situation. The loop checks what
 * bascule.h promises of every function; a twin's own checks say the rest. */
#ifndef FAULT_WORLD_H
#define FAULT_WORLD_H

#include "faults.h"
#include "mock_executor.h"

struct world {
	struct mock mock;
	struct bsc_executor executor; /* the mock's; each of its calls may fail too */
	struct ArrowSchema schema;
	struct ArrowSchema swapped; /* its columns in another order; release == NULL: none */
	struct bsc_request request;

	struct bsc_options *options;
	struct bsc_source *source;
	struct bsc_plan *plan;
	struct bsc_scan *scan;
	struct bsc_cursor *cursor;

	/* Where the call under test puts what it makes. */
	union {
		struct bsc_options *options;
		struct bsc_source *source;
		struct bsc_plan *plan;
		struct bsc_scan *scan;
		struct bsc_cursor *cursor;
		struct ArrowSchema schema;
		struct ArrowArray array;
		struct bsc_locator locator;
		struct bsc_filter *filter;
		struct {
			struct ArrowSchema schema;
			struct ArrowArray array;
		} table;
	} out;
};

struct twin {
	const char *function; /* as in bascule.h, or in src */
	const char *situation;
	bool allocates;  /* false: the twin shows that it does not */
	size_t out_size; /* of what must be zeroed in `out` after a failure; 0: no output */

	/* Any may be NULL but call. Nothing fails in set_up, failed and tear_down. */
	void (*set_up)(struct world *w);
	int (*call)(struct world *w, struct bsc_error *err);
	/* The call failed: checks that what was moved in is still the caller's. */
	void (*failed)(struct world *w);
	/* The second try, if it is another than `call`. */
	int (*again)(struct world *w, struct bsc_error *err);
	/* Checks what the call made, and releases `out`. */
	void (*done)(struct world *w);
};

/* Runs a twin until its call gets all that it asks for. Returns NULL, or what was
 * wrong, in static memory. err: whether the call gets one to write to. */
const char *twin_run(const struct twin *twin, bool err);

/* Columns a: int64, b: text, c: string views, d: dictionary of text. */
void world_flat(struct world *w);
/* Columns list<struct<int64, text>>, map<text, int64>, two unions, run-end encoded. */
void world_nested(struct world *w);
/* Opens what comes before, and the source, plan, scan or cursor. */
void world_source(struct world *w);
void world_plan(struct world *w);
void world_scan(struct world *w);
void world_cursor(struct world *w);

extern const struct twin twins_filter[], twins_options[], twins_process[], twins_source[], twins_scan[],
    twins_workers[];
extern const size_t n_twins_filter, n_twins_options, n_twins_process, n_twins_source, n_twins_scan, n_twins_workers;

#endif
