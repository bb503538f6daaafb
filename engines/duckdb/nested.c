/* Nested columns for DuckDB's importer. A batch that needs a change is handed over
 * as a shadow: copies of its structs, which point to the same buffers. */
#include "nested.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- types ---- */

static bool is_struct(const struct ArrowSchema *field)
{
	return strcmp(field->format, "+s") == 0;
}

static bool is_union(const struct ArrowSchema *field)
{
	return strncmp(field->format, "+u", 2) == 0;
}

static bool is_run_end(const struct ArrowSchema *field)
{
	return strcmp(field->format, "+r") == 0;
}

static bool is_fixed_size_list(const struct ArrowSchema *field)
{
	return strncmp(field->format, "+w:", 3) == 0;
}

/* List, large list and map: int32 or int64 offsets in buffer 1. */
static bool has_offsets(const struct ArrowSchema *field)
{
	return strcmp(field->format, "+l") == 0 || strcmp(field->format, "+L") == 0 || strcmp(field->format, "+m") == 0;
}

static bool has_dictionary(const struct ArrowSchema *field)
{
	bool has = field->dictionary != NULL;
	for (int64_t i = 0; i < field->n_children && !has; i++) {
		has = has_dictionary(field->children[i]);
	}
	return has;
}

static const char *refused_dictionary(const struct ArrowSchema *values)
{
	bool refuse = has_dictionary(values) || is_struct(values) || is_fixed_size_list(values);
	return refuse ? "a dictionary of dictionaries, structs or fixed-size lists: decode it to plain values" : NULL;
}

static const char *refused_run_end(const struct ArrowSchema *values)
{
	bool refuse = values->dictionary || values->format[0] == '+';
	return refuse ? "a run-end encoding of dictionaries or nested values: decode it to plain values" : NULL;
}

/* What of a type DuckDB reads wrong, or crashes on; NULL: nothing. `in_fixed`: a
 * fixed-size list stands above it, with nothing but structs between. */
static const char *refused(const struct ArrowSchema *field, bool in_fixed)
{
	if (field->dictionary) {
		return in_fixed ? "a dictionary inside a fixed-size list: decode it to plain values"
		                : refused_dictionary(field->dictionary);
	}
	if (is_run_end(field)) {
		return in_fixed ? "run-end encoded values in a fixed-size list: decode them to plain values"
		                : refused_run_end(field->children[1]);
	}
	bool below = is_fixed_size_list(field) || (is_struct(field) && in_fixed);
	const char *why = NULL;
	for (int64_t i = 0; i < field->n_children && !why; i++) {
		why = refused(field->children[i], below);
	}
	return why;
}

bool nested_check_schema(const struct bsc_source *source, duckdb_v2_error_info_handle *err)
{
	const struct ArrowSchema *schema = bsc_source_schema(source);
	for (int64_t i = 0; i < schema->n_children; i++) {
		const char *why = refused(schema->children[i], false);
		if (why) {
			char text[1024];
			snprintf(text, sizeof(text), "%.400s: DuckDB can't read column '%.200s', it holds %s",
			         bsc_source_label(source), schema->children[i]->name, why);
			fail_text(err, DUCKDB_V2_ERROR_INPUT_INVALID, text);
			return false;
		}
	}
	return true;
}

static bool is_nested(const struct ArrowSchema *field)
{
	return field->n_children > 0 || (field->dictionary && is_nested(field->dictionary));
}

bool nested_needs_prepare(const struct ArrowSchema *schema)
{
	bool needs = false;
	for (int64_t i = 0; i < schema->n_children && !needs; i++) {
		needs = is_nested(schema->children[i]);
	}
	return needs;
}

/* ---- lists over dictionaries ---- */

static int64_t offset_at(const struct ArrowSchema *field, const struct ArrowArray *array, int64_t row)
{
	bool large = strcmp(field->format, "+L") == 0;
	const void *offsets = array->buffers[1];
	return large ? ((const int64_t *)offsets)[array->offset + row] : ((const int32_t *)offsets)[array->offset + row];
}

/* True if the first chunk, `n_rows` of this array, has only empty lists over a
 * dictionary, from offset 0: DuckDB then takes the indices for plain values. */
static bool has_empty_start(const struct ArrowSchema *field, const struct ArrowArray *array, int64_t n_rows)
{
	if (field->dictionary || array->length == 0) {
		return false;
	}
	if (has_offsets(field)) {
		int64_t end = offset_at(field, array, n_rows < array->length ? n_rows : array->length);
		const struct ArrowSchema *item = field->children[0];
		return item->dictionary ? end == 0 : has_empty_start(item, array->children[0], end);
	}
	int64_t factor = is_fixed_size_list(field) ? strtoll(field->format + 3, NULL, 10) : 1;
	for (int64_t i = 0; i < field->n_children; i++) {
		if ((is_struct(field) || is_fixed_size_list(field)) &&
		    has_empty_start(field->children[i], array->children[i], n_rows * factor)) {
			return true;
		}
	}
	return false;
}

/* ---- the shadow ---- */

/* Blocks that live as long as the shadow; the first member of each links them. */
struct block {
	struct block *next;
};

/* The batch that shadows stand for: released with the last of them. */
struct origin {
	_Atomic int64_t refs;
	struct ArrowArray batch;
};

struct shadow {
	struct origin *origin;
	struct block *blocks;
};

static struct origin *origin_new(const struct ArrowArray *batch)
{
	struct origin *origin = calloc(1, sizeof(*origin));
	if (origin) {
		origin->refs = 1;
		origin->batch = *batch;
	}
	return origin;
}

static void origin_drop(struct origin *origin)
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

static bool has_struct_offset(const struct ArrowSchema *field, const struct ArrowArray *array)
{
	if (field->dictionary) {
		return has_struct_offset(field->dictionary, array->dictionary);
	}
	bool found = array->offset != 0 && (is_struct(field) || is_union(field));
	for (int64_t i = 0; i < field->n_children && !found; i++) {
		found = has_struct_offset(field->children[i], array->children[i]);
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

/* A shadow of rows [from, from + n) of the origin. */
static bool cast_shadow(const struct ArrowSchema *schema, struct origin *origin, int64_t from, int64_t n,
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

/* Replaces the batch by a shadow of its first `head` rows, and one of the others. */
static bool cut(const struct ArrowSchema *schema, struct ArrowArray *batch, int64_t head, struct ArrowArray *rest,
                duckdb_v2_error_info_handle *err)
{
	struct origin *origin = origin_new(batch);
	struct ArrowArray first = {0}, second = {0};
	int64_t length = batch->length;
	bool good = origin && cast_shadow(schema, origin, 0, head, &first) &&
	            (head == length || cast_shadow(schema, origin, head, length - head, &second));
	if (good) {
		origin_drop(origin);
		*batch = first;
		*rest = second;
		return true;
	}
	if (first.release) {
		first.release(&first); /* leaves the origin to `batch`: one reference is ours */
	}
	free(origin);
	fail_text(err, DUCKDB_V2_ERROR_RESOURCE_OUT_OF_MEMORY, "python(): out of memory for a nested batch");
	return false;
}

/* ---- dictionaries in structs ---- */

static bool has_struct_of_dictionary(const struct ArrowSchema *field, bool in_struct)
{
	bool has = in_struct && field->dictionary;
	for (int64_t i = 0; i < field->n_children && !has; i++) {
		has = has_struct_of_dictionary(field->children[i], in_struct || is_struct(field));
	}
	return has;
}

/* How many of `n_rows` the importer may take at once, where a dictionary stands in
 * a struct: it fails on a chunk whose row count is no power of two, and only the
 * last chunk is a short one. */
static int64_t takeable_rows(int64_t n_rows)
{
	int64_t last = n_rows % CHUNK_ROWS, power = last ? 1 : 0;
	while (power && power * 2 <= last) {
		power *= 2;
	}
	return n_rows - last + power;
}

bool nested_prepare(const struct ArrowSchema *schema, struct ArrowArray *batch, struct ArrowArray *rest,
                    duckdb_v2_error_info_handle *err)
{
	bool moved = false, short_chunks = false;
	for (int64_t i = 0; i < schema->n_children; i++) {
		const struct ArrowSchema *field = schema->children[i];
		if (!is_nested(field)) {
			continue;
		}
		if (has_empty_start(field, batch->children[i], CHUNK_ROWS)) {
			char text[512];
			snprintf(text, sizeof(text),
			         "column '%.200s' begins with empty lists over a dictionary, which DuckDB can't read: cast the "
			         "dictionary to its values",
			         field->name);
			fail_text(err, DUCKDB_V2_ERROR_INPUT_INVALID, text);
			return false;
		}
		moved = moved || has_struct_offset(field, batch->children[i]);
		short_chunks = short_chunks || has_struct_of_dictionary(field, false);
	}
	int64_t head = short_chunks ? takeable_rows(batch->length) : batch->length;
	return (!moved && head == batch->length) || cut(schema, batch, head, rest, err);
}
