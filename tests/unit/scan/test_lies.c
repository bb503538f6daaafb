/* One number that lies, in a column and below every parent that a column may have, cut
 * in every way. Arrays written by hand: the mock makes few such types. */
#include "mock_executor.h"
#include "scan/internal.h"

#include <stdio.h>

#define ROWS 10
#define LIAR 5 /* the row that lies */

static const struct bsc__place place = {"acme:Orders", 0, 1, 0};

/* ---- the arrays ---- */

static void keep(struct ArrowArray *array)
{
	array->release = NULL;
}

struct node {
	struct ArrowSchema type; /* moved out by the parent */
	struct ArrowArray array;
	const void *buffers[3];
	struct ArrowArray *children[2];
};

static void node_init(struct node *node, const char *format, int64_t n_buffers, int64_t n_children)
{
	*node = (struct node){0};
	mock_struct_init(&node->type, "x", n_children);
	assert_int_equal(ArrowSchemaSetFormat(&node->type, format), NANOARROW_OK);
	node->array = (struct ArrowArray){.length = ROWS,
	                                  .n_buffers = n_buffers,
	                                  .buffers = node->buffers,
	                                  .n_children = n_children,
	                                  .children = node->children,
	                                  .release = keep};
}

/* A column of 10 rows, of which number 5 is a lie that `told` names. */
struct lie {
	const char *told;
	const char *format;
	const char *values; /* of a dictionary of three */
	const void *numbers;
	uint8_t null_rows[2]; /* bits of a bitmap; zero: none */
	int64_t null_count;
};

static const int64_t data[2 * ROWS];
static const int32_t falls[] = {0, 1, 2, 3, 4, 9, 6, 7, 8, 9, 10};
static const int32_t falls_below_0[] = {0, 1, 2, 3, 4, -5, 6, 7, 8, 9, 10};
static const int64_t falls_far[] = {0, 1, 2, 3, 4, INT64_MAX, 6, 7, 8, 9, 10};
static const int64_t wraps[] = {0, 1, 2, 3, 4, INT64_MIN, 6, 7, 8, 9, 10};
static const int8_t indices8[] = {0, 1, 2, 0, 1, -1, 1, 2, 0, 1};
static const uint8_t unsigned8[] = {0, 1, 2, 0, 1, 200, 1, 2, 0, 1};
static const int16_t indices16[] = {0, 1, 2, 0, 1, INT16_MIN, 1, 2, 0, 1};
static const uint16_t unsigned16[] = {0, 1, 2, 0, 1, UINT16_MAX, 1, 2, 0, 1};
static const int32_t indices32[] = {0, 1, 2, 0, 1, 3, 1, 2, 0, 1};
static const int32_t far_indices32[] = {0, 1, 2, 0, 1, 2000000000, 1, 2, 0, 1};
static const uint32_t unsigned32[] = {0, 1, 2, 0, 1, 3000000000, 1, 2, 0, 1};
static const int64_t indices64[] = {0, 1, 2, 0, 1, -1, 1, 2, 0, 1};
static const uint64_t unsigned64[] = {0, 1, 2, 0, 1, UINT64_MAX, 1, 2, 0, 1};

#define OFFSETS "has offsets that are negative or fall"
#define INDEX "has a dictionary index outside its dictionary"
#define COUNT "has a null count that its bitmap contradicts"

static const struct lie lies[] = {
    {OFFSETS, "u", NULL, falls, {0}, 0},         {OFFSETS, "z", NULL, falls_below_0, {0}, 0},
    {OFFSETS, "U", NULL, falls_far, {0}, 0},     {OFFSETS, "Z", NULL, wraps, {0}, 0},
    {INDEX, "c", "l", indices8, {0}, 0},         {INDEX, "C", "l", unsigned8, {0}, 0},
    {INDEX, "s", "l", indices16, {0}, 0},        {INDEX, "S", "l", unsigned16, {0}, 0},
    {INDEX, "i", "l", indices32, {0}, 0},        {INDEX, "i", "l", far_indices32, {0}, 0},
    {INDEX, "I", "l", unsigned32, {0}, 0},       {INDEX, "l", "l", indices64, {0}, 0},
    {INDEX, "L", "l", unsigned64, {0}, 0},       {INDEX, "c", "l", indices8, {1 << 3, 0}, 1}, /* another row is null */
    {COUNT, "l", NULL, data, {1 << LIAR, 0}, 0}, {COUNT, "b", NULL, data, {1 << LIAR, 0}, 0},
};

/* The values of the dictionary, and the bitmap. */
struct liar {
	struct node column, values;
	uint8_t bitmap[2];
};

static void liar_init(struct liar *liar, const struct lie *lie)
{
	bool text = strchr("uzUZ", lie->format[0]);
	node_init(&liar->column, lie->format, text ? 3 : 2, 0);
	liar->column.buffers[1] = lie->numbers;
	liar->column.buffers[2] = data;
	liar->column.array.null_count = lie->null_count;
	if (lie->null_rows[0]) {
		liar->bitmap[0] = (uint8_t)~lie->null_rows[0];
		liar->bitmap[1] = 0xFF;
		liar->column.buffers[0] = liar->bitmap;
	}
	if (lie->values) {
		struct ArrowSchema values;
		mock_field_init(&values, "", lie->values);
		assert_int_equal(ArrowSchemaAllocateDictionary(&liar->column.type), NANOARROW_OK);
		*liar->column.type.dictionary = values;
		node_init(&liar->values, "l", 2, 0);
		liar->values.type.release(&liar->values.type);
		liar->values.buffers[1] = data;
		liar->values.array.length = 3;
		liar->column.array.dictionary = &liar->values.array;
	}
}

/* ---- the parents ---- */

static const int32_t one_each[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
static const int64_t one_each64[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
static const int32_t ones[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
static const int64_t ones64[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

/* A column of 10 rows of which each has the child's row of its number. all: its engine
 * reads the child whole. */
static const struct parent {
	const char *format;
	int64_t n_buffers;
	const void *buffers[3];
	bool all;
} parents[] = {
    {"+s", 1, {NULL}, false},
    {"+w:1", 1, {NULL}, false},
    {"+l", 2, {NULL, one_each}, false},
    {"+L", 2, {NULL, one_each64}, false},
    {"+vl", 3, {NULL, one_each, ones}, false},
    {"+vL", 3, {NULL, one_each64, ones64}, false},
    {"+us:0", 1, {data}, false},
    {"+ud:0", 2, {data, one_each}, true},
    {"+r", 0, {NULL}, true},
    {"dictionary", 2, {NULL, one_each}, true},
};

/* child: its type moved. ends: the node of run ends. */
static void parent_init(struct node *node, const struct parent *parent, struct node *child, struct node *ends)
{
	bool runs = strcmp(parent->format, "+r") == 0, dictionary = parent->format[0] == 'd';
	node_init(node, dictionary ? "i" : parent->format, parent->n_buffers, dictionary ? 0 : runs ? 2 : 1);
	memcpy(node->buffers, parent->buffers, sizeof(node->buffers));
	if (dictionary) {
		assert_int_equal(ArrowSchemaAllocateDictionary(&node->type), NANOARROW_OK);
		*node->type.dictionary = child->type;
		node->array.dictionary = &child->array;
		return;
	}
	if (runs) {
		node_init(ends, "i", 2, 0);
		ends->buffers[1] = one_each + 1;
		mock_set_child(&node->type, 0, &ends->type);
		node->children[0] = &ends->array;
	}
	mock_set_child(&node->type, runs, &child->type);
	node->children[runs] = &child->array;
}

/* ---- the check ---- */

/* Rows [from, from + n) of a batch of the column, whose type is the caller's. */
static int validate(struct node *column, int64_t from, int64_t n, bool full, struct bsc_error *err)
{
	struct ArrowSchema declared, schema, type;
	struct bsc__match match;
	struct bsc__validate v;
	int64_t asked = 0;
	const void *none[1] = {NULL};
	struct ArrowArray *columns[1] = {&column->array};
	struct ArrowArray batch = {.length = n,
	                           .offset = from,
	                           .n_buffers = 1,
	                           .buffers = none,
	                           .n_children = 1,
	                           .children = columns,
	                           .release = keep};
	mock_struct_init(&declared, "", 1);
	assert_ok(bsc_schema_copy(&column->type, &type, err), err);
	mock_set_child(&declared, 0, &type);
	assert_ok(bsc__match_init(&match, &declared, &asked, 1, err), err);
	assert_ok(bsc_schema_copy(&declared, &schema, err), err);
	assert_ok(bsc__match_schema(&match, &schema, &place, err), err);
	assert_ok(bsc__validate_init(&v, &match, full, err), err);
	int rc = bsc__validate_batch(&v, &match, &batch, &place, err);
	bsc__validate_release(&v);
	bsc__match_release(&match);
	declared.release(&declared);
	return rc;
}

static void refuses(struct node *column, int64_t from, int64_t n, bool full, const char *told)
{
	struct bsc_error err;
	char text[200];
	snprintf(text, sizeof(text), "acme:Orders, partition 0 of 1, batch 0: column 'x' %s", told);
	assert_fails(validate(column, from, n, full, &err), BSC_MALFORMED, &err, text);
}

static void accepts(struct node *column, int64_t from, int64_t n, bool full)
{
	struct bsc_error err;
	assert_ok(validate(column, from, n, full, &err), &err);
}

/* Found in each mode where its row is read; behind it where `all` is, or in full. The
 * last row of the text that is read may be the end of the one before. */
static void finds(struct node *column, const char *told, bool all)
{
	refuses(column, 0, ROWS, false, told);
	refuses(column, 0, ROWS, true, told);
	refuses(column, LIAR, 1, false, told);
	refuses(column, 3, 4, false, told);
	for (int64_t from = 0; from <= LIAR + 2; from += LIAR + 2) {
		int64_t n = from ? ROWS - from : LIAR - 1;
		if (all) {
			refuses(column, from, n, false, told);
		} else {
			accepts(column, from, n, false);
		}
		refuses(column, from, n, true, told);
	}
}

static void test_lie_in_a_column_is_found_where_it_is_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(lies); i++) {
		struct liar liar;
		liar_init(&liar, &lies[i]);
		finds(&liar.column, lies[i].told, false);
		liar.column.type.release(&liar.column.type);
	}
}

static void test_lie_below_any_parent_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(lies); i++) {
		for (size_t k = 0; k < LENGTH(parents); k++) {
			for (size_t j = 0; j < LENGTH(parents); j++) {
				struct liar liar;
				struct node parent, ends, grandparent, other_ends;
				liar_init(&liar, &lies[i]);
				parent_init(&parent, &parents[k], &liar.column, &ends);
				finds(&parent, lies[i].told, parents[k].all);
				parent_init(&grandparent, &parents[j], &parent, &other_ends);
				finds(&grandparent, lies[i].told, parents[k].all || parents[j].all);
				grandparent.type.release(&grandparent.type);
			}
		}
	}
}

static void test_lie_in_a_column_with_an_offset_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(lies); i++) {
		struct liar liar;
		liar_init(&liar, &lies[i]);
		struct ArrowArray *array = &liar.column.array;
		array->offset = 2;
		array->length = 6;
		refuses(&liar.column, 1, 4, false, lies[i].told);
		array->offset = LIAR + 2;
		array->length = ROWS - LIAR - 2;
		/* Nothing of it is left to be seen, but for the null that the count forgets. */
		if (array->null_count == 0) {
			accepts(&liar.column, 0, array->length, false);
			accepts(&liar.column, 0, array->length, true);
		}
		liar.column.type.release(&liar.column.type);
	}
}

/* ---- what is no lie ---- */

static void test_index_of_a_null_may_be_anything(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(lies); i++) {
		struct lie lie = lies[i];
		if (!lie.values) {
			continue;
		}
		for (int64_t count = -1; count < 2; count += 2) {
			struct liar liar;
			lie.null_rows[0] = 1 << LIAR;
			lie.null_count = count;
			liar_init(&liar, &lie);
			accepts(&liar.column, 0, ROWS, false);
			accepts(&liar.column, 0, ROWS, true);
			liar.column.type.release(&liar.column.type);
		}
	}
}

static void test_dictionary_without_values_is_for_nulls_alone(void **state)
{
	(void)state;
	struct lie lie = {"", "i", "l", one_each, {0xFF, 0}, -1};
	struct liar liar;
	liar_init(&liar, &lie);
	liar.values.array.length = 0;
	liar.bitmap[1] = 0;
	accepts(&liar.column, 0, ROWS, false);
	accepts(&liar.column, 0, ROWS, true);
	liar.bitmap[1] = 1;
	refuses(&liar.column, 0, ROWS, false, INDEX);
	liar.column.type.release(&liar.column.type);
}

static void test_index_may_be_as_large_as_its_type_can_say(void **state)
{
	(void)state;
	static const uint8_t unsigned_indices[] = {0, 255, 254, 128, 127, 0, 0, 0, 0, 0};
	static const int8_t signed_indices[] = {0, 127, 126, 1, 2, 0, 0, 0, 0, 0};
	static int64_t values[300];
	for (int i = 0; i < 2; i++) {
		struct lie lie = {"", i ? "C" : "c", "l", i ? (const void *)unsigned_indices : signed_indices, {0}, 0};
		struct liar liar;
		liar_init(&liar, &lie);
		liar.values.buffers[1] = values;
		liar.values.array.length = i ? 256 : 300;
		accepts(&liar.column, 0, ROWS, false);
		if (!i) { /* -1 is 255 without its sign, of 300 */
			liar.column.buffers[1] = indices8;
			refuses(&liar.column, 0, ROWS, false, INDEX);
		}
		liar.column.type.release(&liar.column.type);
	}
}

/* Counts where a bitmap begins and ends within bytes and words. */
static void test_null_count_is_compared_whatever_the_bitmap_s_ends(void **state)
{
	(void)state;
	static uint8_t bits[512];
	static int64_t numbers[8 * sizeof(bits)];
	memset(bits, 0xFF, sizeof(bits));
	bits[100] = 0x7E; /* rows 800 and 807 are null */
	static const int64_t ends[][2] = {{0, 4096}, {800, 8}, {799, 9}, {799, 66}, {700, 200}, {736, 129}, {673, 3000}};
	for (size_t i = 0; i < LENGTH(ends); i++) {
		struct node node;
		node_init(&node, "l", 2, 0);
		node.buffers[0] = bits;
		node.buffers[1] = numbers;
		node.array.offset = ends[i][0];
		node.array.length = ends[i][1];
		for (int64_t count = 0; count < 4; count++) {
			node.array.null_count = count;
			if (count == 2) {
				accepts(&node, 0, node.array.length, false);
			} else {
				refuses(&node, 0, node.array.length, false, COUNT);
			}
		}
		/* Of a part, as many as could be there. */
		node.array.null_count = 2;
		accepts(&node, 0, node.array.length - 1, false);
		node.array.null_count = node.array.length;
		refuses(&node, 0, node.array.length - 1, false, COUNT);
		node.type.release(&node.type);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lie_in_a_column_is_found_where_it_is_read),
	    cmocka_unit_test(test_lie_below_any_parent_is_found),
	    cmocka_unit_test(test_lie_in_a_column_with_an_offset_is_found),
	    cmocka_unit_test(test_index_of_a_null_may_be_anything),
	    cmocka_unit_test(test_dictionary_without_values_is_for_nulls_alone),
	    cmocka_unit_test(test_index_may_be_as_large_as_its_type_can_say),
	    cmocka_unit_test(test_null_count_is_compared_whatever_the_bitmap_s_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
