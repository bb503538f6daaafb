#include "mock_executor.h"
#include "scan/internal.h"

#include <stdio.h>

static const struct bsc__place place = {"acme:Orders", 3, 8, 5};

struct fixture {
	struct ArrowSchema declared;
	struct bsc__match match;
	int64_t asked[16];
	struct bsc_error err;
};

static int set_up(void **state)
{
	*state = bsc__calloc(1, sizeof(struct fixture));
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	bsc__match_release(&f->match);
	f->declared.release(&f->declared);
	bsc__free(f);
	return 0;
}

/* Columns of int64 with one-letter names: "abc". */
static struct ArrowSchema letters(const char *names)
{
	struct ArrowSchema schema;
	struct mock_column columns[16];
	char text[16][2];
	size_t n = strlen(names);
	for (size_t i = 0; i < n; i++) {
		text[i][0] = names[i];
		text[i][1] = '\0';
		columns[i] = (struct mock_column){text[i], "l", false};
	}
	mock_schema_init(&schema, columns, (int64_t)n);
	return schema;
}

/* declared: moved. asked: indices as digits, "20"; NULL for all. */
static void begin(struct fixture *f, struct ArrowSchema declared, const char *asked)
{
	f->declared = declared;
	int64_t n = asked ? (int64_t)strlen(asked) : declared.n_children;
	for (int64_t i = 0; i < n; i++) {
		f->asked[i] = asked ? asked[i] - '0' : i;
	}
	assert_ok(bsc__match_init(&f->match, &f->declared, f->asked, n, &f->err), &f->err);
}

/* batch: moved. from: the children expected, as digits. */
static void matches(struct fixture *f, struct ArrowSchema batch, const char *from, bool identity)
{
	assert_ok(bsc__match_schema(&f->match, &batch, &place, &f->err), &f->err);
	if (batch.release) {
		batch.release(&batch);
	}
	assert_int_equal(f->match.n_columns, strlen(from));
	for (int64_t i = 0; i < f->match.n_columns; i++) {
		assert_int_equal(f->match.from[i], from[i] - '0');
	}
	assert_int_equal(f->match.identity, identity);
}

/* batch: moved. */
static void refuses(struct fixture *f, struct ArrowSchema batch, const char *message)
{
	assert_fails(bsc__match_schema(&f->match, &batch, &place, &f->err), BSC_MISMATCH, &f->err, message);
	assert_non_null(strstr(f->err.message, "acme:Orders, partition 3 of 8, batch 5: "));
	if (batch.release) {
		batch.release(&batch);
	}
}

static struct ArrowSchema one(struct ArrowSchema field)
{
	struct ArrowSchema schema;
	mock_struct_init(&schema, "", 1);
	mock_set_child(&schema, 0, &field);
	return schema;
}

static struct ArrowSchema field(const char *format)
{
	struct ArrowSchema f;
	mock_field_init(&f, "x", format);
	return f;
}

/* A column "x" of `format` with one child. */
static struct ArrowSchema parent(const char *format, const char *child, const char *child_format)
{
	struct ArrowSchema f, c;
	mock_struct_init(&f, "x", 1);
	assert_int_equal(ArrowSchemaSetFormat(&f, format), NANOARROW_OK);
	mock_field_init(&c, child, child_format);
	mock_set_child(&f, 0, &c);
	return f;
}

/* ---- names ---- */

static void test_same_columns_are_identity(void **state)
{
	begin(*state, letters("abc"), NULL);
	matches(*state, letters("abc"), "012", true);
}

static void test_order_may_differ(void **state)
{
	begin(*state, letters("abc"), NULL);
	matches(*state, letters("cab"), "120", false);
}

static void test_asked_columns_in_batch_order_are_identity(void **state)
{
	begin(*state, letters("abc"), "20");
	matches(*state, letters("ca"), "01", true);
	matches(*state, letters("ac"), "10", false);
	matches(*state, letters("abc"), "20", false);
}

static void test_missing_asked_column_is_refused(void **state)
{
	begin(*state, letters("abc"), "12");
	refuses(*state, letters("ab"), "column 'c' is missing");
	refuses(*state, letters(""), "column 'b' is missing");
}

static void test_missing_column_that_nobody_asked_for_is_fine(void **state)
{
	begin(*state, letters("abc"), "1");
	matches(*state, letters("b"), "0", true);
	matches(*state, letters("cb"), "1", false);
	matches(*state, letters("abc"), "1", false);
}

static void test_batch_of_no_columns_serves_a_plan_of_none(void **state)
{
	begin(*state, letters("abc"), "");
	matches(*state, letters(""), "", true);
	matches(*state, letters("abc"), "", false);
}

static void test_column_outside_the_schema_is_refused(void **state)
{
	begin(*state, letters("bc"), "0");
	refuses(*state, letters("bcd"), "column 'd' is not in the schema");
	refuses(*state, letters("ab"), "column 'a' is not in the schema");
	refuses(*state, letters("bBc"), "column 'B' is not in the schema");
}

static void test_names_differ_by_case(void **state)
{
	begin(*state, letters("aA"), NULL);
	matches(*state, letters("Aa"), "10", false);
}

static void test_duplicate_names_match_by_position(void **state)
{
	begin(*state, letters("aba"), NULL);
	matches(*state, letters("aba"), "012", true);
	matches(*state, letters("aab"), "021", false);
	matches(*state, letters("baa"), "102", false);
}

static void test_subset_of_duplicates_is_all_declared_or_just_the_asked(void **state)
{
	begin(*state, letters("abaa"), "30");
	matches(*state, letters("aa"), "10", false);
	matches(*state, letters("aaab"), "20", false);
	refuses(*state, letters("a"), "column 'a' is there 1 times, but 3 times in the schema");
	refuses(*state, letters("aaaa"), "column 'a' is there 4 times, but 3 times in the schema");
}

static void test_duplicates_that_nobody_asked_for_are_all_or_none(void **state)
{
	begin(*state, letters("aab"), "2");
	matches(*state, letters("b"), "0", true);
	matches(*state, letters("aab"), "2", false);
	refuses(*state, letters("ab"), "column 'a' is there 1 times");
}

static void test_column_asked_twice_is_one_child(void **state)
{
	begin(*state, letters("ab"), "101");
	matches(*state, letters("ab"), "101", false);
	matches(*state, letters("ba"), "010", false);
	matches(*state, letters("ab"), "101", false);
}

static void test_missing_name_is_an_empty_one(void **state)
{
	struct mock_column unnamed[] = {{NULL, "l", false}, {"a", "l", false}};
	struct mock_column empty[] = {{"a", "l", false}, {"", "l", false}};
	struct ArrowSchema declared, batch;
	mock_schema_init(&declared, unnamed, 2);
	mock_schema_init(&batch, empty, 2);
	begin(*state, declared, NULL);
	matches(*state, batch, "10", false);
}

/* ---- types ---- */

static void test_wrong_type_is_refused_with_both(void **state)
{
	begin(*state, one(field("l")), NULL);
	refuses(*state, one(field("i")), "column 'x' is int32, but infer_schema said int64");
	refuses(*state, one(field("L")), "column 'x' is uint64");
	refuses(*state, one(field("U")), "column 'x' is large_string");
}

static void test_wrong_type_of_a_column_that_nobody_asked_for_is_refused(void **state)
{
	const struct mock_column other[] = {{"b", "u", false}, {"a", "l", false}};
	struct ArrowSchema batch;
	mock_schema_init(&batch, other, 2);
	begin(*state, letters("ab"), "0");
	refuses(*state, batch, "column 'b' is string");
}

static void test_time_zone_is_part_of_a_type(void **state)
{
	begin(*state, one(field("tsu:Europe/Berlin")), NULL);
	matches(*state, one(field("tsu:Europe/Berlin")), "0", true);
	refuses(*state, one(field("tsu:UTC")), "column 'x'");
	refuses(*state, one(field("tsu:")), "column 'x'");
	refuses(*state, one(field("tsn:Europe/Berlin")), "column 'x'");
}

static void test_widths_and_scales_are_part_of_a_type(void **state)
{
	begin(*state, one(field("d:10,2")), NULL);
	matches(*state, one(field("d:10,2")), "0", true);
	refuses(*state, one(field("d:10,3")), "column 'x'");
	refuses(*state, one(field("d:11,2")), "column 'x'");
}

static void test_dictionary_is_not_its_value_type(void **state)
{
	struct ArrowSchema d;
	begin(*state, one(field("u")), NULL);
	mock_dictionary_init(&d, "x", "u");
	refuses(*state, one(d), "dictionary");
}

static void test_value_type_is_not_a_dictionary_of_it(void **state)
{
	struct ArrowSchema declared, same, indices, values;
	mock_dictionary_init(&declared, "x", "u");
	begin(*state, one(declared), NULL);
	mock_dictionary_init(&same, "x", "u");
	matches(*state, one(same), "0", true);
	refuses(*state, one(field("u")), "column 'x' is string");
	refuses(*state, one(field("i")), "column 'x' is int32");
	mock_dictionary_init(&indices, "x", "u");
	assert_int_equal(ArrowSchemaSetFormat(&indices, "s"), NANOARROW_OK);
	refuses(*state, one(indices), "column 'x'");
	mock_dictionary_init(&values, "x", "U");
	refuses(*state, one(values), "column 'x'");
}

static void test_extension_name_is_part_of_a_type(void **state)
{
	struct ArrowSchema declared = field("u"), same = field("u"), other = field("u");
	mock_set_extension(&declared, "acme.json");
	mock_set_extension(&same, "acme.json");
	mock_set_extension(&other, "acme.jsonb");
	begin(*state, one(declared), NULL);
	matches(*state, one(same), "0", true);
	refuses(*state, one(other), "is acme.jsonb{string}, but infer_schema said acme.json{string}");
	refuses(*state, one(field("u")), "is string, but infer_schema said acme.json{string}");
}

static void test_other_metadata_is_ignored(void **state)
{
	struct ArrowSchema batch = field("u");
	struct ArrowBuffer buffer;
	assert_int_equal(ArrowMetadataBuilderInit(&buffer, NULL), NANOARROW_OK);
	assert_int_equal(ArrowMetadataBuilderAppend(&buffer, ArrowCharView("comment"), ArrowCharView("hello")),
	                 NANOARROW_OK);
	assert_int_equal(ArrowSchemaSetMetadata(&batch, (const char *)buffer.data), NANOARROW_OK);
	ArrowBufferReset(&buffer);
	begin(*state, one(field("u")), NULL);
	matches(*state, one(batch), "0", true);
}

static void test_nullable_flag_is_no_part_of_a_type(void **state)
{
	struct ArrowSchema batch = field("u");
	batch.flags = 0;
	begin(*state, one(field("u")), NULL);
	matches(*state, one(batch), "0", true);
}

static void test_nested_names_in_a_struct_matter(void **state)
{
	begin(*state, one(parent("+s", "street", "u")), NULL);
	matches(*state, one(parent("+s", "street", "u")), "0", true);
	refuses(*state, one(parent("+s", "road", "u")), "column 'x'");
	refuses(*state, one(parent("+s", "street", "U")), "column 'x'");
}

static void test_item_name_of_a_list_does_not(void **state)
{
	begin(*state, one(parent("+l", "item", "u")), NULL);
	matches(*state, one(parent("+l", "element", "u")), "0", true);
	refuses(*state, one(parent("+l", "item", "i")), "column 'x'");
	refuses(*state, one(parent("+L", "item", "u")), "column 'x'");
}

static void test_number_of_nested_fields_matters(void **state)
{
	struct ArrowSchema two, a, b;
	mock_struct_init(&two, "x", 2);
	mock_field_init(&a, "a", "i");
	mock_field_init(&b, "b", "i");
	mock_set_child(&two, 0, &a);
	mock_set_child(&two, 1, &b);
	begin(*state, one(parent("+s", "a", "i")), NULL);
	refuses(*state, one(two), "column 'x'");
}

static void test_long_type_is_cut_in_the_message(void **state)
{
	struct ArrowSchema wide;
	mock_struct_init(&wide, "x", 100);
	for (int i = 0; i < 100; i++) {
		struct ArrowSchema child;
		mock_field_init(&child, "a_rather_long_name_of_a_field", "tsu:Europe/Berlin");
		mock_set_child(&wide, i, &child);
	}
	begin(*state, one(field("l")), NULL);
	refuses(*state, one(wide), "Cast it in read_partition");
}

/* A struct of `n` fields, the last of `format`, in a list in a struct "a" of column "x". */
static struct ArrowSchema deep_struct(int n, const char *format)
{
	struct ArrowSchema wide, list, outer;
	mock_struct_init(&wide, "item", n);
	for (int i = 0; i < n; i++) {
		struct ArrowSchema child;
		mock_field_init(&child, i + 1 < n ? "a_rather_long_name" : "last", i + 1 < n ? "tsu:Europe/Berlin" : format);
		mock_set_child(&wide, i, &child);
	}
	mock_struct_init(&list, "b", 1);
	assert_int_equal(ArrowSchemaSetFormat(&list, "+l"), NANOARROW_OK);
	mock_set_child(&list, 0, &wide);
	mock_struct_init(&outer, "x", 1);
	mock_set_child(&outer, 0, &list);
	return outer;
}

static void test_field_that_differs_is_named_by_its_path(void **state)
{
	begin(*state, one(deep_struct(40, "i")), NULL);
	matches(*state, one(deep_struct(40, "i")), "0", true);
	refuses(*state, one(deep_struct(40, "u")),
	        "column 'x' is of another type: field 'x.b[].last' is string, but infer_schema said int32. Cast it");
	refuses(*state, one(deep_struct(39, "i")),
	        "column 'x' is of another type: field 'x.b[]' has 39 fields, but infer_schema said 40");
	struct ArrowSchema renamed = deep_struct(40, "i");
	assert_int_equal(ArrowSchemaSetName(renamed.children[0]->children[0]->children[3], "other"), NANOARROW_OK);
	refuses(*state, one(renamed),
	        "field 'x.b[]' has a field 'other', but infer_schema said 'a_rather_long_name'. Cast it");
}

static void test_dictionary_of_other_values_is_named_by_its_path(void **state)
{
	struct ArrowSchema texts, numbers;
	mock_dictionary_init(&texts, "x", "u");
	mock_dictionary_init(&numbers, "x", "l");
	begin(*state, one(texts), NULL);
	refuses(*state, one(numbers), "field 'x.dictionary' is int64, but infer_schema said string");
}

static void test_types_whose_texts_are_cut_alike_are_told_by_their_formats(void **state)
{
	char format[2][512];
	for (int i = 0; i < 2; i++) {
		size_t at = (size_t)sprintf(format[i], "tsu:");
		memset(format[i] + at, 'Z', 300);
		strcpy(format[i] + at + 300, i ? "b" : "a");
	}
	begin(*state, one(field(format[0])), NULL);
	refuses(*state, one(field(format[1])), "(the format is 'tsu:ZZZ");
}

static void test_decimal_of_128_bits_may_say_so(void **state)
{
	begin(*state, one(field("d:9,2")), NULL);
	matches(*state, one(field("d:9,2,128")), "0", true);
	matches(*state, one(field("d:9,2")), "0", true);
	refuses(*state, one(field("d:9,2,64")), "column 'x' is decimal64(9, 2), but infer_schema said decimal128(9, 2)");
	refuses(*state, one(field("d:9,21")), "column 'x'");
}

static void test_decimal_that_says_its_128_bits_need_not(void **state)
{
	begin(*state, one(field("d:9,2,128")), NULL);
	matches(*state, one(field("d:9,2")), "0", true);
	refuses(*state, one(field("d:9,2,256")), "column 'x'");
}

static void test_type_that_cannot_be_read_is_no_other_type(void **state)
{
	static const char *const formats[] = {"zz", "", "lx", "+w:99999999999999999999", "+w:-1", "d:", "+ud:1,1"};
	begin(*state, one(parent("+l", "item", "l")), NULL);
	for (size_t i = 0; i < LENGTH(formats); i++) {
		struct ArrowSchema column = formats[i][0] == '+' ? parent("+l", "a", "i") : field("l");
		assert_int_equal(ArrowSchemaSetFormat(&column, formats[i]), NANOARROW_OK);
		refuses(*state, one(column), "the type of column 'x' can't be read: ");
		struct ArrowSchema list = parent("+l", "item", "l");
		assert_int_equal(ArrowSchemaSetFormat(list.children[0], formats[i]), NANOARROW_OK);
		refuses(*state, one(list), "the type of column 'x' can't be read: ");
	}
}

/* ---- what is no schema of a batch ---- */

static void test_batch_must_be_a_struct(void **state)
{
	begin(*state, letters("a"), NULL);
	refuses(*state, field("l"), "expected a record batch (a struct of columns), got int64");
	refuses(*state, parent("+l", "a", "l"), "expected a record batch");
}

static void test_incomplete_schema_is_refused(void **state)
{
	struct fixture *f = *state;
	begin(f, letters("abc"), "0");
	struct ArrowSchema batch = letters("abc");
	ArrowSchemaRelease(batch.children[2]);
	batch.children[2]->release = NULL;
	refuses(f, batch, "batch 5: column 3 of the batch has a schema that was released");
	static const int32_t fewer_pairs = -1, shorter[] = {1, 1, 'k', -5};
	static const char *const told[] = {"column 2 of the batch has a schema that was released",
	                                   "column 'b' has a schema without a format",
	                                   "column 'b' has a schema without its list of fields",
	                                   "the batch has a schema without its list of fields",
	                                   "column 'b' has metadata with a negative count or length",
	                                   "column 'b' has metadata with a negative count or length"};
	for (int what = 0; what < 6; what++) {
		batch = letters("abc");
		struct ArrowSchema whole = batch, child = *batch.children[1], *second = batch.children[1];
		if (what == 0) {
			batch.children[1] = NULL;
		} else if (what == 1) {
			batch.children[1]->format = NULL;
		} else if (what == 2) {
			batch.children[1]->n_children = -1;
		} else if (what == 3) {
			batch.children = NULL;
		} else {
			batch.children[1]->metadata = what == 4 ? (const char *)&fewer_pairs : (const char *)shorter;
		}
		assert_fails(bsc__match_schema(&f->match, &batch, &place, &f->err), BSC_MISMATCH, &f->err, told[what]);
		batch = whole;
		batch.children[1] = second;
		*second = child;
		batch.release(&batch);
	}
}

static void test_schema_nested_beyond_the_limit_is_refused(void **state)
{
	begin(*state, letters("x"), NULL);
	struct ArrowSchema deep = field("l");
	for (int i = 0; i < 70; i++) {
		struct ArrowSchema outer;
		mock_struct_init(&outer, "x", 1);
		mock_set_child(&outer, 0, &deep);
		deep = outer;
	}
	refuses(*state, one(deep), "column 'x' has a schema that is nested too deep");
}

/* ---- from batch to batch ---- */

static void test_schema_may_change_between_batches(void **state)
{
	begin(*state, letters("abc"), "02");
	matches(*state, letters("abc"), "02", false);
	matches(*state, letters("cba"), "20", false);
	matches(*state, letters("ac"), "01", true);
	matches(*state, letters("abc"), "02", false);
}

static void test_equal_schema_leaves_the_match(void **state)
{
	begin(*state, letters("abc"), "20");
	matches(*state, letters("cab"), "01", false);
	matches(*state, letters("cab"), "01", false);
}

static void test_released_schema_means_the_one_before(void **state)
{
	begin(*state, letters("abc"), "02");
	matches(*state, letters("cba"), "20", false);
	matches(*state, (struct ArrowSchema){0}, "20", false);
	matches(*state, letters("ac"), "01", true);
	matches(*state, (struct ArrowSchema){0}, "01", true);
}

static void test_released_schema_before_any_other_is_refused(void **state)
{
	begin(*state, letters("abc"), NULL);
	refuses(*state, (struct ArrowSchema){0}, "the batch has no schema");
}

static void test_schema_that_was_refused_is_not_the_one_before(void **state)
{
	begin(*state, letters("ab"), NULL);
	matches(*state, letters("ab"), "01", true);
	refuses(*state, letters("az"), "column 'z'");
	refuses(*state, (struct ArrowSchema){0}, "the batch has no schema");
	matches(*state, letters("ba"), "10", false);
}

static void test_type_may_not_change_between_batches(void **state)
{
	begin(*state, one(field("l")), NULL);
	matches(*state, one(field("l")), "0", true);
	refuses(*state, one(field("i")), "column 'x' is int32");
}

static void test_release_accepts_a_zeroed_match(void **state)
{
	(void)state;
	struct bsc__match match = {0};
	bsc__match_release(&match);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_same_columns_are_identity),
	    TEST(test_order_may_differ),
	    TEST(test_asked_columns_in_batch_order_are_identity),
	    TEST(test_missing_asked_column_is_refused),
	    TEST(test_missing_column_that_nobody_asked_for_is_fine),
	    TEST(test_batch_of_no_columns_serves_a_plan_of_none),
	    TEST(test_column_outside_the_schema_is_refused),
	    TEST(test_names_differ_by_case),
	    TEST(test_duplicate_names_match_by_position),
	    TEST(test_subset_of_duplicates_is_all_declared_or_just_the_asked),
	    TEST(test_duplicates_that_nobody_asked_for_are_all_or_none),
	    TEST(test_column_asked_twice_is_one_child),
	    TEST(test_missing_name_is_an_empty_one),
	    TEST(test_wrong_type_is_refused_with_both),
	    TEST(test_wrong_type_of_a_column_that_nobody_asked_for_is_refused),
	    TEST(test_time_zone_is_part_of_a_type),
	    TEST(test_widths_and_scales_are_part_of_a_type),
	    TEST(test_dictionary_is_not_its_value_type),
	    TEST(test_value_type_is_not_a_dictionary_of_it),
	    TEST(test_extension_name_is_part_of_a_type),
	    TEST(test_other_metadata_is_ignored),
	    TEST(test_nullable_flag_is_no_part_of_a_type),
	    TEST(test_nested_names_in_a_struct_matter),
	    TEST(test_item_name_of_a_list_does_not),
	    TEST(test_number_of_nested_fields_matters),
	    TEST(test_long_type_is_cut_in_the_message),
	    TEST(test_field_that_differs_is_named_by_its_path),
	    TEST(test_dictionary_of_other_values_is_named_by_its_path),
	    TEST(test_types_whose_texts_are_cut_alike_are_told_by_their_formats),
	    TEST(test_decimal_of_128_bits_may_say_so),
	    TEST(test_decimal_that_says_its_128_bits_need_not),
	    TEST(test_type_that_cannot_be_read_is_no_other_type),
	    TEST(test_batch_must_be_a_struct),
	    TEST(test_incomplete_schema_is_refused),
	    TEST(test_schema_nested_beyond_the_limit_is_refused),
	    TEST(test_schema_may_change_between_batches),
	    TEST(test_equal_schema_leaves_the_match),
	    TEST(test_released_schema_means_the_one_before),
	    TEST(test_released_schema_before_any_other_is_refused),
	    TEST(test_schema_that_was_refused_is_not_the_one_before),
	    TEST(test_type_may_not_change_between_batches),
	    cmocka_unit_test(test_release_accepts_a_zeroed_match),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
