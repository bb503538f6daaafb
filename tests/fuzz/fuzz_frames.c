/* Frames: a batch as a worker sends it, that is not to be trusted: schema, description,
 * and the memory that it speaks of. What comes out is validated as every batch is, and
 * then read as an engine reads it. */
#include "arrays.h"
#include "process/layout.h"
#include "process/wire.h"
#include "scan/internal.h"
#include "source/source.h"

#include <stdlib.h>
#include <string.h>

#define SEGMENT_SIZE 4096

static const struct bsc__place place = {"fuzz:Frames", 0, 1, 0};
static int released;

static void on_release(void *ctx, uint64_t slot, uint64_t bytes)
{
	CHECK(ctx == &released && slot == 77 && bytes >= BSC__BUFFER_ALIGN);
	released++;
}

/* Zeros, rising numbers, text, ones; at the begin what the input says. */
static uint8_t *make_memory(struct input *in)
{
	uint8_t *memory = aligned_alloc(BSC__BUFFER_ALIGN, SEGMENT_SIZE);
	CHECK(memory);
	memset(memory, 0, SEGMENT_SIZE);
	for (int32_t i = 0; i < 256; i++) {
		int64_t wide = i;
		memcpy(memory + 512 + 4 * i, &i, sizeof(i));
		memcpy(memory + 1536 + 8 * (i % 128), &wide, sizeof(wide));
	}
	memset(memory + 2560, 'a', 512);
	memset(memory + 3072, 0xFF, 1024);
	size_t n = take(in) * (size_t)BSC__BUFFER_ALIGN;
	n = n > in->left ? in->left : n;
	n = n > SEGMENT_SIZE ? SEGMENT_SIZE : n;
	if (n) {
		memcpy(memory, in->at, n);
	}
	in->at += n;
	in->left -= n;
	return memory;
}

/* What was read is written again, and read: the same. */
static void check_schema(const struct ArrowSchema *schema)
{
	struct bsc__bytes once, twice;
	struct ArrowSchema copy;
	CHECK(!bsc__schema_broken(schema));
	bsc__bytes_init(&once, BSC__PAYLOAD_MAX);
	bsc__bytes_init(&twice, BSC__PAYLOAD_MAX);
	bsc__put_schema(&once, schema);
	struct bsc__view view = {once.ptr, once.len, false};
	CHECK(!once.failed && bsc__get_schema(&view, &copy, NULL) == BSC_OK && view.left == 0);
	bsc__put_schema(&twice, &copy);
	CHECK(!twice.failed && twice.len == once.len && memcmp(twice.ptr, once.ptr, once.len) == 0);
	copy.release(&copy);
	bsc__bytes_release(&once);
	bsc__bytes_release(&twice);
}

static bool is_absent(const struct ArrowArray *column, const struct ArrowSchema *field)
{
	return column->n_buffers == 0 && column->n_children == 0 && strcmp(field->format, "n") != 0;
}

/* Some columns, asked for by a query; one that is absent is refused. */
static void scan(const struct ArrowSchema *schema, struct ArrowArray *array, uint8_t mask, bool full)
{
	struct bsc__match match;
	struct bsc__validate validate;
	struct bsc_error err;
	struct ArrowSchema copy;
	struct ArrowArray out;
	int64_t columns[8], n = 0;
	bool absent = false;
	for (int64_t i = 0; i < schema->n_children && i < 8; i++) {
		if (mask >> i & 1) {
			absent = absent || is_absent(array->children[i], schema->children[i]);
			columns[n++] = i;
		}
	}
	CHECK(bsc__match_init(&match, schema, columns, n, NULL) == BSC_OK);
	CHECK(bsc_schema_copy(schema, &copy, NULL) == BSC_OK);
	int rc = bsc__match_schema(&match, &copy, &place, &err);
	if (copy.release) {
		copy.release(&copy);
	}
	CHECK(bsc__validate_init(&validate, &match, full, NULL) == BSC_OK);
	/* Of two columns with one name the first is meant. */
	bool apart = rc == BSC_OK;
	for (int64_t i = 0; i < n && apart; i++) {
		apart = match.from[i] == columns[i];
	}
	rc = rc == BSC_OK ? bsc__validate_batch(&validate, &match, array, &place, &err) : rc;
	CHECK(rc != BSC_OK || !apart || !absent);
	if (rc == BSC_OK) {
		CHECK(bsc__project(array, &match, &out, NULL) == BSC_OK && !array->release);
		for (int64_t i = 0; i < out.n_children && !absent; i++) {
			walk_column(schema->children[columns[i]], out.children[i], full);
		}
		out.release(&out);
	} else {
		check_error(rc, &err);
	}
	bsc__validate_release(&validate);
	bsc__match_release(&match);
}

static void read_batch(struct input *in, struct bsc__segments *segments, const struct ArrowSchema *schema,
                       struct bsc__view *view)
{
	struct bsc__unlayout unlayout;
	struct bsc_error err;
	struct ArrowArray array;
	uint64_t bytes;
	const struct bsc__on_release calls = {on_release, &released};
	uint8_t mask = take(in), how = take(in);
	int rc = bsc__unlayout_init(&unlayout, schema, &err);
	if (rc != BSC_OK) {
		check_error(rc, &err);
		return;
	}
	*view = (struct bsc__view){in->at, in->left, false};
	rc = bsc__array_read(&unlayout, view, segments, 77, &calls, &array, &bytes, &err);
	if (rc != BSC_OK) {
		check_error(rc, &err);
		CHECK(rc == BSC_MALFORMED && !array.release && released == 0);
	} else {
		CHECK(view->left == 0 && released == 0);
		struct ArrowArray moved = {0};
		if (how & 2 && array.n_children > 0) {
			moved = *array.children[0];
			array.children[0]->release = NULL;
		} else if (bsc__schema_check(schema, "fuzz:Frames", &err) == BSC_OK) {
			scan(schema, &array, mask, how & 1);
		}
		if (array.release) {
			array.release(&array);
		}
		if (moved.release) {
			CHECK(released == 0);
			moved.release(&moved);
		}
		CHECK(released == 1);
	}
	bsc__unlayout_release(&unlayout);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct bsc_error err;
	struct ArrowSchema schema;
	released = 0;
	uint8_t *memory = make_memory(&in);
	struct bsc__segment segment = {.number = 1, .ptr = memory, .size = SEGMENT_SIZE, .refs = 1}, *items[] = {&segment};
	struct bsc__segments segments = {.items = items, .n = 1, .cap = 1, .last = 1};
	struct bsc__view view = {in.at, in.left, false};
	int rc = bsc__get_schema(&view, &schema, &err);
	if (rc != BSC_OK) {
		check_error(rc, &err);
		CHECK(rc == BSC_MALFORMED && !schema.release);
	} else {
		check_schema(&schema);
		in = (struct input){view.ptr, view.left};
		read_batch(&in, &segments, &schema, &view);
		schema.release(&schema);
	}
	CHECK(segment.refs == 1);
	free(memory);
	return 0;
}
