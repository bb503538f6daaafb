/* Projection by pointer: new parent and child structs, the same buffers.
 *
 * The children of `out` are copies of the batch's child structs. Each holds a
 * reference to the batch, so that a consumer may move a child out and release it
 * later than its parent, as the C Data Interface allows. */
#include "scan/internal.h"

struct holder {
	_Atomic int64_t refs; /* the parent's one and one for each child */
	struct ArrowArray batch;
	const void *no_validity[1];
	struct ArrowArray **children;
	struct ArrowArray *structs;
};

static void holder_drop(struct holder *holder)
{
	if (atomic_fetch_sub(&holder->refs, 1) != 1) {
		return;
	}
	holder->batch.release(&holder->batch);
	bsc__free(holder->children);
	bsc__free(holder->structs);
	bsc__free(holder);
}

static void child_release(struct ArrowArray *child)
{
	struct holder *holder = child->private_data;
	child->release = NULL;
	holder_drop(holder);
}

static void parent_release(struct ArrowArray *parent)
{
	struct holder *holder = parent->private_data;
	for (int64_t i = 0; i < parent->n_children; i++) {
		if (parent->children[i]->release) {
			parent->children[i]->release(parent->children[i]);
		}
	}
	parent->release = NULL;
	holder_drop(holder);
}

/* Nothing to leave out, reorder or trim. */
static bool fits(const struct ArrowArray *array, const struct bsc__match *match)
{
	bool fits = match->identity && array->offset == 0;
	for (int64_t i = 0; fits && i < array->n_children; i++) {
		fits = array->children[i]->length == array->length;
	}
	return fits;
}

int bsc__project(struct ArrowArray *array, const struct bsc__match *match, struct ArrowArray *out,
                 struct bsc_error *err)
{
	if (fits(array, match)) {
		*out = *array;
		array->release = NULL;
		return BSC_OK;
	}
	int64_t n_columns = match->n_columns;
	struct holder *holder = bsc__calloc(1, sizeof(*holder));
	if (!holder) {
		return bsc__fail_nomem(err, "projecting a batch");
	}
	holder->children = bsc__calloc((size_t)n_columns, sizeof(*holder->children));
	holder->structs = bsc__calloc((size_t)n_columns, sizeof(*holder->structs));
	if (!holder->children || !holder->structs) {
		bsc__free(holder->children);
		bsc__free(holder->structs);
		bsc__free(holder);
		return bsc__fail_nomem(err, "projecting a batch");
	}
	for (int64_t i = 0; i < n_columns; i++) {
		struct ArrowArray *child = &holder->structs[i];
		*child = *array->children[match->from[i]];
		if (array->offset != 0 || child->length != array->length) {
			child->offset += array->offset;
			child->length = array->length;
			child->null_count = child->null_count == 0 ? 0 : -1;
		}
		child->release = child_release;
		child->private_data = holder;
		holder->children[i] = child;
	}
	holder->refs = n_columns + 1;
	holder->batch = *array;
	array->release = NULL;
	*out = (struct ArrowArray){
	    .length = holder->batch.length,
	    .n_buffers = 1,
	    .n_children = n_columns,
	    .buffers = holder->no_validity,
	    .children = holder->children,
	    .release = parent_release,
	    .private_data = holder,
	};
	return BSC_OK;
}
