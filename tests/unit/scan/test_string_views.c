/* Views that point outside their buffers: what `full` must find before
 * it reads the text. Apart from test_validate.c, since a miss is a crash. */
#include "mock_executor.h"
#include "scan/internal.h"

static const struct bsc__place place = {"acme:Orders", 0, 1, 0};

/* One batch of a column "x" of 10 views, whose row 7 is `view`. format: text or binary. */
static int validate(const char *format, const union ArrowBinaryView *view, const uint8_t *validity, bool full,
                    struct bsc_error *err)
{
	const struct mock_column columns[] = {{"x", format, false}}, text[] = {{"x", "vu", false}};
	struct ArrowSchema declared, schema;
	struct ArrowArray array;
	struct bsc__match match;
	struct bsc__validate v;
	int64_t asked = 0;
	union ArrowBinaryView views[10];
	mock_schema_init(&declared, columns, 1);
	mock_schema_init(&schema, text, 1);
	mock_array_init(&array, &schema, 100, 10);
	schema.release(&schema);
	mock_shell(&array);
	memcpy(views, array.children[0]->buffers[1], sizeof(views));
	views[7] = *view;
	array.children[0]->buffers[1] = views;
	array.children[0]->buffers[0] = validity;
	array.children[0]->null_count = validity ? 1 : 0;
	assert_ok(bsc__match_init(&match, &declared, &asked, 1, err), err);
	assert_ok(bsc_schema_copy(&declared, &schema, err), err);
	assert_ok(bsc__match_schema(&match, &schema, &place, err), err);
	assert_ok(bsc__validate_init(&v, &match, full, err), err);
	int rc = bsc__validate_batch(&v, &match, &array, &place, err);
	bsc__validate_release(&v);
	bsc__match_release(&match);
	array.release(&array);
	declared.release(&declared);
	return rc;
}

static void full_refuses(int32_t size, int32_t buffer, int32_t offset)
{
	union ArrowBinaryView view = {.ref = {.size = size, .buffer_index = buffer, .offset = offset}};
	struct bsc_error err;
	static const char *const formats[] = {"vu", "vz"};
	for (size_t i = 0; i < LENGTH(formats); i++) {
		assert_ok(validate(formats[i], &view, NULL, false, &err), &err);
		assert_fails(validate(formats[i], &view, NULL, true, &err), BSC_MALFORMED, &err, "column 'x'");
	}
}

static void test_view_of_negative_size_is_found_by_full(void **state)
{
	(void)state;
	full_refuses(-1, 0, 0);
	full_refuses(INT32_MIN, 0, 0);
}

static void test_view_into_a_buffer_that_is_not_there_is_found_by_full(void **state)
{
	(void)state;
	full_refuses(15, 1, 0);
	full_refuses(15, -1, 0);
	full_refuses(15, INT32_MAX, 0);
}

static void test_view_beyond_its_buffer_is_found_by_full(void **state)
{
	(void)state;
	full_refuses(15, 0, 1000000);
	full_refuses(1000000, 0, 0);
	full_refuses(15, 0, -1);
	full_refuses(INT32_MAX, 0, INT32_MAX);
}

static void test_view_behind_a_null_is_not_looked_at(void **state)
{
	(void)state;
	static const uint8_t bits[] = {0x7F, 0x03}; /* row 7 is null */
	union ArrowBinaryView view = {.ref = {.size = 15, .buffer_index = 99, .offset = -5}};
	struct bsc_error err;
	assert_ok(validate("vu", &view, bits, true, &err), &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_view_behind_a_null_is_not_looked_at),
	    cmocka_unit_test(test_view_of_negative_size_is_found_by_full),
	    cmocka_unit_test(test_view_into_a_buffer_that_is_not_there_is_found_by_full),
	    cmocka_unit_test(test_view_beyond_its_buffer_is_found_by_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
