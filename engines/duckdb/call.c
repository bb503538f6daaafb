/* A call of python(...): its arguments, as the name of a class and options.
 *
 *   python('pkg.mod', 'Class', region := 'eu')
 *   python('pkg.mod:Class', region := 'eu')
 *   python('dir/orders.py:Orders'), python('short-name')
 *   python(python_module := 'pkg.mod', python_class := 'Class')
 *   python('pkg.mod:Class', options := MAP {'region': 'eu'})
 *   jdbc(url := '...', dbtable := 'users')   deprecated: python('jdbc', ...)
 */
#include "call.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- values as text ---- */

struct call {
	duckdb_v2_function_bind_info_handle info;
	duckdb_v2_factory_handle factory;
	duckdb_v2_config_handle config;
	duckdb_v2_error_info_handle *err;
	struct bsc_options *options;
};

static DUCKDB_V2_ERROR type_id_of(duckdb_v2_value_handle value, DUCKDB_V2_LOGICAL_TYPE_ID *id,
                                  duckdb_v2_error_info_handle *err)
{
	duckdb_v2_logical_type_handle type = NULL;
	DUCKDB_V2_ERROR code = duckdb_v2_value_get_logical_type(value, &type, err);
	if (code == DUCKDB_V2_ERROR_NONE) {
		code = duckdb_v2_logical_type_get_id(type, id, err);
	}
	(void)duckdb_v2_logical_type_destroy(&type);
	return code;
}

/* The value that `value` becomes before it is cast to text: TIMESTAMPTZ as the
 * UTC time, whatever the session's zone. */
static duckdb_v2_value_handle in_utc(const struct call *call, duckdb_v2_value_handle value, const char **suffix)
{
	int64_t micros;
	duckdb_v2_value_handle utc = NULL;
	if (duckdb_v2_value_get_timestamp_tz(value, &micros, call->err) == DUCKDB_V2_ERROR_NONE) {
		(void)duckdb_v2_value_create_timestamp(call->factory, micros, &utc, call->err);
		*suffix = "+00";
	}
	return utc;
}

/* DuckDB's own VARCHAR cast of a scalar. Returns a malloc'ed string, its length
 * in *len; NULL with the error set. */
static char *text_of(const struct call *call, const char *name, duckdb_v2_value_handle value,
                     DUCKDB_V2_LOGICAL_TYPE_ID id, size_t *len)
{
	const char *suffix = "";
	char message[256];
	char *text = NULL;
	duckdb_v2_value_handle utc = NULL, cast = NULL;
	duckdb_v2_logical_type_handle varchar = NULL;
	duckdb_v2_str view;
	switch (id) {
	case DUCKDB_V2_LOGICAL_TYPE_ID_STRUCT:
	case DUCKDB_V2_LOGICAL_TYPE_ID_LIST:
	case DUCKDB_V2_LOGICAL_TYPE_ID_MAP:
	case DUCKDB_V2_LOGICAL_TYPE_ID_UNION:
	case DUCKDB_V2_LOGICAL_TYPE_ID_ARRAY:
	case DUCKDB_V2_LOGICAL_TYPE_ID_TUPLE:
	case DUCKDB_V2_LOGICAL_TYPE_ID_VARIANT:
	case DUCKDB_V2_LOGICAL_TYPE_ID_BLOB:
		snprintf(message, sizeof(message),
		         "python(): option '%.100s' is nested or binary, but options are strings: pass text, for example JSON "
		         "(to_json(...)::VARCHAR)",
		         name);
		fail_text(call->err, DUCKDB_V2_ERROR_INPUT_INVALID, message);
		return NULL;
	case DUCKDB_V2_LOGICAL_TYPE_ID_TIMESTAMP_TZ:
		utc = in_utc(call, value, &suffix);
		if (!utc) {
			return NULL;
		}
		break;
	default:
		break;
	}
	if (duckdb_v2_factory_create_type_from_id(call->factory, DUCKDB_V2_LOGICAL_TYPE_ID_VARCHAR, NULL, NULL, 0, &varchar,
	                                          call->err) == DUCKDB_V2_ERROR_NONE &&
	    duckdb_v2_value_cast(call->factory, utc ? utc : value, varchar, &cast, call->err) == DUCKDB_V2_ERROR_NONE &&
	    duckdb_v2_value_get_varchar(cast, &view, call->err) == DUCKDB_V2_ERROR_NONE) {
		*len = view.len + strlen(suffix);
		text = malloc(*len + 1);
		if (text) {
			memcpy(text, view.ptr, view.len);
			strcpy(text + view.len, suffix);
		} else {
			fail_text(call->err, DUCKDB_V2_ERROR_RESOURCE_OUT_OF_MEMORY, "python(): out of memory for an option");
		}
	}
	(void)duckdb_v2_value_destroy(&cast);
	(void)duckdb_v2_value_destroy(&utc);
	(void)duckdb_v2_logical_type_destroy(&varchar);
	return text;
}

/* ---- options ---- */

static bool add_option(struct call *call, struct bsc_str name, duckdb_v2_value_handle value)
{
	bool null = false;
	DUCKDB_V2_LOGICAL_TYPE_ID id;
	if (duckdb_v2_value_is_null(value, &null, call->err) != DUCKDB_V2_ERROR_NONE) {
		return false;
	}
	if (null) {
		return true; /* NULL means not given */
	}
	char shown[128];
	snprintf(shown, sizeof(shown), "%.*s", (int)(name.len > 100 ? 100 : name.len), name.ptr);
	size_t len = 0;
	char *text =
	    type_id_of(value, &id, call->err) == DUCKDB_V2_ERROR_NONE ? text_of(call, shown, value, id, &len) : NULL;
	if (!text) {
		return false;
	}
	struct bsc_error error;
	int rc = bsc_options_add(call->options, name, (struct bsc_str){text, len}, &error);
	if (rc != BSC_OK) {
		fail_with(call->err, &error);
	}
	free(text);
	return rc == BSC_OK;
}

/* options := MAP {name: value, ...}: keys and values alternate. */
static bool add_map(struct call *call, duckdb_v2_value_handle map)
{
	idx_t n = 0;
	bool good = duckdb_v2_value_get_child_count(map, &n, call->err) == DUCKDB_V2_ERROR_NONE;
	for (idx_t i = 0; good && i + 1 < n; i += 2) {
		duckdb_v2_value_handle key = NULL, value = NULL;
		DUCKDB_V2_LOGICAL_TYPE_ID id;
		size_t len = 0;
		char *name = NULL;
		good = duckdb_v2_value_get_child(map, i, &key, call->err) == DUCKDB_V2_ERROR_NONE &&
		       duckdb_v2_value_get_child(map, i + 1, &value, call->err) == DUCKDB_V2_ERROR_NONE &&
		       type_id_of(key, &id, call->err) == DUCKDB_V2_ERROR_NONE &&
		       (name = text_of(call, "options", key, id, &len)) && add_option(call, (struct bsc_str){name, len}, value);
		free(name);
		(void)duckdb_v2_value_destroy(&key);
		(void)duckdb_v2_value_destroy(&value);
	}
	return good;
}

/* options := {'name': value, ...}: the names are the type's. */
static bool add_struct(struct call *call, duckdb_v2_value_handle value)
{
	duckdb_v2_logical_type_handle type = NULL;
	idx_t n = 0;
	bool good = duckdb_v2_value_get_logical_type(value, &type, call->err) == DUCKDB_V2_ERROR_NONE &&
	            duckdb_v2_value_get_child_count(value, &n, call->err) == DUCKDB_V2_ERROR_NONE;
	for (idx_t i = 0; good && i < n; i++) {
		duckdb_v2_identifier_t name;
		duckdb_v2_value_handle ignored = NULL, child = NULL;
		good = duckdb_v2_logical_type_get_param(type, i, &name, &ignored, call->err) == DUCKDB_V2_ERROR_NONE &&
		       duckdb_v2_value_get_child(value, i, &child, call->err) == DUCKDB_V2_ERROR_NONE &&
		       add_option(call, (struct bsc_str){name.ptr, name.len}, child);
		(void)duckdb_v2_value_destroy(&ignored);
		(void)duckdb_v2_value_destroy(&child);
	}
	(void)duckdb_v2_logical_type_destroy(&type);
	return good;
}

static bool add_collection(struct call *call, duckdb_v2_value_handle value)
{
	DUCKDB_V2_LOGICAL_TYPE_ID id;
	bool null = false;
	if (duckdb_v2_value_is_null(value, &null, call->err) != DUCKDB_V2_ERROR_NONE ||
	    type_id_of(value, &id, call->err) != DUCKDB_V2_ERROR_NONE) {
		return false;
	}
	if (null) {
		return true;
	}
	if (id == DUCKDB_V2_LOGICAL_TYPE_ID_MAP) {
		return add_map(call, value);
	}
	if (id == DUCKDB_V2_LOGICAL_TYPE_ID_STRUCT) {
		return add_struct(call, value);
	}
	fail_text(call->err, DUCKDB_V2_ERROR_INPUT_INVALID,
	          "python(): options := takes a MAP or a STRUCT: MAP {'name': 'value'} or {'name': 'value'}");
	return false;
}

/* ---- arguments ---- */

static bool is_options(duckdb_v2_identifier_t name)
{
	static const char options[] = "options";
	if (name.len != sizeof(options) - 1) {
		return false;
	}
	for (size_t i = 0; i < name.len; i++) {
		if ((name.ptr[i] | 0x20) != options[i]) {
			return false;
		}
	}
	return true;
}

/* One positional argument: a string, malloc'ed, its length in *len. */
static char *take_string(struct call *call, idx_t i, size_t *len)
{
	duckdb_v2_value_handle value = NULL;
	DUCKDB_V2_LOGICAL_TYPE_ID id;
	bool null = false;
	char *text = NULL;
	if (duckdb_v2_function_bind_get_arg_value(call->info, i, &value, call->err) == DUCKDB_V2_ERROR_NONE &&
	    type_id_of(value, &id, call->err) == DUCKDB_V2_ERROR_NONE &&
	    duckdb_v2_value_is_null(value, &null, call->err) == DUCKDB_V2_ERROR_NONE) {
		if (null || id != DUCKDB_V2_LOGICAL_TYPE_ID_VARCHAR) {
			fail_text(
			    call->err, DUCKDB_V2_ERROR_INPUT_INVALID,
			    "python(): the class is named by a string: 'pkg.mod:Class', 'path/to/file.py:Class' or a short name");
		} else {
			text = text_of(call, "name", value, id, len);
		}
	}
	(void)duckdb_v2_value_destroy(&value);
	return text;
}

/* The positional arguments: none, one name, or module and class, which become one
 * name. Byte for byte: a NUL is for the core to refuse. */
static bool take_name(struct call *call, idx_t n, char **name, size_t *name_len)
{
	if (n > 2) {
		fail_text(call->err, DUCKDB_V2_ERROR_INPUT_INVALID,
		          "python() takes one or two strings, then options by name: python('pkg.mod:Class', region := 'eu') or "
		          "python('pkg.mod', 'Class', region := 'eu')");
		return false;
	}
	size_t len = 0;
	char *first = n > 0 ? take_string(call, 0, name_len) : NULL;
	char *second = first && n > 1 ? take_string(call, 1, &len) : NULL;
	bool good = n == 0 || (first && (n == 1 || second));
	if (good && second && memchr(first, ':', *name_len)) {
		fail_text(call->err, DUCKDB_V2_ERROR_INPUT_INVALID,
		          "python(): the first string names the class already, so the second is too much: options are given by "
		          "name, python('pkg.mod:Class', path := 'x')");
		good = false;
	}
	if (good && second) {
		char *joined = realloc(first, *name_len + len + 1);
		if (joined) {
			joined[*name_len] = ':';
			memcpy(joined + *name_len + 1, second, len);
			*name_len += len + 1;
			first = joined;
		} else {
			fail_text(call->err, DUCKDB_V2_ERROR_RESOURCE_OUT_OF_MEMORY, "python(): out of memory");
			good = false;
		}
	}
	free(second);
	if (!good) {
		free(first);
		first = NULL;
	}
	*name = first;
	return good;
}

static bool take_options(struct call *call, idx_t first, idx_t n)
{
	bool good = true;
	for (idx_t i = first; good && i < first + n; i++) {
		duckdb_v2_identifier_t name;
		duckdb_v2_value_handle value = NULL;
		good = duckdb_v2_function_bind_get_arg_name(call->info, i, &name, call->err) == DUCKDB_V2_ERROR_NONE &&
		       duckdb_v2_function_bind_get_arg_value(call->info, i, &value, call->err) == DUCKDB_V2_ERROR_NONE &&
		       (is_options(name) ? add_collection(call, value)
		                         : add_option(call, (struct bsc_str){name.ptr, name.len}, value));
		(void)duckdb_v2_value_destroy(&value);
	}
	return good;
}

/* ---- the session's settings ---- */

/* A setting of the session; NULL where there is none, as in a database that does
 * not know it. */
static duckdb_v2_value_handle setting(const struct call *call, const char *name)
{
	duckdb_v2_identifier_t id = str_of(name);
	duckdb_v2_value_handle value = NULL;
	duckdb_v2_error_info_handle ignored = NULL;
	DUCKDB_V2_SETTING_SCOPE scope;
	bool null = true;
	if (duckdb_v2_config_get_option_value(call->config, &id, &value, &scope, &ignored) != DUCKDB_V2_ERROR_NONE ||
	    duckdb_v2_value_is_null(value, &null, NULL) != DUCKDB_V2_ERROR_NONE || null) {
		(void)duckdb_v2_value_destroy(&value);
	}
	(void)duckdb_v2_error_info_destroy(&ignored);
	return value;
}

static bool add_default(struct call *call, const char *name, duckdb_v2_str value)
{
	struct bsc_error error;
	int rc = bsc_options_add_default(call->options, (struct bsc_str){name, strlen(name)},
	                                 (struct bsc_str){value.ptr, value.len}, &error);
	if (rc != BSC_OK) {
		fail_with(call->err, &error);
	}
	return rc == BSC_OK;
}

/* As many workers as the engine has threads, which read partitions. */
static bool take_threads(struct call *call)
{
	duckdb_v2_value_handle threads = setting(call, "threads");
	DUCKDB_V2_LOGICAL_TYPE_ID id;
	size_t len = 0;
	char *text = threads && type_id_of(threads, &id, call->err) == DUCKDB_V2_ERROR_NONE
	                 ? text_of(call, "threads", threads, id, &len)
	                 : NULL;
	/* DuckDB takes more threads than there may be workers. */
	bool many = text && strtoll(text, NULL, 10) > BSC_WORKERS_MAX;
	duckdb_v2_str workers = many ? str_of(BSC_TEXT(BSC_WORKERS_MAX)) : (duckdb_v2_str){text, len};
	bool good = !threads || (text && add_default(call, "bascule_workers", workers));
	free(text);
	(void)duckdb_v2_value_destroy(&threads);
	return good;
}

/* SET bascule_...: below an option of the call, above a default. */
static bool take_settings(struct call *call)
{
	bool good = true;
	for (const char *const *name = bsc_setting_names(); *name && good; name++) {
		duckdb_v2_value_handle value = strncmp(*name, "bascule_", 8) == 0 ? setting(call, *name) : NULL;
		duckdb_v2_str text;
		if (value && duckdb_v2_value_get_varchar(value, &text, NULL) == DUCKDB_V2_ERROR_NONE && text.len) {
			good = add_default(call, *name, text);
		}
		(void)duckdb_v2_value_destroy(&value);
		if (good && strcmp(*name, "bascule_workers") == 0) {
			good = take_threads(call);
		}
	}
	return good;
}

/* Options choose code to run, so a database that may not reach outside may not. */
static bool is_allowed(const struct call *call)
{
	duckdb_v2_value_handle value = setting(call, "enable_external_access");
	bool allowed = true;
	if (value) {
		(void)duckdb_v2_value_get_bool(value, &allowed, NULL);
	}
	(void)duckdb_v2_value_destroy(&value);
	if (!allowed) {
		fail_text(call->err, DUCKDB_V2_ERROR_CONFIGURATION_PERMISSION,
		          "python() runs code that its arguments choose, which enable_external_access = false forbids in this "
		          "database: open it with enable_external_access = true");
	}
	return allowed;
}

/* What tells connections apart for bsc_source_open: a hidden session setting,
 * written at a connection's first bind. 0 where it can't be written. */
static uint64_t connection_id(const struct call *call)
{
	static _Atomic uint64_t last;
	uint64_t id = 0;
	duckdb_v2_value_handle value = setting(call, "bascule_connection_id");
	if (!value) {
		return 0;
	}
	(void)duckdb_v2_value_get_ubigint(value, &id, NULL);
	(void)duckdb_v2_value_destroy(&value);
	if (id == 0) {
		duckdb_v2_identifier_t name = str_of("bascule_connection_id");
		duckdb_v2_error_info_handle ignored = NULL;
		id = atomic_fetch_add(&last, 1) + 1;
		if (duckdb_v2_value_create_ubigint(call->factory, id, &value, NULL) != DUCKDB_V2_ERROR_NONE ||
		    duckdb_v2_config_set_option_value(call->config, &name, value, DUCKDB_V2_SETTING_SCOPE_SESSION, &ignored) !=
		        DUCKDB_V2_ERROR_NONE) {
			id = 0;
		}
		(void)duckdb_v2_value_destroy(&value);
		(void)duckdb_v2_error_info_destroy(&ignored);
	}
	return id;
}

/* The name that the arguments give, or the function's own. */
static bool name_of_call(struct call *call, const struct call_function *function, idx_t n_positional, char **name,
                         size_t *name_len)
{
	if (!function->source) {
		return take_name(call, n_positional, name, name_len);
	}
	char message[256];
	*name = NULL;
	if (n_positional > 0) {
		snprintf(message, sizeof(message), "%s() takes options by name: %s(url := '...', dbtable := '...')",
		         function->name, function->name);
		fail_text(call->err, DUCKDB_V2_ERROR_INPUT_INVALID, message);
		return false;
	}
	*name_len = strlen(function->source);
	*name = strdup(function->source);
	if (!*name) {
		fail_text(call->err, DUCKDB_V2_ERROR_RESOURCE_OUT_OF_MEMORY, "python(): out of memory");
	}
	return *name != NULL;
}

struct bsc_source *call_open_source(struct call_function *function, duckdb_v2_function_bind_info_handle info,
                                    duckdb_v2_context_handle context, const struct bsc_poll *poll,
                                    duckdb_v2_error_info_handle *err)
{
	struct call call = {.info = info, .err = err};
	struct bsc_source *source = NULL;
	struct bsc_error error;
	char *name = NULL;
	size_t name_len = 0;
	idx_t fixed = 0, variadic = 0, named = 0, kwargs = 0;
	if (duckdb_v2_context_get_factory(context, &call.factory, err) != DUCKDB_V2_ERROR_NONE ||
	    duckdb_v2_context_get_config(context, &call.config, err) != DUCKDB_V2_ERROR_NONE || !is_allowed(&call) ||
	    duckdb_v2_function_bind_get_arg_count(info, &fixed, &variadic, &named, &kwargs, err) != DUCKDB_V2_ERROR_NONE) {
		return NULL;
	}
	if (bsc_options_new(&call.options, &error) != BSC_OK) {
		fail_with(err, &error);
		return NULL;
	}
	if (function->warning && !atomic_exchange(&function->warned, true)) {
		bsc_log_warning(function->warning);
	}
	if (name_of_call(&call, function, variadic, &name, &name_len) && take_options(&call, variadic, kwargs) &&
	    take_settings(&call)) {
		struct bsc_str text = {name, name_len};
		if (bsc_source_open(function->executor, text, call.options, connection_id(&call), poll, &source, &error) ==
		    BSC_OK) {
			call.options = NULL;
		} else {
			fail_with(err, &error);
		}
	}
	bsc_options_free(call.options);
	free(name);
	return source;
}
