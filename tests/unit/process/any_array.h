/* Arrays of any type, with any values: as a class may export them. And whether two are
 * equal, by nanoarrow's readers.
 *
 * A type is written as its format, then its children in ( | ), then its dictionary in [ ]:
 * "+s(i|c[u])". Each buffer is as long as its rows make it, to the byte. */
#ifndef UNIT_ANY_ARRAY_H
#define UNIT_ANY_ARRAY_H

#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "nanoarrow/nanoarrow.h"

/* ---- memory: freed at once, after a test ---- */

static void *blocks[1 << 16];
static size_t n_blocks;

static inline void *block(int64_t size)
{
	assert_true(n_blocks < LENGTH(blocks) && size >= 0);
	void *ptr = calloc(1, (size_t)size);
	assert_non_null(ptr);
	return blocks[n_blocks++] = ptr;
}

static inline void free_blocks(void)
{
	while (n_blocks > 0) {
		free(blocks[--n_blocks]);
	}
}

/* ---- numbers that are the same in each run ---- */

static uint32_t dice = 1;

static inline int64_t below(int64_t n)
{
	dice = dice * 1664525u + 1013904223u;
	return n > 0 ? (int64_t)(dice >> 8) % n : 0;
}

/* ---- types ---- */

static inline const char *parse_type(struct ArrowSchema *out, const char *text)
{
	char format[64];
	size_t n = strcspn(text, "(|)[]");
	assert_true(n < sizeof(format));
	memcpy(format, text, n);
	format[n] = '\0';
	text += n;
	ArrowSchemaInit(out);
	assert_int_equal(ArrowSchemaSetFormat(out, format), 0);
	assert_int_equal(ArrowSchemaSetName(out, format), 0);
	if (*text == '(') {
		int64_t n_children = 0;
		struct ArrowSchema children[8];
		do {
			text = parse_type(&children[n_children++], text + 1);
		} while (*text == '|');
		assert_int_equal(*text++, ')');
		assert_int_equal(ArrowSchemaAllocateChildren(out, n_children), 0);
		for (int64_t i = 0; i < n_children; i++) {
			ArrowSchemaMove(&children[i], out->children[i]);
		}
		if (strcmp(format, "+m") == 0) {
			out->children[0]->flags = out->children[0]->children[0]->flags = 0;
		}
	}
	if (*text == '[') {
		assert_int_equal(ArrowSchemaAllocateDictionary(out), 0);
		text = parse_type(out->dictionary, text + 1);
		assert_int_equal(*text++, ']');
	}
	return text;
}

/* ---- arrays ---- */

enum { NO_NULLS, NULLS, UNCOUNTED_NULLS, UNKNOWN_WITHOUT_BITMAP, N_NULL_KINDS };

static inline void any_release(struct ArrowArray *array)
{
	array->release = NULL;
}

static inline void *any_bytes(int64_t n)
{
	uint8_t *bytes = block(n);
	for (int64_t i = 0; i < n; i++) {
		bytes[i] = (uint8_t)('a' + below(26));
	}
	return bytes;
}

static inline void put_number(void *buffer, int bits, int64_t i, int64_t value)
{
	uint8_t *at = (uint8_t *)buffer + i * bits / 8;
	memcpy(at, &value, (size_t)bits / 8);
}

static inline struct ArrowArray *any_array(const struct ArrowSchema *schema, int64_t length, int64_t offset, int nulls);

static inline struct ArrowArray *any_child(const struct ArrowSchema *schema, int64_t length)
{
	return any_array(schema, length + below(3), below(2) ? below(20) : 0, (int)below(N_NULL_KINDS));
}

/* Offsets, from any number on. Returns the last. */
static inline int64_t any_offsets(struct ArrowArray *array, int bits, int64_t rows)
{
	array->buffers[1] = block((rows + 1) * bits / 8);
	int64_t at = below(2) ? below(30) : 0;
	for (int64_t i = 0; i <= rows; i++) {
		put_number((void *)array->buffers[1], bits, i, at);
		at += i < rows ? below(4) : 0;
	}
	return at;
}

static inline void any_views(struct ArrowArray *array, int64_t rows)
{
	enum { N = 3, SIZE = 500 };
	int64_t *sizes = block(N * 8);
	union ArrowBinaryView *views = block(rows * 16);
	array->n_buffers = 2 + N + 1;
	array->buffers[1] = views;
	for (int i = 0; i < N; i++) {
		array->buffers[2 + i] = any_bytes(SIZE);
		sizes[i] = SIZE;
	}
	array->buffers[2 + N] = sizes;
	for (int64_t i = 0; i < rows; i++) {
		int32_t size = (int32_t)below(30);
		views[i].inlined.size = size;
		if (size > 12) {
			views[i].ref.buffer_index = (int32_t)below(N - 1); /* one isn't used */
			views[i].ref.offset = (int32_t)below(SIZE - size);
			memcpy(views[i].ref.prefix,
			       (const char *)array->buffers[2 + views[i].ref.buffer_index] + views[i].ref.offset, 4);
		} else {
			memcpy(views[i].inlined.data, "abcdefghijkl", (size_t)size);
		}
	}
}

static inline void any_list_views(const struct ArrowSchema *schema, struct ArrowArray *array, int bits, int64_t rows)
{
	int64_t length = 40;
	array->children[0] = any_child(schema->children[0], length);
	array->buffers[1] = block(rows * bits / 8);
	array->buffers[2] = block(rows * bits / 8);
	for (int64_t i = 0; i < rows; i++) {
		int64_t start = 5 + below(length - 5);
		put_number((void *)array->buffers[1], bits, i, start);
		put_number((void *)array->buffers[2], bits, i, below(length - start + 1) / 3);
	}
}

static inline void any_union(const struct ArrowSchema *schema, struct ArrowArray *array,
                             const struct ArrowSchemaView *view, int64_t rows)
{
	bool dense = view->storage_type == NANOARROW_TYPE_DENSE_UNION;
	int8_t ids[128];
	const char *text = view->union_type_ids;
	for (int64_t i = 0; i < schema->n_children; i++) {
		char *end;
		ids[i] = (int8_t)strtol(text, &end, 10);
		text = end + 1;
		array->children[i] = any_child(schema->children[i], dense ? 7 : rows);
	}
	int8_t *chosen = block(rows);
	array->buffers[0] = chosen;
	array->buffers[1] = dense ? block(rows * 4) : NULL;
	for (int64_t i = 0; i < rows; i++) {
		chosen[i] = ids[below(schema->n_children)];
		if (dense) {
			put_number((void *)array->buffers[1], 32, i, below(7));
		}
	}
}

static inline void any_runs(const struct ArrowSchema *schema, struct ArrowArray *array, int64_t rows)
{
	struct ArrowSchemaView ends;
	assert_int_equal(ArrowSchemaViewInit(&ends, schema->children[0], NULL), 0);
	int bits = ends.layout.element_size_bits[1];
	int64_t n = rows / 3 + (rows > 0);
	array->children[0] = any_array(schema->children[0], n, below(4), NO_NULLS);
	array->children[1] = any_child(schema->children[1], n);
	array->children[1]->length = n;
	if (array->children[1]->null_count > 0) {
		array->children[1]->null_count = -1;
	}
	for (int64_t i = 0; i < n; i++) {
		put_number((void *)array->children[0]->buffers[1], bits, array->children[0]->offset + i,
		           i == n - 1 ? rows + 2 : 3 * i + 1);
	}
}

static inline void any_validity(struct ArrowArray *array, int nulls)
{
	array->null_count = nulls == UNKNOWN_WITHOUT_BITMAP ? -1 : 0;
	if (nulls != NULLS && nulls != UNCOUNTED_NULLS) {
		return;
	}
	int64_t rows = array->offset + array->length;
	uint8_t *bitmap = block((rows + 7) / 8);
	for (int64_t i = 0; i < rows; i++) {
		bool valid = below(3) > 0;
		ArrowBitSetTo(bitmap, i, valid);
		array->null_count += i >= array->offset && !valid;
	}
	array->buffers[0] = bitmap;
	array->null_count = nulls == UNCOUNTED_NULLS ? -1 : array->null_count;
}

/* length rows behind `offset` others. */
static inline struct ArrowArray *any_array(const struct ArrowSchema *schema, int64_t length, int64_t offset, int nulls)
{
	struct ArrowSchemaView view;
	struct ArrowError reason;
	if (ArrowSchemaViewInit(&view, schema, &reason) != 0) {
		fail_msg("%s: %s", schema->format, reason.message);
	}
	struct ArrowArray *array = block(sizeof(*array));
	*array = (struct ArrowArray){.length = length, .offset = offset, .release = any_release};
	array->buffers = block(8 * (int64_t)sizeof(void *));
	array->n_children = schema->n_children;
	array->children = block(array->n_children * (int64_t)sizeof(void *));
	int64_t rows = offset + length;
	int bits = view.layout.element_size_bits[1];
	while (array->n_buffers < 3 && view.layout.buffer_type[array->n_buffers] != NANOARROW_BUFFER_TYPE_NONE) {
		array->n_buffers++;
	}
	if (view.layout.buffer_type[0] == NANOARROW_BUFFER_TYPE_VALIDITY) {
		any_validity(array, nulls);
	}
	if (schema->dictionary) {
		array->dictionary = any_child(schema->dictionary, 9);
		array->buffers[1] = block(rows * bits / 8);
		for (int64_t i = 0; i < rows; i++) {
			put_number((void *)array->buffers[1], bits, i, below(9));
		}
		return array;
	}
	switch (view.storage_type) {
	case NANOARROW_TYPE_NA:
		array->null_count = length;
		break;
	case NANOARROW_TYPE_STRUCT:
		for (int64_t i = 0; i < schema->n_children; i++) {
			array->children[i] = any_child(schema->children[i], rows);
		}
		break;
	case NANOARROW_TYPE_FIXED_SIZE_LIST:
		array->children[0] = any_child(schema->children[0], rows * view.fixed_size);
		break;
	case NANOARROW_TYPE_DENSE_UNION:
	case NANOARROW_TYPE_SPARSE_UNION:
		any_union(schema, array, &view, rows);
		break;
	case NANOARROW_TYPE_RUN_END_ENCODED:
		any_runs(schema, array, rows);
		break;
	case NANOARROW_TYPE_LIST_VIEW:
	case NANOARROW_TYPE_LARGE_LIST_VIEW:
		any_list_views(schema, array, bits, rows);
		break;
	case NANOARROW_TYPE_STRING_VIEW:
	case NANOARROW_TYPE_BINARY_VIEW:
		any_views(array, rows);
		break;
	default:
		if (view.layout.buffer_type[1] != NANOARROW_BUFFER_TYPE_DATA_OFFSET) {
			array->buffers[1] = any_bytes((rows * bits + 7) / 8);
		} else if (schema->n_children) {
			array->children[0] = any_child(schema->children[0], any_offsets(array, bits, rows));
		} else {
			array->buffers[2] = any_bytes(any_offsets(array, bits, rows));
		}
		break;
	}
	return array;
}

/* ---- equal values ---- */

static inline void assert_equal_values(const struct ArrowArrayView *a, int64_t i, const struct ArrowArrayView *b,
                                       int64_t j);

static inline void assert_equal_ranges(const struct ArrowArrayView *a, int64_t i, int64_t n,
                                       const struct ArrowArrayView *b, int64_t j, int64_t m)
{
	assert_int_equal(n, m);
	assert_true(i >= 0 && i + n <= a->length && j >= 0 && j + m <= b->length);
	for (int64_t k = 0; k < n; k++) {
		assert_equal_values(a, i + k, b, j + k);
	}
}

static inline int64_t list_view_number(const struct ArrowArrayView *view, int buffer, int64_t i)
{
	const struct ArrowBufferView *numbers = &view->buffer_views[buffer];
	i += view->offset;
	return view->layout.element_size_bits[buffer] == 32 ? numbers->data.as_int32[i] : numbers->data.as_int64[i];
}

static inline int64_t run_of(const struct ArrowArrayView *view, int64_t i)
{
	const struct ArrowArrayView *ends = view->children[0];
	int64_t run = 0;
	while (ArrowArrayViewGetIntUnsafe(ends, run) <= view->offset + i) {
		run++;
		assert_true(run < ends->length);
	}
	return run;
}

static inline void assert_equal_plain(const struct ArrowArrayView *a, int64_t i, const struct ArrowArrayView *b,
                                      int64_t j)
{
	int bits = a->layout.element_size_bits[1];
	i += a->offset;
	j += b->offset;
	if (bits == 1) {
		assert_int_equal(ArrowBitGet(a->buffer_views[1].data.as_uint8, i),
		                 ArrowBitGet(b->buffer_views[1].data.as_uint8, j));
	} else {
		int64_t width = bits / 8;
		assert_memory_equal(a->buffer_views[1].data.as_uint8 + i * width, b->buffer_views[1].data.as_uint8 + j * width,
		                    (size_t)width);
	}
}

static inline void assert_equal_nested(const struct ArrowArrayView *a, int64_t i, const struct ArrowArrayView *b,
                                       int64_t j)
{
	int64_t n = a->layout.child_size_elements, first, second;
	switch (a->storage_type) {
	case NANOARROW_TYPE_STRUCT:
		for (int64_t k = 0; k < a->n_children; k++) {
			assert_equal_values(a->children[k], a->offset + i, b->children[k], b->offset + j);
		}
		break;
	case NANOARROW_TYPE_FIXED_SIZE_LIST:
		assert_equal_ranges(a->children[0], (a->offset + i) * n, n, b->children[0], (b->offset + j) * n, n);
		break;
	case NANOARROW_TYPE_DENSE_UNION:
	case NANOARROW_TYPE_SPARSE_UNION:
		assert_int_equal(ArrowArrayViewUnionTypeId(a, i), ArrowArrayViewUnionTypeId(b, j));
		n = ArrowArrayViewUnionChildIndex(a, i);
		assert_equal_ranges(a->children[n], ArrowArrayViewUnionChildOffset(a, i), 1, b->children[n],
		                    ArrowArrayViewUnionChildOffset(b, j), 1);
		break;
	case NANOARROW_TYPE_RUN_END_ENCODED:
		assert_equal_ranges(a->children[1], run_of(a, i), 1, b->children[1], run_of(b, j), 1);
		break;
	case NANOARROW_TYPE_LIST_VIEW:
	case NANOARROW_TYPE_LARGE_LIST_VIEW:
		n = list_view_number(a, 2, i);
		assert_int_equal(n, list_view_number(b, 2, j));
		if (n > 0) {
			assert_equal_ranges(a->children[0], list_view_number(a, 1, i), n, b->children[0], list_view_number(b, 1, j),
			                    n);
		}
		break;
	default:
		/* Counted from the buffer's begin. */
		i += a->offset;
		j += b->offset;
		first = ArrowArrayViewListChildOffset(a, i);
		second = ArrowArrayViewListChildOffset(b, j);
		assert_equal_ranges(a->children[0], first, ArrowArrayViewListChildOffset(a, i + 1) - first, b->children[0],
		                    second, ArrowArrayViewListChildOffset(b, j + 1) - second);
		break;
	}
}

static inline void assert_equal_values(const struct ArrowArrayView *a, int64_t i, const struct ArrowArrayView *b,
                                       int64_t j)
{
	bool null = ArrowArrayViewIsNull(a, i);
	assert_int_equal(null, ArrowArrayViewIsNull(b, j));
	if (null) {
		return;
	}
	if (a->dictionary) {
		assert_equal_values(a->dictionary, ArrowArrayViewGetIntUnsafe(a, i), b->dictionary,
		                    ArrowArrayViewGetIntUnsafe(b, j));
	} else if (a->n_children > 0 || a->storage_type == NANOARROW_TYPE_STRUCT) {
		assert_equal_nested(a, i, b, j);
	} else if (a->layout.buffer_type[1] == NANOARROW_BUFFER_TYPE_DATA_OFFSET ||
	           a->storage_type == NANOARROW_TYPE_STRING_VIEW || a->storage_type == NANOARROW_TYPE_BINARY_VIEW) {
		struct ArrowBufferView x = ArrowArrayViewGetBytesUnsafe(a, i), y = ArrowArrayViewGetBytesUnsafe(b, j);
		assert_int_equal(x.size_bytes, y.size_bytes);
		assert_memory_equal(x.data.data, y.data.data, (size_t)x.size_bytes);
	} else {
		assert_equal_plain(a, i, b, j);
	}
}

#endif
