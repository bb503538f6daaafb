/* What a class hands over is checked before an engine reads it. Of each batch always:
 * pointers, lengths, buffer and null counts, and for the rows that are read offsets,
 * dictionary indices, type ids and run ends (values.c). With bascule_validation =
 * 'full': those of all rows that the arrays have, string views and all text. The
 * checks of buffers against types are nanoarrow's; here is what it takes for granted. */
#include "scan/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Far beyond any real batch; keeps sums of a length and an offset in 64 bits. */
#define ROWS_MAX ((int64_t)1 << 40)

static int malformed(const struct bsc__place *place, const char *column, struct bsc_error *err, const char *what)
{
	return bsc__fail(
	    err, BSC_MALFORMED,
	    "%s, partition %lld of %lld, batch %lld: %s%.200s%s. The object that read_partition yielded exports a "
	    "broken Arrow array: check the library that made it",
	    place->label, (long long)place->partition, (long long)place->n_partitions, (long long)place->batch,
	    column ? "column '" : "", column ? column : "", what);
}

int bsc__validate_init(struct bsc__validate *validate, const struct bsc__match *match, bool full, struct bsc_error *err)
{
	*validate = (struct bsc__validate){.full = full};
	validate->views = bsc__calloc((size_t)match->n_columns, sizeof(*validate->views));
	if (!validate->views) {
		return bsc__fail_nomem(err, "opening a cursor");
	}
	for (int64_t i = 0; i < match->n_columns; i++) {
		const struct ArrowSchema *column = match->declared->children[match->columns[i]];
		struct ArrowError reason;
		validate->n_views++; /* a union's view that failed holds memory too */
		int rc = ArrowArrayViewInitFromSchema(&validate->views[i], column, &reason);
		if (rc == ENOMEM) {
			return bsc__fail_nomem(err, "opening a cursor");
		}
		if (rc != NANOARROW_OK) {
			return bsc__fail(err, BSC_SOURCE, "column '%.200s' has a type that can't be read: %s", column->name,
			                 reason.message);
		}
	}
	return BSC_OK;
}

void bsc__validate_release(struct bsc__validate *validate)
{
	for (int64_t i = 0; i < validate->n_views; i++) {
		ArrowArrayViewReset(&validate->views[i]);
	}
	bsc__free(validate->views);
	*validate = (struct bsc__validate){0};
}

static bool is_view_type(enum ArrowType type)
{
	return type == NANOARROW_TYPE_STRING_VIEW || type == NANOARROW_TYPE_BINARY_VIEW;
}

static bool is_list_view(enum ArrowType type)
{
	return type == NANOARROW_TYPE_LIST_VIEW || type == NANOARROW_TYPE_LARGE_LIST_VIEW;
}

/* The pointers and counts that nanoarrow follows unasked. Returns what is wrong,
 * or NULL. */
static const char *check_shape(const struct ArrowArrayView *view, struct ArrowArray *array)
{
	if (!array || !array->release) {
		return "was released already";
	}
	if (array->length < 0 || array->offset < 0 || array->length > ROWS_MAX || array->offset > ROWS_MAX) {
		return "has a length or an offset out of range";
	}
	if (array->null_count < -1 || array->null_count > array->length) {
		return "has a null count out of range";
	}
	int64_t widest = view->layout.child_size_elements;
	int64_t n_fixed = 0;
	while (n_fixed < NANOARROW_MAX_FIXED_BUFFERS && view->layout.buffer_type[n_fixed] != NANOARROW_BUFFER_TYPE_NONE) {
		int64_t bits = view->layout.element_size_bits[n_fixed];
		widest = bits > widest ? bits : widest;
		n_fixed++;
	}
	if (widest > 0 && array->offset + array->length >= INT64_MAX / 2 / widest) {
		return "has a length or an offset out of range";
	}
	bool views = is_view_type(view->storage_type);
	if (views ? array->n_buffers < NANOARROW_BINARY_VIEW_FIXED_BUFFERS + 1 || array->n_buffers > INT32_MAX
	          : array->n_buffers != n_fixed) {
		return "has a wrong number of buffers";
	}
	if (array->n_buffers > 0 && !array->buffers) {
		return "has no list of buffers";
	}
	if (views && array->n_buffers > NANOARROW_BINARY_VIEW_FIXED_BUFFERS + 1 && !array->buffers[array->n_buffers - 1]) {
		return "has no sizes of its variadic buffers";
	}
	if (is_list_view(view->storage_type) && array->offset + array->length > 0 && !array->buffers[2]) {
		return "has no sizes of its lists";
	}
	/* Producers do leave the count unknown where there is no bitmap: no nulls. */
	bool has_bitmap = view->layout.buffer_type[0] == NANOARROW_BUFFER_TYPE_VALIDITY;
	if (array->null_count == -1 && has_bitmap && !array->buffers[0]) {
		array->null_count = 0;
	}
	if (array->n_children != view->n_children || (array->n_children > 0 && !array->children)) {
		return "has a wrong number of children";
	}
	for (int64_t i = 0; i < array->n_children; i++) {
		const char *what = check_shape(view->children[i], array->children[i]);
		if (what) {
			return what;
		}
	}
	if (view->storage_type == NANOARROW_TYPE_RUN_END_ENCODED && array->length > 0 && array->children[0]->length == 0) {
		return "has rows, but no runs";
	}
	if (!array->dictionary != !view->dictionary) {
		return array->dictionary ? "has a dictionary, but its type has none"
		                         : "has no dictionary, but its type has one";
	}
	return array->dictionary ? check_shape(view->dictionary, array->dictionary) : NULL;
}

/* ---- every value ---- */

/* nanoarrow takes for granted that a view lies within its buffer. True if each
 * of the column does, nested ones too. */
static bool check_views(const struct ArrowArrayView *view)
{
	const union ArrowBinaryView *items = view->buffer_views[1].data.as_binary_view;
	for (int64_t i = 0; is_view_type(view->storage_type) && i < view->length; i++) {
		const union ArrowBinaryView *item = &items[view->offset + i];
		if (ArrowArrayViewIsNull(view, i) ||
		    (item->inlined.size >= 0 && item->inlined.size <= NANOARROW_BINARY_VIEW_INLINE_SIZE)) {
			continue;
		}
		int64_t size = item->ref.size, buffer = item->ref.buffer_index, offset = item->ref.offset;
		if (size < 0 || offset < 0 || buffer < 0 || buffer >= view->n_variadic_buffers ||
		    !view->variadic_buffers[buffer] || offset + size > view->variadic_buffer_sizes[buffer]) {
			return false;
		}
	}
	for (int64_t i = 0; i < view->n_children; i++) {
		if (!check_views(view->children[i])) {
			return false;
		}
	}
	return !view->dictionary || check_views(view->dictionary);
}

/* True if every string of the column, nested ones too, is UTF-8. Rows behind a
 * parent's nulls count as well. */
static bool check_text(const struct ArrowArrayView *view)
{
	bool text = view->storage_type == NANOARROW_TYPE_STRING || view->storage_type == NANOARROW_TYPE_LARGE_STRING ||
	            view->storage_type == NANOARROW_TYPE_STRING_VIEW;
	/* No data, then every string is empty: nothing to point to. */
	text = text && (is_view_type(view->storage_type) || view->buffer_views[2].data.data);
	for (int64_t i = 0; text && i < view->length; i++) {
		if (!ArrowArrayViewIsNull(view, i)) {
			struct ArrowStringView s = ArrowArrayViewGetStringUnsafe(view, i);
			if (bsc__utf8_valid(s.data, (size_t)s.size_bytes) != (size_t)s.size_bytes) {
				return false;
			}
		}
	}
	for (int64_t i = 0; i < view->n_children; i++) {
		if (!check_text(view->children[i])) {
			return false;
		}
	}
	return !view->dictionary || check_text(view->dictionary);
}

#define WHAT_CAP (sizeof(struct ArrowError) + 16)

static const char *unreadable(const struct ArrowError *reason, char what[WHAT_CAP])
{
	snprintf(what, WHAT_CAP, "can't be read: %s", reason->message);
	return what;
}

/* Every value of a column whose layout was checked. */
static const char *check_full(const struct ArrowArrayView *view)
{
	const char *what = bsc__check_values(view, 0, view->length, true);
	if (!what && !check_views(view)) {
		what = "has a string view outside its buffers";
	}
	if (!what && !check_text(view)) {
		what = "holds text that is not UTF-8";
	}
	return what;
}

/* ---- batches ---- */

static bool has_null_row(const struct ArrowArray *root)
{
	return root->null_count != 0 && root->buffers[0] && !bsc__all_valid(root->buffers[0], root->offset, root->length);
}

static const char *check_root(const struct bsc__match *match, const struct ArrowArray *array)
{
	if (array->length < 0 || array->offset < 0 || array->length > ROWS_MAX || array->offset > ROWS_MAX) {
		return "the batch has a length or an offset out of range";
	}
	if (array->n_children != match->seen.n_children || (array->n_children > 0 && !array->children)) {
		return "the batch has another number of columns than its schema";
	}
	if (array->n_buffers != 1 || !array->buffers || array->dictionary) {
		return "the batch is not laid out as a struct";
	}
	if (array->null_count < -1 || array->null_count > array->length) {
		return "the batch has a null count out of range";
	}
	if (array->null_count > 0 || has_null_row(array)) {
		return "the batch has null rows, which a table can't hold";
	}
	return NULL;
}

int bsc__validate_batch(struct bsc__validate *validate, const struct bsc__match *match, struct ArrowArray *array,
                        const struct bsc__place *place, struct bsc_error *err)
{
	const char *what = check_root(match, array);
	if (what) {
		return malformed(place, NULL, err, what);
	}
	for (int64_t i = 0; i < match->n_columns; i++) {
		const struct ArrowSchema *field = match->declared->children[match->columns[i]];
		struct ArrowArray *column = array->children[match->from[i]];
		struct ArrowArrayView *view = &validate->views[i];
		struct ArrowError reason;
		char text[WHAT_CAP];
		what = check_shape(view, column);
		if (!what && column->length < array->offset + array->length) {
			what = "is shorter than its batch";
		}
		if (!what && ArrowArrayViewSetArray(view, column, &reason) != NANOARROW_OK) {
			what = unreadable(&reason, text);
		}
		if (!what) {
			what = validate->full ? check_full(view) : bsc__check_values(view, array->offset, array->length, false);
		}
		if (what) {
			char message[sizeof(text) + 8];
			snprintf(message, sizeof(message), "' %s", what);
			return malformed(place, field->name, err, message);
		}
		const struct ArrowSchema *field_with_null = bsc__find_forbidden_null(field, view, array->offset, array->length);
		if (field_with_null) {
			return bsc__fail(
			    err, BSC_MISMATCH,
			    "%s, partition %lld of %lld, batch %lld: column '%.200s' has a null, but infer_schema said that "
			    "'%.200s' is not nullable. Yield no nulls, or declare the field nullable",
			    place->label, (long long)place->partition, (long long)place->n_partitions, (long long)place->batch,
			    field->name, field_with_null->name);
		}
	}
	return BSC_OK;
}

/* A batch may claim sizes that no memory has, where no value of them is read: the sum stays a number. */
static int64_t plus_bytes(int64_t sum, int64_t bytes)
{
	const int64_t most = (int64_t)1 << 60;
	return bytes <= 0 ? sum : bytes > most - sum ? most : sum + bytes;
}

/* An offset's rows are counted in the buffers: what they share of the whole is taken off. */
static int64_t bytes_of(const struct ArrowArrayView *view)
{
	int64_t bytes = 0;
	for (int i = 0; i < NANOARROW_MAX_FIXED_BUFFERS; i++) {
		if (view->buffer_views[i].data.data) {
			bytes = plus_bytes(bytes, view->buffer_views[i].size_bytes);
		}
	}
	for (int32_t i = 0; i < view->n_variadic_buffers; i++) {
		bytes = plus_bytes(bytes, view->variadic_buffer_sizes[i]);
	}
	for (int64_t i = 0; i < view->n_children; i++) {
		bytes = plus_bytes(bytes, bytes_of(view->children[i]));
	}
	if (view->dictionary) {
		bytes = plus_bytes(bytes, bytes_of(view->dictionary));
	}
	return view->offset > 0 && view->length >= 0
	           ? (int64_t)((double)bytes * (double)view->length / ((double)view->length + (double)view->offset))
			   : bytes;
}

int64_t bsc__validate_bytes(const struct bsc__validate *validate)
{
	int64_t bytes = 0;
	for (int64_t i = 0; i < validate->n_views; i++) {
		bytes = plus_bytes(bytes, bytes_of(&validate->views[i]));
	}
	return bytes;
}
