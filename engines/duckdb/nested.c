/* Nested columns for DuckDB's importer: a batch that needs a change is handed over
 * as shadows. */
#include "nested.h"

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
	bool bad, good = types_mend(&mended, &bad);
	if (!good) {
		fail_text(err, DUCKDB_V2_ERROR_RESOURCE_OUT_OF_MEMORY, "python(): out of memory for a column's type");
	} else if (bad) {
		char type[TYPE_TEXT], cast[TYPE_TEXT], text[3 * TYPE_TEXT];
		bsc_schema_describe(column, type, sizeof(type));
		bsc_schema_describe(&mended, cast, sizeof(cast));
		snprintf(text, sizeof(text), "%.400s: DuckDB can't read column '%.200s' of type %s. Cast it to %s in the class",
		         bsc_source_label(source), column->name, type, cast);
		fail_text(err, DUCKDB_V2_ERROR_INPUT_INVALID, text);
	}
	mended.release(&mended);
	return good && !bad;
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

/* The rows of the children that the importer reads for these rows. */
static struct rows rows_below(const struct ArrowSchema *field, const struct ArrowArray *array, struct rows rows)
{
	if (has_offsets(field) || is_list_view(field)) {
		return rows_of_items(field, array, rows);
	}
	struct rows below = {array->offset + rows.from, rows.n};
	if (is_fixed_size_list(field)) {
		int64_t size = strtoll(field->format + 3, NULL, 10);
		below = (struct rows){below.from * size, below.n * size};
	}
	return below;
}

/* True if has_unreadable may be true of an array of this type. */
static bool may_be_unreadable(const struct ArrowSchema *field)
{
	bool may = (has_offsets(field) || is_list_view(field)) && types_must_not_be_empty(field->children[0]);
	for (int64_t i = 0; i < field->n_children && !may; i++) {
		may = may_be_unreadable(field->children[i]);
	}
	return may || (field->dictionary && may_be_unreadable(field->dictionary));
}

/* The importer takes an encoded item's array for one of the values where the lists of
 * a chunk are all empty, from offset 0. */
static bool is_unreadable(const struct ArrowSchema *list, struct rows items)
{
	return (has_offsets(list) || is_list_view(list)) && items.from == 0 && items.n == 0 &&
	       types_must_not_be_empty(list->children[0]);
}

/* Are there such lists in one chunk of these rows? */
static bool has_unreadable(const struct ArrowSchema *field, const struct ArrowArray *array, struct rows rows)
{
	if (field->dictionary) {
		return has_unreadable(field->dictionary, array->dictionary, (struct rows){0, array->dictionary->length});
	}
	if (is_run_end(field)) {
		return false;
	}
	struct rows below = rows_below(field, array, rows);
	bool has = is_unreadable(field, below);
	for (int64_t i = 0; i < field->n_children && !has; i++) {
		has = has_unreadable(field->children[i], array->children[i], below);
	}
	return has;
}

/* How many of these rows come before the first chunk that has such lists; 0: the
 * first has. */
static int64_t readable_rows(const struct ArrowSchema *schema, const struct ArrowArray *batch, struct rows rows)
{
	int64_t readable = rows.n;
	for (int64_t i = 0; i < schema->n_children; i++) {
		const struct ArrowSchema *column = schema->children[i];
		for (int64_t at = 0; at < readable && may_be_unreadable(column); at += CHUNK_ROWS) {
			int64_t left = rows.n - at;
			struct rows chunk = {rows.from + at, left < CHUNK_ROWS ? left : CHUNK_ROWS};
			readable = has_unreadable(column, batch->children[i], chunk) ? at : readable;
		}
	}
	return readable;
}

/* Gives such lists items without an encoding, in a schema of their own and in the
 * shadow, where they have no rows. */
static bool decode_empty(struct ArrowArray *shadow, struct ArrowSchema *field, struct ArrowArray *array,
                         struct rows rows)
{
	if (field->dictionary) {
		return decode_empty(shadow, field->dictionary, array->dictionary, (struct rows){0, array->dictionary->length});
	}
	if (is_run_end(field)) {
		return true;
	}
	struct rows below = rows_below(field, array, rows);
	if (is_unreadable(field, below)) {
		types_decode(field->children[0]);
		array->children[0] = shadow_empty(shadow, field->children[0]);
		return array->children[0] != NULL;
	}
	bool good = true;
	for (int64_t i = 0; i < field->n_children && good; i++) {
		good = decode_empty(shadow, field->children[i], array->children[i], below);
	}
	return good;
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

/* The next piece of rest: shadows of its next `n` rows, with a schema of their own if
 * they are a chunk that isn't readable. */
static bool take_piece(const struct ArrowSchema *schema, struct nested_rest *rest, int64_t n, bool readable,
                       struct ArrowArray *piece, struct ArrowSchema *own_schema)
{
	bool good = shadow_cast(schema, rest->origin, rest->from, n, piece);
	if (good && !readable) {
		good = bsc_schema_copy(schema, own_schema, NULL) == BSC_OK;
		for (int64_t i = 0; good && i < schema->n_children; i++) {
			good = decode_empty(piece, own_schema->children[i], piece->children[i], (struct rows){0, n});
		}
	}
	rest->from += n;
	if (!good || rest->from == origin_batch(rest->origin)->length) {
		nested_drop(rest);
	}
	return good;
}

void nested_drop(struct nested_rest *rest)
{
	if (rest->origin) {
		origin_drop(rest->origin);
	}
	*rest = (struct nested_rest){0};
}

bool nested_prepare(const struct ArrowSchema *schema, struct ArrowArray *batch, struct nested_rest *rest,
                    struct ArrowSchema *own_schema, duckdb_v2_error_info_handle *err)
{
	const struct ArrowArray *whole = rest->origin ? origin_batch(rest->origin) : batch;
	struct rows rows = {rest->from, whole->length - rest->from};
	bool moved = rest->origin, short_chunks = false;
	for (int64_t i = 0; i < schema->n_children; i++) {
		const struct ArrowSchema *field = schema->children[i];
		if (is_nested(field)) {
			moved = moved || shadow_is_needed(field, whole->children[i]);
			short_chunks = short_chunks || has_struct_of_dictionary(field, false);
		}
	}
	int64_t head = short_chunks ? takeable_rows(rows.n) : rows.n;
	int64_t readable = readable_rows(schema, whole, (struct rows){rows.from, head});
	if (!moved && readable == whole->length) {
		return true;
	}
	int64_t n = readable > 0 ? readable : head < CHUNK_ROWS ? head : CHUNK_ROWS;
	if (!rest->origin) {
		rest->origin = origin_new(batch);
	}
	if (rest->origin && take_piece(schema, rest, n, readable > 0, batch, own_schema)) {
		return true;
	}
	fail_text(err, DUCKDB_V2_ERROR_RESOURCE_OUT_OF_MEMORY, "python(): out of memory for a nested batch");
	return false;
}
