/* layout: an Arrow array to a slot of the arena and a description of it, and back.
 *
 * On the wire an *array* is its nodes, depth first: the root, its children, its
 * dictionary. A node:
 *
 *   u8 flags (BSC__NODE_ABSENT: the column was not asked for, nothing follows)
 *   i64 length, i64 null count, i64 offset
 *   u32 buffers, each: u64 segment (0: the buffer is empty or NULL), u64 offset, u64 size in bytes
 *
 * Children and dictionary are those that the schema says, for every node but an
 * absent one; only the root's children may be absent. Of string and binary views
 * the buffer of variadic sizes isn't sent: they are the sizes that stand here.
 *
 * All buffers of an array lie in one slot, each at a multiple of BSC__BUFFER_ALIGN. Both
 * ends count what a batch holds in the same way, or windows would drift: each buffer's
 * size rounded up to that, in all at least once that. */
#ifndef BSC_LAYOUT_H
#define BSC_LAYOUT_H

#include "nanoarrow/nanoarrow.h"
#include "process/arena.h"

#define BSC__NODE_ABSENT 1

/* ---- the worker's end ---- */

struct bsc__copy;  /* to be made, of a buffer */
struct bsc__range; /* of a variadic buffer, that views lead to */

/* Knows a schema; lays out arrays of it. */
struct bsc__layout {
	struct ArrowArrayView view; /* of the root */
	char **names;               /* of the columns, for messages */
	bool ready;
	/* Of the array that is written; the memory is kept for the next one. */
	struct bsc__copy *copies;
	size_t n_copies, cap_copies;
	struct bsc__range *ranges;
	size_t n_ranges, cap_ranges;
};

/* schema: borrowed for the call; a struct. A column whose type can't be read is always
 * absent: the host has the schema, and says what is wrong with it. A zeroed layout may
 * be released. */
int bsc__layout_init(struct bsc__layout *layout, const struct ArrowSchema *schema,
                     struct bsc_error *err) BSC_MUST_CHECK;
void bsc__layout_release(struct bsc__layout *layout);

/* Copies the asked children of `array` (borrowed; a struct array of the layout's schema)
 * into a slot, each buffer once, only the rows that the array's offset and length select;
 * and puts the array's description at the end of `out`.
 *
 * asked   for each child of the root whether it is wanted; NULL: all are
 * slot    out; its size is the memory that the batch holds
 *
 * BSC_MALFORMED for structs that contradict the schema or themselves; the message begins with
 * the column, and wants a prefix that names the batch. On failure nothing is taken, and `out` is as before. */
int bsc__layout_write(struct bsc__layout *layout, const struct ArrowArray *array, const bool *asked,
                      struct bsc__arena *arena, struct bsc__bytes *out, struct bsc__slot *slot,
                      struct bsc_error *err) BSC_MUST_CHECK;

/* ---- the host's end ---- */

/* Knows the schema of a reader's batches; builds arrays. */
struct bsc__unlayout {
	struct ArrowSchema schema; /* its own copy; release == NULL: none yet */
	struct ArrowArrayView view;
};

/* schema: borrowed. BSC_MALFORMED for what is no struct of columns. One whose type Arrow
 * doesn't have is to be absent. */
int bsc__unlayout_init(struct bsc__unlayout *unlayout, const struct ArrowSchema *schema,
                       struct bsc_error *err) BSC_MUST_CHECK;
void bsc__unlayout_release(struct bsc__unlayout *unlayout);

/* What is called once, on any thread, when a batch has been released. */
struct bsc__on_release {
	void (*call)(void *ctx, uint64_t slot, uint64_t bytes);
	void *ctx;
};

/* Reads an *array* from `view`, which ends with it, and checks all of it that can be checked without looking
 * at values: that each buffer lies in its segment, aligned, and is as long as lengths and
 * the last offset say. An absent column becomes one of the right length without buffers.
 *
 * out       out; when it and each child moved out of it are released, the segment is
 *           unreferenced, then on_release is called
 * bytes     out: what the worker counts as the slot's size
 *
 * BSC_MALFORMED names what is wrong with the description. On failure on_release isn't called. */
int bsc__array_read(struct bsc__unlayout *unlayout, struct bsc__view *view, const struct bsc__segments *segments,
                    uint64_t slot, const struct bsc__on_release *on_release, struct ArrowArray *out, uint64_t *bytes,
                    struct bsc_error *err) BSC_MUST_CHECK;

#endif
