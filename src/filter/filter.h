/* filter: the neutral predicate tree. Between engines, which build one of what their
 * query asks (bascule.h), and classes, which meet it as bascule.filters. Says nothing
 * of what a predicate selects: that is bascule.filters', and the engines' that check.
 * May include base. No locks: a tree is immutable once built.
 *
 * As bytes, for Python in this process and in workers, numbers little-endian, *str* as
 * in base/bytes.h:
 *
 *   filters  u32 how many, each a filter: joined by AND
 *   filter   u8 kind, enum bsc_filter_kind, then
 *            AND, OR, NOT: u32 how many, each a filter (NOT: one)
 *            others:       str name of the column, str format of its values (empty: not said),
 *                          u32 how many, each a literal
 *   literal  str format, as in the C Data Interface, u8 valid, [str value]
 *
 * bascule/filters/_wire.py is its other end. */
#ifndef BSC_FILTER_H
#define BSC_FILTER_H

#include "base/bytes.h"

struct bsc_filter {
	enum bsc_filter_kind kind;
	int depth;
	size_t bytes;   /* of the tree's literals and nodes */
	int64_t column; /* of the schema; leaves only */
	size_t n;       /* of children or literals; which of them, the kind says */
	struct bsc_filter **children;
	struct bsc_literal *literals; /* owned, their formats and values too */
};

/* True for AND, OR, NOT. */
bool bsc__filter_is_joint(enum bsc_filter_kind kind);

/* The filters that `filter` joins by AND; NULL: none. Each that reads a column whose name another
 * column has can't be said, and is left out: what remains selects more rows. schema: borrowed. */
void bsc__filters_put(struct bsc__bytes *out, const struct bsc_filter *filter, const struct ArrowSchema *schema);

#endif
