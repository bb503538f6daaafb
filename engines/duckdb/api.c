/* The function table, by name from the DuckDB that is in this process, and what
 * DuckDB runs for each database it opens. */
#include "api.h"

#include <dlfcn.h>
#include <stdio.h>

#include "duckdb_adapter.h"
#include "duckdb_api_names.h" /* generated: the table's members in order */
#include "duckdb_static_extension.h"

duckdb_ext_api_v2 duckdb_ext_api;
const struct bsc_executor *adapter_executor;

_Static_assert(sizeof(duckdb_ext_api_v2) ==
                   sizeof(duckdb_api_names) / sizeof(*duckdb_api_names) * sizeof(void (*)(void)),
               "the generated names are not those of the header");

const char *duckdb_adapter_version(void)
{
	return BSC_DUCKDB_VERSION;
}

static int failf(struct bsc_error *err, const char *fmt, const char *a, const char *b)
{
	err->status = BSC_INVALID;
	snprintf(err->message, sizeof(err->message), fmt, a, b);
	return BSC_INVALID;
}

static int32_t describe(duckdb_extension_descriptor *descriptor)
{
	descriptor->version = 1;
	descriptor->name = "bascule";
	descriptor->extension_version = BSC_VERSION;
	descriptor->api_version = "v" BSC_DUCKDB_VERSION;
	descriptor->entry_capi_v2 = (void (*)(void))adapter_init;
	return 0;
}

int duckdb_adapter_register(const char *library_path, const struct bsc_executor *executor, struct bsc_error *err)
{
	void *library = dlopen(library_path, RTLD_NOW | RTLD_NOLOAD);
	if (!library) {
		return failf(err, "DuckDB's library %s is not loaded: %s", library_path, dlerror());
	}
	size_t n = sizeof(duckdb_api_names) / sizeof(*duckdb_api_names);
	for (size_t i = 0; i < n; i++) {
		void *function = dlsym(library, duckdb_api_names[i]);
		if (!function) {
			return failf(err, "%s has no function %s: it is not DuckDB " BSC_DUCKDB_VERSION, library_path,
			             duckdb_api_names[i]);
		}
		memcpy((char *)&duckdb_ext_api + i * sizeof(function), &function, sizeof(function));
	}
	duckdb_v2_str version = {0};
	if (duckdb_v2_library_version(&version, NULL) != DUCKDB_V2_ERROR_NONE ||
	    version.len != strlen("v" BSC_DUCKDB_VERSION) ||
	    memcmp(version.ptr, "v" BSC_DUCKDB_VERSION, version.len) != 0) {
		return failf(err, "%s is another DuckDB than %s", library_path, "v" BSC_DUCKDB_VERSION);
	}
	int32_t (*register_extension)(duckdb_extension_describe_t);
	void *symbol = dlsym(library, "duckdb_register_static_extension");
	if (!symbol) {
		return failf(err, "%s has no function %s", library_path, "duckdb_register_static_extension");
	}
	memcpy(&register_extension, &symbol, sizeof(symbol));
	adapter_executor = executor;
	if (register_extension(describe) != 0) {
		return failf(err, "DuckDB refused to register the extension '%s' (%s)", "bascule", library_path);
	}
	return BSC_OK;
}

void adapter_init(struct duckdb_v2_extension_input *input)
{
	duckdb_v2_factory_handle factory;
	if (duckdb_v2_context_get_factory(input->context, &factory, input->err) == DUCKDB_V2_ERROR_NONE) {
		(void)scan_register(input, factory);
	}
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
