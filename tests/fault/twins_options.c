/* Options, settings and locators. */
#include "world.h"

#include <stdio.h>

static int add(struct bsc_options *options, const char *name, const char *value, struct bsc_error *err)
{
	return bsc_options_add(options, bsc__str(name), bsc__str(value), err);
}

static void no_options(struct world *w)
{
	struct bsc_error err;
	assert_ok(bsc_options_new(&w->options, &err), &err);
}

/* As many as fit before the list grows. */
#define N_FULL 8

static void full_options(struct world *w)
{
	static const char *const names[N_FULL] = {"a", "b", "c", "d", "e", "f", "g", "h"};
	struct bsc_error err;
	no_options(w);
	for (int i = 0; i < N_FULL; i++) {
		assert_ok(add(w->options, names[i], "value", &err), &err);
	}
}

static int call_new(struct world *w, struct bsc_error *err)
{
	return bsc_options_new(&w->out.options, err);
}

static void done_new(struct world *w)
{
	assert_int_equal(bsc_options_count(w->out.options), 0);
	bsc_options_free(w->out.options);
}

static int call_add(struct world *w, struct bsc_error *err)
{
	return add(w->options, "region", "eu", err);
}

static int call_add_default(struct world *w, struct bsc_error *err)
{
	return bsc_options_add_default(w->options, bsc__str("region"), bsc__str("eu"), err);
}

static int call_add_default_again(struct world *w, struct bsc_error *err)
{
	return bsc_options_add_default(w->options, bsc__str("A"), bsc__str("eu"), err);
}

static void check_options(struct world *w, size_t n)
{
	assert_int_equal(bsc_options_count(w->options), n);
	for (size_t i = 0; i < n && i < N_FULL; i++) {
		char name[2] = {(char)('a' + i), '\0'};
		assert_str(bsc_options_name(w->options, i), name);
		assert_str(bsc_options_value(w->options, i), "value");
	}
}

static void none_added(struct world *w)
{
	check_options(w, 0);
}

static void one_added(struct world *w)
{
	assert_int_equal(bsc_options_count(w->options), 1);
	assert_str(bsc_options_name(w->options, 0), "region");
	assert_str(bsc_options_value(w->options, 0), "eu");
}

static void still_full(struct world *w)
{
	check_options(w, N_FULL);
}

static void one_more(struct world *w)
{
	check_options(w, N_FULL + 1);
	assert_str(bsc_options_name(w->options, N_FULL), "region");
	assert_str(bsc_options_value(w->options, N_FULL), "eu");
}

static int call_count(struct world *w, struct bsc_error *err)
{
	(void)err;
	assert_int_equal(bsc_options_count(w->options), N_FULL);
	assert_int_equal(bsc_options_count(NULL), 0);
	return BSC_OK;
}

static int call_name(struct world *w, struct bsc_error *err)
{
	(void)err;
	assert_str(bsc_options_name(w->options, 1), "b");
	return BSC_OK;
}

static int call_value(struct world *w, struct bsc_error *err)
{
	(void)err;
	assert_str(bsc_options_value(w->options, 1), "value");
	return BSC_OK;
}

static int call_free(struct world *w, struct bsc_error *err)
{
	(void)err;
	bsc_options_free(w->options);
	bsc_options_free(NULL);
	w->options = NULL;
	return BSC_OK;
}

static int call_setting_names(struct world *w, struct bsc_error *err)
{
	(void)w;
	(void)err;
	assert_string_equal(bsc_setting_names()[0], "python_module");
	return BSC_OK;
}

static int call_locator_parse(struct world *w, struct bsc_error *err)
{
	return bsc_locator_parse(bsc__str("pkg.mod:Class"), &w->out.locator, err);
}

static void done_locator(struct world *w)
{
	assert_str(w->out.locator.module, "pkg.mod");
	assert_str(w->out.locator.name, "Class");
}

static int call_locator_refuses(struct world *w, struct bsc_error *err)
{
	if (bsc_locator_parse(bsc__str("pkg mod:Class"), &w->out.locator, err) != BSC_INVALID) {
		return BSC_SOURCE;
	}
	return BSC_OK;
}

static char logged[64];

static void log_to(const char *text)
{
	snprintf(logged, sizeof(logged), "%s", text);
}

static int call_log(struct world *w, struct bsc_error *err)
{
	(void)w;
	(void)err;
	bsc_log_set_sink(log_to);
	bsc_log_warning("deprecated");
	assert_string_equal(logged, "deprecated");
	bsc_log_set_sink(NULL);
	return BSC_OK;
}

static int call_is_bare(struct world *w, struct bsc_error *err)
{
	(void)w;
	(void)err;
	assert_true(bsc_locator_is_bare(bsc__str("pkg.mod:Class")));
	return BSC_OK;
}

#define POINTER sizeof(void *)

const struct twin twins_options[] = {
    {"bsc_options_new", "", true, POINTER, .call = call_new, .done = done_new},
    {"bsc_options_add", "the first", true, .set_up = no_options, .call = call_add, .failed = none_added,
	 .done = one_added},
    {"bsc_options_add", "the list is full", true, .set_up = full_options, .call = call_add, .failed = still_full,
	 .done = one_more},
    {"bsc_options_add_default", "not given", true, .set_up = full_options, .call = call_add_default,
	 .failed = still_full, .done = one_more},
    {"bsc_options_add_default", "given", false, .set_up = full_options, .call = call_add_default_again,
	 .done = still_full},
    {"bsc_options_count", "", false, .set_up = full_options, .call = call_count},
    {"bsc_options_name", "", false, .set_up = full_options, .call = call_name},
    {"bsc_options_value", "", false, .set_up = full_options, .call = call_value},
    {"bsc_options_free", "", false, .set_up = full_options, .call = call_free},
    {"bsc_setting_names", "", false, .call = call_setting_names},
    {"bsc_log_set_sink", "", false, .call = call_log},
    {"bsc_log_warning", "", false, .call = call_log},
    {"bsc_locator_parse", "", false, .call = call_locator_parse, .done = done_locator},
    {"bsc_locator_parse", "refused", false, .call = call_locator_refuses},
    {"bsc_locator_is_bare", "", false, .call = call_is_bare},
};
const size_t n_twins_options = LENGTH(twins_options);
