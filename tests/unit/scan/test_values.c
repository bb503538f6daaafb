/* Numbers of lists, views, unions, runs and bitmaps that lie. Arrays written by hand: the
 * mock makes no such types. */
#include "mock_executor.h"
#include "scan/internal.h"

#include <stdlib.h>

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

/* Whatever the level. */
static void both_accept(struct column *c)
{
	struct bsc_error err;
	assert_ok(validate(c, false, &err), &err);
	assert_ok(validate(c, true, &err), &err);
}

static void both_refuse(struct column *c, const char *what)
{
	struct bsc_error err;
	for (int full = 0; full < 2; full++) {
		assert_fails(validate(c, full, &err), BSC_MALFORMED, &err, what);
		assert_non_null(strstr(err.message, "acme:Orders, partition 0 of 1, batch 0: column 'x' "));
	}
}

static void column_release(struct column *c)
{
	c->declared.release(&c->declared);
}

static void test_list_view_outside_its_items_is_refused(void **state)
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
		if (rows[i].valid) {
			both_accept(&c);
		} else {
			both_refuse(&c, "has a list outside its items");
		}
		column_release(&c);
	}
}

static void test_large_list_view_whose_end_is_beyond_64_bits_is_refused(void **state)
{
	(void)state;
	int64_t offsets[] = {0, INT64_MAX}, sizes[] = {1, INT64_MAX};
	struct column c;
	column_init(&c, "+vL", 3, 1, 4);
	c.buffers[1] = offsets;
	c.buffers[2] = sizes;
	both_refuse(&c, "has a list outside its items");
	column_release(&c);
}

static void test_list_view_without_its_sizes_is_refused(void **state)
{
	(void)state;
	int32_t offsets[] = {0, 0};
	struct column c;
	column_init(&c, "+vl", 3, 1, 4);
	c.buffers[1] = offsets;
	both_refuse(&c, "has no sizes of its lists");
	column_release(&c);
}

static void test_union_that_points_one_beyond_its_child_is_refused(void **state)
{
	(void)state;
	int8_t ids[] = {5, 7};
	int32_t offsets[] = {3, 0};
	struct column c;
	column_init(&c, "+ud:5,7", 2, 2, 4);
	c.buffers[0] = ids;
	c.buffers[1] = offsets;
	both_accept(&c);
	offsets[0] = 4;
	both_refuse(&c, "has a union's offset outside its child");
	column_release(&c);
}

static void test_rows_without_runs_are_refused(void **state)
{
	(void)state;
	struct column c;
	column_init(&c, "+r", 0, 2, 4);
	both_accept(&c);
	c.children[0].length = 0;
	c.children[1].length = 0;
	both_refuse(&c, "has rows, but no runs");
	column_release(&c);
}

static void test_null_count_that_hides_nulls_is_refused(void **state)
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
		if (counts[i].valid) {
			both_accept(&c);
		} else {
			both_refuse(&c, "has a null count that its bitmap contradicts");
		}
		column_release(&c);
	}
}

static void test_type_id_of_no_member_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *format;
		int8_t id;
		bool valid;
	} ids[] = {{"+us:0,1", 1, true}, {"+us:0,1", 2, false},  {"+us:0,1", -1, false},  {"+us:0,1", INT8_MIN, false},
	           {"+us:5,7", 7, true}, {"+us:5,7", 6, false},  {"+us:5,7", 0, false},   {"+us:5,7", -5, false},
	           {"+us:1,0", 0, true}, {"+us:1,0", 2, false},  {"+ud:0,1", 1, true},    {"+ud:0,1", 2, false},
	           {"+ud:5,7", 7, true}, {"+ud:5,7", -1, false}, {"+us:0,127", 127, true}};
	for (size_t i = 0; i < LENGTH(ids); i++) {
		int8_t rows[] = {(int8_t)strtol(ids[i].format + 4, NULL, 10), ids[i].id};
		static const int32_t offsets[] = {0, 0};
		struct column c;
		column_init(&c, ids[i].format, ids[i].format[2] == 'd' ? 2 : 1, 2, 4);
		c.buffers[0] = rows;
		c.buffers[1] = offsets;
		if (ids[i].valid) {
			both_accept(&c);
		} else {
			both_refuse(&c, "has a union's type id that no member has");
		}
		column_release(&c);
	}
}

static void test_dense_union_offset_outside_its_member_is_refused(void **state)
{
	(void)state;
	static const int32_t wrong[] = {4, -1, INT32_MAX, INT32_MIN};
	for (size_t i = 0; i < LENGTH(wrong); i++) {
		int8_t ids[] = {0, 1};
		int32_t offsets[] = {0, wrong[i]};
		struct column c;
		column_init(&c, "+ud:0,1", 2, 2, 4);
		c.buffers[0] = ids;
		c.buffers[1] = offsets;
		both_refuse(&c, "has a union's offset outside its child");
		column_release(&c);
	}
}

static void test_run_ends_that_do_not_rise_are_refused(void **state)
{
	(void)state;
	static const struct {
		int32_t ends[4];
		const char *what; /* NULL: fine */
	} runs[] = {{{1, 2, 3, 4}, NULL},
	            {{1, 2, 2, 4}, "has run ends that don't rise"},
	            {{3, 2, 1, 4}, "has run ends that don't rise"},
	            {{1, -5, 3, 4}, "has run ends that don't rise"},
	            {{1, INT32_MAX, INT32_MIN, 4}, "has run ends that don't rise"},
	            {{0, 1, 2, 3}, "All run ends must be greater than 0"},
	            {{-3, -2, 0, 1}, "All run ends must be greater than 0"},
	            {{1, 2, 3, 1}, "Last run end is 1"}};
	for (size_t i = 0; i < LENGTH(runs); i++) {
		struct column c;
		column_init(&c, "+r", 0, 2, 4);
		c.child_buffers[0][1] = runs[i].ends;
		if (runs[i].what) {
			both_refuse(&c, runs[i].what);
		} else {
			both_accept(&c);
		}
		column_release(&c);
	}
}

static void test_list_beyond_its_items_is_refused(void **state)
{
	(void)state;
	static const struct {
		int32_t offsets[3];
		const char *what; /* NULL: fine */
	} rows[] = {{{0, 4, 4}, NULL},
	            {{2, 2, 2}, NULL},
	            {{0, 5, 4}, "has offsets that are negative or fall"},
	            {{0, INT32_MAX, 4}, "has offsets that are negative or fall"},
	            {{0, -1, 4}, "has offsets that are negative or fall"},
	            {{0, INT32_MIN, 4}, "has offsets that are negative or fall"},
	            {{0, 0, 5}, "Expected child of list array to have length >= 5"}};
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct column c;
		column_init(&c, "+l", 2, 1, 4);
		c.buffers[1] = rows[i].offsets;
		if (rows[i].what) {
			both_refuse(&c, rows[i].what);
		} else {
			both_accept(&c);
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
		both_accept(&c);
		column_release(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_list_view_outside_its_items_is_refused),
	    cmocka_unit_test(test_large_list_view_whose_end_is_beyond_64_bits_is_refused),
	    cmocka_unit_test(test_list_view_without_its_sizes_is_refused),
	    cmocka_unit_test(test_union_that_points_one_beyond_its_child_is_refused),
	    cmocka_unit_test(test_rows_without_runs_are_refused),
	    cmocka_unit_test(test_type_id_of_no_member_is_refused),
	    cmocka_unit_test(test_dense_union_offset_outside_its_member_is_refused),
	    cmocka_unit_test(test_run_ends_that_do_not_rise_are_refused),
	    cmocka_unit_test(test_list_beyond_its_items_is_refused),
	    cmocka_unit_test(test_empty_strings_need_no_data),
	    cmocka_unit_test(test_null_count_that_hides_nulls_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
