/* A call of python(...): its arguments, as a source. */
#ifndef BSC_DUCKDB_CALL_H
#define BSC_DUCKDB_CALL_H

#include "api.h"

/* Opens the source that a call names, for a bind callback. NULL: `err` is set.
 * poll: borrowed for the call. */
struct bsc_source *call_open_source(const struct bsc_executor *executor, duckdb_v2_function_bind_info_handle info,
                                    duckdb_v2_context_handle context, const struct bsc_poll *poll,
                                    duckdb_v2_error_info_handle *err);

#endif
