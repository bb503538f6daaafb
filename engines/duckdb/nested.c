/* Nested columns for DuckDB's importer. A batch that needs a change is handed over
 * as a shadow: copies of its structs, which point to the same buffers. */
#include "nested.h"

#include <stdio.h>
#include <stdlib.h>

#define CHUNK_ROWS 2048

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

/* What of a type DuckDB reads wrong, or crashes on; NULL: nothing. `within`: what
 * stands between this field and the column or the list above it. */
enum within { WITHIN_COLUMN, WITHIN_STRUCT, WITHIN_FIXED_SIZE_LIST };

static const char *refused(const struct ArrowSchema *field, enum within within, bool in_list)
{
	if (field->dictionary) {
		/* A chunk whose row count is no power of two fails inside a struct; inside a
		 * fixed-size list the indices are taken for values. */
		if (within == WITHIN_FIXED_SIZE_LIST || (within == WITHIN_STRUCT && !in_list)) {
			return "a dictionary inside a struct or fixed-size list: decode it to plain values";
		}
		return refused_dictionary(field->dictionary);
	}
	if (is_run_end(field)) {
		return within == WITHIN_FIXED_SIZE_LIST
		           ? "run-end encoded values in a fixed-size list: decode them to plain values"
				   : refused_run_end(field->children[1]);
	}
	enum within below = WITHIN_COLUMN;
	if (is_fixed_size_list(field) || (is_struct(field) && within == WITHIN_FIXED_SIZE_LIST)) {
		below = WITHIN_FIXED_SIZE_LIST;
	} else if (is_struct(field)) {
		below = WITHIN_STRUCT;
	}
	in_list = in_list || has_offsets(field);
	const char *why = NULL;
	for (int64_t i = 0; i < field->n_children && !why; i++) {
		why = refused(field->children[i], below, in_list);
	}
	return why;
}

bool nested_check_schema(const struct bsc_source *source, duckdb_v2_error_info_handle *err)
{
	const struct ArrowSchema *schema = bsc_source_schema(source);
	for (int64_t i = 0; i < schema->n_children; i++) {
		const char *why = refused(schema->children[i], WITHIN_COLUMN, false);
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

struct shadow {
	struct ArrowArray batch;
	struct block *blocks;
};

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
	shadow->batch.release(&shadow->batch);
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

static bool cast_shadow(const struct ArrowSchema *schema, struct ArrowArray *batch)
{
	struct shadow *shadow = calloc(1, sizeof(*shadow));
	struct ArrowArray copy = *batch;
	if (!shadow) {
		return false;
	}
	if (!copy_below(shadow, &copy) || !move_offsets(shadow, schema, &copy)) {
		shadow_free(shadow);
		return false;
	}
	shadow->batch = *batch;
	copy.release = shadow_release;
	copy.private_data = shadow;
	*batch = copy;
	return true;
}

bool nested_prepare(const struct ArrowSchema *schema, struct ArrowArray *batch, duckdb_v2_error_info_handle *err)
{
	bool moved = false;
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
	}
	if (moved && !cast_shadow(schema, batch)) {
		fail_text(err, DUCKDB_V2_ERROR_RESOURCE_OUT_OF_MEMORY, "python(): out of memory for a nested batch");
		return false;
	}
	return true;
}
