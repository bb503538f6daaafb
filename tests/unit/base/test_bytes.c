#include "check.h"

#include "base/bytes.h"

static void test_what_was_put_is_got(void **state)
{
	(void)state;
	struct bsc__bytes out;
	bsc__bytes_init(&out, 4096);
	bsc__put_u8(&out, 200);
	bsc__put_u16(&out, 60000);
	bsc__put_u32(&out, 4000000000u);
	bsc__put_u64(&out, UINT64_MAX - 1);
	bsc__put_i64(&out, INT64_MIN);
	bsc__put_str(&out, bsc__str("orders"));
	bsc__put_str(&out, (struct bsc_str){NULL, 0});
	assert_false(out.failed);
	assert_int_equal(out.len, 1 + 2 + 4 + 8 + 8 + 4 + 6 + 4);
	struct bsc__view in = {out.ptr, out.len, false};
	assert_int_equal(bsc__get_u8(&in), 200);
	assert_int_equal(bsc__get_u16(&in), 60000);
	assert_int_equal(bsc__get_u32(&in), 4000000000u);
	assert_true(bsc__get_u64(&in) == UINT64_MAX - 1);
	assert_true(bsc__get_i64(&in) == INT64_MIN);
	assert_str(bsc__get_str(&in, 6), "orders");
	assert_str(bsc__get_str(&in, 6), "");
	assert_int_equal(in.left, 0);
	assert_false(in.failed);
	bsc__bytes_release(&out);
}

static void test_numbers_are_little_endian(void **state)
{
	(void)state;
	struct bsc__bytes out;
	bsc__bytes_init(&out, 16);
	bsc__put_u32(&out, 0x04030201);
	assert_memory_equal(out.ptr, "\1\2\3\4", 4);
	bsc__bytes_release(&out);
}

static void test_a_buffer_grows_to_its_maximum_and_no_further(void **state)
{
	(void)state;
	struct bsc__bytes out;
	bsc__bytes_init(&out, 1000);
	for (int i = 0; i < 1000; i++) {
		bsc__put_u8(&out, (uint8_t)i);
	}
	assert_false(out.failed);
	assert_int_equal(out.len, 1000);
	bsc__put_u8(&out, 1);
	assert_true(out.failed);
	assert_int_equal(out.len, 1000);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(out.ptr[i], (uint8_t)i);
	}
	assert_null(bsc__bytes_extend(&out, 0));
	bsc__bytes_clear(&out);
	assert_non_null(bsc__bytes_extend(&out, 1000));
	assert_null(bsc__bytes_extend(&out, SIZE_MAX));
	bsc__bytes_release(&out);
	bsc__bytes_release(&out);
}

static void test_nothing_is_put_after_a_failure(void **state)
{
	(void)state;
	struct bsc__bytes out;
	bsc__bytes_init(&out, 4);
	bsc__put_u64(&out, 1);
	assert_true(out.failed);
	bsc__put_u8(&out, 1);
	assert_int_equal(out.len, 0);
	bsc__bytes_release(&out);
}

static void test_reading_beyond_the_end_gives_zeros_and_fails(void **state)
{
	(void)state;
	const uint8_t three[3] = {1, 2, 3};
	struct bsc__view in = {three, sizeof(three), false};
	assert_int_equal(bsc__get_u32(&in), 0);
	assert_true(in.failed);
	/* What would fit isn't read any more either. */
	assert_int_equal(bsc__get_u8(&in), 0);
	assert_int_equal(in.left, 3);
}

static void test_a_text_lies_within_what_is_left_and_its_limit(void **state)
{
	(void)state;
	const uint8_t bytes[] = {3, 0, 0, 0, 'a', 'b', 'c'};
	struct bsc__view in = {bytes, sizeof(bytes), false};
	assert_str(bsc__get_str(&in, 3), "abc");
	in = (struct bsc__view){bytes, sizeof(bytes), false};
	assert_str(bsc__get_str(&in, 2), "");
	assert_true(in.failed);
	in = (struct bsc__view){bytes, sizeof(bytes) - 1, false};
	assert_str(bsc__get_str(&in, 3), "");
	assert_true(in.failed);
	const uint8_t huge[] = {255, 255, 255, 255, 'a'};
	in = (struct bsc__view){huge, sizeof(huge), false};
	assert_str(bsc__get_str(&in, SIZE_MAX), "");
	assert_true(in.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_was_put_is_got),
	    cmocka_unit_test(test_numbers_are_little_endian),
	    cmocka_unit_test(test_a_buffer_grows_to_its_maximum_and_no_further),
	    cmocka_unit_test(test_nothing_is_put_after_a_failure),
	    cmocka_unit_test(test_reading_beyond_the_end_gives_zeros_and_fails),
	    cmocka_unit_test(test_a_text_lies_within_what_is_left_and_its_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
