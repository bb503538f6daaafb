#include "check.h"

static bool is_utf8(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	while (*s) {
		int more = *s < 0x80 ? 0 : *s >= 0xF0 ? 3 : *s >= 0xE0 ? 2 : *s >= 0xC2 ? 1 : -1;
		if (more < 0) {
			return false;
		}
		for (s++; more > 0; more--, s++) {
			if ((*s & 0xC0) != 0x80) {
				return false;
			}
		}
	}
	return true;
}

static void test_fail_writes_status_and_message_and_returns_the_status(void **state)
{
	(void)state;
	struct bsc_error err;
	assert_int_equal(bsc__fail(&err, BSC_SOURCE, "column %d of '%s'", 3, "orders"), BSC_SOURCE);
	assert_int_equal(err.status, BSC_SOURCE);
	assert_string_equal(err.message, "column 3 of 'orders'");
}

static void test_user_info_of_urls_is_masked(void **state)
{
	(void)state;
	static const char *const texts[][2] = {
	    {"no s3://ann:pw@host/x", "no s3://***@host/x"},
	    {"s3://a@h, s3://b:c@h", "s3://***@h, s3://***@h"},
	    {"s3://host/x@y", "s3://host/x@y"},
	    {"'s3://a:p@w@h'", "'s3://***@h'"},
	    {"://", "://"},
	    {"s3://@h", "s3://***@h"},
	    {"s3://'a@b'", "s3://'a@b'"},
	    {"s3://a:pw@", "s3://***@"},
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct bsc_error err;
		bsc__fail(&err, BSC_INVALID, "%s", texts[i][0]);
		assert_string_equal(err.message, texts[i][1]);
	}
}

static void test_user_info_that_fills_the_text_does_not_outgrow_it(void **state)
{
	(void)state;
	static char text[2 * BSC_ERROR_CAP];
	for (size_t at = 0; at + 6 < sizeof(text); at += 6) {
		memcpy(text + at, "://a@ ", 6);
	}
	struct bsc_error err;
	bsc__fail(&err, BSC_INVALID, "%s", text);
	assert_true(strlen(err.message) < sizeof(err.message));
	assert_memory_equal(err.message, "://***@ ://***@ ", 16);
	assert_null(strstr(err.message, "a@"));
}

static void test_fail_accepts_no_error(void **state)
{
	(void)state;
	assert_int_equal(bsc__fail(NULL, BSC_NOMEM, "%s", "nobody reads this"), BSC_NOMEM);
}

static void test_message_that_just_fits_is_whole(void **state)
{
	(void)state;
	static char text[BSC_ERROR_CAP];
	memset(text, 'x', sizeof(text) - 1);
	struct bsc_error err;
	bsc__fail(&err, BSC_SOURCE, "%s", text);
	assert_string_equal(err.message, text);
}

static void test_message_one_byte_too_long_is_cut_and_says_so(void **state)
{
	(void)state;
	static char text[BSC_ERROR_CAP + 1];
	memset(text, 'x', sizeof(text) - 1);
	struct bsc_error err;
	bsc__fail(&err, BSC_SOURCE, "%s", text);
	size_t n = strlen(err.message);
	assert_int_equal(n, BSC_ERROR_CAP - 1);
	assert_string_equal(err.message + n - 6, " [cut]");
}

/* Each character length at each place of the cut. */
static void test_message_is_cut_on_a_character(void **state)
{
	(void)state;
	static const char *const characters[] = {"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x8C\x89"};
	for (size_t c = 0; c < LENGTH(characters); c++) {
		for (size_t shift = 0; shift < 4; shift++) {
			static char text[BSC_ERROR_CAP + 16];
			size_t step = strlen(characters[c]), n = shift;
			memset(text, 'x', shift);
			while (n + step < sizeof(text)) {
				memcpy(text + n, characters[c], step);
				n += step;
			}
			text[n] = '\0';
			struct bsc_error err;
			bsc__fail(&err, BSC_SOURCE, "%s", text);
			assert_true(is_utf8(err.message));
			char *cut = strstr(err.message, " [cut]");
			assert_non_null(cut);
			assert_int_equal((cut - err.message - shift) % step, 0);
			assert_in_range(cut - err.message, BSC_ERROR_CAP - 7 - 3, BSC_ERROR_CAP - 7);
		}
	}
}

/* A precision in a format counts bytes: it too must not part a character. */
static void test_message_is_utf8_where_a_format_shortens_a_name(void **state)
{
	(void)state;
	struct bsc_error err;
	bsc__fail(&err, BSC_INVALID, "column '%.10s' is missing",
	          "\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC");
	assert_true(is_utf8(err.message));
	assert_non_null(strstr(err.message, "column '\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC"));
	assert_non_null(strstr(err.message, "' is missing"));
}

static void test_out_of_memory_says_what_was_attempted(void **state)
{
	(void)state;
	struct bsc_error err;
	assert_int_equal(bsc__fail_nomem(&err, "opening a source"), BSC_NOMEM);
	assert_string_equal(err.message, "out of memory while opening a source");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fail_writes_status_and_message_and_returns_the_status),
	    cmocka_unit_test(test_user_info_of_urls_is_masked),
	    cmocka_unit_test(test_user_info_that_fills_the_text_does_not_outgrow_it),
	    cmocka_unit_test(test_fail_accepts_no_error),
	    cmocka_unit_test(test_message_that_just_fits_is_whole),
	    cmocka_unit_test(test_message_one_byte_too_long_is_cut_and_says_so),
	    cmocka_unit_test(test_message_is_cut_on_a_character),
	    cmocka_unit_test(test_message_is_utf8_where_a_format_shortens_a_name),
	    cmocka_unit_test(test_out_of_memory_says_what_was_attempted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
