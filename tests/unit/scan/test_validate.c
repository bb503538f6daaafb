#include "one_column.h"

/* ---- whole arrays ---- */

static void test_whole_arrays_of_every_kind_pass(void **state)
{
	struct fixture *f = *state;
	static const char *const formats[] = {"l", "c", "g", "b", "u", "U", "vu", "n", "tsu:UTC", "tdD"};
	for (size_t i = 0; i < LENGTH(formats); i++) {
		batch(f, formats[i]);
		accepts(f, false);
		accepts(f, true);
	}
	static const char *const parents[] = {"+s", "+l"};
	for (size_t i = 0; i < LENGTH(parents); i++) {
		batch_of(f, nested(parents[i], "u"));
		accepts(f, false);
		accepts(f, true);
	}
	struct ArrowSchema d;
	mock_dictionary_init(&d, "x", "u");
	batch_of(f, d);
	accepts(f, false);
	accepts(f, true);
}

static void test_sliced_array_passes(void **state)
{
	struct fixture *f = *state;
	static const char *const formats[] = {"l", "u", "vu"};
	for (size_t i = 0; i < LENGTH(formats); i++) {
		batch(f, formats[i]);
		f->array.offset = 2;
		f->array.length = 5;
		f->x->offset = 1;
		f->x->length = 7;
		accepts(f, false);
		accepts(f, true);
	}
}

static void test_array_without_rows_may_have_no_buffers(void **state)
{
	struct fixture *f = *state;
	static const char *const formats[] = {"l", "u"};
	for (size_t i = 0; i < LENGTH(formats); i++) {
		batch(f, formats[i]);
		f->array.length = 0;
		f->x->length = 0;
		memset(f->x->buffers, 0, (size_t)f->x->n_buffers * sizeof(*f->x->buffers));
		accepts(f, false);
		accepts(f, true);
	}
}

/* ---- shape ---- */

static void test_wrong_number_of_buffers_is_refused(void **state)
{
	struct fixture *f = *state;
	static const int64_t wrong[] = {0, 1, 3, -1, INT64_MAX};
	for (size_t i = 0; i < LENGTH(wrong); i++) {
		batch(f, "l");
		f->x->n_buffers = wrong[i];
		both_refuse(f, "column 'x' has a wrong number of buffers");
	}
	batch(f, "n");
	f->x->n_buffers = 1;
	both_refuse(f, "wrong number of buffers");
}

static void test_missing_list_of_buffers_is_refused(void **state)
{
	struct fixture *f = *state;
	batch(f, "l");
	f->x->buffers = NULL;
	both_refuse(f, "column 'x' has no list of buffers");
}

static void test_missing_buffer_is_refused(void **state)
{
	struct fixture *f = *state;
	batch(f, "l");
	f->x->buffers[1] = NULL;
	both_refuse(f, "column 'x' can't be read");
	batch(f, "u");
	f->x->buffers[1] = NULL;
	both_refuse(f, "column 'x' can't be read");
	batch(f, "u");
	f->x->buffers[2] = NULL;
	both_refuse(f, "column 'x' can't be read");
	batch(f, "vu");
	f->x->buffers[1] = NULL;
	both_refuse(f, "column 'x' can't be read");
}

static void test_wrong_number_of_children_is_refused(void **state)
{
	struct fixture *f = *state;
	static const int64_t wrong[] = {0, 2, -1};
	for (size_t i = 0; i < LENGTH(wrong); i++) {
		batch_of(f, nested("+s", "i"));
		f->x->n_children = wrong[i];
		both_refuse(f, "column 'x' has a wrong number of children");
	}
	batch(f, "l");
	f->x->n_children = 1;
	both_refuse(f, "wrong number of children");
}

static void test_missing_children_are_refused(void **state)
{
	struct fixture *f = *state;
	batch_of(f, nested("+s", "i"));
	f->x->children[0] = NULL;
	both_refuse(f, "column 'x' was released already");
	batch_of(f, nested("+l", "i"));
	f->x->children = NULL;
	both_refuse(f, "column 'x' has a wrong number of children");
	batch(f, "l");
	f->array.children[0] = NULL;
	both_refuse(f, "column 'x' was released already");
}

static void test_released_child_is_refused(void **state)
{
	struct fixture *f = *state;
	batch(f, "l");
	f->x->release = NULL;
	both_refuse(f, "column 'x' was released already");
	batch_of(f, nested("+l", "i"));
	f->x->children[0]->release = NULL;
	both_refuse(f, "column 'x' was released already");
}

static void test_length_and_offset_out_of_range_are_refused(void **state)
{
	struct fixture *f = *state;
	static const int64_t wrong[] = {-1, INT64_MIN, INT64_MAX, ((int64_t)1 << 40) + 1};
	for (size_t i = 0; i < LENGTH(wrong); i++) {
		batch(f, "l");
		f->x->length = wrong[i];
		both_refuse(f, "column 'x' has a length or an offset out of range");
		batch(f, "u");
		f->x->offset = wrong[i];
		both_refuse(f, "column 'x' has a length or an offset out of range");
		batch_of(f, nested("+s", "i"));
		f->x->children[0]->length = wrong[i];
		both_refuse(f, "column 'x' has a length or an offset out of range");
	}
}

static void test_length_times_a_wide_value_stays_in_64_bits(void **state)
{
	struct fixture *f = *state;
	struct ArrowSchema column;
	mock_field_init(&column, "x", "w:2000000000");
	batch_of_rows(f, column, 0);
	f->x->length = (int64_t)1 << 40;
	both_refuse(f, "column 'x' has a length or an offset out of range");
	batch_of_rows(f, nested("+w:2000000000", "n"), 0);
	f->x->length = (int64_t)1 << 40;
	both_refuse(f, "column 'x' has a length or an offset out of range");
}

static void test_null_count_out_of_range_is_refused(void **state)
{
	struct fixture *f = *state;
	static const int64_t wrong[] = {-2, INT64_MIN, 11, INT64_MAX};
	for (size_t i = 0; i < LENGTH(wrong); i++) {
		batch(f, "l");
		f->x->null_count = wrong[i];
		both_refuse(f, "column 'x' has a null count out of range");
	}
}

static void test_nulls_without_a_bitmap_are_refused(void **state)
{
	struct fixture *f = *state;
	batch(f, "l");
	assert_null(f->x->buffers[0]);
	f->x->null_count = 1;
	both_refuse(f, "column 'x' can't be read");
	batch_of(f, nested("+l", "i"));
	f->x->children[0]->null_count = 1;
	both_refuse(f, "column 'x' can't be read");
}

static void test_unknown_null_count_without_a_bitmap_means_none(void **state)
{
	struct fixture *f = *state;
	batch(f, "l");
	f->x->null_count = -1;
	accepts(f, false);
	assert_int_equal(f->x->null_count, 0);
	batch(f, "n");
	f->x->null_count = -1;
	accepts(f, false);
}

static void test_child_shorter_than_its_batch_is_refused(void **state)
{
	struct fixture *f = *state;
	batch(f, "l");
	f->x->length = 9;
	both_refuse(f, "column 'x' is shorter than its batch");
	batch(f, "l");
	f->array.offset = 1;
	both_refuse(f, "column 'x' is shorter than its batch");
	batch_of(f, nested("+s", "i"));
	f->x->children[0]->length = 9;
	both_refuse(f, "column 'x' can't be read");
	batch_of(f, nested("+l", "i"));
	f->x->children[0]->length = 9;
	both_refuse(f, "column 'x' can't be read");
}

static void test_negative_offsets_at_the_ends_are_refused(void **state)
{
	struct fixture *f = *state;
	int32_t offsets[11];
	int64_t large[11];
	for (int end = 0; end < 2; end++) {
		for (int i = 0; i < 11; i++) {
			offsets[i] = i;
			large[i] = i;
		}
		offsets[end ? 10 : 0] = -1;
		large[end ? 10 : 0] = -1;
		batch(f, "u");
		f->x->buffers[1] = offsets;
		both_refuse(f, end ? "Expected last offset >= 0" : "Expected first offset >= 0");
		batch(f, "U");
		f->x->buffers[1] = large;
		both_refuse(f, end ? "Expected last offset >= 0" : "Expected first offset >= 0");
		batch_of(f, nested("+l", "i"));
		f->x->buffers[1] = offsets;
		both_refuse(f, end ? "Expected last offset >= 0" : "Expected first offset >= 0");
	}
}

static void test_dictionary_must_be_there_if_and_only_if_declared(void **state)
{
	struct fixture *f = *state;
	struct ArrowSchema d;
	mock_dictionary_init(&d, "x", "u");
	batch_of(f, d);
	struct ArrowArray *dictionary = f->x->dictionary;
	f->x->dictionary = NULL;
	both_refuse(f, "column 'x' has no dictionary, but its type has one");
	f->x->dictionary = dictionary;
	dictionary->release = NULL;
	both_refuse(f, "column 'x' was released already");
	batch(f, "i");
	f->x->dictionary = f->x;
	both_refuse(f, "column 'x' has a dictionary, but its type has none");
}

static void test_broken_dictionary_is_refused(void **state)
{
	struct fixture *f = *state;
	struct ArrowSchema d;
	mock_dictionary_init(&d, "x", "u");
	batch_of(f, d);
	f->x->dictionary->n_buffers = 2;
	both_refuse(f, "column 'x' has a wrong number of buffers");
}

static void test_string_views_with_too_few_buffers_are_refused(void **state)
{
	struct fixture *f = *state;
	static const int64_t wrong[] = {0, 1, 2, -1, INT64_MAX};
	for (size_t i = 0; i < LENGTH(wrong); i++) {
		batch(f, "vu");
		f->x->n_buffers = wrong[i];
		both_refuse(f, "column 'x' has a wrong number of buffers");
	}
	batch(f, "vu");
	assert_true(f->x->n_buffers > 3);
	f->x->buffers[f->x->n_buffers - 1] = NULL;
	both_refuse(f, "column 'x' has no sizes of its variadic buffers");
}

/* ---- the root ---- */

static void test_root_with_a_bad_length_or_offset_is_refused(void **state)
{
	struct fixture *f = *state;
	static const int64_t wrong[] = {-1, INT64_MIN, INT64_MAX};
	for (size_t i = 0; i < LENGTH(wrong); i++) {
		batch(f, "l");
		f->array.length = wrong[i];
		both_refuse(f, "the batch has a length or an offset out of range");
		batch(f, "l");
		f->array.offset = wrong[i];
		both_refuse(f, "the batch has a length or an offset out of range");
	}
}

static void test_root_with_another_number_of_children_is_refused(void **state)
{
	struct fixture *f = *state;
	static const int64_t wrong[] = {0, 2, -1, INT64_MAX};
	for (size_t i = 0; i < LENGTH(wrong); i++) {
		batch(f, "l");
		f->array.n_children = wrong[i];
		both_refuse(f, "the batch has another number of columns than its schema");
	}
	batch(f, "l");
	f->array.children = NULL;
	both_refuse(f, "the batch has another number of columns");
}

static void test_root_that_is_not_laid_out_as_a_struct_is_refused(void **state)
{
	struct fixture *f = *state;
	batch(f, "l");
	f->array.n_buffers = 2;
	both_refuse(f, "not laid out as a struct");
	batch(f, "l");
	f->array.buffers = NULL;
	both_refuse(f, "not laid out as a struct");
	batch(f, "l");
	f->array.dictionary = f->x;
	both_refuse(f, "not laid out as a struct");
}

static void test_null_rows_in_the_root_are_refused(void **state)
{
	struct fixture *f = *state;
	static const uint8_t bits[] = {0xFF, 0x01}; /* row 9 is null */
	for (int64_t count = -1; count < 2; count += 2) {
		batch(f, "l");
		f->array.buffers[0] = bits;
		f->array.null_count = count;
		both_refuse(f, "the batch has null rows");
	}
}

static void test_null_row_outside_the_slice_does_not_count(void **state)
{
	struct fixture *f = *state;
	static const uint8_t bits[] = {0xFE, 0x01}; /* rows 0 and 9 are null */
	batch(f, "l");
	f->array.buffers[0] = bits;
	f->array.null_count = -1;
	f->array.offset = 1;
	f->array.length = 8;
	accepts(f, false);
	accepts(f, true);
}

static void test_root_that_claims_nulls_is_refused_without_a_bitmap_too(void **state)
{
	struct fixture *f = *state;
	batch(f, "l");
	f->array.null_count = 1;
	both_refuse(f, "the batch has null rows, which a table can't hold");
	batch(f, "l");
	f->array.null_count = 11;
	both_refuse(f, "the batch has a null count out of range");
	batch(f, "l");
	f->array.null_count = -2;
	both_refuse(f, "the batch has a null count out of range");
}

static void test_child_that_nobody_asked_for_is_not_looked_at(void **state)
{
	struct fixture *f = *state;
	const struct mock_column columns[] = {{"x", "l", false}, {"y", "l", false}};
	mock_schema_init(&f->declared, columns, 2);
	mock_array_init(&f->array, &f->declared, 0, 10);
	mock_shell(&f->array);
	f->array.children[1] = NULL;
	accepts(f, true);
}

/* ---- full ---- */

static void test_offset_that_falls_in_the_middle_is_refused(void **state)
{
	struct fixture *f = *state;
	int32_t offsets[] = {0, 1, 2, 3, 9, 5, 6, 7, 8, 9, 10};
	int64_t large[] = {0, 1, 2, 3, -7, 5, 6, 7, 8, 9, 10};
	batch(f, "u");
	f->x->buffers[1] = offsets;
	both_refuse(f, "column 'x' has offsets that are negative or fall");
	batch(f, "U");
	f->x->buffers[1] = large;
	both_refuse(f, "column 'x' has offsets that are negative or fall");
	batch_of(f, nested("+l", "i"));
	f->x->buffers[1] = offsets;
	both_refuse(f, "column 'x' has offsets that are negative or fall");
}

static void test_dictionary_index_out_of_range_is_refused(void **state)
{
	struct fixture *f = *state;
	static const int32_t wrong[] = {3, -1, INT32_MAX};
	for (size_t i = 0; i < LENGTH(wrong); i++) {
		struct ArrowSchema d;
		int32_t indices[] = {0, 1, 2, 0, wrong[i], 1, 2, 0, 1, 2};
		mock_dictionary_init(&d, "x", "u");
		batch_of(f, d);
		f->x->buffers[1] = indices;
		both_refuse(f, "column 'x' has a dictionary index outside its dictionary");
	}
}

/* Bytes of 10 bytes each, and whether they are UTF-8 by RFC 3629. */
static const struct {
	const char *bytes;
	bool valid;
} texts[] = {
    {"plainASCII", true},
    {"caf\xC3\xA9 \xE2\x82\xAC.", true},
    {"\xF0\x9F\x8C\x89 \xF4\x8F\xBF\xBF.", true},
    {"\xED\x9F\xBF\xEE\x80\x80 \xDF\xBF.", true},
    {"\x80 a trail.", false},
    {"\xC3( no trl.", false},
    {"\xC0\x80 ovrlng", false},
    {"\xC1\xBF ovrlng", false},
    {"\xE0\x9F\xBF overl", false},
    {"\xF0\x8F\xBF\xBF over", false},
    {"\xED\xA0\x80 surro", false},
    {"\xF4\x90\x80\x80 toobg", false},
    {"\xF5\x80\x80\x80 f5 no", false},
    {"\xFF no char.", false},
    {"\xE2\x82( 2 of 3", false},
    {"\xF0\x9F\x8C( 3of4", false},
    {"cut off \xE2\x82", false},
    {"cut off..\xC3", false},
    {"cutoff.\xF0\x9F\x8C", false},
};

/* A string buffer of 10 rows whose row 7 is texts[i]. */
static void text_rows(char data[100], size_t i)
{
	memset(data, 'x', 100);
	memcpy(data + 70, texts[i].bytes, 10);
}

static void expect_text(struct fixture *f, size_t i)
{
	accepts(f, false);
	if (texts[i].valid) {
		accepts(f, true);
	} else {
		refuses(f, true, "column 'x' holds text that is not UTF-8");
	}
}

static void test_text_that_is_not_utf8_is_found_by_full(void **state)
{
	struct fixture *f = *state;
	char data[100];
	int32_t offsets[11];
	int64_t large[11];
	for (int i = 0; i < 11; i++) {
		offsets[i] = 10 * i;
		large[i] = 10 * i;
	}
	for (size_t i = 0; i < LENGTH(texts); i++) {
		text_rows(data, i);
		batch(f, "u");
		f->x->buffers[1] = offsets;
		f->x->buffers[2] = data;
		expect_text(f, i);
		batch(f, "U");
		f->x->buffers[1] = large;
		f->x->buffers[2] = data;
		expect_text(f, i);
		batch_of(f, nested("+l", "u"));
		f->x->children[0]->buffers[1] = offsets;
		f->x->children[0]->buffers[2] = data;
		expect_text(f, i);
	}
}

/* Characters that two neighbouring strings share are in neither. */
static void test_character_split_between_two_rows_is_not_utf8(void **state)
{
	struct fixture *f = *state;
	static const char data[] = "ab\xE2\x82\xAC"
	                           "cd";
	static const int32_t offsets[] = {0, 1, 2, 3, 5, 6, 7, 7, 7, 7, 7};
	batch(f, "u");
	f->x->buffers[1] = offsets;
	f->x->buffers[2] = data;
	accepts(f, false);
	refuses(f, true, "not UTF-8");
}

static void test_text_behind_a_null_is_not_looked_at(void **state)
{
	struct fixture *f = *state;
	static const uint8_t bits[] = {0x7F, 0x03}; /* row 7 is null */
	char data[100];
	int32_t offsets[11];
	for (int i = 0; i < 11; i++) {
		offsets[i] = 10 * i;
	}
	text_rows(data, LENGTH(texts) - 1);
	batch(f, "u");
	f->x->buffers[0] = bits;
	f->x->buffers[1] = offsets;
	f->x->buffers[2] = data;
	f->x->null_count = 1;
	accepts(f, true);
}

static void test_binary_may_hold_any_bytes(void **state)
{
	struct fixture *f = *state;
	static const char data[] = "\xFF\xFE";
	static const int32_t offsets[] = {0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2};
	struct ArrowSchema column;
	mock_field_init(&column, "x", "z");
	batch_of_rows(f, column, 0);
	f->array.length = f->x->length = 10;
	f->x->buffers[1] = offsets;
	f->x->buffers[2] = data;
	accepts(f, true);
}

static void test_dictionary_values_that_are_not_utf8_are_found_by_full(void **state)
{
	struct fixture *f = *state;
	static const int32_t offsets[] = {0, 10, 20, 30};
	char data[30];
	for (size_t i = 0; i < LENGTH(texts); i++) {
		struct ArrowSchema d;
		memset(data, 'x', sizeof(data));
		memcpy(data + 10, texts[i].bytes, 10);
		mock_dictionary_init(&d, "x", "u");
		batch_of(f, d);
		f->x->dictionary->buffers[1] = offsets;
		f->x->dictionary->buffers[2] = data;
		expect_text(f, i);
	}
}

/* A view of at most 12 bytes holds them itself. */
static void test_string_views_that_are_not_utf8_are_found_by_full(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < LENGTH(texts); i++) {
		union ArrowBinaryView views[10];
		batch(f, "vu");
		memcpy(views, f->x->buffers[1], sizeof(views));
		memset(&views[7], 0, sizeof(views[7]));
		views[7].inlined.size = 10;
		memcpy(views[7].inlined.data, texts[i].bytes, 10);
		f->x->buffers[1] = views;
		expect_text(f, i);
	}
}

static void test_long_string_views_that_are_not_utf8_are_found_by_full(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < LENGTH(texts); i++) {
		char data[1024];
		batch(f, "vu");
		const union ArrowBinaryView *views = f->x->buffers[1];
		int64_t size = ((const int64_t *)f->x->buffers[f->x->n_buffers - 1])[0];
		assert_in_range(size, 100, sizeof(data));
		memcpy(data, f->x->buffers[2], (size_t)size);
		memcpy(data + views[7].ref.offset + views[7].ref.size - 10, texts[i].bytes, 10);
		f->x->buffers[2] = data;
		expect_text(f, i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_whole_arrays_of_every_kind_pass),
	    TEST(test_sliced_array_passes),
	    TEST(test_array_without_rows_may_have_no_buffers),
	    TEST(test_wrong_number_of_buffers_is_refused),
	    TEST(test_missing_list_of_buffers_is_refused),
	    TEST(test_missing_buffer_is_refused),
	    TEST(test_wrong_number_of_children_is_refused),
	    TEST(test_missing_children_are_refused),
	    TEST(test_released_child_is_refused),
	    TEST(test_length_and_offset_out_of_range_are_refused),
	    TEST(test_length_times_a_wide_value_stays_in_64_bits),
	    TEST(test_null_count_out_of_range_is_refused),
	    TEST(test_nulls_without_a_bitmap_are_refused),
	    TEST(test_unknown_null_count_without_a_bitmap_means_none),
	    TEST(test_child_shorter_than_its_batch_is_refused),
	    TEST(test_negative_offsets_at_the_ends_are_refused),
	    TEST(test_dictionary_must_be_there_if_and_only_if_declared),
	    TEST(test_broken_dictionary_is_refused),
	    TEST(test_string_views_with_too_few_buffers_are_refused),
	    TEST(test_root_with_a_bad_length_or_offset_is_refused),
	    TEST(test_root_with_another_number_of_children_is_refused),
	    TEST(test_root_that_is_not_laid_out_as_a_struct_is_refused),
	    TEST(test_null_rows_in_the_root_are_refused),
	    TEST(test_null_row_outside_the_slice_does_not_count),
	    TEST(test_root_that_claims_nulls_is_refused_without_a_bitmap_too),
	    TEST(test_child_that_nobody_asked_for_is_not_looked_at),
	    TEST(test_offset_that_falls_in_the_middle_is_refused),
	    TEST(test_dictionary_index_out_of_range_is_refused),
	    TEST(test_text_that_is_not_utf8_is_found_by_full),
	    TEST(test_character_split_between_two_rows_is_not_utf8),
	    TEST(test_text_behind_a_null_is_not_looked_at),
	    TEST(test_binary_may_hold_any_bytes),
	    TEST(test_dictionary_values_that_are_not_utf8_are_found_by_full),
	    TEST(test_string_views_that_are_not_utf8_are_found_by_full),
	    TEST(test_long_string_views_that_are_not_utf8_are_found_by_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
