/* Nested columns for DuckDB's importer. A batch that needs a change is handed over
 * as a shadow: copies of its structs, which point to the same buffers. */
#include "nested.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "types.h"

#define TYPE_TEXT 800

/* ---- types ---- */

/* List, large list and map: int32 or int64 offsets in buffer 1. */
static bool has_offsets(const struct ArrowSchema *field)
{
	return strcmp(field->format, "+l") == 0 || strcmp(field->format, "+L") == 0 || strcmp(field->format, "+m") == 0;
}

static bool is_list_view(const struct ArrowSchema *field)
{
	return strncmp(field->format, "+v", 2) == 0;
}

/* False, with `err` set, if DuckDB can't read this column of `source`. */
static bool check_column(const struct bsc_source *source, const struct ArrowSchema *column,
                         duckdb_v2_error_info_handle *err)
{
	struct ArrowSchema mended;
	struct bsc_error error;
	if (bsc_schema_copy(column, &mended, &error) != BSC_OK) {
		fail_with(err, &error);
		return false;
	}
	bool bad = types_mend(&mended);
	if (bad) {
		char type[TYPE_TEXT], cast[TYPE_TEXT], text[3 * TYPE_TEXT];
		bsc_schema_describe(column, type, sizeof(type));
		bsc_schema_describe(&mended, cast, sizeof(cast));
		snprintf(text, sizeof(text), "%.400s: DuckDB can't read column '%.200s' of type %s. Cast it to %s in the class",
		         bsc_source_label(source), column->name, type, cast);
		fail_text(err, DUCKDB_V2_ERROR_INPUT_INVALID, text);
	}
	mended.release(&mended);
	return !bad;
}

bool nested_check_schema(const struct bsc_source *source, duckdb_v2_error_info_handle *err)
{
	const struct ArrowSchema *schema = bsc_source_schema(source);
	bool good = true;
	for (int64_t i = 0; i < schema->n_children && good; i++) {
		good = check_column(source, schema->children[i], err);
	}
	return good;
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

/* ---- empty lists ---- */

/* Rows of an array, counted from its offset. */
struct rows {
	int64_t from;
	int64_t n;
};

static int64_t int_at(const struct ArrowSchema *field, const struct ArrowArray *array, int buffer, int64_t row)
{
	bool large = field->format[strlen(field->format) - 1] == 'L';
	const void *ints = array->buffers[buffer];
	return large ? ((const int64_t *)ints)[array->offset + row] : ((const int32_t *)ints)[array->offset + row];
}

/* The child's rows that the importer reads for these rows of a list. */
static struct rows rows_of_items(const struct ArrowSchema *field, const struct ArrowArray *array, struct rows rows)
{
	int64_t low = 0, high = 0;
	if (rows.n > 0 && has_offsets(field)) {
		low = int_at(field, array, 1, rows.from);
		high = int_at(field, array, 1, rows.from + rows.n);
	}
	for (int64_t i = rows.from; i < rows.from + rows.n && is_list_view(field); i++) {
		int64_t start = int_at(field, array, 1, i), size = int_at(field, array, 2, i);
		low = size > 0 && (high == 0 || start < low) ? start : low;
		high = size > 0 && start + size > high ? start + size : high;
	}
	return (struct rows){low, high - low};
}

/* True if unreadable_item may find one in an array of this type. */
static bool may_be_unreadable(const struct ArrowSchema *field)
{
	bool may = (has_offsets(field) || is_list_view(field)) && types_must_not_be_empty(field->children[0]);
	for (int64_t i = 0; i < field->n_children && !may; i++) {
		may = may_be_unreadable(field->children[i]);
	}
	return may || (field->dictionary && may_be_unreadable(field->dictionary));
}

/* The list's item whose array DuckDB can't read, or NULL: it takes an encoded array
 * for one of the values where the lists of a chunk are all empty, from offset 0. */
static const struct ArrowSchema *unreadable_item(const struct ArrowSchema *field, const struct ArrowArray *array,
                                                 struct rows rows)
{
	if (field->dictionary) {
		return unreadable_item(field->dictionary, array->dictionary, (struct rows){0, array->dictionary->length});
	}
	if (is_run_end(field)) {
		return NULL;
	}
	struct rows below = {array->offset + rows.from, rows.n};
	if (has_offsets(field) || is_list_view(field)) {
		below = rows_of_items(field, array, rows);
		if (below.from == 0 && below.n == 0 && types_must_not_be_empty(field->children[0])) {
			return field->children[0];
		}
	} else if (is_fixed_size_list(field)) {
		int64_t size = strtoll(field->format + 3, NULL, 10);
		below = (struct rows){below.from * size, below.n * size};
	}
	const struct ArrowSchema *found = NULL;
	for (int64_t i = 0; i < field->n_children && !found; i++) {
		found = unreadable_item(field->children[i], array->children[i], below);
	}
	return found;
}

/* False, with `err` set, if a chunk of this column's `n_rows` can't be read. */
static bool check_chunks(const struct ArrowSchema *column, const struct ArrowArray *array, int64_t n_rows,
                         duckdb_v2_error_info_handle *err)
{
	const struct ArrowSchema *item = NULL;
	int64_t end = may_be_unreadable(column) ? n_rows : 0;
	for (int64_t from = 0; from < end && !item; from += CHUNK_ROWS) {
		int64_t left = end - from;
		item = unreadable_item(column, array, (struct rows){from, left < CHUNK_ROWS ? left : CHUNK_ROWS});
	}
	if (item) {
		char type[TYPE_TEXT], cast[TYPE_TEXT], text[3 * TYPE_TEXT];
		bsc_schema_describe(column, type, sizeof(type));
		bsc_schema_describe(item->dictionary ? item->dictionary : item->children[1], cast, sizeof(cast));
		snprintf(text, sizeof(text),
		         "DuckDB can't read column '%.200s' of type %s where all lists of %d rows, or of a whole batch, are "
		         "empty. Cast their items to %s in the class",
		         column->name, type, CHUNK_ROWS, cast);
		fail_text(err, DUCKDB_V2_ERROR_INPUT_INVALID, text);
	}
	return !item;
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

/* ---- dictionaries in structs and fixed-size lists ---- */

static bool has_struct_of_dictionary(const struct ArrowSchema *field, bool in_struct)
{
	bool has = in_struct && field->dictionary;
	for (int64_t i = 0; i < field->n_children && !has; i++) {
		has = has_struct_of_dictionary(field->children[i], in_struct || is_struct(field) || is_fixed_size_list(field));
	}
	return has;
}

/* How many of `n_rows` the importer may take at once, where a dictionary stands in
 * a struct or a fixed-size list: it fails on a chunk whose row count is no power of two, and only the
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
		if (is_nested(field)) {
			moved = moved || has_struct_offset(field, batch->children[i]);
			short_chunks = short_chunks || has_struct_of_dictionary(field, false);
		}
	}
	int64_t head = short_chunks ? takeable_rows(batch->length) : batch->length;
	for (int64_t i = 0; i < schema->n_children; i++) {
		if (!check_chunks(schema->children[i], batch->children[i], head, err)) {
			return false;
		}
	}
	return (!moved && head == batch->length) || cut(schema, batch, head, rest, err);
}
