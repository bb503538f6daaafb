#include "mock_executor.h"
#include "source/source.h"

#include <stdio.h>

static const struct mock_column columns[] = {{"id", "l", true}, {"name", "u", false}, {"at", "tsu:UTC", false}};

static void refuses(struct ArrowSchema *schema, const char *message)
{
	struct bsc_error err;
	assert_fails(bsc__schema_check(schema, "acme:Orders", &err), BSC_SOURCE, &err, message);
	assert_non_null(strstr(err.message, "acme:Orders.infer_schema"));
	if (schema->release) {
		schema->release(schema);
	}
}

/* A struct of one column. column: moved. */
static struct ArrowSchema schema_of(struct ArrowSchema *column)
{
	struct ArrowSchema schema;
	mock_struct_init(&schema, "", 1);
	mock_set_child(&schema, 0, column);
	return schema;
}

static struct ArrowSchema nested(int levels)
{
	struct ArrowSchema field;
	mock_field_init(&field, "leaf", "i");
	for (int i = 1; i < levels; i++) {
		struct ArrowSchema list;
		mock_struct_init(&list, "deep", 1);
		mock_set_child(&list, 0, &field);
		field = list;
	}
	return field;
}

static void test_schema_of_columns_is_accepted(void **state)
{
	(void)state;
	struct ArrowSchema schema;
	struct bsc_error err;
	mock_schema_init(&schema, columns, LENGTH(columns));
	assert_ok(bsc__schema_check(&schema, "acme:Orders", &err), &err);
	schema.release(&schema);
}

static void test_schema_must_be_a_struct(void **state)
{
	(void)state;
	static const char *const formats[] = {"i", "u", "n"};
	for (size_t i = 0; i < LENGTH(formats); i++) {
		struct ArrowSchema schema;
		mock_field_init(&schema, "x", formats[i]);
		refuses(&schema, "returned a type, not a schema of columns");
	}
	struct ArrowSchema list, item;
	ArrowSchemaInit(&list);
	assert_int_equal(ArrowSchemaSetType(&list, NANOARROW_TYPE_LIST), NANOARROW_OK);
	mock_field_init(&item, "item", "i");
	mock_set_child(&list, 0, &item);
	refuses(&list, "returned a type");
	struct ArrowSchema odd;
	mock_schema_init(&odd, columns, LENGTH(columns));
	assert_int_equal(ArrowSchemaSetFormat(&odd, "+sx"), NANOARROW_OK);
	refuses(&odd, "returned a type");
	mock_schema_init(&odd, columns, LENGTH(columns));
	assert_int_equal(ArrowSchemaAllocateDictionary(&odd), NANOARROW_OK);
	mock_field_init(odd.dictionary, "", "u");
	refuses(&odd, "returned a type");
}

static void test_schema_needs_a_column(void **state)
{
	(void)state;
	struct ArrowSchema schema;
	mock_struct_init(&schema, "", 0);
	refuses(&schema, "without columns");
}

static void test_released_schema_is_refused(void **state)
{
	(void)state;
	struct ArrowSchema schema = {0};
	refuses(&schema, "returned a type");
}

static void test_schema_may_nest_to_its_limit(void **state)
{
	(void)state;
	struct bsc_error err;
	struct ArrowSchema column = nested(BSC__SCHEMA_DEPTH_MAX);
	struct ArrowSchema schema = schema_of(&column);
	assert_ok(bsc__schema_check(&schema, "acme:Orders", &err), &err);
	schema.release(&schema);
}

static void test_schema_beyond_its_depth_is_refused(void **state)
{
	(void)state;
	struct ArrowSchema column = nested(BSC__SCHEMA_DEPTH_MAX + 1);
	struct ArrowSchema schema = schema_of(&column);
	refuses(&schema, "column 'deep' is nested deeper than 64 levels");
}

static void test_chain_of_dictionaries_beyond_the_depth_is_refused(void **state)
{
	(void)state;
	struct ArrowSchema column;
	mock_dictionary_init(&column, "d", "i");
	struct ArrowSchema *last = column.dictionary;
	for (int i = 0; i < BSC__SCHEMA_DEPTH_MAX; i++) {
		assert_int_equal(ArrowSchemaAllocateDictionary(last), NANOARROW_OK);
		mock_field_init(last->dictionary, "", "i");
		last = last->dictionary;
	}
	struct ArrowSchema schema = schema_of(&column);
	refuses(&schema, "column 'd' is nested deeper");
}

static void test_released_column_is_refused(void **state)
{
	(void)state;
	struct ArrowSchema schema;
	mock_schema_init(&schema, columns, LENGTH(columns));
	ArrowSchemaRelease(schema.children[1]);
	schema.children[1]->release = NULL;
	refuses(&schema, "a schema that was released");
}

static void test_released_nested_field_is_refused(void **state)
{
	(void)state;
	struct ArrowSchema column = nested(3);
	struct ArrowSchema schema = schema_of(&column);
	ArrowSchemaRelease(schema.children[0]->children[0]);
	schema.children[0]->children[0]->release = NULL;
	refuses(&schema, "column 'deep'");
}

static void test_released_dictionary_is_refused(void **state)
{
	(void)state;
	struct ArrowSchema column;
	mock_dictionary_init(&column, "d", "u");
	struct ArrowSchema schema = schema_of(&column);
	ArrowSchemaRelease(schema.children[0]->dictionary);
	schema.children[0]->dictionary->release = NULL;
	refuses(&schema, "column 'd'");
}

static void test_schema_without_its_list_of_columns_is_refused(void **state)
{
	(void)state;
	struct ArrowSchema schema;
	struct bsc_error err;
	mock_schema_init(&schema, columns, LENGTH(columns));
	struct ArrowSchema **children = schema.children;
	schema.children = NULL;
	assert_fails(bsc__schema_check(&schema, "acme:Orders", &err), BSC_SOURCE, &err, "infer_schema");
	schema.children = children;
	struct ArrowSchema *child = children[2];
	children[2] = NULL;
	assert_fails(bsc__schema_check(&schema, "acme:Orders", &err), BSC_SOURCE, &err, "infer_schema");
	children[2] = child;
	schema.release(&schema);
}

static void test_negative_number_of_fields_is_refused(void **state)
{
	(void)state;
	struct ArrowSchema column = nested(2);
	struct ArrowSchema schema = schema_of(&column);
	struct bsc_error err;
	schema.children[0]->n_children = -1;
	assert_fails(bsc__schema_check(&schema, "acme:Orders", &err), BSC_SOURCE, &err, "column 'deep'");
	schema.children[0]->n_children = 1;
	schema.release(&schema);
}

static void test_unknown_type_is_refused(void **state)
{
	(void)state;
	struct ArrowSchema schema;
	const struct mock_column bad[] = {{"id", "l", false}, {"odd", "?", false}};
	mock_schema_init(&schema, bad, 2);
	refuses(&schema, "the type of column 'odd' can't be read");
}

/* A field of `n` int32 children. */
static struct ArrowSchema parent_of(const char *format, int64_t n)
{
	struct ArrowSchema field;
	mock_struct_init(&field, "x", n);
	assert_int_equal(ArrowSchemaSetFormat(&field, format), NANOARROW_OK);
	for (int64_t i = 0; i < n; i++) {
		struct ArrowSchema child;
		mock_field_init(&child, "c", "i");
		mock_set_child(&field, i, &child);
	}
	return field;
}

static void test_size_that_is_no_number_of_32_bits_is_refused(void **state)
{
	(void)state;
	static const char *const lists[] = {"+w:-1", "+w:4294967297", "+w: 3", "+w:+3", "+w:03"};
	for (size_t i = 0; i < LENGTH(lists); i++) {
		struct ArrowSchema column = parent_of(lists[i], 1);
		struct ArrowSchema schema = schema_of(&column);
		refuses(&schema, "the type of column 'x' can't be read: its size is not a whole number");
	}
	static const char *const good[] = {"+w:0", "+w:3", "+w:2147483647"};
	for (size_t i = 0; i < LENGTH(good); i++) {
		struct ArrowSchema column = parent_of(good[i], 1);
		struct ArrowSchema schema = schema_of(&column);
		struct bsc_error err;
		assert_ok(bsc__schema_check(&schema, "acme:Orders", &err), &err);
		schema.release(&schema);
	}
	struct ArrowSchema binary = parent_of("w:4294967297", 0);
	struct ArrowSchema schema = schema_of(&binary);
	refuses(&schema, "its size is not a whole number");
}

static void test_union_with_a_type_id_twice_is_refused(void **state)
{
	(void)state;
	static const char *const unions[] = {"+us:0,0", "+ud:7,7"};
	for (size_t i = 0; i < LENGTH(unions); i++) {
		struct ArrowSchema column = parent_of(unions[i], 2);
		struct ArrowSchema schema = schema_of(&column);
		refuses(&schema, "the type of column 'x' can't be read: its union has a type id twice");
	}
}

static void test_union_may_have_127_types_and_no_more(void **state)
{
	(void)state;
	char format[1024];
	size_t used = (size_t)snprintf(format, sizeof(format), "+us:0");
	for (int n = 1; n <= 128; n++) {
		if (n >= 127) {
			struct ArrowSchema column = parent_of(format, n);
			struct ArrowSchema schema = schema_of(&column);
			struct bsc_error err;
			if (n == 128) {
				refuses(&schema, "a union of more than 127 types is not supported");
			} else {
				assert_ok(bsc__schema_check(&schema, "acme:Orders", &err), &err);
				schema.release(&schema);
			}
		}
		used += (size_t)snprintf(format + used, sizeof(format) - used, ",%d", n);
	}
}

/* nanoarrow looks at the children of a map's child unasked. */
static void test_map_with_a_broken_entry_is_refused(void **state)
{
	(void)state;
	for (int what = 0; what < 2; what++) {
		struct ArrowSchema map;
		mock_struct_init(&map, "m", 1);
		assert_int_equal(ArrowSchemaSetFormat(&map, "+m"), NANOARROW_OK);
		struct ArrowSchema entries;
		mock_struct_init(&entries, "entries", 2);
		entries.flags = 0;
		mock_set_child(&map, 0, &entries);
		struct ArrowSchema schema = schema_of(&map);
		struct ArrowSchema *broken = schema.children[0]->children[0];
		struct bsc_error err;
		const char *format = broken->format;
		struct ArrowSchema *key = broken->children[0];
		if (what == 0) {
			broken->format = NULL;
		} else {
			broken->children[0] = NULL;
		}
		assert_fails(bsc__schema_check(&schema, "acme:Orders", &err), BSC_SOURCE, &err, "column 'm'");
		broken->format = format;
		broken->children[0] = key;
		schema.release(&schema);
	}
}

static void test_column_without_a_name_is_a_column(void **state)
{
	(void)state;
	struct ArrowSchema schema;
	struct bsc_error err;
	const struct mock_column unnamed[] = {{NULL, "i", false}};
	mock_schema_init(&schema, unnamed, 1);
	assert_null(schema.children[0]->name);
	assert_ok(bsc__schema_check(&schema, "acme:Orders", &err), &err);
	schema.release(&schema);
}

static void test_metadata_with_a_negative_length_is_refused(void **state)
{
	(void)state;
	static const int32_t metadata[][8] = {{-1}, {INT32_MIN}, {1, -1}, {1, 4, 0, -2}, {2, 4, 0, 4, 0, 4, 0, INT32_MIN}};
	for (size_t i = 0; i < LENGTH(metadata); i++) {
		for (int level = 0; level < 3; level++) {
			struct ArrowSchema field = nested(2), schema = schema_of(&field);
			struct ArrowSchema *at = level == 0   ? &schema
			                         : level == 1 ? schema.children[0]
			                                      : schema.children[0]->children[0];
			at->metadata = (const char *)metadata[i];
			struct bsc_error err;
			assert_fails(bsc__schema_check(&schema, "acme:Orders", &err), BSC_SOURCE, &err,
			             "has metadata with a negative count or length");
			at->metadata = NULL;
			schema.release(&schema);
		}
	}
	static const int32_t fine[] = {1, 4, 0, 0};
	struct ArrowSchema field = nested(1), schema = schema_of(&field);
	struct bsc_error err;
	schema.children[0]->metadata = (const char *)fine;
	assert_ok(bsc__schema_check(&schema, "acme:Orders", &err), &err);
	schema.children[0]->metadata = NULL;
	schema.release(&schema);
}

static void test_fields_without_a_name_get_the_empty_one(void **state)
{
	(void)state;
	struct ArrowSchema dictionary, item = nested(3), schema;
	struct bsc_error err;
	mock_dictionary_init(&dictionary, "d", "u");
	mock_struct_init(&schema, "", 2);
	mock_set_child(&schema, 0, &item);
	mock_set_child(&schema, 1, &dictionary);
	assert_int_equal(ArrowSchemaSetName(schema.children[0]->children[0], NULL), NANOARROW_OK);
	assert_int_equal(ArrowSchemaSetName(schema.children[1]->dictionary, NULL), NANOARROW_OK);
	assert_ok(bsc__schema_check(&schema, "acme:Orders", &err), &err);
	assert_ok(bsc__schema_set_names(&schema, &err), &err);
	assert_string_equal(schema.children[0]->name, "deep");
	assert_string_equal(schema.children[0]->children[0]->name, "");
	assert_string_equal(schema.children[0]->children[0]->children[0]->name, "leaf");
	assert_string_equal(schema.children[1]->name, "d");
	assert_string_equal(schema.children[1]->dictionary->name, "");
	schema.release(&schema);
}

static void test_schema_with_all_its_names_is_not_copied(void **state)
{
	(void)state;
	struct ArrowSchema schema;
	struct bsc_error err;
	mock_schema_init(&schema, columns, LENGTH(columns));
	const void *before = schema.private_data;
	struct ArrowSchema **children = schema.children;
	assert_ok(bsc__schema_set_names(&schema, &err), &err);
	assert_ptr_equal(schema.private_data, before);
	assert_ptr_equal(schema.children, children);
	schema.release(&schema);
}

static void test_copy_is_deep(void **state)
{
	(void)state;
	struct ArrowSchema schema, copy;
	struct bsc_error err;
	mock_schema_init(&schema, columns, LENGTH(columns));
	mock_set_extension(schema.children[0], "acme.id");
	assert_ok(bsc_schema_copy(&schema, &copy, &err), &err);
	schema.release(&schema);
	assert_int_equal(copy.n_children, 3);
	assert_string_equal(copy.children[0]->name, "id");
	assert_int_equal(copy.children[0]->flags, 0);
	assert_string_equal(copy.children[2]->format, "tsu:UTC");
	struct ArrowStringView name;
	assert_int_equal(ArrowMetadataGetValue(copy.children[0]->metadata, ArrowCharView("ARROW:extension:name"), &name),
	                 NANOARROW_OK);
	assert_int_equal(name.size_bytes, 7);
	copy.release(&copy);
}

static void test_metadata_is_found_by_its_key(void **state)
{
	(void)state;
	struct ArrowSchema field;
	mock_field_init(&field, "a", "i");
	assert_null(bsc_schema_metadata(&field, "ARROW:extension:name").ptr);
	mock_set_extension(&field, "arrow.uuid");
	assert_str(bsc_schema_metadata(&field, "ARROW:extension:name"), "arrow.uuid");
	assert_null(bsc_schema_metadata(&field, "ARROW:extension").ptr);
	field.release(&field);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_schema_of_columns_is_accepted),
	    cmocka_unit_test(test_schema_must_be_a_struct),
	    cmocka_unit_test(test_schema_needs_a_column),
	    cmocka_unit_test(test_released_schema_is_refused),
	    cmocka_unit_test(test_schema_may_nest_to_its_limit),
	    cmocka_unit_test(test_schema_beyond_its_depth_is_refused),
	    cmocka_unit_test(test_chain_of_dictionaries_beyond_the_depth_is_refused),
	    cmocka_unit_test(test_released_column_is_refused),
	    cmocka_unit_test(test_released_nested_field_is_refused),
	    cmocka_unit_test(test_released_dictionary_is_refused),
	    cmocka_unit_test(test_schema_without_its_list_of_columns_is_refused),
	    cmocka_unit_test(test_negative_number_of_fields_is_refused),
	    cmocka_unit_test(test_unknown_type_is_refused),
	    cmocka_unit_test(test_size_that_is_no_number_of_32_bits_is_refused),
	    cmocka_unit_test(test_union_with_a_type_id_twice_is_refused),
	    cmocka_unit_test(test_union_may_have_127_types_and_no_more),
	    cmocka_unit_test(test_map_with_a_broken_entry_is_refused),
	    cmocka_unit_test(test_column_without_a_name_is_a_column),
	    cmocka_unit_test(test_metadata_with_a_negative_length_is_refused),
	    cmocka_unit_test(test_fields_without_a_name_get_the_empty_one),
	    cmocka_unit_test(test_schema_with_all_its_names_is_not_copied),
	    cmocka_unit_test(test_copy_is_deep),
	    cmocka_unit_test(test_metadata_is_found_by_its_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
