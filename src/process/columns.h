/* columns: what both ends of layout.h ask of a type before they follow an array of it. */
#ifndef BSC_COLUMNS_H
#define BSC_COLUMNS_H

#include "nanoarrow/nanoarrow.h"
#include "base/base.h"

/* A view of a struct's columns. One whose type can't be read keeps the storage type
 * NANOARROW_TYPE_UNINITIALIZED: it is always absent. schema: borrowed for the call. BSC_MALFORMED: it is no struct,
 * or broken. On failure `view` is empty, and need not be reset. */
int bsc__columns_init(struct ArrowArrayView *view, const struct ArrowSchema *schema,
                      struct bsc_error *err) BSC_MUST_CHECK;

/* Of strings and binaries: buffers 2 to the last but one are data, the last their sizes. */
bool bsc__is_view_type(const struct ArrowArrayView *view);
bool bsc__is_list_view(const struct ArrowArrayView *view);
bool bsc__has_validity(const struct ArrowArrayView *view);
/* How many buffers come before variadic ones. */
int bsc__fixed_buffers(const struct ArrowArrayView *view);

/* What is wrong with these numbers for an array of that type, or NULL. After it no
 * size in bytes or rows that follows from them overflows. */
const char *bsc__check_numbers(const struct ArrowArrayView *view, int64_t length, int64_t offset, int64_t null_count);

#endif
