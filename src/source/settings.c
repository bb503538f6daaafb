/* The bridge's settings: options that Bascule reads itself. One table says
 * which there are; a part that brings a new setting adds its row here. */
#include "source/source.h"

#include <stdlib.h>
#include <string.h>

enum setting {
	SETTING_MODULE,
	SETTING_CLASS,
	SETTING_SCHEMA_MODE,
	SETTING_VALIDATION,
	SETTING_EXECUTOR,
	SETTING_PYTHON,
	SETTING_WORKERS,
	SETTING_TIMEOUT,
	SETTING_RETRIES,
	SETTING_READAHEAD,
	SETTING_WORKER_MEMORY,
	SETTING_CACHE_TTL,
	SETTING_COUNT
};

static const char *const names[SETTING_COUNT + 1] = {
    [SETTING_MODULE] = "python_module",
    [SETTING_CLASS] = "python_class",
    [SETTING_SCHEMA_MODE] = "bascule_schema_mode",
    [SETTING_VALIDATION] = "bascule_validation",
    [SETTING_EXECUTOR] = "bascule_executor",
    [SETTING_PYTHON] = "bascule_python",
    [SETTING_WORKERS] = "bascule_workers",
    [SETTING_TIMEOUT] = "bascule_timeout",
    [SETTING_RETRIES] = "bascule_retries",
    [SETTING_READAHEAD] = "bascule_readahead",
    [SETTING_WORKER_MEMORY] = "bascule_worker_memory",
    [SETTING_CACHE_TTL] = "bascule_cache_ttl",
};

/* The two values of a setting that has two. */
struct choice {
	const char *off; /* the default, where there is one */
	const char *on;
	const char *what; /* each means, for the message */
};

static const struct choice choices[SETTING_COUNT] = {
    [SETTING_SCHEMA_MODE] =
        {"strict", "evolve",
		 "'strict' (batches have the columns and types of infer_schema) or 'evolve' (missing columns "
		 "become nulls, extra ones are left out, types are widened where no value can change)"},
    [SETTING_VALIDATION] = {"layout", "full",
	                        "'layout' (lengths, buffer and null counts of each batch) or 'full' (also every offset and "
	                        "all text)"},
    [SETTING_EXECUTOR] =
        {"inprocess", "process",
		 "'inprocess' (the class runs in the host's own interpreter) or 'process' (in worker processes)"},
};

/* What numbers may be: up to `max` of the base unit, in steps of the first unit that `text` may end with. */
struct number {
	int64_t min, max;
	bool seconds; /* a decimal number of them, in ms; else a whole number */
	bool bytes;   /* KB, MB, GB, TB (powers of 1000), KiB ... (of 1024) may follow */
	const char *what;
};

static const struct number numbers[SETTING_COUNT] = {
    [SETTING_WORKERS] = {1, BSC_WORKERS_MAX, false, false, "a whole number of worker processes from 1 to 1024"},
    [SETTING_TIMEOUT] = {0, 1000LL * 366 * 86400, true, false,
	                     "a number of seconds up to 31622400 (366 days), 0 for none"},
    [SETTING_RETRIES] = {0, 100, false, false, "a whole number from 0 to 100"},
    [SETTING_READAHEAD] = {0, INT64_C(1) << 40, false, true, "a number of bytes up to 1 TiB, as 67108864 or '64MiB'"},
    [SETTING_WORKER_MEMORY] = {INT64_C(1) << 26, INT64_C(1) << 50, false, true,
	                           "a number of bytes of at least 64 MiB, up to 1024 TiB, as '512MiB' or '2GB'"},
    [SETTING_CACHE_TTL] = {0, 1000LL * 366 * 86400, true, false,
	                       "a number of seconds up to 31622400 (366 days), 0 for no cache"},
};

const char *const *bsc_setting_names(void)
{
	return names;
}

bool bsc__setting_is(struct bsc_str name)
{
	static const char prefix[] = "bascule_";
	struct bsc_str head = {name.ptr, sizeof(prefix) - 1};
	return (name.len >= head.len && bsc__str_equal_nocase(head, bsc__str(prefix))) ||
	       bsc__str_equal_nocase(name, bsc__str(names[SETTING_MODULE])) ||
	       bsc__str_equal_nocase(name, bsc__str(names[SETTING_CLASS]));
}

static int unknown(struct bsc_str name, struct bsc_error *err)
{
	char known[1024] = "";
	for (int i = 0; i < SETTING_COUNT; i++) {
		strcat(known, i ? ", " : "");
		strcat(known, names[i]);
	}
	return bsc__fail(
	    err, BSC_INVALID,
	    "unknown setting '%.*s': names that begin with bascule_ are the bridge's own; this version knows %s",
	    BSC__ARG(name), known);
}

static int choose(enum setting setting, struct bsc_str value, bool given, bool *on, struct bsc_error *err)
{
	const struct choice *choice = &choices[setting];
	*on = given && bsc__str_equal_nocase(value, bsc__str(choice->on));
	if (!given || *on || bsc__str_equal_nocase(value, bsc__str(choice->off))) {
		return BSC_OK;
	}
	return bsc__fail(err, BSC_INVALID,
	                 "%s = '%.*s' is not among its choices: %s. It is an option, or SET for the session",
	                 names[setting], BSC__ARG(value), choice->what);
}

/* The bytes of a unit, "MiB"; 0: it is none. */
static int64_t unit_bytes(struct bsc_str unit)
{
	static const char letters[] = "KMGT";
	int64_t thousands = 1, kibi = 1;
	if (unit.len == 0 || bsc__str_equal_nocase(unit, bsc__str("B"))) {
		return 1;
	}
	for (const char *letter = letters; *letter; letter++) {
		const char si[] = {*letter, 'B', '\0'}, binary[] = {*letter, 'i', 'B', '\0'};
		thousands *= 1000;
		kibi *= 1024;
		if (bsc__str_equal_nocase(unit, bsc__str(si))) {
			return thousands;
		}
		if (bsc__str_equal_nocase(unit, bsc__str(binary))) {
			return kibi;
		}
	}
	return 0;
}

/* A decimal number and, behind blanks, its unit. */
static int measure(enum setting setting, struct bsc_str value, int64_t *out, struct bsc_error *err)
{
	const struct number *number = &numbers[setting];
	char text[64];
	double found = -1;
	if (value.len > 0 && value.len < sizeof(text) && value.ptr[0] >= '0' && value.ptr[0] <= '9' &&
	    !memchr(value.ptr, '\0', value.len)) {
		memcpy(text, value.ptr, value.len);
		text[value.len] = '\0';
		size_t digits = strspn(text, "0123456789."), blanks = strspn(text + digits, " ");
		struct bsc_str unit = bsc__str(text + digits + blanks);
		int64_t scale = number->seconds ? 1000 : number->bytes ? unit_bytes(unit) : 1;
		char *end;
		double decimal = strtod(text, &end);
		found = (number->bytes || !*end) && end == text + digits && scale ? decimal * (double)scale : -1;
	}
	if (found < (double)number->min || found > (double)number->max ||
	    (!number->seconds && (double)(int64_t)found != found)) {
		return bsc__fail(err, BSC_INVALID, "%s = '%.*s' is not %s. It is an option, or SET for the session",
		                 names[setting], BSC__ARG(value), number->what);
	}
	*out = (int64_t)found;
	*out = found > 0 && *out == 0 ? 1 : *out; /* the least is not none */
	return BSC_OK;
}

int bsc__settings_read(const struct bsc_options *options, struct bsc__settings *out, struct bsc_error *err)
{
	struct bsc_str values[SETTING_COUNT] = {{0}};
	bool given[SETTING_COUNT] = {false};
	*out = (struct bsc__settings){0};
	for (size_t i = 0; i < bsc_options_count(options); i++) {
		struct bsc_str name = bsc_options_name(options, i);
		if (!bsc__setting_is(name)) {
			continue;
		}
		int s = 0;
		while (s < SETTING_COUNT && !bsc__str_equal_nocase(name, bsc__str(names[s]))) {
			s++;
		}
		if (s == SETTING_COUNT) {
			return unknown(name, err);
		}
		if (given[s]) {
			return bsc__fail(err, BSC_INVALID, "setting '%s' is given twice: give it once", names[s]);
		}
		given[s] = true;
		values[s] = bsc_options_value(options, i);
	}
	bool full, evolve, process;
	int64_t measured[SETTING_COUNT] = {[SETTING_READAHEAD] = BSC_READAHEAD_DEFAULT};
	int rc = choose(SETTING_VALIDATION, values[SETTING_VALIDATION], given[SETTING_VALIDATION], &full, err);
	if (rc == BSC_OK) {
		rc = choose(SETTING_SCHEMA_MODE, values[SETTING_SCHEMA_MODE], given[SETTING_SCHEMA_MODE], &evolve, err);
	}
	if (rc == BSC_OK) {
		rc = choose(SETTING_EXECUTOR, values[SETTING_EXECUTOR], given[SETTING_EXECUTOR], &process, err);
	}
	for (int i = 0; rc == BSC_OK && i < SETTING_COUNT; i++) {
		if (given[i] && numbers[i].what) {
			rc = measure(i, values[i], &measured[i], err);
		}
	}
	if (rc == BSC_OK && values[SETTING_PYTHON].len &&
	    memchr(values[SETTING_PYTHON].ptr, '\0', values[SETTING_PYTHON].len)) {
		rc = bsc__fail(err, BSC_INVALID, "bascule_python is no path of an interpreter: it has a NUL in it");
	}
	if (rc == BSC_OK && values[SETTING_PYTHON].len && !(out->python = bsc__strndup(values[SETTING_PYTHON]))) {
		rc = bsc__fail_nomem(err, "reading the settings");
	}
	if (rc != BSC_OK) {
		return rc;
	}
	out->module = values[SETTING_MODULE];
	out->cls = values[SETTING_CLASS];
	out->validate_full = full;
	out->schema_mode = evolve ? BSC_SCHEMA_EVOLVE : BSC_SCHEMA_STRICT;
	out->retries = measured[SETTING_RETRIES];
	out->cache_ttl_ms = measured[SETTING_CACHE_TTL];
	out->run = (struct bsc_run_settings){
	    .choice = !given[SETTING_EXECUTOR] ? BSC_EXECUTOR_DEFAULT
		          : process                ? BSC_EXECUTOR_PROCESS
		                                   : BSC_EXECUTOR_INPROCESS,
	    .python = out->python,
	    .n_workers = measured[SETTING_WORKERS],
	    .timeout_ms = measured[SETTING_TIMEOUT],
	    .readahead_bytes = measured[SETTING_READAHEAD],
	    .worker_memory_bytes = measured[SETTING_WORKER_MEMORY],
	};
	return BSC_OK;
}

void bsc__settings_release(struct bsc__settings *settings)
{
	bsc__free(settings->python);
	settings->python = NULL;
}

int bsc__options_user(const struct bsc_options *options, struct bsc_options **out, struct bsc_error *err)
{
	struct bsc_options *user = NULL;
	*out = NULL;
	int rc = bsc_options_new(&user, err);
	for (size_t i = 0; rc == BSC_OK && i < bsc_options_count(options); i++) {
		if (!bsc__setting_is(bsc_options_name(options, i))) {
			rc = bsc_options_add(user, bsc_options_name(options, i), bsc_options_value(options, i), err);
		}
	}
	if (rc != BSC_OK) {
		bsc_options_free(user);
		return rc;
	}
	*out = user;
	return BSC_OK;
}
