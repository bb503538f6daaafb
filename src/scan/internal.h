/* scan: request -> plan -> scan -> cursor. What engines call; the only room
 * that pulls batches. May include source, base and nanoarrow.
 *
 * One batch, on its way through a cursor:
 *   executor.read_next -> match (names and types, once per schema)
 *                      -> validate (lengths, counts, offsets, indices, per batch)
 *                      -> project (the asked columns, by pointer)
 *
 * No locks but those of metrics.h: plans are immutable once made, a scan's counters are
 * atomic, a cursor belongs to one thread at a time. */
#ifndef BSC_SCAN_INTERNAL_H
#define BSC_SCAN_INTERNAL_H

#include <stdatomic.h>

#include "filter/filter.h"
#include "nanoarrow/nanoarrow.h"
#include "scan/metrics.h"
#include "source/source.h"

/* Where a message's subject is: "acme:Orders, partition 3 of 8". */
struct bsc__place {
	const char *label;
	int64_t partition;
	int64_t n_partitions;
	int64_t batch; /* from 0, within the partition */
};

/* ---- match ---- */

/* Finds the asked columns in batches, by name and type (strict). Works once
 * for a run of batches with one schema. */
struct bsc__match {
	const struct ArrowSchema *declared; /* borrowed */
	const int64_t *columns;             /* borrowed: asked indices into `declared` */
	int64_t n_columns;
	struct ArrowSchema seen; /* schema of the last batch, release == NULL before */
	int64_t *from;           /* asked column -> child of the batch */
	bool identity;           /* every child, in order */
};

int bsc__match_init(struct bsc__match *match, const struct ArrowSchema *declared, const int64_t *columns,
                    int64_t n_columns, struct bsc_error *err) BSC_MUST_CHECK;
void bsc__match_release(struct bsc__match *match);

/* schema: moved; with release == NULL it is the last one again. On success
 * match->from and ->identity are those of this schema. */
int bsc__match_schema(struct bsc__match *match, struct ArrowSchema *schema, const struct bsc__place *place,
                      struct bsc_error *err) BSC_MUST_CHECK;

/* ---- validate ---- */

/* Checks arrays against the declared types, so that nothing behind the core
 * reads beyond what an array says of itself; but for string views, and bytes that are
 * no text, which are found in full. */
struct bsc__validate {
	struct ArrowArrayView *views; /* one per asked column */
	int64_t n_views;
	bool full; /* string views and all text too, and rows that are not read */
};

int bsc__validate_init(struct bsc__validate *validate, const struct bsc__match *match, bool full,
                       struct bsc_error *err) BSC_MUST_CHECK;
void bsc__validate_release(struct bsc__validate *validate);

/* array: borrowed. Looks at the root and at the asked columns only. */
int bsc__validate_batch(struct bsc__validate *validate, const struct bsc__match *match, struct ArrowArray *array,
                        const struct bsc__place *place, struct bsc_error *err) BSC_MUST_CHECK;

/* The bytes of the asked columns of the batch that was validated last. */
int64_t bsc__validate_bytes(const struct bsc__validate *validate);

/* What is wrong with the null counts, offsets, indices, type ids or run ends of a column
 * whose layout was checked, or NULL. Looks at rows [from, from + n), what is nested in
 * them, and all of the dictionaries, runs and dense unions there; whole: at everything. */
const char *bsc__check_values(const struct ArrowArrayView *view, int64_t from, int64_t n, bool whole);

/* True if bits [from, from + n) are all ones. */
bool bsc__all_valid(const uint8_t *bitmap, int64_t from, int64_t n);

/* The first field at or below `field`, a column or what is nested in one, that is not
 * nullable and has a null in rows [from, from + n) of `view`, whose layout was checked;
 * else NULL. Costs a look at each nested field where no null count says otherwise. */
const struct ArrowSchema *bsc__find_forbidden_null(const struct ArrowSchema *field, const struct ArrowArrayView *view,
                                                   int64_t from, int64_t n);

/* ---- project ---- */

/* A struct array of the asked columns, in their order, with the root's offset
 * moved into them and each as long as the batch. array: moved, on success. out:
 * out. No buffer is touched; they live until `out` and every child moved out of
 * it are released. */
int bsc__project(struct ArrowArray *array, const struct bsc__match *match, struct ArrowArray *out,
                 struct bsc_error *err) BSC_MUST_CHECK;

/* ---- plan, scan ---- */

struct bsc_plan {
	struct bsc_source *source;
	int64_t *columns; /* into the source's schema */
	int64_t n_columns;
	struct ArrowSchema schema;
	void *handle; /* the executor's */
	int64_t n_partitions;
	int64_t n_pruned;
	int64_t *rows; /* of each partition, exactly, -1 for unknown; NULL: of none */
	bool filtered; /* the request has a filter: a partition's rows may be fewer */
	bool partial;  /* it is for some partitions, or a micro-batch: not for all that the source has */
	bool counted;  /* no column is asked and all rows are known: nothing is read */
	bool limited;
	int64_t limit;
	char *pushed;     /* what the class was told of the filter; may be NULL */
	char *asked;      /* names of the columns, for people; NULL: all */
	int64_t n_rows;   /* that all reads will give, exactly; -1: unknown */
	int64_t n_wanted; /* that the query will have read at its end, by n_rows or exact statistics; -1: unknown */
	struct bsc__names names;
	struct bsc_meter meter; /* of planning */
	_Atomic int64_t refs;
};

/* The error for a partition that the plan has not. */
int bsc__fail_partition(const struct bsc_plan *plan, int64_t partition, struct bsc_error *err);

struct bsc_scan {
	struct bsc_plan *plan;
	_Atomic int64_t refs;
	_Atomic int64_t claimed; /* the next partition to hand out */
	_Atomic int64_t done;    /* partitions read to their end */
	_Atomic int64_t handed;  /* rows, by cursors that claim */
	_Atomic int64_t rows;    /* by all cursors */
	_Atomic bool cancelled, finished;
	_Atomic bool failed, stopped; /* a cursor's read: for the record */
	struct bsc__scan_record *record;
};

#endif
