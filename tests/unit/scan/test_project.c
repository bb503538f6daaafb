#include "mock_executor.h"
#include "scan/internal.h"

static const struct mock_column columns[] = {{"a", "l", false}, {"b", "u", false}, {"c", "i", false}};
static const struct bsc__place place = {"acme:Orders", 0, 1, 0};

struct fixture {
	struct ArrowSchema declared;
	struct bsc__match match;
	int64_t asked[8];
	struct ArrowArray array;  /* 10 rows from 100 */
	struct ArrowArray before; /* its struct as it was, for its pointers */
	int released;
	void (*release)(struct ArrowArray *);
	void *private_data;
	struct bsc_error err;
};

static int set_up(void **state)
{
	struct fixture *f = bsc__calloc(1, sizeof(*f));
	mock_schema_init(&f->declared, columns, LENGTH(columns));
	mock_array_init(&f->array, &f->declared, 100, 10);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	if (f->array.release) {
		f->array.release(&f->array);
	}
	bsc__match_release(&f->match);
	f->declared.release(&f->declared);
	bsc__free(f);
	return 0;
}

static void counting_release(struct ArrowArray *array)
{
	struct fixture *f = array->private_data;
	f->released++;
	array->private_data = f->private_data;
	array->release = f->release;
	array->release(array);
}

/* asked: indices as digits. */
static struct ArrowArray project(struct fixture *f, const char *asked)
{
	int64_t n = (int64_t)strlen(asked);
	for (int64_t i = 0; i < n; i++) {
		f->asked[i] = asked[i] - '0';
	}
	assert_ok(bsc__match_init(&f->match, &f->declared, f->asked, n, &f->err), &f->err);
	struct ArrowSchema schema;
	assert_ok(bsc_schema_copy(&f->declared, &schema, &f->err), &f->err);
	assert_ok(bsc__match_schema(&f->match, &schema, &place, &f->err), &f->err);
	f->before = f->array;
	f->release = f->array.release;
	f->private_data = f->array.private_data;
	f->array.release = counting_release;
	f->array.private_data = f;
	struct ArrowArray out;
	memset(&out, 0xAA, sizeof(out));
	assert_ok(bsc__project(&f->array, &f->match, &out, &f->err), &f->err);
	assert_null(f->array.release);
	assert_int_equal(out.offset, 0);
	assert_int_equal(out.n_children, n);
	assert_int_equal(out.n_buffers, 1);
	return out;
}

static void test_identity_passes_the_very_same_array(void **state)
{
	struct fixture *f = *state;
	struct ArrowArray out = project(f, "012");
	assert_ptr_equal(out.children, f->before.children);
	assert_ptr_equal(out.buffers, f->before.buffers);
	assert_ptr_equal(out.private_data, f);
	assert_int_equal(out.length, 10);
	out.release(&out);
	assert_int_equal(f->released, 1);
}

static void test_reordered_columns_keep_their_buffers(void **state)
{
	struct fixture *f = *state;
	struct ArrowArray out = project(f, "201");
	static const int from[] = {2, 0, 1};
	assert_int_equal(out.length, 10);
	assert_int_equal(out.null_count, 0);
	assert_null(out.buffers[0]);
	assert_null(out.dictionary);
	for (int i = 0; i < 3; i++) {
		const struct ArrowArray *was = f->before.children[from[i]];
		assert_int_equal(out.children[i]->n_buffers, was->n_buffers);
		for (int64_t b = 0; b < was->n_buffers; b++) {
			assert_ptr_equal(out.children[i]->buffers[b], was->buffers[b]);
		}
		assert_int_equal(out.children[i]->length, 10);
		assert_int_equal(out.children[i]->offset, 0);
		assert_int_equal(out.children[i]->null_count, was->null_count);
	}
	assert_int_equal(f->released, 0);
	out.release(&out);
	assert_null(out.release);
	assert_int_equal(f->released, 1);
}

static void test_column_asked_twice_shares_its_buffers(void **state)
{
	struct fixture *f = *state;
	struct ArrowArray out = project(f, "101");
	assert_ptr_not_equal(out.children[0], out.children[2]);
	assert_ptr_equal(out.children[0]->buffers[2], out.children[2]->buffers[2]);
	out.children[0]->release(out.children[0]);
	assert_non_null(out.children[2]->release);
	assert_int_equal(f->released, 0);
	out.release(&out);
	assert_int_equal(f->released, 1);
}

static void test_no_columns_keep_the_row_count(void **state)
{
	struct fixture *f = *state;
	struct ArrowArray out = project(f, "");
	assert_int_equal(out.length, 10);
	out.release(&out);
	assert_int_equal(f->released, 1);
}

static void test_offset_of_the_root_moves_into_its_children(void **state)
{
	struct fixture *f = *state;
	f->array.offset = 3;
	f->array.length = 5;
	f->array.children[0]->offset = 1;
	f->array.children[0]->length = 9;
	struct ArrowArray out = project(f, "012");
	assert_int_equal(out.length, 5);
	assert_int_equal(out.children[0]->offset, 4);
	assert_int_equal(out.children[1]->offset, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(out.children[i]->length, 5);
		assert_ptr_equal(out.children[i]->buffers, f->before.children[i]->buffers);
	}
	struct ArrowArrayView view;
	assert_int_equal(ArrowArrayViewInitFromSchema(&view, &f->declared, NULL), NANOARROW_OK);
	assert_int_equal(ArrowArrayViewSetArray(&view, &out, NULL), NANOARROW_OK);
	assert_int_equal(ArrowArrayViewGetIntUnsafe(view.children[0], 0), 104);
	assert_int_equal(ArrowArrayViewGetIntUnsafe(view.children[2], 4), 107);
	struct ArrowStringView text = ArrowArrayViewGetStringUnsafe(view.children[1], 0);
	assert_memory_equal(text.data, "text of row 103", text.size_bytes);
	ArrowArrayViewReset(&view);
	out.release(&out);
	assert_int_equal(f->released, 1);
}

static void test_trimmed_child_no_longer_knows_its_nulls(void **state)
{
	struct fixture *f = *state;
	f->array.length = 4;
	f->array.children[0]->null_count = 2;
	f->array.children[1]->null_count = 0;
	f->array.children[2]->null_count = -1;
	struct ArrowArray out = project(f, "012");
	assert_int_equal(out.length, 4);
	assert_int_equal(out.children[0]->null_count, -1);
	assert_int_equal(out.children[1]->null_count, 0);
	assert_int_equal(out.children[2]->null_count, -1);
	out.release(&out);
}

static void test_child_of_the_same_length_keeps_its_null_count(void **state)
{
	struct fixture *f = *state;
	f->array.children[0]->null_count = 2;
	struct ArrowArray out = project(f, "02");
	assert_int_equal(out.children[0]->null_count, 2);
	assert_int_equal(out.children[1]->null_count, 0);
	out.release(&out);
}

static void test_longer_child_is_trimmed_even_where_all_columns_are_asked(void **state)
{
	struct fixture *f = *state;
	f->array.length = 7;
	struct ArrowArray out = project(f, "012");
	assert_ptr_not_equal(out.children, f->before.children);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(out.children[i]->length, 7);
	}
	out.release(&out);
}

static void test_child_moved_out_outlives_its_parent(void **state)
{
	struct fixture *f = *state;
	struct ArrowArray out = project(f, "20"), child;
	ArrowArrayMove(out.children[1], &child);
	out.release(&out);
	assert_int_equal(f->released, 0);
	assert_int_equal(((const int64_t *)child.buffers[1])[9], 109);
	child.release(&child);
	assert_null(child.release);
	assert_int_equal(f->released, 1);
}

static void test_child_moved_out_may_go_first(void **state)
{
	struct fixture *f = *state;
	struct ArrowArray out = project(f, "20"), child;
	ArrowArrayMove(out.children[0], &child);
	child.release(&child);
	assert_int_equal(f->released, 0);
	assert_int_equal(((const int64_t *)out.children[1]->buffers[1])[0], 100);
	out.release(&out);
	assert_int_equal(f->released, 1);
}

static void test_children_moved_out_release_the_batch_once(void **state)
{
	struct fixture *f = *state;
	struct ArrowArray out = project(f, "1120"), children[4];
	for (int i = 0; i < 4; i++) {
		ArrowArrayMove(out.children[i], &children[i]);
	}
	out.release(&out);
	static const int order[] = {2, 0, 3, 1};
	for (int i = 0; i < 4; i++) {
		assert_int_equal(f->released, 0);
		children[order[i]].release(&children[order[i]]);
	}
	assert_int_equal(f->released, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_identity_passes_the_very_same_array),
	    TEST(test_reordered_columns_keep_their_buffers),
	    TEST(test_column_asked_twice_shares_its_buffers),
	    TEST(test_no_columns_keep_the_row_count),
	    TEST(test_offset_of_the_root_moves_into_its_children),
	    TEST(test_trimmed_child_no_longer_knows_its_nulls),
	    TEST(test_child_of_the_same_length_keeps_its_null_count),
	    TEST(test_longer_child_is_trimmed_even_where_all_columns_are_asked),
	    TEST(test_child_moved_out_outlives_its_parent),
	    TEST(test_child_moved_out_may_go_first),
	    TEST(test_children_moved_out_release_the_batch_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
