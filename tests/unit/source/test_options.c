#include "check.h"
#include "source/source.h"

static struct bsc_options *make(void)
{
	struct bsc_options *options = NULL;
	struct bsc_error err;
	assert_ok(bsc_options_new(&options, &err), &err);
	return options;
}

static void add(struct bsc_options *options, const char *name, const char *value)
{
	struct bsc_error err;
	assert_ok(bsc_options_add(options, bsc__str(name), bsc__str(value), &err), &err);
}

static void test_options_keep_order_and_spelling(void **state)
{
	(void)state;
	struct bsc_options *options = make();
	for (int i = 0; i < 100; i++) {
		char name[] = {(char)('A' + i % 26), (char)('a' + i / 26), '\0'};
		add(options, name, i % 2 ? "odd" : "");
	}
	assert_int_equal(bsc_options_count(options), 100);
	assert_str(bsc_options_name(options, 0), "Aa");
	assert_str(bsc_options_value(options, 0), "");
	assert_str(bsc_options_name(options, 99), "Vd");
	assert_str(bsc_options_value(options, 99), "odd");
	bsc_options_free(options);
}

static void test_options_copy_what_they_are_given(void **state)
{
	(void)state;
	struct bsc_options *options = make();
	struct bsc_error err;
	char name[] = "region", value[] = "a\0b";
	assert_ok(bsc_options_add(options, bsc__str(name), (struct bsc_str){value, 3}, &err), &err);
	memset(name, 'x', sizeof(name));
	memset(value, 'x', sizeof(value));
	assert_str(bsc_options_name(options, 0), "region");
	assert_true(bsc__str_equal(bsc_options_value(options, 0), (struct bsc_str){"a\0b", 3}));
	bsc_options_free(options);
}

static void test_option_name_must_not_be_empty_or_hold_a_nul(void **state)
{
	(void)state;
	struct bsc_options *options = make();
	struct bsc_error err;
	assert_fails(bsc_options_add(options, bsc__str(""), bsc__str("x"), &err), BSC_INVALID, &err, "empty name");
	assert_fails(bsc_options_add(options, (struct bsc_str){"a\0b", 3}, bsc__str("x"), &err), BSC_INVALID, &err, "NUL");
	assert_int_equal(bsc_options_count(options), 0);
	bsc_options_free(options);
}

static void test_option_name_has_a_limit(void **state)
{
	(void)state;
	struct bsc_options *options = make();
	struct bsc_error err;
	char name[BSC_OPTION_NAME_MAX + 1];
	memset(name, 'n', sizeof(name));
	assert_ok(bsc_options_add(options, (struct bsc_str){name, BSC_OPTION_NAME_MAX}, bsc__str(""), &err), &err);
	assert_fails(bsc_options_add(options, (struct bsc_str){name, BSC_OPTION_NAME_MAX + 1}, bsc__str(""), &err),
	             BSC_INVALID, &err, "1025 bytes long, at most 1024");
	assert_int_equal(bsc_options_count(options), 1);
	bsc_options_free(options);
}

static void test_option_value_has_a_limit(void **state)
{
	(void)state;
	struct bsc_options *options = make();
	struct bsc_error err;
	char *value = bsc__calloc(BSC_OPTION_VALUE_MAX + 1, 1);
	assert_ok(bsc_options_add(options, bsc__str("fits"), (struct bsc_str){value, BSC_OPTION_VALUE_MAX}, &err), &err);
	assert_fails(bsc_options_add(options, bsc__str("big"), (struct bsc_str){value, BSC_OPTION_VALUE_MAX + 1}, &err),
	             BSC_INVALID, &err, "option 'big' is 16777217 bytes long");
	assert_int_equal(bsc_options_count(options), 1);
	bsc__free(value);
	bsc_options_free(options);
}

static void test_options_have_a_limit(void **state)
{
	(void)state;
	struct bsc_options *options = make();
	struct bsc_error err;
	for (int i = 0; i < BSC_OPTIONS_MAX; i++) {
		add(options, "n", "");
	}
	assert_fails(bsc_options_add(options, bsc__str("n"), bsc__str(""), &err), BSC_INVALID, &err, "more than 65536");
	assert_int_equal(bsc_options_count(options), BSC_OPTIONS_MAX);
	bsc_options_free(options);
}

static void test_default_gives_way_to_an_option_in_any_case(void **state)
{
	(void)state;
	struct bsc_options *options = make();
	struct bsc_error err;
	add(options, "Bascule_Validation", "full");
	assert_ok(bsc_options_add_default(options, bsc__str("bascule_validation"), bsc__str("layout"), &err), &err);
	assert_int_equal(bsc_options_count(options), 1);
	assert_str(bsc_options_value(options, 0), "full");
	assert_ok(bsc_options_add_default(options, bsc__str("python_class"), bsc__str("A"), &err), &err);
	assert_int_equal(bsc_options_count(options), 2);
	bsc_options_free(options);
}

static void test_no_options_count_as_none(void **state)
{
	(void)state;
	assert_int_equal(bsc_options_count(NULL), 0);
	bsc_options_free(NULL);
	struct bsc_options *user = NULL;
	struct bsc_error err;
	assert_ok(bsc__options_user(NULL, &user, &err), &err);
	assert_int_equal(bsc_options_count(user), 0);
	bsc_options_free(user);
}

static void test_user_options_are_those_that_are_no_settings(void **state)
{
	(void)state;
	struct bsc_options *options = make(), *user = NULL;
	struct bsc_error err;
	add(options, "Python_Class", "A");
	add(options, "b", "2");
	add(options, "BASCULE_VALIDATION", "full");
	add(options, "python_modules", "mine");
	add(options, "bascule", "mine");
	add(options, "a", "1");
	assert_ok(bsc__options_user(options, &user, &err), &err);
	assert_int_equal(bsc_options_count(user), 4);
	assert_str(bsc_options_name(user, 0), "b");
	assert_str(bsc_options_name(user, 1), "python_modules");
	assert_str(bsc_options_name(user, 2), "bascule");
	assert_str(bsc_options_name(user, 3), "a");
	assert_str(bsc_options_value(user, 3), "1");
	bsc_options_free(user);
	bsc_options_free(options);
}

static void test_options_are_equal_by_name_value_and_order(void **state)
{
	(void)state;
	struct bsc_options *a = make(), *b = make(), *c = make(), *d = make(), *e = make();
	add(a, "x", "1"), add(a, "y", "2");
	add(b, "x", "1"), add(b, "y", "2");
	add(c, "y", "2"), add(c, "x", "1");
	add(d, "x", "1"), add(d, "y", "3");
	add(e, "x", "1");
	assert_true(bsc__options_equal(a, b));
	assert_false(bsc__options_equal(a, c));
	assert_false(bsc__options_equal(a, d));
	assert_false(bsc__options_equal(a, e));
	bsc_options_free(a), bsc_options_free(b), bsc_options_free(c), bsc_options_free(d), bsc_options_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_options_keep_order_and_spelling),
	    cmocka_unit_test(test_options_copy_what_they_are_given),
	    cmocka_unit_test(test_option_name_must_not_be_empty_or_hold_a_nul),
	    cmocka_unit_test(test_option_name_has_a_limit),
	    cmocka_unit_test(test_option_value_has_a_limit),
	    cmocka_unit_test(test_options_have_a_limit),
	    cmocka_unit_test(test_default_gives_way_to_an_option_in_any_case),
	    cmocka_unit_test(test_no_options_count_as_none),
	    cmocka_unit_test(test_user_options_are_those_that_are_no_settings),
	    cmocka_unit_test(test_options_are_equal_by_name_value_and_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
