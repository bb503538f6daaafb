/* A shadow: copies of a batch's structs over the same buffers, which may be changed
 * where DuckDB's importer needs it. */
#include "shadow.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "types.h"

/* ---- memory ---- */

/* Blocks that live as long as the shadow; the first member of each links them. */
struct block {
	struct block *next;
};

struct origin {
	_Atomic int64_t refs;
	struct ArrowArray batch;
};

struct shadow {
	struct origin *origin;
	struct block *blocks;
};

struct origin *origin_new(struct ArrowArray *batch)
{
	struct origin *origin = calloc(1, sizeof(*origin));
	if (origin) {
		origin->refs = 1;
		origin->batch = *batch;
		batch->release = NULL;
	}
	return origin;
}

const struct ArrowArray *origin_batch(const struct origin *origin)
{
	return &origin->batch;
}

void origin_drop(struct origin *origin)
{
	if (atomic_fetch_sub(&origin->refs, 1) == 1) {
		origin->batch.release(&origin->batch);
		free(origin);
	}
}

static void *shadow_alloc(struct shadow *shadow, size_t size)
{
	struct block *block = calloc(1, sizeof(*block) + size);
	if (!block) {
		return NULL;
	}
	block->next = shadow->blocks;
	shadow->blocks = block;
	return block + 1;
}

static void shadow_free(struct shadow *shadow)
{
	while (shadow->blocks) {
		struct block *next = shadow->blocks->next;
		free(shadow->blocks);
		shadow->blocks = next;
	}
	free(shadow);
}

static void shadow_release(struct ArrowArray *array)
{
	struct shadow *shadow = array->private_data;
	origin_drop(shadow->origin);
	shadow_free(shadow);
	array->release = NULL;
}

/* A child goes with its parent. */
static void child_release(struct ArrowArray *array)
{
	array->release = NULL;
}

/* Copies the structs below `array`, itself a copy; the buffers stay. */
static bool copy_below(struct shadow *shadow, struct ArrowArray *array)
{
	array->release = child_release;
	array->private_data = NULL;
	if (array->n_children > 0) {
		struct ArrowArray **from = array->children;
		struct ArrowArray *children = shadow_alloc(shadow, (size_t)array->n_children * sizeof(*children));
		array->children = shadow_alloc(shadow, (size_t)array->n_children * sizeof(*array->children));
		if (!children || !array->children) {
			return false;
		}
		for (int64_t i = 0; i < array->n_children; i++) {
			children[i] = *from[i];
			array->children[i] = &children[i];
			if (!copy_below(shadow, &children[i])) {
				return false;
			}
		}
	}
	if (array->dictionary) {
		struct ArrowArray *dictionary = shadow_alloc(shadow, sizeof(*dictionary));
		if (!dictionary) {
			return false;
		}
		*dictionary = *array->dictionary;
		array->dictionary = dictionary;
		return copy_below(shadow, dictionary);
	}
	return true;
}

/* ---- offsets ---- */

/* Bits [from, from + n) of `bits`, from bit 0 on. */
static const void *realign(struct shadow *shadow, const uint8_t *bits, int64_t from, int64_t n)
{
	if (from % 8 == 0) {
		return bits + from / 8;
	}
	int64_t n_bytes = (n + 7) / 8, last = (from + n - 1) / 8;
	uint8_t *out = shadow_alloc(shadow, (size_t)n_bytes);
	for (int64_t i = 0; out && i < n_bytes; i++) {
		int64_t at = from / 8 + i;
		int high = at + 1 <= last ? bits[at + 1] << (8 - from % 8) : 0;
		out[i] = (uint8_t)(bits[at] >> (from % 8) | high);
	}
	return out;
}

/* Moves the offset of a struct or union into its children and its own buffers. */
static bool move_offset(struct shadow *shadow, const struct ArrowSchema *field, struct ArrowArray *array)
{
	int64_t offset = array->offset;
	const void **buffers = shadow_alloc(shadow, (size_t)array->n_buffers * sizeof(*buffers));
	if (!buffers) {
		return false;
	}
	memcpy(buffers, array->buffers, (size_t)array->n_buffers * sizeof(*buffers));
	if (is_union(field)) {
		buffers[0] = (const int8_t *)buffers[0] + offset;
	} else if (array->null_count != 0 && array->length > 0 && buffers[0]) {
		buffers[0] = realign(shadow, buffers[0], offset, array->length);
		if (!buffers[0]) {
			return false;
		}
	} else {
		buffers[0] = NULL;
		array->null_count = 0;
	}
	array->buffers = buffers;
	array->offset = 0;
	for (int64_t i = 0; i < array->n_children; i++) {
		struct ArrowArray *child = array->children[i];
		child->offset += offset;
		child->length = array->length;
		child->null_count = child->null_count == 0 ? 0 : -1;
	}
	return true;
}

bool shadow_is_needed(const struct ArrowSchema *field, const struct ArrowArray *array)
{
	if (field->dictionary) {
		return shadow_is_needed(field->dictionary, array->dictionary);
	}
	bool found = array->offset != 0 && (is_struct(field) || is_union(field));
	for (int64_t i = 0; i < field->n_children && !found; i++) {
		found = shadow_is_needed(field->children[i], array->children[i]);
	}
	return found;
}

static bool move_offsets(struct shadow *shadow, const struct ArrowSchema *field, struct ArrowArray *array)
{
	if (field->dictionary) {
		return move_offsets(shadow, field->dictionary, array->dictionary);
	}
	bool good = array->offset == 0 || !(is_struct(field) || is_union(field)) || move_offset(shadow, field, array);
	for (int64_t i = 0; i < field->n_children && good; i++) {
		good = move_offsets(shadow, field->children[i], array->children[i]);
	}
	return good;
}

/* ---- arrays of no rows ---- */

static int64_t n_buffers_of(const struct ArrowSchema *field)
{
	const char *format = field->format;
	switch (format[0]) {
	case 'n':
		return 0;
	case 'u':
	case 'U':
	case 'z':
	case 'Z':
	case 'v':
		return 3;
	case '+':
		return format[1] == 'v' ? 3 : strchr("lLm", format[1]) ? 2 : 1;
	default:
		return 2;
	}
}

static struct ArrowArray *empty_array(struct shadow *shadow, const struct ArrowSchema *field)
{
	static const int64_t zeros[2]; /* a list has an offset more than rows */
	struct ArrowArray *array = shadow_alloc(shadow, sizeof(*array));
	int64_t n_buffers = n_buffers_of(field);
	const void **buffers = shadow_alloc(shadow, (size_t)n_buffers * sizeof(*buffers));
	struct ArrowArray **children = shadow_alloc(shadow, (size_t)field->n_children * sizeof(*children));
	if (!array || !buffers || !children) {
		return NULL;
	}
	for (int64_t i = 0; i < n_buffers; i++) {
		buffers[i] = i > 0 || is_union(field) ? zeros : NULL;
	}
	for (int64_t i = 0; i < field->n_children; i++) {
		children[i] = empty_array(shadow, field->children[i]);
		if (!children[i]) {
			return NULL;
		}
	}
	*array = (struct ArrowArray){.n_buffers = n_buffers,
	                             .buffers = buffers,
	                             .n_children = field->n_children,
	                             .children = children,
	                             .release = child_release};
	return array;
}

/* ---- the shadow ---- */

struct ArrowArray *shadow_empty(struct ArrowArray *array, const struct ArrowSchema *field)
{
	return empty_array(array->private_data, field);
}

bool shadow_cast(const struct ArrowSchema *schema, struct origin *origin, int64_t from, int64_t n,
                 struct ArrowArray *out)
{
	struct shadow *shadow = calloc(1, sizeof(*shadow));
	struct ArrowArray copy = origin->batch;
	bool good = shadow && copy_below(shadow, &copy);
	for (int64_t i = 0; good && i < copy.n_children; i++) {
		struct ArrowArray *column = copy.children[i];
		bool whole = from == 0 && n == column->length;
		column->offset += from;
		column->length = n;
		column->null_count = whole || column->null_count == 0 ? column->null_count : -1;
	}
	copy.length = n;
	if (!good || !move_offsets(shadow, schema, &copy)) {
		if (shadow) {
			shadow_free(shadow);
		}
		return false;
	}
	atomic_fetch_add(&origin->refs, 1);
	shadow->origin = origin;
	copy.release = shadow_release;
	copy.private_data = shadow;
	*out = copy;
	return true;
}
