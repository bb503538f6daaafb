#include "check.h"
#include "source/source.h"

struct pair {
	const char *name, *value;
};

static struct bsc_options *make(const struct pair *pairs, size_t n)
{
	struct bsc_options *options = NULL;
	struct bsc_error err;
	assert_ok(bsc_options_new(&options, &err), &err);
	for (size_t i = 0; i < n; i++) {
		assert_ok(bsc_options_add(options, bsc__str(pairs[i].name), bsc__str(pairs[i].value), &err), &err);
	}
	return options;
}

static void refuses(const struct pair *pairs, size_t n, const char *message)
{
	struct bsc_options *options = make(pairs, n);
	struct bsc__settings settings;
	struct bsc_error err;
	assert_fails(bsc__settings_read(options, &settings, &err), BSC_INVALID, &err, message);
	assert_null(settings.module.ptr);
	assert_null(settings.cls.ptr);
	assert_false(settings.validate_full);
	bsc_options_free(options);
}

static void test_no_options_give_the_defaults(void **state)
{
	(void)state;
	struct bsc__settings settings;
	struct bsc_error err;
	assert_ok(bsc__settings_read(NULL, &settings, &err), &err);
	assert_int_equal(settings.module.len, 0);
	assert_int_equal(settings.cls.len, 0);
	assert_false(settings.validate_full);
}

static void test_settings_are_found_in_any_case_among_options(void **state)
{
	(void)state;
	const struct pair pairs[] = {
	    {"region", "eu"}, {"PYTHON_Module", "Pkg.Mod"}, {"Bascule_Validation", "FULL"}, {"python_CLASS", "Orders"}};
	struct bsc_options *options = make(pairs, LENGTH(pairs));
	struct bsc__settings settings;
	struct bsc_error err;
	assert_ok(bsc__settings_read(options, &settings, &err), &err);
	assert_str(settings.module, "Pkg.Mod");
	assert_str(settings.cls, "Orders");
	assert_true(settings.validate_full);
	bsc_options_free(options);
}

static void test_validation_is_layout_or_full(void **state)
{
	(void)state;
	const struct pair layout[] = {{"bascule_validation", "layout"}};
	struct bsc_options *options = make(layout, 1);
	struct bsc__settings settings;
	struct bsc_error err;
	assert_ok(bsc__settings_read(options, &settings, &err), &err);
	assert_false(settings.validate_full);
	bsc_options_free(options);
	const struct pair bad[] = {{"bascule_validation", "ful"}};
	refuses(bad, 1, "bascule_validation = 'ful' is not among its choices: 'layout'");
	const struct pair empty[] = {{"bascule_validation", ""}};
	refuses(empty, 1, "not among its choices");
}

static void test_unknown_setting_is_refused_with_the_known_ones(void **state)
{
	(void)state;
	const struct pair pairs[] = {{"bascule_validaton", "full"}};
	refuses(pairs, 1, "unknown setting 'bascule_validaton'");
	refuses(pairs, 1, "python_module, python_class, bascule_schema_mode, bascule_validation");
	const struct pair bare[] = {{"BASCULE_", "x"}};
	refuses(bare, 1, "unknown setting 'BASCULE_'");
}

static void test_setting_given_twice_is_refused(void **state)
{
	(void)state;
	const struct pair same[] = {{"bascule_validation", "full"}, {"bascule_validation", "full"}};
	refuses(same, 2, "setting 'bascule_validation' is given twice");
	const struct pair cases[] = {{"python_class", "A"}, {"x", "1"}, {"Python_Class", "B"}};
	refuses(cases, 3, "setting 'python_class' is given twice");
}

static void test_options_that_begin_alike_are_no_settings(void **state)
{
	(void)state;
	static const char *const settings[] = {"python_module", "PYTHON_CLASS", "bascule_", "Bascule_anything"};
	static const char *const others[] = {"python_modul", "python_module_", "bascule", "bascul", "", "my_bascule_x"};
	for (size_t i = 0; i < LENGTH(settings); i++) {
		assert_true(bsc__setting_is(bsc__str(settings[i])));
	}
	for (size_t i = 0; i < LENGTH(others); i++) {
		assert_false(bsc__setting_is(bsc__str(others[i])));
	}
}

static void test_setting_names_end_with_null_and_are_settings(void **state)
{
	(void)state;
	const char *const *names = bsc_setting_names();
	size_t n = 0;
	for (; names[n]; n++) {
		assert_true(bsc__setting_is(bsc__str(names[n])));
	}
	assert_true(n >= 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_options_give_the_defaults),
	    cmocka_unit_test(test_settings_are_found_in_any_case_among_options),
	    cmocka_unit_test(test_validation_is_layout_or_full),
	    cmocka_unit_test(test_unknown_setting_is_refused_with_the_known_ones),
	    cmocka_unit_test(test_setting_given_twice_is_refused),
	    cmocka_unit_test(test_options_that_begin_alike_are_no_settings),
	    cmocka_unit_test(test_setting_names_end_with_null_and_are_settings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
