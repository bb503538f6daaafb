/* The adapter as a file that any host LOADs, bascule.duckdb_extension: DuckDB hands over its functions, and classes
 * run in worker processes, as nothing here is Python's. */
#include "register.h"

#include <pthread.h>

/* The header's names for members of the table, of which two are called here of another table. */
#undef duckdb_v2_error_info_set_code
#undef duckdb_v2_error_info_set_text

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over the filling of the table */

/* Fills the table once: later databases of the process call the same functions. But a process may
 * hold two DuckDBs, as a Python with duckdb and an ADBC driver does, and both get this one object. */
static bool take_api(const duckdb_ext_api_v2 *api)
{
	static bool taken;
	pthread_mutex_lock(&lock);
	if (!taken) {
		duckdb_ext_api = *api;
		taken = true;
	}
	bool same = memcmp(&duckdb_ext_api, api, sizeof(*api)) == 0;
	pthread_mutex_unlock(&lock);
	return same;
}

static void refuse(const duckdb_ext_api_v2 *api, duckdb_v2_error_info_handle *err, const char *text)
{
	duckdb_v2_str message = str_of(text);
	(void)api->duckdb_v2_error_info_set_code(*err, DUCKDB_V2_ERROR_INPUT_INVALID);
	(void)api->duckdb_v2_error_info_set_text(*err, &message);
}

/* Called for each database that LOADs the file. */
DUCKDB_CAPI_ENTRY_VISIBILITY void bascule_init_c_api_v2(struct duckdb_v2_extension_input *input)
{
	const duckdb_ext_api_v2 *api = input->get_api(input->extension, DUCKDB_EXTENSION_API_VERSION_STRING);
	if (!api) {
		return; /* DuckDB has said why */
	}
	if (!take_api(api)) {
		refuse(api, input->err,
		       "another DuckDB of this process has loaded this file of bascule: one process, one DuckDB. A copy of the "
		       "file, in another folder, serves the second");
		return;
	}
	if (!api_is_duckdbs()) {
		refuse(api, input->err,
		       "this bascule works with DuckDB " BSC_DUCKDB_VERSION
		       " only (DuckDB's C API is bound to the version): take the bascule that was built for this DuckDB");
		return;
	}
	register_adapter(input, NULL);
}
