/* A call of python(...) or jdbc(...): its arguments, as a source. */
#ifndef BSC_DUCKDB_CALL_H
#define BSC_DUCKDB_CALL_H

#include <stdatomic.h>

#include "api.h"

/* What a table function calls. */
struct call_function {
	const char *name;                    /* of the table function */
	const char *source;                  /* the short name that it stands for; NULL: its arguments name the class */
	const struct bsc_executor *executor; /* opens the sources of all databases */
	const char *warning;                 /* said at the first call of the process, or NULL */
	_Atomic bool warned;
};

/* Opens the source that a call names, for a bind callback. NULL: `err` is set.
 * poll: borrowed for the call. */
struct bsc_source *call_open_source(struct call_function *function, duckdb_v2_function_bind_info_handle info,
                                    duckdb_v2_context_handle context, const struct bsc_poll *poll,
                                    duckdb_v2_error_info_handle *err);

#endif
