#include "any_array.h"

#include "process/layout.h"

/* ---- a worker and its host, in one process ---- */

static struct bsc__segments segments;
static struct bsc__arena *arena;
static struct bsc__bytes out;
static struct bsc_error err;

struct released {
	int times;
	uint64_t slot, bytes;
};

static bool on_segment(void *ctx, uint64_t segment, uint64_t size, int fd)
{
	(void)ctx;
	return bsc__segments_add(&segments, segment, size, fd, &err) == BSC_OK;
}

static void on_drop(void *ctx, uint64_t segment)
{
	(void)ctx;
	bsc__segments_drop(&segments, segment);
}

static void on_release(void *ctx, uint64_t slot, uint64_t bytes)
{
	struct released *released = ctx;
	released->times++;
	released->slot = slot;
	released->bytes = bytes;
}

static int setup(void **state)
{
	(void)state;
	dice = 1;
	bsc__bytes_init(&out, 1 << 20);
	const struct bsc__arena_host calls = {on_segment, on_drop, NULL};
	return bsc__arena_new(&calls, &arena, &err);
}

static int teardown(void **state)
{
	(void)state;
	bsc__arena_free(arena);
	bsc__segments_release(&segments);
	bsc__bytes_release(&out);
	free_blocks();
	return 0;
}

/* A schema, with both ends' knowledge of it. */
struct ends {
	struct ArrowSchema schema;
	struct bsc__layout layout;
	struct bsc__unlayout unlayout;
};

static void open_ends(struct ends *ends, const char *type)
{
	assert_string_equal(parse_type(&ends->schema, type), "");
	assert_ok(bsc__layout_init(&ends->layout, &ends->schema, &err), &err);
	assert_ok(bsc__unlayout_init(&ends->unlayout, &ends->schema, &err), &err);
}

static void close_ends(struct ends *ends)
{
	ends->schema.release(&ends->schema);
	bsc__layout_release(&ends->layout);
	bsc__unlayout_release(&ends->unlayout);
}

static int read_back(struct ends *ends, const struct bsc__slot *slot, struct ArrowArray *array,
                     struct released *released)
{
	uint64_t bytes;
	struct bsc__view in = {out.ptr, out.len, false};
	const struct bsc__on_release calls = {on_release, released};
	*released = (struct released){0};
	int rc = bsc__array_read(&ends->unlayout, &in, &segments, slot->number, &calls, array, &bytes, &err);
	assert_true(rc != BSC_OK || (in.left == 0 && bytes == slot->size));
	return rc;
}

static void send(struct ends *ends, const struct ArrowArray *array, const bool *asked, struct bsc__slot *slot,
                 struct ArrowArray *back, struct released *released)
{
	bsc__bytes_clear(&out);
	assert_ok(bsc__layout_write(&ends->layout, array, asked, arena, &out, slot, &err), &err);
	assert_ok(read_back(ends, slot, back, released), &err);
}

static void assert_equal_arrays(const struct ArrowSchema *schema, const struct ArrowArray *a,
                                const struct ArrowArray *b)
{
	struct ArrowArrayView x, y;
	struct ArrowError reason = {""};
	struct ArrowArray known = *a;
	known.null_count = known.null_count == -1 && !known.buffers[0] ? 0 : known.null_count;
	assert_int_equal(ArrowArrayViewInitFromSchema(&x, schema, NULL), 0);
	assert_int_equal(ArrowArrayViewInitFromSchema(&y, schema, NULL), 0);
	if (ArrowArrayViewSetArray(&x, &known, &reason) != 0 || ArrowArrayViewSetArray(&y, b, &reason) != 0) {
		fail_msg("%s", reason.message);
	}
	assert_int_equal(a->length, b->length);
	for (int64_t i = 0; i < a->length; i++) {
		assert_equal_values(&x, i, &y, i);
	}
	ArrowArrayViewReset(&x);
	ArrowArrayViewReset(&y);
}

/* The producer's -1 without a bitmap is 0: nanoarrow wants to hear it so. */
static void tell_null_counts(struct ArrowArray *array, bool has_validity)
{
	if (has_validity && array->n_buffers > 0 && array->null_count == -1 && !array->buffers[0]) {
		array->null_count = 0;
	}
	for (int64_t i = 0; i < array->n_children; i++) {
		tell_null_counts(array->children[i], true);
	}
	if (array->dictionary) {
		tell_null_counts(array->dictionary, true);
	}
}

static void round_trip(struct ends *ends, struct ArrowArray *array)
{
	struct bsc__slot slot;
	struct ArrowArray back;
	struct released released;
	send(ends, array, NULL, &slot, &back, &released);
	tell_null_counts(array, true);
	assert_equal_arrays(&ends->schema, array, &back);
	assert_int_equal(released.times, 0);
	back.release(&back);
	assert_null(back.release);
	assert_int_equal(released.times, 1);
	assert_true(released.slot == slot.number && released.bytes == slot.size);
	bsc__arena_release(arena, slot.number);
}

/* ---- every layout ---- */

static const char *const types[] = {
    "n", "b", "c", "C", "s", "S", "i", "I", "l", "L", "e", "f", "g", "tdD", "tdm", "tts", "ttn", "tsu:UTC", "tDs",
    "tiM", "tiD", "tin", "d:9,2,32", "d:18,2,64", "d:38,2", "d:76,2,256", "w:0", "w:3", "w:17",
    /* of any length */
    "z", "Z", "u", "U", "vz", "vu",
    /* nested */
    "+l(i)", "+L(i)", "+l(u)", "+L(b)", "+l(+l(u))", "+vl(i)", "+vL(u)", "+vl(+vL(vu))", "+m(+s(u|i))", "+w:0(i)",
    "+w:3(i)", "+w:2(u)", "+w:3(b)", "+w:2(+w:3(b))", "+s(i)", "+s(b|u|+l(i))", "+s(+s(b)|vu)", "+l(+s(b|z))",
    /* unions, runs, dictionaries */
    "+us:0,1(i|u)", "+us:5,2(+s(b|u)|+l(b))", "+ud:0,1(i|u)", "+ud:7,3(+l(u)|vu)", "+l(+us:0,1(b|u))", "+r(s|u)",
    "+r(i|b)", "+r(l|+l(u))", "+s(+r(i|vu)|b)", "c[u]", "S[+l(u)]", "l[c[vu]]", "+l(i[u])", "+w:2(c[b])",
    "+s(C[+r(i|u)]|n)", "+w:3(n)"};

static void test_every_layout_comes_through_with_its_values(void **state)
{
	(void)state;
	const int64_t lengths[] = {0, 1, 7, 8, 9, 64, 203}, offsets[] = {0, 1, 8, 13};
	for (size_t t = 0; t < LENGTH(types); t++) {
		char type[64];
		struct ends ends;
		snprintf(type, sizeof(type), "+s(%s)", types[t]);
		open_ends(&ends, type);
		for (size_t k = 0; k < LENGTH(lengths) * LENGTH(offsets) * N_NULL_KINDS; k++) {
			int64_t length = lengths[k % LENGTH(lengths)], offset = offsets[k / LENGTH(lengths) % LENGTH(offsets)];
			struct ArrowArray *root = any_array(&ends.schema, length, offset, NO_NULLS);
			root->children[0] =
			    any_array(ends.schema.children[0], offset + length, below(2) ? offsets[below(4)] : 0, (int)(k % 4));
			round_trip(&ends, root);
			free_blocks();
		}
		close_ends(&ends);
	}
}

static void test_slices_come_through_with_their_values(void **state)
{
	(void)state;
	for (size_t t = 0; t < LENGTH(types); t++) {
		char type[64];
		struct ends ends;
		snprintf(type, sizeof(type), "+s(%s|i)", types[t]);
		open_ends(&ends, type);
		struct ArrowArray *root = any_array(&ends.schema, 300, 5, NULLS);
		root->null_count = -1;
		for (int i = 0; i < 40; i++) {
			root->offset = below(200);
			root->length = below(305 - root->offset);
			round_trip(&ends, root);
		}
		close_ends(&ends);
		free_blocks();
	}
}

/* What is shared with a release later on must not be in a struct that moves. */
static void test_children_may_be_moved_out_and_released_alone(void **state)
{
	(void)state;
	struct ends ends;
	struct bsc__slot slot;
	struct ArrowArray back, list, items, words;
	struct released released;
	open_ends(&ends, "+s(+l(u)|c[u]|i)");
	struct ArrowArray *root = any_array(&ends.schema, 50, 3, NO_NULLS);
	send(&ends, root, NULL, &slot, &back, &released);
	ArrowArrayMove(back.children[0], &list);
	ArrowArrayMove(list.children[0], &items);
	ArrowArrayMove(back.children[1]->dictionary, &words);
	back.release(&back);
	list.release(&list);
	assert_int_equal(released.times, 0);
	/* The worker's end goes: what it gave stays. */
	bsc__segments_drop(&segments, slot.segment);
	struct ArrowArrayView view;
	assert_int_equal(ArrowArrayViewInitFromSchema(&view, ends.schema.children[1]->dictionary, NULL), 0);
	assert_int_equal(ArrowArrayViewSetArray(&view, &words, NULL), 0);
	for (int64_t i = 0; i < words.length; i++) {
		assert_true(ArrowArrayViewGetBytesUnsafe(&view, i).size_bytes < 4);
	}
	ArrowArrayViewReset(&view);
	words.release(&words);
	assert_int_equal(released.times, 0);
	items.release(&items);
	assert_int_equal(released.times, 1);
	close_ends(&ends);
}

static void test_columns_that_are_not_asked_for_are_absent(void **state)
{
	(void)state;
	struct ends ends;
	struct bsc__slot all, some;
	struct ArrowArray back;
	struct released released;
	const bool asked[] = {false, true, false};
	open_ends(&ends, "+s(+l(u)|i|l)");
	struct ArrowArray *root = any_array(&ends.schema, 1000, 3, NO_NULLS);
	send(&ends, root, NULL, &all, &back, &released);
	back.release(&back);
	/* Nobody looks at them. */
	root->children[0] = NULL;
	send(&ends, root, asked, &some, &back, &released);
	assert_true(some.size < all.size / 2);
	assert_int_equal(back.n_children, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(back.children[i]->length, back.offset + 1000);
		assert_int_equal(back.children[i]->n_buffers, asked[i] ? 2 : 0);
		assert_int_equal(back.children[i]->n_children, 0);
	}
	const int32_t *values = (const int32_t *)back.children[1]->buffers[1] + back.children[1]->offset + back.offset;
	const int32_t *wanted = (const int32_t *)root->children[1]->buffers[1] + root->children[1]->offset + 3;
	assert_memory_equal(values, wanted, 1000 * sizeof(*values));
	back.release(&back);
	assert_int_equal(released.times, 1);
	close_ends(&ends);
}

static void test_a_column_of_no_known_type_is_absent(void **state)
{
	(void)state;
	struct ends ends;
	struct bsc__slot slot;
	struct ArrowArray back, *root;
	struct released released;
	struct ArrowSchema known;
	parse_type(&known, "+s(i|i|i)");
	open_ends(&ends, "+s(what|i|w:99999999999)");
	root = any_array(&known, 5, 0, NO_NULLS);
	send(&ends, root, NULL, &slot, &back, &released);
	assert_int_equal(back.children[0]->n_buffers, 0);
	assert_int_equal(back.children[1]->n_buffers, 2);
	assert_int_equal(back.children[2]->n_buffers, 0);
	back.release(&back);
	known.release(&known);
	close_ends(&ends);
}

static void test_only_what_the_rows_lead_to_is_copied(void **state)
{
	(void)state;
	const char *const sliced[] = {"l", "u", "+l(l)", "+s(u|l)", "+w:4(l)", "+us:0,1(l|u)"};
	for (size_t t = 0; t < LENGTH(sliced); t++) {
		char type[64];
		struct ends ends;
		struct bsc__slot slot;
		snprintf(type, sizeof(type), "+s(%s)", sliced[t]);
		open_ends(&ends, type);
		struct ArrowArray *root = any_array(&ends.schema, 5000, 0, NO_NULLS);
		root->offset = 4000;
		root->length = 10;
		bsc__bytes_clear(&out);
		assert_ok(bsc__layout_write(&ends.layout, root, NULL, arena, &out, &slot, &err), &err);
		assert_true(slot.size < 2000);
		close_ends(&ends);
		free_blocks();
	}
}

static void test_a_slice_of_string_views_leaves_the_rest_of_their_data(void **state)
{
	(void)state;
	enum { ROWS = 10000, EACH = 100 };
	struct ends ends;
	struct bsc__slot slot;
	open_ends(&ends, "+s(vu)");
	struct ArrowArray *root = any_array(&ends.schema, ROWS, 0, NO_NULLS), *column = root->children[0];
	column->offset = 0;
	column->length = ROWS;
	column->buffers[0] = NULL;
	column->null_count = 0;
	char *data = any_bytes((int64_t)ROWS * EACH);
	union ArrowBinaryView *views = block(ROWS * 16);
	column->buffers[1] = views;
	column->buffers[2] = data;
	int64_t *sizes = (int64_t *)column->buffers[5];
	sizes[0] = ROWS * EACH;
	for (int i = 0; i < ROWS; i++) {
		views[i].ref = (struct ArrowBinaryViewRef){EACH, {0}, 0, i * EACH};
		memcpy(views[i].ref.prefix, data + (size_t)i * EACH, 4);
	}
	root->offset = 7000;
	root->length = 20;
	bsc__bytes_clear(&out);
	assert_ok(bsc__layout_write(&ends.layout, root, NULL, arena, &out, &slot, &err), &err);
	assert_true(slot.size >= 20 * EACH && slot.size < 40 * EACH);
	round_trip(&ends, root);
	close_ends(&ends);
}

static void test_a_description_that_is_too_long_takes_no_slot(void **state)
{
	(void)state;
	struct ends ends;
	struct bsc__slot slot;
	open_ends(&ends, "+s(i|i)");
	struct ArrowArray *root = any_array(&ends.schema, 5, 0, NO_NULLS);
	struct bsc__bytes small;
	bsc__bytes_init(&small, 40);
	bsc__put_u8(&small, 1);
	assert_fails(bsc__layout_write(&ends.layout, root, NULL, arena, &small, &slot, &err), BSC_NOMEM, &err,
	             "more than 40 bytes");
	assert_int_equal(small.len, 1);
	assert_int_equal(slot.number, 0);
	bsc__bytes_release(&small);
	close_ends(&ends);
}

static void test_what_is_no_struct_of_columns_is_refused(void **state)
{
	(void)state;
	struct ArrowSchema schema;
	struct bsc__layout layout;
	struct bsc__unlayout unlayout;
	const char *const others[] = {"i", "+l(i)", "c[u]", "+sx"};
	for (size_t i = 0; i < LENGTH(others); i++) {
		parse_type(&schema, others[i]);
		assert_fails(bsc__layout_init(&layout, &schema, &err), BSC_MALFORMED, &err, "no struct");
		assert_fails(bsc__unlayout_init(&unlayout, &schema, &err), BSC_MALFORMED, &err, "no struct");
		bsc__layout_release(&layout);
		bsc__unlayout_release(&unlayout);
		schema.release(&schema);
	}
}

/* ---- arrays that contradict their schema or themselves ---- */

static void assert_refused(struct ends *ends, const struct ArrowArray *root, const char *text)
{
	struct bsc__slot slot;
	bsc__bytes_clear(&out);
	bsc__put_u8(&out, 9);
	assert_fails(bsc__layout_write(&ends->layout, root, NULL, arena, &out, &slot, &err), BSC_MALFORMED, &err, text);
	assert_int_equal(out.len, 1);
	assert_int_equal(slot.number, 0);
}

#define REFUSE_WITH(place, value, text)                                                                                \
	do {                                                                                                               \
		__typeof__(place) kept_ = (place);                                                                             \
		(place) = (value);                                                                                             \
		assert_refused(&ends, root, (text));                                                                           \
		(place) = kept_;                                                                                               \
	} while (0)

static void test_broken_structs_are_refused_by_name(void **state)
{
	(void)state;
	struct ends ends;
	open_ends(&ends, "+s(i|+l(u)|c[u])");
	struct ArrowArray *root = any_array(&ends.schema, 50, 3, NO_NULLS);
	struct ArrowArray *ints = root->children[0], *list = root->children[1], *words = root->children[2];
	REFUSE_WITH(root->n_children, 2, "another number of columns");
	REFUSE_WITH(root->children, NULL, "another number of columns");
	REFUSE_WITH(root->n_buffers, 2, "not laid out as a struct");
	REFUSE_WITH(root->buffers, NULL, "not laid out as a struct");
	REFUSE_WITH(root->length, -1, "out of range");
	REFUSE_WITH(root->offset, INT64_MAX, "out of range");
	REFUSE_WITH(root->length, 5000, "column 'i' is shorter than its batch");
	REFUSE_WITH(root->children[0], NULL, "column 'i' was released already");
	REFUSE_WITH(ints->release, NULL, "column 'i' was released already");
	REFUSE_WITH(ints->length, INT64_MAX, "column 'i' has a length or an offset out of range");
	REFUSE_WITH(ints->length, -1, "column 'i' has a length or an offset out of range");
	REFUSE_WITH(ints->offset, -1, "column 'i' has a length or an offset out of range");
	REFUSE_WITH(ints->null_count, -2, "column 'i' has a null count out of range");
	REFUSE_WITH(ints->null_count, 5000, "column 'i' has a null count out of range");
	REFUSE_WITH(ints->n_buffers, 1, "column 'i' has a wrong number of buffers");
	REFUSE_WITH(ints->buffers, NULL, "column 'i' has no list of buffers");
	REFUSE_WITH(ints->buffers[1], NULL, "column 'i' has a buffer that is missing");
	REFUSE_WITH(ints->n_children, 1, "column 'i' has a wrong number of children");
	REFUSE_WITH(ints->dictionary, words->dictionary, "column 'i' has a dictionary, but");
	REFUSE_WITH(words->dictionary, NULL, "column 'c' has no dictionary, but");
	REFUSE_WITH(words->dictionary->release, NULL, "column 'c' was released already");
	REFUSE_WITH(list->children, NULL, "column '+l' has a wrong number of children");
	REFUSE_WITH(list->children[0], NULL, "column '+l' was released already");
	REFUSE_WITH(list->children[0]->n_buffers, 0, "column '+l' has a wrong number of buffers");
	REFUSE_WITH(list->children[0]->length, 2, "column '+l' has a list outside its items");
	REFUSE_WITH(list->buffers[1], NULL, "column '+l' has a buffer that is missing");
	ints->buffers[0] = NULL;
	ints->null_count = 0;
	REFUSE_WITH(ints->null_count, 1, "column 'i' has nulls, but no bitmap");
	int32_t *offsets = (int32_t *)list->buffers[1] + list->offset + 3;
	REFUSE_WITH(offsets[0], -1, "has offsets that are negative or fall");
	REFUSE_WITH(offsets[50], -1, "has offsets that are negative or fall");
	REFUSE_WITH(offsets[0], INT32_MAX, "has offsets that are negative or fall");
	REFUSE_WITH(offsets[50], INT32_MAX, "has a list outside its items");
	round_trip(&ends, root);
	close_ends(&ends);
}

static void test_views_outside_their_buffers_are_refused(void **state)
{
	(void)state;
	struct ends ends;
	open_ends(&ends, "+s(vu|+vl(i))");
	struct ArrowArray *root = any_array(&ends.schema, 50, 0, NO_NULLS);
	struct ArrowArray *text = root->children[0], *list = root->children[1];
	text->buffers[0] = NULL;
	text->null_count = 0;
	union ArrowBinaryView *view = (union ArrowBinaryView *)text->buffers[1] + text->offset;
	view->ref = (struct ArrowBinaryViewRef){20, {0}, 1, 480};
	round_trip(&ends, root);
	REFUSE_WITH(view->ref.size, -1, "has a string view outside its buffers");
	REFUSE_WITH(view->ref.size, 21, "has a string view outside its buffers");
	REFUSE_WITH(view->ref.size, INT32_MAX, "has a string view outside its buffers");
	REFUSE_WITH(view->ref.offset, 481, "has a string view outside its buffers");
	REFUSE_WITH(view->ref.offset, -1, "has a string view outside its buffers");
	REFUSE_WITH(view->ref.buffer_index, 3, "has a string view outside its buffers");
	REFUSE_WITH(view->ref.buffer_index, -1, "has a string view outside its buffers");
	REFUSE_WITH(text->buffers[5], NULL, "has no sizes of its variadic buffers");
	REFUSE_WITH(text->buffers[3], NULL, "has a buffer that is missing");
	REFUSE_WITH(text->buffers[1], NULL, "has a buffer that is missing");
	REFUSE_WITH(text->n_buffers, 2, "has a wrong number of buffers");
	int32_t *start = (int32_t *)list->buffers[1] + list->offset, *size = (int32_t *)list->buffers[2] + list->offset;
	REFUSE_WITH(*start, -1, "has a list outside its items");
	REFUSE_WITH(*start, INT32_MAX, "has a list outside its items");
	REFUSE_WITH(*size, -1, "has a list outside its items");
	REFUSE_WITH(*size, INT32_MAX, "has a list outside its items");
	REFUSE_WITH(list->buffers[2], NULL, "has a buffer that is missing");
	close_ends(&ends);
}

/* A wrong offset in the middle is found by who reads them all: it must stay wrong. */
static void test_offsets_that_fall_in_the_middle_still_do(void **state)
{
	(void)state;
	struct ends ends;
	open_ends(&ends, "+s(u)");
	const int32_t wrong[] = {-1, INT32_MIN, INT32_MAX, 0};
	for (size_t k = 0; k < LENGTH(wrong); k++) {
		struct bsc__slot slot;
		struct ArrowArray back, *root = any_array(&ends.schema, 20, 0, NO_NULLS);
		struct released released;
		int32_t *offsets = (int32_t *)root->children[0]->buffers[1] + root->children[0]->offset;
		for (int i = 0; i <= 20; i++) {
			offsets[i] = 7 + i;
		}
		offsets[10] = wrong[k];
		root->children[0]->buffers[2] = any_bytes(40);
		send(&ends, root, NULL, &slot, &back, &released);
		const int32_t *sent = (const int32_t *)back.children[0]->buffers[1] + back.children[0]->offset;
		bool rises = true;
		for (int i = 0; i < 20; i++) {
			rises = rises && sent[i] >= 0 && sent[i + 1] >= sent[i];
		}
		assert_false(rises);
		back.release(&back);
	}
	close_ends(&ends);
}

#define LAYOUT_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    LAYOUT_TEST(test_every_layout_comes_through_with_its_values),
	    LAYOUT_TEST(test_slices_come_through_with_their_values),
	    LAYOUT_TEST(test_children_may_be_moved_out_and_released_alone),
	    LAYOUT_TEST(test_columns_that_are_not_asked_for_are_absent),
	    LAYOUT_TEST(test_a_column_of_no_known_type_is_absent),
	    LAYOUT_TEST(test_only_what_the_rows_lead_to_is_copied),
	    LAYOUT_TEST(test_a_slice_of_string_views_leaves_the_rest_of_their_data),
	    LAYOUT_TEST(test_a_description_that_is_too_long_takes_no_slot),
	    LAYOUT_TEST(test_what_is_no_struct_of_columns_is_refused),
	    LAYOUT_TEST(test_broken_structs_are_refused_by_name),
	    LAYOUT_TEST(test_views_outside_their_buffers_are_refused),
	    LAYOUT_TEST(test_offsets_that_fall_in_the_middle_still_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
