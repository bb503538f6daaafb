/* Values that nanoarrow lets pass or trips over. Arrays written by hand: the mock
 * makes no such types. */
#include "mock_executor.h"
#include "scan/internal.h"

static const struct bsc__place place = {"acme:Orders", 0, 1, 0};

static void keep(struct ArrowArray *array)
{
	array->release = NULL;
}

/* A column of two rows with children of int32, and its type. */
struct column {
	struct ArrowArray array, children[2];
	struct ArrowArray *list[2];
	const void *buffers[3], *child_buffers[2][2];
	struct ArrowSchema declared; /* released by validate */
};

static const int32_t items[] = {1, 2, 3, 4};

/* children: how many; each has `n_items`. */
static void column_init(struct column *c, const char *format, int64_t n_buffers, int64_t n_children, int64_t n_items)
{
	*c = (struct column){0};
	struct ArrowSchema type;
	mock_struct_init(&type, "x", n_children);
	assert_int_equal(ArrowSchemaSetFormat(&type, format), NANOARROW_OK);
	for (int64_t i = 0; i < n_children; i++) {
		struct ArrowSchema child;
		mock_field_init(&child, "c", "i");
		mock_set_child(&type, i, &child);
		c->child_buffers[i][1] = items;
		c->children[i] =
		    (struct ArrowArray){.length = n_items, .n_buffers = 2, .buffers = c->child_buffers[i], .release = keep};
		c->list[i] = &c->children[i];
	}
	mock_struct_init(&c->declared, "", 1);
	mock_set_child(&c->declared, 0, &type);
	c->array = (struct ArrowArray){.length = 2,
	                               .n_buffers = n_buffers,
	                               .buffers = c->buffers,
	                               .n_children = n_children,
	                               .children = c->list,
	                               .release = keep};
}

static int validate(struct column *c, bool full, struct bsc_error *err)
{
	struct ArrowSchema schema;
	struct bsc__match match;
	struct bsc__validate v;
	int64_t asked = 0;
	const void *none[1] = {NULL};
	struct ArrowArray *columns[1] = {&c->array};
	struct ArrowArray batch = {
	    .length = 2, .n_buffers = 1, .buffers = none, .n_children = 1, .children = columns, .release = keep};
	assert_ok(bsc__match_init(&match, &c->declared, &asked, 1, err), err);
	assert_ok(bsc_schema_copy(&c->declared, &schema, err), err);
	assert_ok(bsc__match_schema(&match, &schema, &place, err), err);
	assert_ok(bsc__validate_init(&v, &match, full, err), err);
	int rc = bsc__validate_batch(&v, &match, &batch, &place, err);
	bsc__validate_release(&v);
	bsc__match_release(&match);
	return rc;
}

static void accepts(struct column *c, bool full)
{
	struct bsc_error err;
	assert_ok(validate(c, full, &err), &err);
}

static void refuses(struct column *c, bool full, const char *what)
{
	struct bsc_error err;
	assert_fails(validate(c, full, &err), BSC_MALFORMED, &err, what);
	assert_non_null(strstr(err.message, "acme:Orders, partition 0 of 1, batch 0: column 'x' "));
}

static void column_release(struct column *c)
{
	c->declared.release(&c->declared);
}

static void test_list_view_outside_its_items_is_found_by_full(void **state)
{
	(void)state;
	static const struct {
		int32_t offset, size;
		bool valid;
	} rows[] = {{0, 4, true},   {4, 0, true},          {3, 2, false},         {5, 0, false},        {-1, 1, false},
	            {0, -1, false}, {INT32_MAX, 1, false}, {1, INT32_MAX, false}, {INT32_MIN, 2, false}};
	for (size_t i = 0; i < LENGTH(rows); i++) {
		int32_t offsets[] = {0, rows[i].offset}, sizes[] = {1, rows[i].size};
		struct column c;
		column_init(&c, "+vl", 3, 1, 4);
		c.buffers[1] = offsets;
		c.buffers[2] = sizes;
		accepts(&c, false);
		if (rows[i].valid) {
			accepts(&c, true);
		} else {
			refuses(&c, true, "has a list outside its items");
		}
		column_release(&c);
	}
}

static void test_large_list_view_whose_end_is_beyond_64_bits_is_found_by_full(void **state)
{
	(void)state;
	int64_t offsets[] = {0, INT64_MAX}, sizes[] = {1, INT64_MAX};
	struct column c;
	column_init(&c, "+vL", 3, 1, 4);
	c.buffers[1] = offsets;
	c.buffers[2] = sizes;
	accepts(&c, false);
	refuses(&c, true, "has a list outside its items");
	column_release(&c);
}

static void test_list_view_without_its_sizes_is_refused(void **state)
{
	(void)state;
	int32_t offsets[] = {0, 0};
	struct column c;
	column_init(&c, "+vl", 3, 1, 4);
	c.buffers[1] = offsets;
	refuses(&c, false, "has no sizes of its lists");
	refuses(&c, true, "has no sizes of its lists");
	column_release(&c);
}

static void test_union_that_points_one_beyond_its_child_is_found_by_full(void **state)
{
	(void)state;
	int8_t ids[] = {5, 7};
	int32_t offsets[] = {3, 0};
	struct column c;
	column_init(&c, "+ud:5,7", 2, 2, 4);
	c.buffers[0] = ids;
	c.buffers[1] = offsets;
	accepts(&c, false);
	accepts(&c, true);
	offsets[0] = 4;
	accepts(&c, false);
	refuses(&c, true, "has a union's offset outside its child");
	column_release(&c);
}

static void test_rows_without_runs_are_refused(void **state)
{
	(void)state;
	struct column c;
	column_init(&c, "+r", 0, 2, 4);
	accepts(&c, false);
	accepts(&c, true);
	c.children[0].length = 0;
	c.children[1].length = 0;
	refuses(&c, false, "has rows, but no runs");
	refuses(&c, true, "has rows, but no runs");
	column_release(&c);
}

static void test_null_count_that_hides_nulls_is_found_by_full(void **state)
{
	(void)state;
	static const uint8_t bits[] = {0x2D}; /* rows 0, 2, 3 and 5 hold values */
	static const struct {
		int64_t null_count, offset;
		bool valid;
	} counts[] = {{-1, 0, true}, {1, 0, true}, {0, 0, false}, {2, 0, false}, {0, 2, true}, {1, 2, false}};
	for (size_t i = 0; i < LENGTH(counts); i++) {
		struct column c;
		column_init(&c, "+s", 1, 1, 4);
		c.buffers[0] = bits;
		c.array.null_count = counts[i].null_count;
		c.array.offset = counts[i].offset;
		accepts(&c, false);
		if (counts[i].valid) {
			accepts(&c, true);
		} else {
			refuses(&c, true, "has a null count that its bitmap contradicts");
		}
		column_release(&c);
	}
}

static void test_empty_strings_need_no_data(void **state)
{
	(void)state;
	static const char *const formats[] = {"u", "U", "z", "Z"};
	static const int64_t zeros[3];
	for (size_t i = 0; i < LENGTH(formats); i++) {
		struct column c;
		column_init(&c, formats[i], 3, 0, 0);
		c.buffers[1] = zeros;
		accepts(&c, false);
		accepts(&c, true);
		column_release(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_list_view_outside_its_items_is_found_by_full),
	    cmocka_unit_test(test_large_list_view_whose_end_is_beyond_64_bits_is_found_by_full),
	    cmocka_unit_test(test_list_view_without_its_sizes_is_refused),
	    cmocka_unit_test(test_union_that_points_one_beyond_its_child_is_found_by_full),
	    cmocka_unit_test(test_rows_without_runs_are_refused),
	    cmocka_unit_test(test_empty_strings_need_no_data),
	    cmocka_unit_test(test_null_count_that_hides_nulls_is_found_by_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
