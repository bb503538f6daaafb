#include "check.h"

static void test_equal_compares_bytes_and_length(void **state)
{
	(void)state;
	assert_true(bsc__str_equal(bsc__str("region"), bsc__str("region")));
	assert_false(bsc__str_equal(bsc__str("region"), bsc__str("Region")));
	assert_false(bsc__str_equal(bsc__str("region"), bsc__str("regions")));
	assert_true(bsc__str_equal((struct bsc_str){"a\0b", 3}, (struct bsc_str){"a\0b", 3}));
	assert_false(bsc__str_equal((struct bsc_str){"a\0b", 3}, (struct bsc_str){"a\0c", 3}));
}

static void test_empty_strings_are_equal_with_any_pointer(void **state)
{
	(void)state;
	assert_true(bsc__str_equal((struct bsc_str){NULL, 0}, bsc__str("")));
	assert_true(bsc__str_equal_nocase((struct bsc_str){NULL, 0}, bsc__str("")));
	assert_false(bsc__str_equal_nocase((struct bsc_str){NULL, 0}, bsc__str("a")));
}

static void test_nocase_folds_all_ascii_letters_and_nothing_else(void **state)
{
	(void)state;
	assert_true(bsc__str_equal_nocase(bsc__str("ABCXYZabcxyz_09"), bsc__str("abcxyzABCXYZ_09")));
	for (int a = 0; a < 256; a++) {
		for (int b = 0; b < 256; b++) {
			char x = (char)a, y = (char)b;
			bool letters = (a | 0x20) == (b | 0x20) && (a | 0x20) >= 'a' && (a | 0x20) <= 'z';
			assert_int_equal(bsc__str_equal_nocase((struct bsc_str){&x, 1}, (struct bsc_str){&y, 1}),
			                 a == b || letters);
		}
	}
}

static void test_nocase_compares_the_length(void **state)
{
	(void)state;
	assert_false(bsc__str_equal_nocase(bsc__str("region"), bsc__str("regio")));
	assert_false(bsc__str_equal_nocase(bsc__str("regio"), bsc__str("region")));
}

static void test_strndup_terminates_a_part_of_a_text(void **state)
{
	(void)state;
	char *copy = bsc__strndup((struct bsc_str){"pkg.mod:Class", 7});
	assert_string_equal(copy, "pkg.mod");
	bsc__free(copy);
	copy = bsc__strndup((struct bsc_str){NULL, 0});
	assert_string_equal(copy, "");
	bsc__free(copy);
}

static void test_sizes_of_zero_give_memory(void **state)
{
	(void)state;
	void *blocks[] = {bsc__alloc(0), bsc__calloc(0, 8), bsc__calloc(8, 0), bsc__resize(NULL, 0, 8)};
	for (size_t i = 0; i < LENGTH(blocks); i++) {
		assert_non_null(blocks[i]);
		bsc__free(blocks[i]);
	}
}

static void test_overflow_of_a_size_gives_no_memory(void **state)
{
	(void)state;
	/* volatile: the compiler would warn of the sizes */
	volatile size_t n = SIZE_MAX / 4;
	assert_null(bsc__resize(NULL, n, 8));
}

static void test_resize_keeps_the_content_and_failure_the_block(void **state)
{
	(void)state;
	char *block = bsc__alloc(4);
	memcpy(block, "abc", 4);
	volatile size_t n = SIZE_MAX / 2;
	assert_null(bsc__resize(block, n, 4));
	block = bsc__resize(block, 100, 1);
	assert_string_equal(block, "abc");
	bsc__free(block);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_equal_compares_bytes_and_length),
	    cmocka_unit_test(test_empty_strings_are_equal_with_any_pointer),
	    cmocka_unit_test(test_nocase_folds_all_ascii_letters_and_nothing_else),
	    cmocka_unit_test(test_nocase_compares_the_length),
	    cmocka_unit_test(test_strndup_terminates_a_part_of_a_text),
	    cmocka_unit_test(test_sizes_of_zero_give_memory),
	    cmocka_unit_test(test_overflow_of_a_size_gives_no_memory),
	    cmocka_unit_test(test_resize_keeps_the_content_and_failure_the_block),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
