/* Nulls where infer_schema said that there are none, at any depth.
 *
 * A null counts where a reader meets it: not below a null parent, not in items that no
 * list has, in a dictionary only if an index points to it. */
#include "scan/internal.h"

#include <string.h>

static const struct ArrowSchema *find_in(const struct ArrowSchema *field, const struct ArrowArrayView *view,
                                         int64_t from, int64_t n, const struct ArrowSchema *strict);

static const struct ArrowSchema *strictest(const struct ArrowSchema *field, const struct ArrowSchema *strict)
{
	return strict || field->flags & ARROW_FLAG_NULLABLE ? strict : field;
}

bool bsc__all_valid(const uint8_t *bitmap, int64_t from, int64_t n)
{
	int64_t i = from, end = from + n;
	while (i < end && i % 8 != 0 && ArrowBitGet(bitmap, i)) {
		i++;
	}
	/* nanoarrow counts bits byte by byte: ten times as long. */
	for (; i % 8 == 0 && i + 64 <= end; i += 64) {
		uint64_t word;
		memcpy(&word, bitmap + i / 8, sizeof(word));
		if (word != UINT64_MAX) {
			return false;
		}
	}
	while (i < end && ArrowBitGet(bitmap, i)) {
		i++;
	}
	return i == end;
}

static bool has_bitmap(const struct ArrowArrayView *view)
{
	return view->layout.buffer_type[0] == NANOARROW_BUFFER_TYPE_VALIDITY && view->buffer_views[0].data.data;
}

/* Whether looking closer is worth it: is there a null, below or at a field that must
 * not have one? strict: the nearest field above that must not, or NULL. */
static bool may_find(const struct ArrowSchema *field, const struct ArrowArrayView *view,
                     const struct ArrowSchema *strict)
{
	bool encoded = view->storage_type == NANOARROW_TYPE_RUN_END_ENCODED || view->dictionary ||
	               view->storage_type == NANOARROW_TYPE_DENSE_UNION ||
	               view->storage_type == NANOARROW_TYPE_SPARSE_UNION;
	strict = strictest(field, strict);
	if (strict && view->length > 0 &&
	    (view->storage_type == NANOARROW_TYPE_NA || (has_bitmap(view) && view->null_count != 0))) {
		return true;
	}
	for (int64_t i = 0; i < view->n_children; i++) {
		if (may_find(field->children[i], view->children[i], encoded ? strict : NULL)) {
			return true;
		}
	}
	return view->dictionary && may_find(field->dictionary, view->dictionary, strict);
}

/* ---- by layout ---- */

static const struct ArrowSchema *find_in_union(const struct ArrowSchema *field, const struct ArrowArrayView *view,
                                               int64_t from, int64_t n, const struct ArrowSchema *strict)
{
	for (int64_t i = from; i < from + n; i++) {
		int8_t child = ArrowArrayViewUnionChildIndex(view, i);
		int64_t at = ArrowArrayViewUnionChildOffset(view, i);
		const struct ArrowSchema *found = find_in(field->children[child], view->children[child], at, 1, strict);
		if (found) {
			return found;
		}
	}
	return NULL;
}

/* The first of the runs that end behind `row`. */
static int64_t run_of(const struct ArrowArrayView *ends, int64_t row)
{
	int64_t low = 0, high = ends->length;
	while (low < high) {
		int64_t middle = low + (high - low) / 2;
		if (ArrowArrayViewGetIntUnsafe(ends, middle) > row) {
			high = middle;
		} else {
			low = middle + 1;
		}
	}
	return low;
}

static const struct ArrowSchema *find_in_runs(const struct ArrowSchema *field, const struct ArrowArrayView *view,
                                              int64_t from, int64_t n, const struct ArrowSchema *strict)
{
	int64_t first = run_of(view->children[0], view->offset + from);
	int64_t last = run_of(view->children[0], view->offset + from + n - 1);
	return find_in(field->children[1], view->children[1], first, last - first + 1, strict);
}

/* Rows that have no null themselves. */
static const struct ArrowSchema *find_in_dictionary(const struct ArrowSchema *field, const struct ArrowArrayView *view,
                                                    int64_t from, int64_t n, const struct ArrowSchema *strict)
{
	for (int64_t i = from; i < from + n; i++) {
		int64_t at = ArrowArrayViewGetIntUnsafe(view, i);
		const struct ArrowSchema *found = find_in(field->dictionary, view->dictionary, at, 1, strict);
		if (found) {
			return found;
		}
	}
	return NULL;
}

static const struct ArrowSchema *find_in_list_views(const struct ArrowSchema *field, const struct ArrowArrayView *view,
                                                    int64_t from, int64_t n)
{
	bool large = view->storage_type == NANOARROW_TYPE_LARGE_LIST_VIEW;
	union ArrowBufferViewData sizes = view->buffer_views[2].data;
	for (int64_t i = view->offset + from; i < view->offset + from + n; i++) {
		int64_t size = large ? sizes.as_int64[i] : sizes.as_int32[i];
		int64_t start = ArrowArrayViewListChildOffset(view, i);
		const struct ArrowSchema *found = find_in(field->children[0], view->children[0], start, size, NULL);
		if (found) {
			return found;
		}
	}
	return NULL;
}

/* Below rows that have no null themselves. strict: as for find_in. */
static const struct ArrowSchema *find_below(const struct ArrowSchema *field, const struct ArrowArrayView *view,
                                            int64_t from, int64_t n, const struct ArrowSchema *strict)
{
	if (view->dictionary) {
		return find_in_dictionary(field, view, from, n, strict);
	}
	int64_t below = view->offset + from, n_below = n;
	switch (view->storage_type) {
	case NANOARROW_TYPE_DENSE_UNION:
	case NANOARROW_TYPE_SPARSE_UNION:
		return find_in_union(field, view, from, n, strict);
	case NANOARROW_TYPE_RUN_END_ENCODED:
		return find_in_runs(field, view, from, n, strict);
	case NANOARROW_TYPE_LIST_VIEW:
	case NANOARROW_TYPE_LARGE_LIST_VIEW:
		return find_in_list_views(field, view, from, n);
	case NANOARROW_TYPE_LIST:
	case NANOARROW_TYPE_LARGE_LIST:
	case NANOARROW_TYPE_MAP:
		n_below = ArrowArrayViewListChildOffset(view, below + n);
		below = ArrowArrayViewListChildOffset(view, below);
		n_below -= below;
		break;
	case NANOARROW_TYPE_FIXED_SIZE_LIST:
		below *= view->layout.child_size_elements;
		n_below *= view->layout.child_size_elements;
		break;
	default:
		break;
	}
	const struct ArrowSchema *found = NULL;
	for (int64_t i = 0; i < view->n_children && !found; i++) {
		found = find_in(field->children[i], view->children[i], below, n_below, NULL);
	}
	return found;
}

/* As bsc__find_forbidden_null. strict: the field whose value this is by an encoding or
 * a union, if that must not be null; else NULL. */
static const struct ArrowSchema *find_in(const struct ArrowSchema *field, const struct ArrowArrayView *view,
                                         int64_t from, int64_t n, const struct ArrowSchema *strict)
{
	if (n == 0) {
		return NULL;
	}
	strict = strictest(field, strict);
	if (view->storage_type == NANOARROW_TYPE_NA) {
		return strict;
	}
	bool nulls = has_bitmap(view) && view->null_count != 0 &&
	             !bsc__all_valid(view->buffer_views[0].data.as_uint8, view->offset + from, n);
	if (nulls && strict) {
		return strict;
	}
	if (!nulls) {
		return find_below(field, view, from, n, strict);
	}
	if (view->n_children == 0 && !view->dictionary) {
		return NULL;
	}
	const struct ArrowSchema *found = NULL;
	for (int64_t i = from; i < from + n && !found; i++) {
		int64_t first = i;
		while (i < from + n && !ArrowArrayViewIsNull(view, i)) {
			i++;
		}
		found = i > first ? find_below(field, view, first, i - first, strict) : NULL;
	}
	return found;
}

const struct ArrowSchema *bsc__find_forbidden_null(const struct ArrowSchema *field, const struct ArrowArrayView *view,
                                                   int64_t from, int64_t n)
{
	return may_find(field, view, NULL) ? find_in(field, view, from, n, NULL) : NULL;
}
