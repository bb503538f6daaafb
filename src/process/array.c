/* The host's end of the layout: an array over a worker's memory. What the worker says is
 * believed where it was checked: here places and sizes, in src/scan values. */
#include "process/layout.h"

#include <stdatomic.h>
#include <string.h>

#include "process/columns.h"
#include "process/wire.h"

enum { BUFFER_SIZE = 3 * sizeof(uint64_t) };

/* What buffers without bytes point to: consumers read the one offset of no rows. */
static const uint8_t nothing[BSC__BUFFER_ALIGN] __attribute__((aligned(BSC__BUFFER_ALIGN)));

/* Behind it, in the same allocation, all structs and lists of the array. */
struct holder {
	_Atomic int64_t refs;         /* one for each struct */
	struct bsc__segment *segment; /* NULL: no buffer has bytes */
	struct bsc__on_release on_release;
	uint64_t slot, bytes;
};

/* How much of what there is, or is left. */
struct room {
	struct ArrowArray *arrays;
	struct ArrowArray **children;
	const void **buffers;
	int64_t *sizes;
	size_t n_arrays, n_children, n_buffers, n_sizes;
};

struct reading {
	struct bsc__view *in;
	const struct bsc__segments *segments;
	struct holder *holder;
	struct room room;
	uint64_t bytes;
	const char *what; /* is wrong */
};

/* ---- release ---- */

static void holder_drop(struct holder *holder)
{
	if (atomic_fetch_sub(&holder->refs, 1) != 1) {
		return;
	}
	struct bsc__on_release on_release = holder->on_release;
	uint64_t slot = holder->slot, bytes = holder->bytes;
	if (holder->segment) {
		bsc__segment_unref(holder->segment);
	}
	bsc__free(holder);
	on_release.call(on_release.ctx, slot, bytes);
}

/* Children that were moved out have their own. */
static void array_release(struct ArrowArray *array)
{
	struct holder *holder = array->private_data;
	for (int64_t i = 0; i < array->n_children; i++) {
		if (array->children[i]->release) {
			array->children[i]->release(array->children[i]);
		}
	}
	if (array->dictionary && array->dictionary->release) {
		array->dictionary->release(array->dictionary);
	}
	array->release = NULL;
	holder_drop(holder);
}

/* ---- how much room ---- */

static const char *count(const struct ArrowArrayView *type, struct bsc__view *in, int depth, struct room *room)
{
	static const char cut_short[] = "ends too early";
	uint8_t flags = bsc__get_u8(in);
	room->n_arrays++;
	if (flags == BSC__NODE_ABSENT && depth == 1) {
		return NULL;
	}
	if (in->failed) {
		return cut_short;
	}
	if (flags != 0 || type->storage_type == NANOARROW_TYPE_UNINITIALIZED) {
		return "has a column that was to be absent, or unknown flags";
	}
	for (int i = 0; i < 3; i++) {
		bsc__get_i64(in);
	}
	size_t n = bsc__get_u32(in), fixed = (size_t)bsc__fixed_buffers(type);
	if (in->failed || n > in->left / BUFFER_SIZE) {
		return cut_short;
	}
	bool views = bsc__is_view_type(type);
	if (views ? n < fixed || n >= INT32_MAX : n != fixed) {
		return "has a wrong number of buffers";
	}
	in->ptr += n * BUFFER_SIZE;
	in->left -= n * BUFFER_SIZE;
	room->n_buffers += n + views;
	room->n_sizes += views ? n - fixed : 0;
	room->n_children += (size_t)type->n_children;
	const char *what = NULL;
	for (int64_t i = 0; i < type->n_children && !what; i++) {
		what = count(type->children[i], in, depth + 1, room);
	}
	return what || !type->dictionary ? what : count(type->dictionary, in, depth + 1, room);
}

/* The description bounds all of the numbers. */
static struct holder *holder_new(const struct room *wanted, struct room *out)
{
	size_t arrays = wanted->n_arrays * sizeof(struct ArrowArray);
	size_t children = wanted->n_children * sizeof(struct ArrowArray *);
	size_t buffers = wanted->n_buffers * sizeof(void *);
	size_t sizes = wanted->n_sizes * sizeof(int64_t);
	struct holder *holder = bsc__calloc(1, sizeof(*holder) + arrays + children + buffers + sizes);
	if (!holder) {
		return NULL;
	}
	uint8_t *at = (uint8_t *)(holder + 1);
	out->arrays = (struct ArrowArray *)at;
	out->children = (struct ArrowArray **)(at + arrays);
	out->buffers = (const void **)(at + arrays + children);
	out->sizes = (int64_t *)(at + arrays + children + buffers);
	return holder;
}

/* ---- the structs ---- */

static const void *read_buffer(struct reading *reading, int64_t *size)
{
	uint64_t number = bsc__get_u64(reading->in), offset = bsc__get_u64(reading->in), bytes = bsc__get_u64(reading->in);
	*size = 0;
	if (number == 0) {
		reading->what = bytes == 0 ? reading->what : "has a buffer that is nowhere";
		return NULL;
	}
	struct holder *holder = reading->holder;
	if (!holder->segment) {
		holder->segment = bsc__segments_find(reading->segments, number);
		if (!holder->segment) {
			reading->what = "has a buffer in a segment that isn't there";
			return NULL;
		}
	}
	const struct bsc__segment *segment = holder->segment;
	if (segment->number != number) {
		reading->what = "has buffers in two segments";
		return NULL;
	}
	if (offset % BSC__BUFFER_ALIGN != 0 || bytes > segment->size || offset > segment->size - bytes) {
		reading->what = "has a buffer outside its segment, or not aligned";
		return NULL;
	}
	/* As often as a description says it, if it lies: far from 64 bits, for its length is bounded. */
	reading->bytes += (bytes + BSC__BUFFER_ALIGN - 1) / BSC__BUFFER_ALIGN * BSC__BUFFER_ALIGN;
	*size = (int64_t)bytes;
	return bytes ? segment->ptr + offset : NULL;
}

/* The type's view is told the buffers and their sizes, for nanoarrow to check. */
static void read_buffers(struct reading *reading, struct ArrowArrayView *type, struct ArrowArray *array)
{
	uint32_t n = bsc__get_u32(reading->in);
	bool views = bsc__is_view_type(type);
	uint32_t fixed = (uint32_t)bsc__fixed_buffers(type);
	int64_t *sizes = reading->room.sizes;
	array->n_buffers = n + views;
	array->buffers = reading->room.buffers;
	reading->room.buffers += array->n_buffers;
	for (uint32_t i = 0; i < n && !reading->what; i++) {
		int64_t size;
		const void *ptr = read_buffer(reading, &size);
		/* No rows have no buffers, or sizes that nobody looks at would be. */
		if (array->offset + array->length == 0 && i < fixed) {
			ptr = NULL;
			size = 0;
		}
		bool may_be_null = i == 0 && bsc__has_validity(type);
		array->buffers[i] = ptr || may_be_null ? ptr : nothing;
		if (i < fixed) {
			type->buffer_views[i].data.data = array->buffers[i];
			type->buffer_views[i].size_bytes = size;
		} else {
			sizes[i - fixed] = size;
		}
	}
	if (views) {
		/* Ours: what the worker's memory holds may change. */
		array->buffers[n] = n > fixed ? (const void *)sizes : nothing;
		reading->room.sizes += n - fixed;
		type->n_variadic_buffers = (int32_t)(n - fixed);
		type->variadic_buffers = array->buffers + fixed;
		type->variadic_buffer_sizes = sizes;
	}
}

static struct ArrowArray *new_array(struct reading *reading)
{
	struct ArrowArray *array = reading->room.arrays++;
	array->release = array_release;
	array->private_data = reading->holder;
	return array;
}

/* Of all but an absent one. `count` has seen that it is all there. */
static struct ArrowArray *read_array(struct reading *reading, struct ArrowArrayView *type)
{
	struct ArrowArray *array = new_array(reading);
	bsc__get_u8(reading->in);
	array->length = bsc__get_i64(reading->in);
	array->null_count = bsc__get_i64(reading->in);
	array->offset = bsc__get_i64(reading->in);
	reading->what = bsc__check_numbers(type, array->length, array->offset, array->null_count);
	if (reading->what) {
		return array;
	}
	read_buffers(reading, type, array);
	if (!reading->what && bsc__has_validity(type) && !array->buffers[0] && array->null_count == -1) {
		array->null_count = 0;
	}
	type->array = NULL;
	type->length = array->length;
	type->offset = array->offset;
	type->null_count = array->null_count;
	return array;
}

static struct ArrowArray **new_children(struct reading *reading, int64_t n)
{
	struct ArrowArray **children = reading->room.children;
	reading->room.children += n;
	return n ? children : NULL;
}

/* With all that is below it; stops where something is wrong. */
static struct ArrowArray *read_tree(struct reading *reading, struct ArrowArrayView *type)
{
	struct ArrowArray *array = read_array(reading, type);
	if (reading->what) {
		return array;
	}
	array->n_children = type->n_children;
	array->children = new_children(reading, type->n_children);
	for (int64_t i = 0; i < type->n_children && !reading->what; i++) {
		array->children[i] = read_tree(reading, type->children[i]);
	}
	if (type->dictionary && !reading->what) {
		array->dictionary = read_tree(reading, type->dictionary);
	}
	return array;
}

/* Its length is all that is known of it; nobody asks for more. */
static struct ArrowArray *absent_column(struct reading *reading, const struct ArrowArray *root)
{
	struct ArrowArray *array = new_array(reading);
	bsc__get_u8(reading->in);
	array->length = root->offset + root->length;
	return array;
}

static struct ArrowArray *read_column(struct reading *reading, struct ArrowArrayView *type,
                                      const struct ArrowArray *root, struct ArrowError *reason)
{
	if (reading->in->left > 0 && *reading->in->ptr == BSC__NODE_ABSENT) {
		return absent_column(reading, root);
	}
	struct ArrowArray *column = read_tree(reading, type);
	if (!reading->what && column->length < root->offset + root->length) {
		reading->what = "has a column that is shorter than the batch";
	}
	if (!reading->what && ArrowArrayViewValidate(type, NANOARROW_VALIDATION_LEVEL_DEFAULT, reason) != NANOARROW_OK) {
		reading->what = reason->message;
	}
	return column;
}

static struct ArrowArray *read_root(struct reading *reading, struct ArrowArrayView *type, struct ArrowError *reason)
{
	struct ArrowArray *root = read_array(reading, type);
	if (reading->what) {
		return root;
	}
	int64_t rows = root->offset + root->length;
	if (root->buffers[0] && type->buffer_views[0].size_bytes < (rows + 7) / 8) {
		reading->what = "has a bitmap that is too short";
	}
	root->n_children = type->n_children;
	root->children = new_children(reading, type->n_children);
	for (int64_t i = 0; i < type->n_children && !reading->what; i++) {
		root->children[i] = read_column(reading, type->children[i], root, reason);
	}
	return root;
}

/* ---- a batch ---- */

static int malformed(struct bsc_error *err, const char *what)
{
	return bsc__fail(err, BSC_MALFORMED, "the worker's description of a batch %s", what);
}

int bsc__array_read(struct bsc__unlayout *unlayout, struct bsc__view *view, const struct bsc__segments *segments,
                    uint64_t slot, const struct bsc__on_release *on_release, struct ArrowArray *out, uint64_t *bytes,
                    struct bsc_error *err)
{
	*out = (struct ArrowArray){0};
	*bytes = 0;
	struct room wanted = {0};
	struct bsc__view ahead = *view;
	const char *what = count(&unlayout->view, &ahead, 0, &wanted);
	if (!what && (ahead.failed || ahead.left > 0)) {
		what = "has another length than its schema says";
	}
	if (what) {
		return malformed(err, what);
	}
	struct reading reading = {.in = view, .segments = segments};
	struct holder *holder = holder_new(&wanted, &reading.room);
	if (!holder) {
		return bsc__fail_nomem(err, "receiving a batch");
	}
	reading.holder = holder;
	struct ArrowError reason;
	struct ArrowArray *root = read_root(&reading, &unlayout->view, &reason);
	if (reading.what) {
		int rc = malformed(err, reading.what);
		bsc__free(holder);
		return rc;
	}
	if (holder->segment) {
		bsc__segment_ref(holder->segment);
	}
	atomic_init(&holder->refs, (int64_t)wanted.n_arrays);
	holder->on_release = *on_release;
	holder->slot = slot;
	holder->bytes = reading.bytes ? reading.bytes : BSC__BUFFER_ALIGN;
	*out = *root;
	*bytes = holder->bytes;
	return BSC_OK;
}

int bsc__unlayout_init(struct bsc__unlayout *unlayout, const struct ArrowSchema *schema, struct bsc_error *err)
{
	*unlayout = (struct bsc__unlayout){0};
	int rc = bsc__columns_init(&unlayout->view, schema, err);
	if (rc != BSC_OK) {
		*unlayout = (struct bsc__unlayout){0};
		return rc;
	}
	if (ArrowSchemaDeepCopy(schema, &unlayout->schema) != NANOARROW_OK) {
		ArrowArrayViewReset(&unlayout->view);
		*unlayout = (struct bsc__unlayout){0};
		return bsc__fail_nomem(err, "preparing for batches");
	}
	return BSC_OK;
}

void bsc__unlayout_release(struct bsc__unlayout *unlayout)
{
	if (unlayout->schema.release) {
		unlayout->schema.release(&unlayout->schema);
		ArrowArrayViewReset(&unlayout->view);
	}
	*unlayout = (struct bsc__unlayout){0};
}
