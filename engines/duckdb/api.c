/* The function table, by name from the DuckDB that is in this process; errors. */
#include "api.h"

#include <dlfcn.h>
#include <stdio.h>

#include "duckdb_api_names.h" /* generated: the table's members in order */

duckdb_ext_api_v2 duckdb_ext_api;

_Static_assert(sizeof(duckdb_ext_api_v2) ==
                   sizeof(duckdb_api_names) / sizeof(*duckdb_api_names) * sizeof(void (*)(void)),
               "the generated names are not those of the header");

static int fail_load(struct bsc_error *err, const char *library_path, const char *what, const char *detail)
{
	err->status = BSC_INVALID;
	snprintf(err->message, sizeof(err->message), "DuckDB's library %s %s%s", library_path, what, detail);
	return BSC_INVALID;
}

int api_load(const char *library_path, duckdb_register_fn *register_out, struct bsc_error *err)
{
	void *library = dlopen(library_path, RTLD_NOW | RTLD_NOLOAD);
	if (!library) {
		return fail_load(err, library_path, "is not loaded: ", dlerror());
	}
	size_t n = sizeof(duckdb_api_names) / sizeof(*duckdb_api_names);
	for (size_t i = 0; i < n; i++) {
		void *function = dlsym(library, duckdb_api_names[i]);
		if (!function) {
			return fail_load(err, library_path, "is not DuckDB " BSC_DUCKDB_VERSION ", it lacks ", duckdb_api_names[i]);
		}
		memcpy((char *)&duckdb_ext_api + i * sizeof(function), &function, sizeof(function));
	}
	duckdb_v2_str version = {0}, ours = str_of("v" BSC_DUCKDB_VERSION);
	if (duckdb_v2_library_version(&version, NULL) != DUCKDB_V2_ERROR_NONE || version.len != ours.len ||
	    memcmp(version.ptr, ours.ptr, ours.len) != 0) {
		return fail_load(err, library_path, "is another DuckDB than ", ours.ptr);
	}
	void *symbol = dlsym(library, "duckdb_register_static_extension");
	if (!symbol) {
		return fail_load(err, library_path, "lacks ", "duckdb_register_static_extension");
	}
	memcpy(register_out, &symbol, sizeof(symbol));
	return BSC_OK;
}

static DUCKDB_V2_ERROR code_of(int status)
{
	switch (status) {
	case BSC_CANCELLED:
		return DUCKDB_V2_ERROR_RUNTIME_INTERRUPT;
	case BSC_NOMEM:
		return DUCKDB_V2_ERROR_RESOURCE_OUT_OF_MEMORY;
	case BSC_SOURCE:
	case BSC_SHUTDOWN:
		return DUCKDB_V2_ERROR_IO_GENERAL;
	default:
		return DUCKDB_V2_ERROR_INPUT_INVALID;
	}
}

void fail_text(duckdb_v2_error_info_handle *err, DUCKDB_V2_ERROR code, const char *text)
{
	duckdb_v2_str message = str_of(text);
	(void)duckdb_v2_error_info_set_code(*err, code);
	(void)duckdb_v2_error_info_set_text(*err, &message);
}

void fail_with(duckdb_v2_error_info_handle *err, const struct bsc_error *error)
{
	fail_text(err, code_of(error->status), error->message);
}
