/* The bridge's settings: options that Bascule reads itself. One table says
 * which there are; a part that brings a new setting adds its row here. */
#include "source/source.h"

#include <string.h>

enum setting { SETTING_MODULE, SETTING_CLASS, SETTING_SCHEMA_MODE, SETTING_VALIDATION, SETTING_COUNT };

static const char *const names[SETTING_COUNT + 1] = {
    [SETTING_MODULE] = "python_module",
    [SETTING_CLASS] = "python_class",
    [SETTING_SCHEMA_MODE] = "bascule_schema_mode",
    [SETTING_VALIDATION] = "bascule_validation",
};

/* The two values of a setting that has two: the first is the default. */
struct choice {
	const char *off;
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
	char known[256] = "";
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
	bool full, evolve;
	int rc = choose(SETTING_VALIDATION, values[SETTING_VALIDATION], given[SETTING_VALIDATION], &full, err);
	if (rc == BSC_OK) {
		rc = choose(SETTING_SCHEMA_MODE, values[SETTING_SCHEMA_MODE], given[SETTING_SCHEMA_MODE], &evolve, err);
	}
	if (rc != BSC_OK) {
		return rc;
	}
	out->module = values[SETTING_MODULE];
	out->cls = values[SETTING_CLASS];
	out->validate_full = full;
	out->schema_mode = evolve ? BSC_SCHEMA_EVOLVE : BSC_SCHEMA_STRICT;
	return BSC_OK;
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
