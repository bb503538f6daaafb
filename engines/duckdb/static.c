/* The adapter within a Python process: registered statically with the DuckDB that the process has loaded, whose
 * functions are found by name. */
#include "duckdb_adapter.h"

#include <dlfcn.h>
#include <stdio.h>

#include "duckdb_api_names.h" /* generated: the table's members in order */
#include "register.h"

_Static_assert(sizeof(duckdb_ext_api_v2) ==
                   sizeof(duckdb_api_names) / sizeof(*duckdb_api_names) * sizeof(void (*)(void)),
               "the generated names are not those of the header");

typedef int32_t (*register_fn)(duckdb_extension_describe_t describe);

static int fail_load(struct bsc_error *err, const char *library_path, const char *what, const char *detail)
{
	err->status = BSC_INVALID;
	snprintf(err->message, sizeof(err->message), "DuckDB's library %s %s%s", library_path, what, detail);
	return BSC_INVALID;
}

/* Fills the table; all of it, or an error that says what is missing. *register_out: DuckDB's
 * function that registers a static extension. */
static int load_api(const char *library_path, register_fn *register_out, struct bsc_error *err)
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
	if (!api_is_duckdbs()) {
		return fail_load(err, library_path, "is another DuckDB than v" BSC_DUCKDB_VERSION, "");
	}
	void *symbol = dlsym(library, "duckdb_register_static_extension");
	if (!symbol) {
		return fail_load(err, library_path, "lacks ", "duckdb_register_static_extension");
	}
	memcpy(register_out, &symbol, sizeof(symbol));
	return BSC_OK;
}

static const struct bsc_executor *executor; /* set before DuckDB can call */

static void init(struct duckdb_v2_extension_input *input)
{
	register_adapter(input, executor);
}

static int32_t describe(duckdb_extension_descriptor *descriptor)
{
	descriptor->version = 1;
	descriptor->name = "bascule";
	descriptor->extension_version = BSC_VERSION;
	descriptor->api_version = "v" BSC_DUCKDB_VERSION;
	descriptor->entry_capi_v2 = (void (*)(void))init;
	return 0;
}

const char *duckdb_adapter_version(void)
{
	return BSC_DUCKDB_VERSION;
}

int duckdb_adapter_register(const char *library_path, const struct bsc_executor *opener, struct bsc_error *err)
{
	register_fn register_extension;
	int rc = load_api(library_path, &register_extension, err);
	if (rc != BSC_OK) {
		return rc;
	}
	executor = opener;
	if (register_extension(describe) != 0) {
		err->status = BSC_INVALID;
		snprintf(err->message, sizeof(err->message), "DuckDB refused to register the extension 'bascule' (%s)",
		         library_path);
		return BSC_INVALID;
	}
	return BSC_OK;
}
