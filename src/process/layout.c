/* The worker's end of the layout: an array's rows into one slot.
 *
 * Two steps. The array is walked once, its description written, and each buffer noted
 * that is to be copied; when their sizes are known a slot is taken, they are copied, and
 * the description told where to. Rows before the first one that is selected are kept
 * up to seven, so that bitmaps begin at a whole byte: what leads to other memory has them empty.
 *
 * Dictionaries, the runs of run ends, and the children of dense unions go whole: what is used of them is known by
 * looking at each row alone. */
#include "process/layout.h"

#include <string.h>

#include "process/columns.h"
#include "process/wire.h"

/* Larger is no batch; keeps sums of sizes in 64 bits. */
#define SLOT_MAX ((uint64_t)1 << 46)

typedef uint32_t any32 __attribute__((aligned(1), may_alias));
typedef uint64_t any64 __attribute__((aligned(1), may_alias));

enum kind {
	BYTES,   /* as they are */
	OFFSETS, /* less `base` */
	STARTS,  /* of list views: less `base`, 0 where the list is empty */
	VIEWS,   /* of strings: less the begin of their buffer's range; empty where null */
};

struct bsc__copy {
	enum kind kind;
	const uint8_t *from; /* of the first selected item */
	uint64_t size;       /* in bytes, with what leads */
	uint64_t lead;       /* bytes before that are zero */
	uint64_t at;         /* in the slot */
	size_t described;    /* where in the description */
	int bits;            /* of a number */
	int64_t base;
	const uint8_t *other; /* STARTS: sizes; VIEWS: bitmap, or NULL */
	int64_t bit;          /* VIEWS: the first row's in the bitmap */
	size_t range;         /* VIEWS: of the first variadic buffer */
};

struct bsc__range {
	int64_t low, high;
};

struct pass {
	struct bsc__layout *layout;
	struct bsc__bytes *out;
	uint64_t size; /* of the slot */
	bool no_memory;
};

/* Rows of an array, counted from its offset. */
struct rows {
	int64_t from, n;
};

static const char missing[] = "has a buffer that is missing";

/* ---- what is to be copied ---- */

static bool grow(void **items, size_t *cap, size_t n, size_t size)
{
	if (n <= *cap) {
		return true;
	}
	size_t wanted = *cap ? 2 * *cap : 16;
	wanted = wanted < n ? n : wanted;
	void *more = bsc__resize(*items, wanted, size);
	if (!more) {
		return false;
	}
	*items = more;
	*cap = wanted;
	return true;
}

/* Of a buffer: NULL, or what is wrong. An empty one is described as nothing. */
static const char *add(struct pass *pass, struct bsc__copy copy)
{
	struct bsc__layout *layout = pass->layout;
	bool empty = copy.size == 0;
	copy.described = pass->out->len;
	bsc__put_u64(pass->out, 0);
	bsc__put_u64(pass->out, 0);
	bsc__put_u64(pass->out, copy.size);
	if (empty) {
		return NULL;
	}
	if (!copy.from) {
		return missing;
	}
	if (copy.size > SLOT_MAX || pass->size > SLOT_MAX) {
		return "has more bytes than any memory";
	}
	if (!grow((void **)&layout->copies, &layout->cap_copies, layout->n_copies + 1, sizeof(copy))) {
		pass->no_memory = true;
		return "";
	}
	copy.at = pass->size;
	pass->size += (copy.size + BSC__BUFFER_ALIGN - 1) / BSC__BUFFER_ALIGN * BSC__BUFFER_ALIGN;
	layout->copies[layout->n_copies++] = copy;
	return NULL;
}

/* Pointers to nowhere stay so, and nothing is added to them. */
static const uint8_t *plus(const void *ptr, int64_t n)
{
	return ptr ? (const uint8_t *)ptr + n : NULL;
}

static const char *add_bytes(struct pass *pass, const void *buffer, int64_t from, int64_t size)
{
	return add(pass, (struct bsc__copy){.kind = BYTES, .from = plus(buffer, from), .size = (uint64_t)size});
}

static int64_t number_at(const void *buffer, int bits, int64_t i)
{
	return bits == 32 ? (int32_t)((const any32 *)buffer)[i] : (int64_t)((const any64 *)buffer)[i];
}

/* ---- one array ---- */

/* An array whose rows are to be written. */
struct node {
	const struct ArrowArrayView *type;
	const struct ArrowArray *array;
	const uint8_t *bitmap; /* NULL: none */
	int64_t at;            /* the first selected row, counted from the buffers' begin */
	int64_t n;
	int64_t lead; /* rows before it that are written as well */
};

/* The pointers and counts that are followed unasked. */
static const char *check_shape(const struct ArrowArrayView *type, const struct ArrowArray *array)
{
	if (!array || !array->release) {
		return "was released already";
	}
	const char *what = bsc__check_numbers(type, array->length, array->offset, array->null_count);
	if (what) {
		return what;
	}
	int fixed = bsc__fixed_buffers(type);
	if (bsc__is_view_type(type) ? array->n_buffers < fixed + 1 || array->n_buffers > INT32_MAX
	                            : array->n_buffers != fixed) {
		return "has a wrong number of buffers";
	}
	if (array->n_buffers > 0 && !array->buffers) {
		return "has no list of buffers";
	}
	if (bsc__is_view_type(type) && array->n_buffers > fixed + 1 && !array->buffers[array->n_buffers - 1]) {
		return "has no sizes of its variadic buffers";
	}
	if (bsc__has_validity(type) && !array->buffers[0] && array->null_count > 0) {
		return "has nulls, but no bitmap of them";
	}
	if (array->n_children != type->n_children || (array->n_children > 0 && !array->children)) {
		return "has a wrong number of children";
	}
	for (int64_t i = 0; i < array->n_children; i++) {
		if (!array->children[i] || !array->children[i]->release) {
			return "was released already";
		}
	}
	if (!array->dictionary != !type->dictionary) {
		return array->dictionary ? "has a dictionary, but its type has none"
		                         : "has no dictionary, but its type has one";
	}
	return NULL;
}

static int64_t nulls_of(const struct node *node, bool cut)
{
	int64_t nulls = node->array->null_count;
	if (node->n == 0 || nulls == 0 || (bsc__has_validity(node->type) && !node->bitmap)) {
		return 0;
	}
	if (!cut) {
		return nulls;
	}
	return node->type->storage_type == NANOARROW_TYPE_NA && nulls == node->array->length ? node->n : -1;
}

static const char *write_rows(struct pass *pass, const struct ArrowArrayView *type, const struct ArrowArray *array,
                              struct rows rows);

static struct rows all_rows(const struct ArrowArray *array)
{
	return (struct rows){0, array->length};
}

static const char *write_children(struct pass *pass, const struct node *node, struct rows below)
{
	const char *what = NULL;
	for (int64_t i = 0; i < node->array->n_children && !what; i++) {
		what = write_rows(pass, node->type->children[i], node->array->children[i], below);
	}
	return what;
}

static const char *write_whole_children(struct pass *pass, const struct node *node)
{
	const char *what = NULL;
	for (int64_t i = 0; i < node->array->n_children && !what; i++) {
		what = write_rows(pass, node->type->children[i], node->array->children[i], all_rows(node->array->children[i]));
	}
	return what;
}

static const char *write_bitmap(struct pass *pass, const struct node *node, const void *bits)
{
	/* Without rows there is nothing to look at. */
	int64_t size = node->n && bits ? (node->lead + node->n + 7) / 8 : 0;
	return add_bytes(pass, bits, (node->at - node->lead) / 8, size);
}

/* Text, binaries, lists and maps. */
static const char *write_offsets(struct pass *pass, const struct node *node)
{
	const void *offsets = node->array->buffers[1];
	int bits = (int)node->type->layout.element_size_bits[1];
	int64_t first = 0, last = 0;
	if (node->n > 0) {
		if (!offsets) {
			return missing;
		}
		first = number_at(offsets, bits, node->at);
		last = number_at(offsets, bits, node->at + node->n);
		if (first < 0 || last < first) {
			return "has offsets that are negative or fall";
		}
	}
	struct bsc__copy copy = {
	    .kind = first ? OFFSETS : BYTES,
	    .from = plus(offsets, node->at * bits / 8),
	    .size = node->n ? (uint64_t)((node->lead + node->n + 1) * bits / 8) : 0,
	    .lead = (uint64_t)(node->lead * bits / 8),
	    .bits = bits,
	    .base = first,
	};
	const char *what = add(pass, copy);
	if (what) {
		return what;
	}
	if (node->type->n_children == 0) {
		return add_bytes(pass, node->array->buffers[2], first, last - first);
	}
	if (last > node->array->children[0]->length) {
		return "has a list outside its items";
	}
	return write_children(pass, node, (struct rows){first, last - first});
}

static const char *write_list_views(struct pass *pass, const struct node *node)
{
	const void *starts = node->array->buffers[1], *sizes = node->array->buffers[2];
	int bits = (int)node->type->layout.element_size_bits[1];
	int64_t length = node->array->children[0]->length, low = INT64_MAX, high = 0;
	if (node->n > 0 && (!starts || !sizes)) {
		return missing;
	}
	for (int64_t i = node->at; i < node->at + node->n; i++) {
		int64_t start = number_at(starts, bits, i), size = number_at(sizes, bits, i);
		if (start < 0 || size < 0 || start > length || size > length - start) {
			return "has a list outside its items";
		}
		low = size > 0 && start < low ? start : low;
		high = size > 0 && start + size > high ? start + size : high;
	}
	low = high ? low : 0;
	struct bsc__copy copy = {
	    .kind = STARTS,
	    .from = plus(starts, node->at * bits / 8),
	    .size = node->n ? (uint64_t)((node->lead + node->n) * bits / 8) : 0,
	    .lead = (uint64_t)(node->lead * bits / 8),
	    .bits = bits,
	    .base = low,
	    .other = plus(sizes, node->at * bits / 8),
	};
	const char *what = add(pass, copy);
	copy.kind = BYTES;
	copy.from = copy.other;
	what = what ? what : add(pass, copy);
	return what ? what : write_children(pass, node, (struct rows){low, high - low});
}

/* Which of each variadic buffer's bytes the views lead to. */
static const char *find_ranges(const struct node *node, struct bsc__range *ranges, int64_t n_ranges)
{
	const uint8_t *views = node->array->buffers[1];
	const void *sizes = node->array->buffers[node->array->n_buffers - 1];
	for (int64_t i = 0; i < n_ranges; i++) {
		ranges[i] = (struct bsc__range){INT64_MAX, 0};
	}
	for (int64_t i = node->at; i < node->at + node->n; i++) {
		union ArrowBinaryView item;
		memcpy(&item, views + i * (int64_t)sizeof(item), sizeof(item));
		int64_t size = item.inlined.size;
		if ((size >= 0 && size <= NANOARROW_BINARY_VIEW_INLINE_SIZE) ||
		    (node->bitmap && !ArrowBitGet(node->bitmap, i))) {
			continue;
		}
		int64_t buffer = item.ref.buffer_index, begin = item.ref.offset;
		if (size < 0 || begin < 0 || buffer < 0 || buffer >= n_ranges || begin + size > number_at(sizes, 64, buffer)) {
			return "has a string view outside its buffers";
		}
		struct bsc__range *range = &ranges[buffer];
		range->low = begin < range->low ? begin : range->low;
		range->high = begin + size > range->high ? begin + size : range->high;
	}
	return NULL;
}

static const char *write_views(struct pass *pass, const struct node *node)
{
	enum { FIXED = NANOARROW_BINARY_VIEW_FIXED_BUFFERS, WIDTH = sizeof(union ArrowBinaryView) };
	struct bsc__layout *layout = pass->layout;
	const void *views = node->array->buffers[1];
	size_t first = layout->n_ranges;
	int64_t n_ranges = node->array->n_buffers - FIXED - 1;
	if (node->n > 0 && !views) {
		return missing;
	}
	if (!grow((void **)&layout->ranges, &layout->cap_ranges, first + (size_t)n_ranges, sizeof(*layout->ranges))) {
		pass->no_memory = true;
		return "";
	}
	layout->n_ranges += (size_t)n_ranges;
	const char *what = find_ranges(node, layout->ranges + first, n_ranges);
	struct bsc__copy copy = {
	    .kind = VIEWS,
	    .from = plus(views, node->at * WIDTH),
	    .size = node->n ? (uint64_t)((node->lead + node->n) * WIDTH) : 0,
	    .lead = (uint64_t)(node->lead * WIDTH),
	    .other = node->bitmap,
	    .bit = node->at,
	    .range = first,
	};
	what = what ? what : add(pass, copy);
	for (int64_t i = 0; i < n_ranges && !what; i++) {
		struct bsc__range *range = &layout->ranges[first + (size_t)i];
		range->low = range->high ? range->low : 0;
		what = add_bytes(pass, node->array->buffers[FIXED + i], range->low, range->high - range->low);
	}
	return what;
}

static const char *write_unions(struct pass *pass, const struct node *node)
{
	const char *what = add_bytes(pass, node->array->buffers[0], node->at, node->n);
	if (node->type->storage_type == NANOARROW_TYPE_SPARSE_UNION) {
		return what ? what : write_children(pass, node, (struct rows){node->at, node->n});
	}
	int64_t width = (int64_t)sizeof(int32_t);
	what = what ? what : add_bytes(pass, node->array->buffers[1], node->at * width, node->n * width);
	return what ? what : write_whole_children(pass, node);
}

/* Structs, lists of a fixed size, and what has no children. */
static const char *write_plain(struct pass *pass, const struct node *node)
{
	const struct ArrowLayout *layout = &node->type->layout;
	int64_t first = node->at - node->lead, n = node->n + node->lead;
	if (layout->buffer_type[1] == NANOARROW_BUFFER_TYPE_NONE) {
		int64_t each = node->type->storage_type == NANOARROW_TYPE_FIXED_SIZE_LIST ? layout->child_size_elements : 1;
		return write_children(pass, node, (struct rows){first * each, n * each});
	}
	const void *data = node->array->buffers[1];
	int64_t bits = layout->element_size_bits[1];
	if (node->type->storage_type == NANOARROW_TYPE_BOOL) {
		return node->n > 0 && !data ? missing : write_bitmap(pass, node, data);
	}
	return add_bytes(pass, data, first * (bits / 8), n * (bits / 8));
}

static const char *write_buffers(struct pass *pass, const struct node *node)
{
	const char *what = bsc__has_validity(node->type) ? write_bitmap(pass, node, node->bitmap) : NULL;
	if (what) {
		return what;
	}
	switch (node->type->storage_type) {
	case NANOARROW_TYPE_NA:
		return NULL;
	case NANOARROW_TYPE_RUN_END_ENCODED:
		return write_whole_children(pass, node);
	case NANOARROW_TYPE_DENSE_UNION:
	case NANOARROW_TYPE_SPARSE_UNION:
		return write_unions(pass, node);
	case NANOARROW_TYPE_LIST_VIEW:
	case NANOARROW_TYPE_LARGE_LIST_VIEW:
		return write_list_views(pass, node);
	case NANOARROW_TYPE_STRING_VIEW:
	case NANOARROW_TYPE_BINARY_VIEW:
		return write_views(pass, node);
	default:
		return node->type->layout.buffer_type[1] == NANOARROW_BUFFER_TYPE_DATA_OFFSET ? write_offsets(pass, node)
		                                                                              : write_plain(pass, node);
	}
}

static void put_head(struct bsc__bytes *out, int64_t length, int64_t nulls, int64_t offset, int64_t n_buffers)
{
	bsc__put_u8(out, 0);
	bsc__put_i64(out, length);
	bsc__put_i64(out, nulls);
	bsc__put_i64(out, offset);
	bsc__put_u32(out, (uint32_t)n_buffers);
}

static int64_t buffers_sent(const struct ArrowArrayView *type, const struct ArrowArray *array)
{
	return bsc__is_view_type(type) ? array->n_buffers - 1 : array->n_buffers;
}

static void init_node(struct node *node, const struct ArrowArrayView *type, const struct ArrowArray *array,
                      struct rows rows)
{
	*node = (struct node){.type = type, .array = array, .at = array->offset + rows.from, .n = rows.n};
	node->bitmap = bsc__has_validity(type) ? array->buffers[0] : NULL;
	bool bits = node->bitmap || type->storage_type == NANOARROW_TYPE_BOOL;
	node->lead = bits && rows.n > 0 ? node->at % 8 : 0;
}

static const char *write_rows(struct pass *pass, const struct ArrowArrayView *type, const struct ArrowArray *array,
                              struct rows rows)
{
	const char *what = check_shape(type, array);
	if (what) {
		return what;
	}
	if (rows.n > array->length || rows.from > array->length - rows.n) {
		return "has a child that is too short";
	}
	struct node node;
	init_node(&node, type, array, rows);
	/* Runs aren't cut: where they begin is said by the offset. */
	bool runs = type->storage_type == NANOARROW_TYPE_RUN_END_ENCODED;
	put_head(pass->out, node.n, nulls_of(&node, rows.n != array->length), runs ? node.at : node.lead,
	         buffers_sent(type, array));
	what = write_buffers(pass, &node);
	if (!what && array->dictionary) {
		what = write_rows(pass, type->dictionary, array->dictionary, all_rows(array->dictionary));
	}
	return what;
}

/* ---- copying ---- */

static void copy_offsets(uint8_t *to, const struct bsc__copy *copy, uint64_t n)
{
	if (copy->bits == 32) {
		const any32 *from = (const any32 *)copy->from;
		for (uint64_t i = 0; i < n; i++) {
			((any32 *)to)[i] = from[i] - (uint32_t)copy->base;
		}
	} else {
		const any64 *from = (const any64 *)copy->from;
		for (uint64_t i = 0; i < n; i++) {
			((any64 *)to)[i] = from[i] - (uint64_t)copy->base;
		}
	}
}

static void copy_starts(uint8_t *to, const struct bsc__copy *copy, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		int64_t size = number_at(copy->other, copy->bits, (int64_t)i);
		int64_t start = size ? number_at(copy->from, copy->bits, (int64_t)i) - copy->base : 0;
		if (copy->bits == 32) {
			((any32 *)to)[i] = (uint32_t)start;
		} else {
			((any64 *)to)[i] = (uint64_t)start;
		}
	}
}

static void copy_views(uint8_t *to, const struct bsc__copy *copy, uint64_t n, const struct bsc__range *ranges)
{
	for (uint64_t i = 0; i < n; i++) {
		union ArrowBinaryView item;
		memcpy(&item, copy->from + i * sizeof(item), sizeof(item));
		if (copy->other && !ArrowBitGet(copy->other, copy->bit + (int64_t)i)) {
			memset(&item, 0, sizeof(item));
		} else if (item.inlined.size > NANOARROW_BINARY_VIEW_INLINE_SIZE) {
			item.ref.offset -= (int32_t)ranges[item.ref.buffer_index].low;
		}
		memcpy(to + i * sizeof(item), &item, sizeof(item));
	}
}

static void copy_buffer(const struct bsc__layout *layout, const struct bsc__copy *copy, uint8_t *to)
{
	uint64_t size = copy->size - copy->lead;
	if (copy->lead) {
		memset(to, 0, copy->lead);
	}
	to += copy->lead;
	switch (copy->kind) {
	case BYTES:
		memcpy(to, copy->from, size);
		break;
	case OFFSETS:
		copy_offsets(to, copy, size / (uint64_t)(copy->bits / 8));
		break;
	case STARTS:
		copy_starts(to, copy, size / (uint64_t)(copy->bits / 8));
		break;
	case VIEWS:
		copy_views(to, copy, size / sizeof(union ArrowBinaryView), layout->ranges + copy->range);
		break;
	}
}

static void copy_all(const struct bsc__layout *layout, const struct bsc__slot *slot, struct bsc__bytes *out)
{
	for (size_t i = 0; i < layout->n_copies; i++) {
		const struct bsc__copy *copy = &layout->copies[i];
		copy_buffer(layout, copy, slot->ptr + copy->at);
		uint64_t where[2] = {slot->segment, slot->offset + copy->at};
		memcpy(out->ptr + copy->described, where, sizeof(where));
	}
}

/* ---- a batch ---- */

int bsc__layout_init(struct bsc__layout *layout, const struct ArrowSchema *schema, struct bsc_error *err)
{
	*layout = (struct bsc__layout){0};
	int rc = bsc__columns_init(&layout->view, schema, err);
	if (rc != BSC_OK) {
		return rc;
	}
	int64_t n = layout->view.n_children;
	layout->ready = true;
	layout->names = bsc__calloc((size_t)n, sizeof(*layout->names));
	bool good = layout->names;
	for (int64_t i = 0; i < n && good; i++) {
		layout->names[i] = bsc__strndup(bsc__str(schema->children[i]->name));
		good = layout->names[i];
	}
	if (!good) {
		bsc__layout_release(layout);
		return bsc__fail_nomem(err, "preparing for batches");
	}
	return BSC_OK;
}

void bsc__layout_release(struct bsc__layout *layout)
{
	if (layout->ready) {
		for (int64_t i = 0; layout->names && i < layout->view.n_children; i++) {
			bsc__free(layout->names[i]);
		}
		ArrowArrayViewReset(&layout->view);
	}
	bsc__free(layout->names);
	bsc__free(layout->copies);
	bsc__free(layout->ranges);
	*layout = (struct bsc__layout){0};
}

/* *column: out, where something is wrong in one. */
static const char *write_batch(struct pass *pass, const struct ArrowArray *array, const bool *asked, int64_t *column)
{
	const struct ArrowArrayView *type = &pass->layout->view;
	if (!array->release || array->n_children != type->n_children || (array->n_children > 0 && !array->children)) {
		return "the batch has another number of columns than its schema";
	}
	if (array->n_buffers != 1 || !array->buffers || array->dictionary) {
		return "the batch is not laid out as a struct";
	}
	if (bsc__check_numbers(type, array->length, array->offset, array->null_count)) {
		return "the batch has a length, an offset or a null count out of range";
	}
	struct node node;
	init_node(&node, type, array, all_rows(array));
	/* Nulls that no bitmap shows are the host's to refuse, as all nulls of a batch are. */
	int64_t nulls = array->null_count > 0 ? array->null_count : nulls_of(&node, false);
	put_head(pass->out, node.n, nulls, node.lead, 1);
	const char *what = write_bitmap(pass, &node, node.bitmap);
	for (int64_t i = 0; i < array->n_children && !what; i++) {
		*column = i;
		const struct ArrowArrayView *child = type->children[i];
		if ((asked && !asked[i]) || child->storage_type == NANOARROW_TYPE_UNINITIALIZED) {
			bsc__put_u8(pass->out, BSC__NODE_ABSENT);
			continue;
		}
		const struct ArrowArray *values = array->children[i];
		if (values && values->release && values->length >= 0 && values->length < array->offset + array->length) {
			return "is shorter than its batch";
		}
		what = write_rows(pass, child, values, (struct rows){node.at - node.lead, node.n + node.lead});
	}
	return what;
}

int bsc__layout_write(struct bsc__layout *layout, const struct ArrowArray *array, const bool *asked,
                      struct bsc__arena *arena, struct bsc__bytes *out, struct bsc__slot *slot, struct bsc_error *err)
{
	*slot = (struct bsc__slot){0};
	size_t begin = out->len;
	if (out->failed) {
		return bsc__fail(err, BSC_SOURCE,
		                 "the schema of a batch is larger than can be sent: it has too many fields, or too long names");
	}
	struct pass pass = {.layout = layout, .out = out};
	layout->n_copies = layout->n_ranges = 0;
	int64_t column = -1;
	const char *what = write_batch(&pass, array, asked, &column);
	int rc = BSC_OK;
	/* No number is longer: with more room left it was memory that was short. */
	enum { NUMBER_MAX = 8 };
	if (pass.no_memory || (!what && out->failed && out->max - out->len >= NUMBER_MAX)) {
		rc = bsc__fail_nomem(err, "laying out a batch");
	} else if (what) {
		rc = bsc__fail(err, BSC_MALFORMED,
		               "%s%.200s%s%s. The object that read_partition yielded exports a broken Arrow array: check the "
		               "library that made it",
		               column >= 0 ? "column '" : "", column >= 0 ? layout->names[column] : "", column >= 0 ? "' " : "",
		               what);
	} else if (out->failed) {
		rc = bsc__fail(err, BSC_NOMEM, "the description of a batch has more than %zu bytes: yield smaller batches",
		               out->max);
	} else {
		rc = bsc__arena_take(arena, pass.size ? pass.size : BSC__BUFFER_ALIGN, slot, err);
	}
	if (rc != BSC_OK) {
		out->len = begin;
		out->failed = false;
		return rc;
	}
	copy_all(layout, slot, out);
	return BSC_OK;
}
