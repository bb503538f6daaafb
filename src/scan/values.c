/* The numbers that a reader follows: null counts, offsets, indices, type ids, run ends.
 *
 * A batch's rows are looked at and what they lead to, so that a list cut into many
 * batches isn't read whole for each; dictionaries, runs and dense unions are, as engines
 * convert them whole.
 *
 * All of it may cost a hundredth of what an engine spends on the batch. So the loops have
 * no branches: what is wrong leaves its mark in the sign of a number that gathers, and
 * compilers make vectors of that. */
#include "scan/internal.h"

#include <string.h>

/* ---- loops, for each width ---- */

/* Buffers need not be aligned. */
typedef uint8_t any8;
typedef uint16_t any16 __attribute__((aligned(1), may_alias));
typedef uint32_t any32 __attribute__((aligned(1), may_alias));
typedef uint64_t any64 __attribute__((aligned(1), may_alias));

/* Signed numbers, computed without a sign since they may wrap.
 *
 * rises   v[0] to v[n] are not negative, each at least by `step` above the one before
 * views   items [at[i], at[i] + size[i]) lie within [0, length) */
#define LOOP_OF_OFFSETS(bits)                                                                                          \
	static bool rises_##bits(const any##bits *v, int64_t n, uint##bits##_t step)                                       \
	{                                                                                                                  \
		uint##bits##_t bad = v[0];                                                                                     \
		for (int64_t i = 0; i < n; i++) {                                                                              \
			bad |= v[i + 1] | (uint##bits##_t)(v[i + 1] - v[i] - step);                                                \
		}                                                                                                              \
		return !(bad >> (bits - 1));                                                                                   \
	}

#define LOOP_OF_VIEWS(bits)                                                                                            \
	static bool views_##bits(const any##bits *at, const any##bits *size, int64_t n, int64_t length)                    \
	{                                                                                                                  \
		uint##bits##_t bad = 0, end = length > INT##bits##_MAX ? INT##bits##_MAX : (uint##bits##_t)length;             \
		for (int64_t i = 0; i < n; i++) {                                                                              \
			uint##bits##_t left = end - at[i];                                                                         \
			bad |= at[i] | size[i] | left | (left - size[i]);                                                          \
		}                                                                                                              \
		return !(bad >> (bits - 1));                                                                                   \
	}

/* up_to         v[0] to v[n - 1] are at most `last`, as numbers without a sign
 * up_to_valid   the same of those whose bit is set, from bit `bit` on */
#define LOOPS_OF_INDICES(bits)                                                                                         \
	static bool up_to_##bits(const any##bits *v, int64_t n, uint##bits##_t last)                                       \
	{                                                                                                                  \
		uint##bits##_t bad = 0;                                                                                        \
		for (int64_t i = 0; i < n; i++) {                                                                              \
			bad |= v[i] > last;                                                                                        \
		}                                                                                                              \
		return !bad;                                                                                                   \
	}                                                                                                                  \
	static bool up_to_valid_##bits(const any##bits *v, int64_t n, uint##bits##_t last, const uint8_t *bitmap,          \
	                               int64_t bit)                                                                        \
	{                                                                                                                  \
		int bad = 0;                                                                                                   \
		for (int64_t i = 0; i < n; i++, bit++) {                                                                       \
			bad |= (v[i] > last) & (bitmap[bit / 8] >> (bit % 8));                                                     \
		}                                                                                                              \
		return !bad;                                                                                                   \
	}

LOOP_OF_OFFSETS(16)
LOOP_OF_OFFSETS(32)
LOOP_OF_OFFSETS(64)
LOOP_OF_VIEWS(32)
LOOP_OF_VIEWS(64)
LOOPS_OF_INDICES(8)
LOOPS_OF_INDICES(16)
LOOPS_OF_INDICES(32)
LOOPS_OF_INDICES(64)

static bool rises(const void *numbers, int bits, int64_t at, int64_t n, unsigned step)
{
	return bits == 16   ? rises_16((const any16 *)numbers + at, n, (uint16_t)step)
	       : bits == 32 ? rises_32((const any32 *)numbers + at, n, step)
	                    : rises_64((const any64 *)numbers + at, n, step);
}

static int64_t number_at(const void *numbers, int bits, int64_t i)
{
	return bits == 16   ? (int16_t)((const any16 *)numbers)[i]
	       : bits == 32 ? (int32_t)((const any32 *)numbers)[i]
	                    : (int64_t)((const any64 *)numbers)[i];
}

/* Whether indices [at, at + n) are at most `last`; bitmap: those whose bit is set, or NULL. */
static bool indices_are_up_to(const void *indices, int bits, int64_t at, int64_t n, uint64_t last,
                              const uint8_t *bitmap)
{
#define LOOK(width)                                                                                                    \
	(bitmap ? up_to_valid_##width((const any##width *)indices + at, n, (uint##width##_t)last, bitmap, at)              \
	        : up_to_##width((const any##width *)indices + at, n, (uint##width##_t)last))
	return bits == 8 ? LOOK(8) : bits == 16 ? LOOK(16) : bits == 32 ? LOOK(32) : LOOK(64);
#undef LOOK
}

/* ---- nulls ---- */

static inline __attribute__((always_inline)) int64_t count_words(const uint8_t *words, int64_t n)
{
	int64_t set = 0;
	for (int64_t i = 0; i < n; i++) {
		uint64_t word;
		memcpy(&word, words + 8 * i, sizeof(word));
		set += __builtin_popcountll(word);
	}
	return set;
}

#if defined(__x86_64__)
/* An instruction that the oldest of these processors lack, and compilers don't use unasked:
 * it takes a quarter of the time. */
__attribute__((target("popcnt"))) static int64_t count_words_at_once(const uint8_t *words, int64_t n)
{
	return count_words(words, n);
}
#define COUNT_WORDS(words, n) (__builtin_cpu_supports("popcnt") ? count_words_at_once(words, n) : count_words(words, n))
#else
#define COUNT_WORDS(words, n) count_words(words, n)
#endif

static int64_t count_set(const uint8_t *bitmap, int64_t from, int64_t n)
{
	int64_t i = from, end = from + n, set = 0;
	for (; i < end && i % 8 != 0; i++) {
		set += ArrowBitGet(bitmap, i);
	}
	if (i < end) {
		int64_t n_words = (end - i) / 64;
		set += COUNT_WORDS(bitmap + i / 8, n_words);
		i += 64 * n_words;
	}
	for (; i < end; i++) {
		set += ArrowBitGet(bitmap, i);
	}
	return set;
}

/* Whether the count allows the nulls of these rows: engines skip a bitmap where it is 0,
 * and read what that hides. Of all rows it must be the number. */
static bool null_count_is_right(const struct ArrowArrayView *view, int64_t from, int64_t n)
{
	const uint8_t *bitmap = view->buffer_views[0].data.as_uint8;
	if (view->layout.buffer_type[0] != NANOARROW_BUFFER_TYPE_VALIDITY || !bitmap || view->null_count < 0) {
		return true;
	}
	if (view->null_count == 0) {
		return bsc__all_valid(bitmap, view->offset + from, n);
	}
	int64_t valid = count_set(bitmap, view->offset + from, n);
	return n - valid <= view->null_count && valid <= view->length - view->null_count;
}

/* ---- one array ---- */

/* Rows of an array, counted from its offset. */
struct rows {
	int64_t from;
	int64_t n;
};

static const char *check(const struct ArrowArrayView *view, struct rows rows, bool whole);

static struct rows all_rows(const struct ArrowArrayView *view)
{
	return (struct rows){0, view->length};
}

static const char *check_children(const struct ArrowArrayView *view, struct rows below, bool whole)
{
	const char *what = NULL;
	for (int64_t i = 0; i < view->n_children && !what; i++) {
		what = check(view->children[i], whole ? all_rows(view->children[i]) : below, whole);
	}
	return what;
}

/* Of text, binaries, lists and maps. */
static const char *check_offsets(const struct ArrowArrayView *view, struct rows rows, bool whole)
{
	const void *offsets = view->buffer_views[1].data.data;
	int bits = (int)view->layout.element_size_bits[1];
	int64_t at = view->offset + rows.from;
	if (!rises(offsets, bits, at, rows.n, 0)) {
		return "has offsets that are negative or fall";
	}
	int64_t first = number_at(offsets, bits, at), last = number_at(offsets, bits, at + rows.n);
	/* Of text, the last of all offsets is the data's only length. */
	bool is_list = view->n_children > 0;
	if (last > (is_list ? view->children[0]->length : view->buffer_views[2].size_bytes)) {
		return is_list ? "has a list outside its items" : "has text or bytes outside its data";
	}
	return check_children(view, (struct rows){first, last - first}, whole);
}

/* True if there is something to find in the array or below it. */
static bool has_numbers(const struct ArrowArrayView *view)
{
	return view->n_children > 0 || view->dictionary || view->buffer_views[0].data.data ||
	       view->layout.buffer_type[1] == NANOARROW_BUFFER_TYPE_DATA_OFFSET;
}

/* The items between the first and the last that are in a view of these rows. */
static struct rows items_of_views(const struct ArrowArrayView *view, struct rows rows)
{
	int bits = (int)view->layout.element_size_bits[1];
	int64_t low = INT64_MAX, high = 0;
	for (int64_t i = view->offset + rows.from; i < view->offset + rows.from + rows.n; i++) {
		int64_t start = number_at(view->buffer_views[1].data.data, bits, i);
		int64_t size = number_at(view->buffer_views[2].data.data, bits, i);
		low = size > 0 && start < low ? start : low;
		high = size > 0 && start + size > high ? start + size : high;
	}
	return high ? (struct rows){low, high - low} : (struct rows){0, 0};
}

static const char *check_list_views(const struct ArrowArrayView *view, struct rows rows, bool whole)
{
	const void *starts = view->buffer_views[1].data.data, *sizes = view->buffer_views[2].data.data;
	int64_t at = view->offset + rows.from, length = view->children[0]->length;
	bool good = view->layout.element_size_bits[1] == 32
	                ? views_32((const any32 *)starts + at, (const any32 *)sizes + at, rows.n, length)
	                : views_64((const any64 *)starts + at, (const any64 *)sizes + at, rows.n, length);
	if (!good) {
		return "has a list outside its items";
	}
	if (!whole && !has_numbers(view->children[0])) {
		return NULL;
	}
	return check_children(view, whole ? rows : items_of_views(view, rows), whole);
}

static bool ids_are_known(const struct ArrowArrayView *view, const uint8_t *ids, int64_t n)
{
	uint8_t unknown[256], bad = 0;
	bool in_order = view->n_children > 0;
	memset(unknown, 1, sizeof(unknown));
	for (int64_t i = 0; i < view->n_children; i++) {
		int8_t id = view->union_type_id_map[128 + i];
		unknown[(uint8_t)id] = 0;
		in_order = in_order && id == i;
	}
	if (in_order) {
		return up_to_8(ids, n, (uint8_t)(view->n_children - 1));
	}
	for (int64_t i = 0; i < n; i++) {
		bad |= unknown[ids[i]];
	}
	return !bad;
}

static bool offsets_are_in_members(const struct ArrowArrayView *view, const uint8_t *ids, const any32 *offsets,
                                   int64_t n)
{
	uint32_t ends[256] = {0};
	for (int64_t i = 0; i < view->n_children; i++) {
		int64_t length = view->children[i]->length;
		uint8_t id = (uint8_t)view->union_type_id_map[128 + i];
		/* Negative ones are beyond that. */
		ends[id] = length <= INT32_MAX ? (uint32_t)length : (uint32_t)INT32_MAX + 1;
	}
	bool bad = false;
	for (int64_t i = 0; i < n; i++) {
		bad |= offsets[i] >= ends[ids[i]];
	}
	return !bad;
}

static const char *check_union(const struct ArrowArrayView *view, struct rows rows, bool whole)
{
	int64_t at = view->offset + rows.from;
	const uint8_t *ids = view->buffer_views[0].data.as_uint8 + at;
	if (!ids_are_known(view, ids, rows.n)) {
		return "has a union's type id that no member has";
	}
	if (view->storage_type == NANOARROW_TYPE_SPARSE_UNION) {
		return check_children(view, (struct rows){at, rows.n}, whole);
	}
	const any32 *offsets = (const any32 *)view->buffer_views[1].data.data + at;
	return offsets_are_in_members(view, ids, offsets, rows.n) ? check_children(view, rows, true)
	                                                          : "has a union's offset outside its child";
}

/* That they begin above 0 and reach the last row was seen with the layout. */
static const char *check_runs(const struct ArrowArrayView *view)
{
	const struct ArrowArrayView *ends = view->children[0];
	int bits = (int)ends->layout.element_size_bits[1];
	if (ends->length > 0 && !rises(ends->buffer_views[1].data.data, bits, ends->offset, ends->length - 1, 1)) {
		return "has run ends that don't rise";
	}
	return check_children(view, all_rows(view), true);
}

static bool is_unsigned(enum ArrowType type)
{
	return type == NANOARROW_TYPE_UINT8 || type == NANOARROW_TYPE_UINT16 || type == NANOARROW_TYPE_UINT32 ||
	       type == NANOARROW_TYPE_UINT64;
}

/* What an index says where it is null doesn't matter. */
static const char *check_indices(const struct ArrowArrayView *view, struct rows rows)
{
	const void *indices = view->buffer_views[1].data.data;
	const uint8_t *bitmap = view->null_count != 0 ? view->buffer_views[0].data.as_uint8 : NULL;
	int bits = (int)view->layout.element_size_bits[1];
	int64_t at = view->offset + rows.from, n_values = view->dictionary->length;
	bool good;
	if (n_values == 0) {
		good = bitmap && count_set(bitmap, at, rows.n) == 0;
	} else {
		/* A negative one is the largest without a sign. */
		uint64_t most = UINT64_MAX >> (64 - bits + !is_unsigned(view->storage_type));
		uint64_t last = (uint64_t)n_values - 1 < most ? (uint64_t)n_values - 1 : most;
		good = indices_are_up_to(indices, bits, at, rows.n, last, NULL) ||
		       (bitmap && indices_are_up_to(indices, bits, at, rows.n, last, bitmap));
	}
	return good ? NULL : "has a dictionary index outside its dictionary";
}

static const char *check(const struct ArrowArrayView *view, struct rows rows, bool whole)
{
	const char *what = view->dictionary ? check(view->dictionary, all_rows(view->dictionary), true) : NULL;
	if (what) {
		return what;
	}
	if (view->storage_type == NANOARROW_TYPE_RUN_END_ENCODED) {
		return check_runs(view);
	}
	if (rows.n == 0) {
		return whole ? check_children(view, rows, true) : NULL;
	}
	if (!null_count_is_right(view, rows.from, rows.n)) {
		return "has a null count that its bitmap contradicts";
	}
	if (view->dictionary) {
		return check_indices(view, rows);
	}
	struct rows below = {view->offset + rows.from, rows.n};
	switch (view->storage_type) {
	case NANOARROW_TYPE_DENSE_UNION:
	case NANOARROW_TYPE_SPARSE_UNION:
		return check_union(view, rows, whole);
	case NANOARROW_TYPE_LIST_VIEW:
	case NANOARROW_TYPE_LARGE_LIST_VIEW:
		return check_list_views(view, rows, whole);
	case NANOARROW_TYPE_FIXED_SIZE_LIST:
		below.from *= view->layout.child_size_elements;
		below.n *= view->layout.child_size_elements;
		break;
	default:
		if (view->layout.buffer_type[1] == NANOARROW_BUFFER_TYPE_DATA_OFFSET) {
			return check_offsets(view, rows, whole);
		}
		break;
	}
	return check_children(view, below, whole);
}

const char *bsc__check_values(const struct ArrowArrayView *view, int64_t from, int64_t n, bool whole)
{
	return check(view, whole ? all_rows(view) : (struct rows){from, n}, whole);
}
