/* scans: what Bascule did and keeps, in SQL: FROM bascule_scans(), CALL bascule_clear_cache(). */
#ifndef BSC_DUCKDB_SCANS_H
#define BSC_DUCKDB_SCANS_H

#include "api.h"

/* Registers both functions. */
DUCKDB_V2_ERROR scans_register(const struct duckdb_v2_extension_input *input, duckdb_v2_factory_handle factory);

#endif
