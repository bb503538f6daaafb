/* Options: an ordered list of name and value. */
#include "source/source.h"

#include <string.h>

struct option {
	struct bsc_str name;
	struct bsc_str value;
};

struct bsc_options {
	struct option *items;
	size_t n;
	size_t cap;
};

int bsc_options_new(struct bsc_options **out, struct bsc_error *err)
{
	*out = bsc__calloc(1, sizeof(**out));
	return *out ? BSC_OK : bsc__fail_nomem(err, "collecting options");
}

int bsc_options_add(struct bsc_options *options, struct bsc_str name, struct bsc_str value, struct bsc_error *err)
{
	if (name.len == 0) {
		return bsc__fail(err, BSC_INVALID, "an option has an empty name");
	}
	if (name.len > BSC_OPTION_NAME_MAX) {
		return bsc__fail(err, BSC_INVALID, "an option's name is %zu bytes long, at most %d are allowed: '%.40s...'",
		                 name.len, BSC_OPTION_NAME_MAX, name.ptr);
	}
	if (memchr(name.ptr, '\0', name.len)) {
		return bsc__fail(err, BSC_INVALID, "an option's name holds a NUL character: '%.40s...'", name.ptr);
	}
	if (value.len > BSC_OPTION_VALUE_MAX) {
		return bsc__fail(err, BSC_INVALID,
		                 "the value of option '%.*s' is %zu bytes long, at most %d are allowed: pass a path instead",
		                 BSC__ARG(name), value.len, BSC_OPTION_VALUE_MAX);
	}
	if (options->n == BSC_OPTIONS_MAX) {
		return bsc__fail(err, BSC_INVALID, "more than %d options were given", BSC_OPTIONS_MAX);
	}
	if (options->n == options->cap) {
		size_t cap = options->cap ? options->cap * 2 : 8;
		struct option *items = bsc__resize(options->items, cap, sizeof(*items));
		if (!items) {
			return bsc__fail_nomem(err, "collecting options");
		}
		options->items = items;
		options->cap = cap;
	}
	char *name_copy = bsc__strndup(name);
	char *value_copy = bsc__strndup(value);
	if (!name_copy || !value_copy) {
		bsc__free(name_copy);
		bsc__free(value_copy);
		return bsc__fail_nomem(err, "collecting options");
	}
	options->items[options->n++] = (struct option){{name_copy, name.len}, {value_copy, value.len}};
	return BSC_OK;
}

static const struct option *find(const struct bsc_options *options, struct bsc_str name)
{
	for (size_t i = 0; i < options->n; i++) {
		if (bsc__str_equal_nocase(options->items[i].name, name)) {
			return &options->items[i];
		}
	}
	return NULL;
}

int bsc_options_add_default(struct bsc_options *options, struct bsc_str name, struct bsc_str value,
                            struct bsc_error *err)
{
	return find(options, name) ? BSC_OK : bsc_options_add(options, name, value, err);
}

size_t bsc_options_count(const struct bsc_options *options)
{
	return options ? options->n : 0;
}

struct bsc_str bsc_options_name(const struct bsc_options *options, size_t i)
{
	return options->items[i].name;
}

struct bsc_str bsc_options_value(const struct bsc_options *options, size_t i)
{
	return options->items[i].value;
}

void bsc_options_free(struct bsc_options *options)
{
	if (!options) {
		return;
	}
	for (size_t i = 0; i < options->n; i++) {
		bsc__free((char *)options->items[i].name.ptr);
		bsc__free((char *)options->items[i].value.ptr);
	}
	bsc__free(options->items);
	bsc__free(options);
}

bool bsc__options_equal(const struct bsc_options *a, const struct bsc_options *b)
{
	if (a->n != b->n) {
		return false;
	}
	for (size_t i = 0; i < a->n; i++) {
		if (!bsc__str_equal(a->items[i].name, b->items[i].name) ||
		    !bsc__str_equal(a->items[i].value, b->items[i].value)) {
			return false;
		}
	}
	return true;
}
