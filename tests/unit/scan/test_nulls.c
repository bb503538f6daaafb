#include "one_column.h"

static void forbids_null(struct fixture *f, const char *message)
{
	assert_fails(validate(f, false), BSC_MISMATCH, &f->err, message);
	assert_fails(validate(f, true), BSC_MISMATCH, &f->err, message);
}

static struct ArrowSchema required(struct ArrowSchema column)
{
	column.flags = 0;
	return column;
}

static struct ArrowSchema int_column(void)
{
	struct ArrowSchema column;
	mock_field_init(&column, "x", "i");
	return column;
}

static void test_null_in_a_required_column_is_a_mismatch(void **state)
{
	struct fixture *f = *state;
	static const uint8_t bits[] = {0xFF, 0x01};
	for (int64_t count = -1; count < 2; count += 2) {
		batch_of(f, required(int_column()));
		f->x->buffers[0] = bits;
		f->x->null_count = count;
		forbids_null(f, "column 'x' has a null, but infer_schema said that 'x' is not nullable");
	}
	batch_of(f, int_column());
	f->x->buffers[0] = bits;
	f->x->null_count = 1;
	accepts(f, true);
}

static void test_required_column_with_a_bitmap_of_ones_passes(void **state)
{
	struct fixture *f = *state;
	static const uint8_t bits[] = {0xFF, 0x03};
	batch_of(f, required(int_column()));
	f->x->buffers[0] = bits;
	f->x->null_count = -1;
	accepts(f, false);
}

static void test_null_outside_the_batch_is_not_forbidden(void **state)
{
	struct fixture *f = *state;
	static const uint8_t bits[] = {0xFD, 0x03}; /* row 1 is null */
	batch_of(f, required(int_column()));
	f->x->buffers[0] = bits;
	f->x->null_count = -1;
	f->x->offset = 1;
	f->x->length = 9;
	f->array.offset = 1;
	f->array.length = 8;
	accepts(f, false);
	f->array.offset = 0;
	forbids_null(f, "column 'x' has a null");
}

static void test_required_null_column_may_have_no_rows(void **state)
{
	struct fixture *f = *state;
	struct ArrowSchema column;
	mock_field_init(&column, "x", "n");
	batch_of(f, required(column));
	forbids_null(f, "column 'x' has a null");
	f->array.length = 0;
	accepts(f, false);
}

static void test_null_in_a_required_struct_field_is_a_mismatch(void **state)
{
	struct fixture *f = *state;
	static const uint8_t bits[] = {0xFF, 0x01};
	struct ArrowSchema column = nested("+s", "i");
	column.children[0]->flags = 0;
	batch_of(f, column);
	f->x->children[0]->buffers[0] = bits;
	f->x->children[0]->null_count = -1;
	forbids_null(f, "column 'x' has a null, but infer_schema said that 'item' is not nullable");
}

static void test_null_in_a_field_two_structs_down_is_found_by_all_offsets(void **state)
{
	struct fixture *f = *state;
	static const uint8_t bits[] = {0xBF, 0xFF}; /* row 6 is null */
	struct ArrowSchema inner = nested("+s", "i"), outer;
	inner.children[0]->flags = 0;
	mock_struct_init(&outer, "x", 1);
	mock_set_child(&outer, 0, &inner);
	batch_of(f, outer);
	struct ArrowArray *leaf = f->x->children[0]->children[0];
	leaf->buffers[0] = bits;
	leaf->null_count = -1;
	/* Row 0 of the batch is row 1 + 1 + 1 of the leaf, to which it adds 1. */
	f->array.offset = 1;
	f->x->offset = 1;
	f->x->length = 9;
	f->x->children[0]->offset = 1;
	f->x->children[0]->length = 9 + 1;
	leaf->offset = 1;
	leaf->length = 9 + 2;
	f->array.length = 2;
	accepts(f, false);
	f->array.length = 3;
	forbids_null(f, "'item' is not nullable");
}

static void test_required_field_of_a_null_struct_may_be_null(void **state)
{
	struct fixture *f = *state;
	static const uint8_t bits[] = {0xFF, 0x01};
	struct ArrowSchema column = nested("+s", "i");
	column.children[0]->flags = 0;
	batch_of(f, column);
	f->x->buffers[0] = bits;
	f->x->null_count = 1;
	f->x->children[0]->buffers[0] = bits;
	f->x->children[0]->null_count = 1;
	accepts(f, false);
}

static void test_one_zero_is_found_wherever_it_is(void **state)
{
	(void)state;
	uint8_t bits[40];
	for (int64_t from = 0; from < 70; from++) {
		for (int64_t n = 0; n < 200; n += n < 20 ? 1 : 7) {
			memset(bits, 0, sizeof(bits));
			for (int64_t i = from; i < from + n; i++) {
				ArrowBitSet(bits, i);
			}
			assert_true(bsc__all_valid(bits, from, n));
			for (int64_t i = from; i < from + n; i++) {
				ArrowBitClear(bits, i);
				assert_false(bsc__all_valid(bits, from, n));
				ArrowBitSet(bits, i);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_null_in_a_required_column_is_a_mismatch),
	    TEST(test_required_column_with_a_bitmap_of_ones_passes),
	    TEST(test_null_outside_the_batch_is_not_forbidden),
	    TEST(test_required_null_column_may_have_no_rows),
	    TEST(test_null_in_a_required_struct_field_is_a_mismatch),
	    TEST(test_null_in_a_field_two_structs_down_is_found_by_all_offsets),
	    TEST(test_required_field_of_a_null_struct_may_be_null),
	    TEST(test_one_zero_is_found_wherever_it_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
