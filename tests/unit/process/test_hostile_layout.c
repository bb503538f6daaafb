/* Descriptions of batches that a worker should not have sent: each field of each node,
 * changed. What isn't refused is read, from memory that ends where the segment does. */
#include "any_array.h"

#include "process/layout.h"

/* ---- a description, and the memory that it speaks of ---- */

struct fixture {
	struct ArrowSchema schema;
	struct bsc__unlayout unlayout;
	struct bsc__bytes described;
	struct bsc__segment segment, *items[1];
	struct bsc__segments segments;
	void *memory;
	struct bsc_error err;
	int released;
};

static bool accept(void *ctx, uint64_t segment, uint64_t size, int fd)
{
	(void)ctx;
	(void)segment;
	(void)size;
	(void)fd;
	return true;
}

static void ignore(void *ctx, uint64_t segment)
{
	(void)ctx;
	(void)segment;
}

static void on_release(void *ctx, uint64_t slot, uint64_t bytes)
{
	(void)slot;
	(void)bytes;
	((struct fixture *)ctx)->released++;
}

/* A batch of `type` as a worker lays it out, its slot copied to a block that is watched. */
static void make(struct fixture *f, const char *type, int64_t length)
{
	struct bsc__arena *arena;
	struct bsc__layout layout;
	struct bsc__slot slot;
	const struct bsc__arena_host host = {accept, ignore, NULL};
	*f = (struct fixture){0};
	dice = 1;
	bsc__bytes_init(&f->described, 1 << 20);
	assert_string_equal(parse_type(&f->schema, type), "");
	assert_ok(bsc__arena_new(&host, &arena, &f->err), &f->err);
	assert_ok(bsc__layout_init(&layout, &f->schema, &f->err), &f->err);
	assert_ok(bsc__unlayout_init(&f->unlayout, &f->schema, &f->err), &f->err);
	struct ArrowArray *root = any_array(&f->schema, length, 3, NO_NULLS);
	assert_ok(bsc__layout_write(&layout, root, NULL, arena, &f->described, &slot, &f->err), &f->err);
	assert_int_equal(slot.offset, 0);
	size_t size = (size_t)(slot.size + 63) / 64 * 64;
	f->memory = aligned_alloc(64, size);
	assert_non_null(f->memory);
	memcpy(f->memory, slot.ptr, size);
	f->segment = (struct bsc__segment){.number = 1, .ptr = f->memory, .size = slot.size, .refs = 1};
	f->items[0] = &f->segment;
	f->segments = (struct bsc__segments){.items = f->items, .n = 1, .cap = 1, .last = 1};
	bsc__layout_release(&layout);
	bsc__arena_free(arena);
	free_blocks();
}

static void drop(struct fixture *f)
{
	assert_int_equal(f->segment.refs, 1);
	free(f->memory);
	f->schema.release(&f->schema);
	bsc__unlayout_release(&f->unlayout);
	bsc__bytes_release(&f->described);
}

/* The ends of each buffer that a reader may look at. */
static void touch(const struct ArrowArrayView *view, const struct ArrowArray *array)
{
	static volatile uint8_t sink;
	for (int i = 0; i < NANOARROW_MAX_FIXED_BUFFERS; i++) {
		const struct ArrowBufferView *buffer = &view->buffer_views[i];
		if (buffer->size_bytes > 0) {
			sink = buffer->data.as_uint8[0];
			sink = buffer->data.as_uint8[buffer->size_bytes - 1];
		}
	}
	for (int64_t i = 0; i < array->n_buffers; i++) {
		assert_true(array->buffers[i] || i == 0);
	}
	for (int32_t i = 0; i < view->n_variadic_buffers; i++) {
		const uint8_t *data = view->variadic_buffers[i];
		int64_t size = view->variadic_buffer_sizes[i];
		sink = size ? data[0] : 0;
		sink = size ? data[size - 1] : 0;
	}
	for (int64_t i = 0; i < array->n_children; i++) {
		touch(view->children[i], array->children[i]);
	}
	if (array->dictionary) {
		touch(view->dictionary, array->dictionary);
	}
	(void)sink;
}

static bool is_absent(const struct ArrowArray *column, const struct ArrowSchema *schema)
{
	return column->n_buffers == 0 && (column->n_children != schema->n_children || strcmp(schema->format, "n") == 0);
}

static void read_all(struct fixture *f, const struct ArrowArray *root)
{
	assert_int_equal(root->n_children, f->schema.n_children);
	for (int64_t i = 0; i < root->n_children; i++) {
		const struct ArrowArray *column = root->children[i];
		struct ArrowArrayView view;
		struct ArrowError reason = {""};
		assert_true(column->release && column->length >= root->offset + root->length);
		if (is_absent(column, f->schema.children[i])) {
			continue;
		}
		assert_int_equal(ArrowArrayViewInitFromSchema(&view, f->schema.children[i], NULL), 0);
		if (ArrowArrayViewSetArray(&view, column, &reason) != 0) {
			fail_msg("accepted, but %s", reason.message);
		}
		touch(&view, column);
		ArrowArrayViewReset(&view);
	}
}

/* Refused, or an array that can be read. */
static bool try(struct fixture *f, const uint8_t *bytes, size_t n)
{
	struct ArrowArray array;
	uint64_t size;
	struct bsc__view in = {bytes, n, false};
	const struct bsc__on_release calls = {on_release, f};
	f->released = 0;
	int rc = bsc__array_read(&f->unlayout, &in, &f->segments, 1, &calls, &array, &size, &f->err);
	assert_true(rc == BSC_OK || rc == BSC_MALFORMED);
	if (rc == BSC_OK) {
		read_all(f, &array);
		array.release(&array);
	}
	assert_int_equal(f->released, rc == BSC_OK);
	assert_int_equal(f->segment.refs, 1);
	return rc == BSC_OK;
}

static const char *const types[] = {"+s(i|u)",
                                    "+s(b|U)",
                                    "+s(vu|z)",
                                    "+s(+l(u)|+L(i))",
                                    "+s(+vl(i)|+vL(vu))",
                                    "+s(+w:3(b)|w:5)",
                                    "+s(+m(+s(u|l)))",
                                    "+s(+us:0,1(i|u)|+ud:2,5(i|+l(u)))",
                                    "+s(+r(s|u)|+r(l|b))",
                                    "+s(c[u]|S[+l(u)])",
                                    "+s(n|+w:0(i)|w:0)"};

/* ---- tests ---- */

static void test_what_is_cut_short_or_too_long_is_refused(void **state)
{
	(void)state;
	for (size_t t = 0; t < LENGTH(types); t++) {
		struct fixture f;
		make(&f, types[t], 20);
		size_t n = f.described.len;
		assert_true(try(&f, f.described.ptr, n));
		for (size_t k = 0; k < n; k++) {
			uint8_t *copy = malloc(k ? k : 1);
			assert_non_null(copy);
			memcpy(copy, f.described.ptr, k);
			assert_false(try(&f, copy, k));
			free(copy);
		}
		bsc__put_u8(&f.described, 0);
		assert_false(try(&f, f.described.ptr, f.described.len));
		drop(&f);
	}
}

/* At every place, also those where no number begins. */
static void test_any_number_anywhere_is_refused_or_right(void **state)
{
	(void)state;
	const int64_t numbers[] = {0,         1,
	                           -1,        2,
	                           7,         63,
	                           64,        65,
	                           4096,      INT32_MAX,
	                           INT32_MIN, INT64_MAX,
	                           INT64_MIN, (int64_t)1 << 40,
	                           1LL << 41, 1LL << 58,
	                           1LL << 62, UINT32_MAX,
	                           -64,       INT64_MAX - 63};
	for (size_t t = 0; t < LENGTH(types); t++) {
		struct fixture f;
		make(&f, types[t], 20);
		uint8_t *bytes = f.described.ptr;
		for (size_t at = 0; at < f.described.len; at++) {
			size_t width = f.described.len - at < 8 ? f.described.len - at : 8;
			uint8_t kept[8];
			memcpy(kept, bytes + at, width);
			for (size_t k = 0; k < LENGTH(numbers); k++) {
				for (size_t w = 1; w <= width; w *= 2) {
					memcpy(bytes + at, &numbers[k], w);
					try(&f, bytes, f.described.len);
					memcpy(bytes + at, kept, width);
				}
			}
		}
		drop(&f);
	}
}

/* Memory that says anything: what is read of it for the sizes is checked. */
static void test_any_memory_is_refused_or_right(void **state)
{
	(void)state;
	for (size_t t = 0; t < LENGTH(types); t++) {
		struct fixture f;
		make(&f, types[t], 20);
		uint8_t *memory = f.memory;
		for (uint64_t at = 0; at + 4 <= f.segment.size; at += 4) {
			const int32_t numbers[] = {-1, INT32_MIN, INT32_MAX, 1000, 0};
			int32_t kept;
			memcpy(&kept, memory + at, 4);
			for (size_t k = 0; k < LENGTH(numbers); k++) {
				memcpy(memory + at, &numbers[k], 4);
				try(&f, f.described.ptr, f.described.len);
			}
			memcpy(memory + at, &kept, 4);
		}
		drop(&f);
	}
}

static void put_head(struct bsc__bytes *out, int64_t length, int64_t nulls, int64_t offset, uint32_t buffers)
{
	bsc__put_u8(out, 0);
	bsc__put_i64(out, length);
	bsc__put_i64(out, nulls);
	bsc__put_i64(out, offset);
	bsc__put_u32(out, buffers);
}

static void put_buffer(struct bsc__bytes *out, uint64_t segment, uint64_t offset, uint64_t size)
{
	bsc__put_u64(out, segment);
	bsc__put_u64(out, offset);
	bsc__put_u64(out, size);
}

/* One int32 column of ten rows: a root with a bitmap or without, and where the values are. */
static void put_ints(struct fixture *f, uint64_t segment, uint64_t offset, uint64_t size)
{
	bsc__bytes_clear(&f->described);
	put_head(&f->described, 10, 0, 0, 1);
	put_buffer(&f->described, 0, 0, 0);
	put_head(&f->described, 10, 0, 0, 2);
	put_buffer(&f->described, 0, 0, 0);
	put_buffer(&f->described, segment, offset, size);
}

static void refuse(struct fixture *f, const char *text)
{
	assert_false(try(f, f->described.ptr, f->described.len));
	if (!strstr(f->err.message, text)) {
		fail_msg("wanted '%s', got: %s", text, f->err.message);
	}
}

static void test_what_is_wrong_is_said(void **state)
{
	(void)state;
	struct fixture f;
	make(&f, "+s(i)", 200);
	put_ints(&f, 1, 64, 40);
	assert_true(try(&f, f.described.ptr, f.described.len));
	put_ints(&f, 2, 64, 40);
	refuse(&f, "in a segment that isn't there");
	put_ints(&f, 0, 0, 40);
	refuse(&f, "is nowhere");
	put_ints(&f, 0, 0, 0);
	refuse(&f, "buffer 1 to have size >= 40 bytes");
	put_ints(&f, 1, 64, 39);
	refuse(&f, "buffer 1 to have size >= 40 bytes");
	put_ints(&f, 1, 8, 40);
	refuse(&f, "not aligned");
	put_ints(&f, 1, (uint64_t)1 << 62, 40);
	refuse(&f, "outside its segment");
	put_ints(&f, 1, UINT64_MAX - 63, 64);
	refuse(&f, "outside its segment");
	put_ints(&f, 1, 64, f.segment.size);
	refuse(&f, "outside its segment");
	put_ints(&f, 1, 64, UINT64_MAX);
	refuse(&f, "outside its segment");
	/* Absent is a column, not the batch. */
	bsc__bytes_clear(&f.described);
	bsc__put_u8(&f.described, BSC__NODE_ABSENT);
	refuse(&f, "to be absent, or unknown flags");
	bsc__bytes_clear(&f.described);
	put_head(&f.described, 10, 0, 5, 1);
	put_buffer(&f.described, 1, 0, 1);
	bsc__put_u8(&f.described, BSC__NODE_ABSENT);
	refuse(&f, "bitmap that is too short");
	bsc__bytes_clear(&f.described);
	put_head(&f.described, 11, 0, 0, 1);
	put_buffer(&f.described, 0, 0, 0);
	put_head(&f.described, 10, 0, 0, 2);
	put_buffer(&f.described, 0, 0, 0);
	put_buffer(&f.described, 1, 0, 40);
	refuse(&f, "shorter than the batch");
	drop(&f);
}

static void test_the_slot_is_counted_as_the_worker_does(void **state)
{
	(void)state;
	struct fixture f;
	struct ArrowArray array;
	uint64_t size;
	const uint64_t sizes[][2] = {{40, 64}, {64, 64}, {65, 128}};
	const struct bsc__on_release calls = {on_release, &f};
	make(&f, "+s(i)", 200);
	for (size_t i = 0; i < LENGTH(sizes); i++) {
		put_ints(&f, 1, 0, sizes[i][0]);
		struct bsc__view in = {f.described.ptr, f.described.len, false};
		assert_ok(bsc__array_read(&f.unlayout, &in, &f.segments, 1, &calls, &array, &size, &f.err), &f.err);
		assert_int_equal(size, sizes[i][1]);
		array.release(&array);
	}
	drop(&f);
}

static void test_buffers_without_bytes_are_no_null_pointers(void **state)
{
	(void)state;
	struct fixture f;
	struct ArrowArray array;
	uint64_t size;
	const struct bsc__on_release calls = {on_release, &f};
	make(&f, "+s(i|u|vu|+L(i)|+vl(i)|+ud:0(i)|w:0)", 0);
	struct bsc__view in = {f.described.ptr, f.described.len, false};
	assert_ok(bsc__array_read(&f.unlayout, &in, &f.segments, 1, &calls, &array, &size, &f.err), &f.err);
	for (int64_t i = 0; i < array.n_children; i++) {
		const struct ArrowArray *column = array.children[i];
		for (int64_t k = i == 5 ? 0 : 1; k < column->n_buffers; k++) {
			assert_non_null(column->buffers[k]);
			assert_int_equal((uintptr_t)column->buffers[k] % 8, 0);
		}
	}
	/* Some read the one offset of no rows. */
	assert_int_equal(*(const int32_t *)array.children[1]->buffers[1], 0);
	assert_int_equal(*(const int64_t *)array.children[3]->buffers[1], 0);
	array.release(&array);
	drop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_cut_short_or_too_long_is_refused),
	    cmocka_unit_test(test_any_number_anywhere_is_refused_or_right),
	    cmocka_unit_test(test_any_memory_is_refused_or_right),
	    cmocka_unit_test(test_what_is_wrong_is_said),
	    cmocka_unit_test(test_the_slot_is_counted_as_the_worker_does),
	    cmocka_unit_test(test_buffers_without_bytes_are_no_null_pointers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
