#include "filter/filter.h"
#include "mock_executor.h"

static const struct mock_column columns[] = {
    {"a", "l", true}, {"b", "u", false}, {"twice", "i", false}, {"twice", "i", false}};

struct fixture {
	struct ArrowSchema schema;
	struct bsc__bytes bytes;
	struct bsc_error err;
};

static int set_up(void **state)
{
	struct fixture *f = bsc__calloc(1, sizeof(*f));
	mock_schema_init(&f->schema, columns, LENGTH(columns));
	bsc__bytes_init(&f->bytes, 64 << 20);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	f->schema.release(&f->schema);
	bsc__bytes_release(&f->bytes);
	bsc__free(f);
	return 0;
}

/* ---- trees ---- */

static struct bsc_literal number(const int64_t *value)
{
	return (struct bsc_literal){"l", true, {(const char *)value, sizeof(*value)}};
}

static struct bsc_literal text(const char *value)
{
	return (struct bsc_literal){"u", true, {value, strlen(value)}};
}

static struct bsc_filter *leaf(struct fixture *f, enum bsc_filter_kind kind, int64_t column, struct bsc_literal literal)
{
	struct bsc_filter *filter;
	assert_ok(bsc_filter_new(kind, column, &literal, 1, &filter, &f->err), &f->err);
	return filter;
}

static struct bsc_filter *equal(struct fixture *f, int64_t column, int64_t value)
{
	return leaf(f, BSC_FILTER_EQUAL, column, number(&value));
}

static struct bsc_filter *joined(struct fixture *f, enum bsc_filter_kind kind, struct bsc_filter *a,
                                 struct bsc_filter *b)
{
	struct bsc_filter *filter;
	assert_ok(bsc_filter_join(kind, (struct bsc_filter *[]){a, b}, b ? 2 : 1, &filter, &f->err), &f->err);
	return filter;
}

static struct bsc_filter *some_tree(struct fixture *f)
{
	const int64_t one = 1;
	const struct bsc_literal values[] = {number(&one), {"l", false, {NULL, 0}}};
	struct bsc_filter *in, *null;
	assert_ok(bsc_filter_new(BSC_FILTER_IN, 0, values, 2, &in, &f->err), &f->err);
	assert_ok(bsc_filter_new(BSC_FILTER_IS_NULL, 1, NULL, 0, &null, &f->err), &f->err);
	struct bsc_filter *either =
	    joined(f, BSC_FILTER_OR, leaf(f, BSC_FILTER_STARTS_WITH, 1, text("x")), joined(f, BSC_FILTER_NOT, in, NULL));
	return joined(f, BSC_FILTER_AND, null, joined(f, BSC_FILTER_AND, either, equal(f, 0, 5)));
}

static uint32_t put(struct fixture *f, const struct bsc_filter *filter)
{
	bsc__bytes_clear(&f->bytes);
	bsc__filters_put(&f->bytes, filter, &f->schema);
	struct bsc__view view = {f->bytes.ptr, f->bytes.len, false};
	return bsc__get_u32(&view);
}

static struct bsc_str written(const struct fixture *f)
{
	return (struct bsc_str){(const char *)f->bytes.ptr, f->bytes.len};
}

static void test_what_is_written_is_read_again(void **state)
{
	struct fixture *f = *state;
	struct bsc_filter *tree = some_tree(f), *again;
	assert_int_equal(put(f, tree), 3); /* nested ANDs are one list */
	assert_ok(bsc_filter_read(written(f), &f->schema, &again, &f->err), &f->err);
	struct bsc__bytes first = f->bytes;
	bsc__bytes_init(&f->bytes, 64 << 20);
	assert_int_equal(put(f, again), 3);
	assert_int_equal(first.len, f->bytes.len);
	assert_memory_equal(first.ptr, f->bytes.ptr, first.len);
	bsc__bytes_release(&first);
	bsc_filter_free(again);
	bsc_filter_free(tree);
}

static void test_no_filter_is_an_empty_list(void **state)
{
	struct fixture *f = *state;
	struct bsc_filter *again = (struct bsc_filter *)f;
	assert_int_equal(put(f, NULL), 0);
	assert_ok(bsc_filter_read(written(f), &f->schema, &again, &f->err), &f->err);
	assert_null(again);
}

static void test_filter_of_a_name_that_two_columns_have_is_left_out(void **state)
{
	struct fixture *f = *state;
	struct bsc_filter *tree =
	    joined(f, BSC_FILTER_AND, equal(f, 0, 1), joined(f, BSC_FILTER_OR, equal(f, 0, 2), equal(f, 2, 3)));
	assert_int_equal(put(f, tree), 1); /* the whole OR, not its half */
	bsc_filter_free(tree);
	tree = joined(f, BSC_FILTER_NOT, joined(f, BSC_FILTER_AND, equal(f, 0, 1), equal(f, 3, 1)), NULL);
	assert_int_equal(put(f, tree), 0);
	bsc_filter_free(tree);
}

static void test_trees_are_equal_literal_for_literal(void **state)
{
	struct fixture *f = *state;
	struct bsc_filter *a = some_tree(f), *b = some_tree(f), *c = equal(f, 0, 5), *d = equal(f, 0, 6),
	                  *e = equal(f, 2, 5);
	assert_true(bsc_filter_equal(a, b));
	assert_false(bsc_filter_equal(a, c));
	assert_false(bsc_filter_equal(c, d));
	assert_false(bsc_filter_equal(c, e));
	bsc_filter_free(a);
	bsc_filter_free(b);
	bsc_filter_free(c);
	bsc_filter_free(d);
	bsc_filter_free(e);
}

/* ---- limits ---- */

static void test_what_is_no_predicate_is_refused(void **state)
{
	struct fixture *f = *state;
	const int64_t value = 1;
	const struct bsc_literal two[] = {number(&value), number(&value)}, none = {"u", false, {NULL, 0}},
	                         nameless = {NULL, true, {"", 0}};
	struct bsc_filter *out, *child = equal(f, 0, 1);
	const char *words = "can't have";
	assert_fails(bsc_filter_new(BSC_FILTER_EQUAL, 0, two, 2, &out, &f->err), BSC_INVALID, &f->err, words);
	assert_fails(bsc_filter_new(BSC_FILTER_EQUAL, -1, two, 1, &out, &f->err), BSC_INVALID, &f->err, words);
	assert_fails(bsc_filter_new(BSC_FILTER_IS_NULL, 0, two, 1, &out, &f->err), BSC_INVALID, &f->err, words);
	assert_fails(bsc_filter_new(BSC_FILTER_IN, 0, NULL, 0, &out, &f->err), BSC_INVALID, &f->err, words);
	assert_fails(bsc_filter_new(BSC_FILTER_AND, 0, two, 1, &out, &f->err), BSC_INVALID, &f->err, words);
	assert_fails(bsc_filter_new(99, 0, two, 1, &out, &f->err), BSC_INVALID, &f->err, words);
	assert_fails(bsc_filter_new(BSC_FILTER_CONTAINS, 0, two, 1, &out, &f->err), BSC_INVALID, &f->err, words);
	assert_fails(bsc_filter_new(BSC_FILTER_CONTAINS, 0, &none, 1, &out, &f->err), BSC_INVALID, &f->err, words);
	assert_fails(bsc_filter_new(BSC_FILTER_EQUAL, 0, &nameless, 1, &out, &f->err), BSC_INVALID, &f->err, words);
	assert_fails(bsc_filter_join(BSC_FILTER_NOT, (struct bsc_filter *[]){child, child}, 2, &out, &f->err), BSC_INVALID,
	             &f->err, "can't join");
	assert_fails(bsc_filter_join(BSC_FILTER_OR, NULL, 0, &out, &f->err), BSC_INVALID, &f->err, "can't join");
	assert_fails(bsc_filter_join(BSC_FILTER_EQUAL, &child, 1, &out, &f->err), BSC_INVALID, &f->err, "can't join");
	bsc_filter_free(child);
	bsc_filter_free(NULL);
}

static void test_deep_tree_is_refused_and_its_child_stays(void **state)
{
	struct fixture *f = *state;
	struct bsc_filter *tree = equal(f, 0, 1), *out;
	for (int depth = 1; depth < 64; depth++) {
		tree = joined(f, BSC_FILTER_NOT, tree, NULL);
	}
	assert_fails(bsc_filter_join(BSC_FILTER_NOT, &tree, 1, &out, &f->err), BSC_INVALID, &f->err, "deeper than 64");
	assert_null(out);
	bsc_filter_free(tree);
}

static void test_large_tree_is_refused(void **state)
{
	struct fixture *f = *state;
	enum { HALF = 5 << 20 };
	char *many = bsc__calloc(2, HALF);
	struct bsc_literal literal = {"u", true, {many, 2 * (size_t)HALF}};
	struct bsc_filter *out, *halves[2];
	assert_fails(bsc_filter_new(BSC_FILTER_EQUAL, 1, &literal, 1, &out, &f->err), BSC_INVALID, &f->err, "8 MiB");
	literal.value.len = HALF;
	halves[0] = leaf(f, BSC_FILTER_EQUAL, 1, literal);
	halves[1] = leaf(f, BSC_FILTER_EQUAL, 1, literal);
	assert_fails(bsc_filter_join(BSC_FILTER_AND, halves, 2, &out, &f->err), BSC_INVALID, &f->err, "8 MiB");
	bsc_filter_free(halves[0]);
	bsc_filter_free(halves[1]);
	bsc__free(many);
}

/* ---- bytes that are none ---- */

static void test_every_cut_of_the_bytes_is_refused(void **state)
{
	struct fixture *f = *state;
	struct bsc_filter *tree = some_tree(f), *out;
	put(f, tree);
	bsc_filter_free(tree);
	for (size_t len = 0; len < f->bytes.len; len++) {
		struct bsc_str cut = {(const char *)f->bytes.ptr, len};
		assert_int_equal(bsc_filter_read(cut, &f->schema, &out, &f->err), BSC_INVALID);
		assert_null(out);
	}
	bsc__put_u8(&f->bytes, 0);
	assert_fails(bsc_filter_read(written(f), &f->schema, &out, &f->err), BSC_INVALID, &f->err, "no predicate");
}

static void test_column_that_is_none_or_two_is_refused(void **state)
{
	struct fixture *f = *state;
	struct bsc_filter *out;
	for (int i = 0; i < 2; i++) {
		bsc__bytes_clear(&f->bytes);
		bsc__put_u32(&f->bytes, 1);
		bsc__put_u8(&f->bytes, BSC_FILTER_IS_NULL);
		bsc__put_str(&f->bytes, bsc__str(i ? "twice" : "nowhere"));
		bsc__put_str(&f->bytes, bsc__str(""));
		bsc__put_u32(&f->bytes, 0);
		assert_fails(bsc_filter_read(written(f), &f->schema, &out, &f->err), BSC_INVALID, &f->err,
		             "not the name of one column");
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_what_is_written_is_read_again),
	    TEST(test_no_filter_is_an_empty_list),
	    TEST(test_filter_of_a_name_that_two_columns_have_is_left_out),
	    TEST(test_trees_are_equal_literal_for_literal),
	    TEST(test_what_is_no_predicate_is_refused),
	    TEST(test_deep_tree_is_refused_and_its_child_stays),
	    TEST(test_large_tree_is_refused),
	    TEST(test_every_cut_of_the_bytes_is_refused),
	    TEST(test_column_that_is_none_or_two_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
