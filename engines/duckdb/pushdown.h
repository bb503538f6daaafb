/* pushdown: DuckDB's predicates as Bascule's, for the class to skip rows by. Which may be
 * pushed is decided here alone, and nothing is ever accepted: DuckDB 2.0.0 loses accepted
 * predicates when it merges or copies scans (docs/duckdb.md), so it checks every row again. */
#ifndef BSC_DUCKDB_PUSHDOWN_H
#define BSC_DUCKDB_PUSHDOWN_H

#include "api.h"

/* What of the offered predicates, which are joined by AND, can be said. A superset of the rows for which they are all
 * true makes it true. NULL: nothing can. schema: the source's. */
struct bsc_filter *pushdown_take(duckdb_v2_table_function_filter_pushdown_info_handle info,
                                 const struct ArrowSchema *schema);

/* Of one scan, what several offers said: each was right when it was made, so what any of them
 * selects is a superset. before, now: moved; NULL selects everything. */
struct bsc_filter *pushdown_either(struct bsc_filter *before, struct bsc_filter *now);

#endif
