/* What both ends of the layout ask of a type. */
#include "process/columns.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "process/wire.h"

/* Far beyond any real batch; keeps sums of a length and an offset in 64 bits. */
#define ROWS_MAX ((int64_t)1 << 40)

/* nanoarrow cuts sizes to 32 bits, and counts a union's types in 8. */
static bool parameters_hold(const struct ArrowSchemaView *view)
{
	if (view->type == NANOARROW_TYPE_FIXED_SIZE_LIST || view->type == NANOARROW_TYPE_FIXED_SIZE_BINARY) {
		char number[16];
		snprintf(number, sizeof(number), "%d", view->fixed_size);
		return view->fixed_size >= 0 && strcmp(strchr(view->schema->format, ':') + 1, number) == 0;
	}
	if (view->type == NANOARROW_TYPE_DENSE_UNION || view->type == NANOARROW_TYPE_SPARSE_UNION) {
		return view->schema->n_children <= INT8_MAX;
	}
	return true;
}

/* Children before their parent: nanoarrow looks into a map's entries and a dictionary
 * unasked. */
static bool readable(const struct ArrowSchema *field)
{
	for (int64_t i = 0; i < field->n_children; i++) {
		if (!readable(field->children[i])) {
			return false;
		}
	}
	struct ArrowSchemaView view;
	return (!field->dictionary || readable(field->dictionary)) &&
	       ArrowSchemaViewInit(&view, field, NULL) == NANOARROW_OK && parameters_hold(&view);
}

int bsc__columns_init(struct ArrowArrayView *view, const struct ArrowSchema *schema, struct bsc_error *err)
{
	ArrowArrayViewInitFromType(view, NANOARROW_TYPE_STRUCT);
	const char *what = bsc__schema_broken(schema);
	if (!what && (strcmp(schema->format, "+s") != 0 || schema->dictionary)) {
		what = "is of a type that is no struct of columns";
	}
	if (what) {
		return bsc__fail(err, BSC_MALFORMED, "a batch %s", what);
	}
	int rc = ArrowArrayViewAllocateChildren(view, schema->n_children);
	for (int64_t i = 0; i < schema->n_children && rc == NANOARROW_OK; i++) {
		if (readable(schema->children[i])) {
			rc = ArrowArrayViewInitFromSchema(view->children[i], schema->children[i], NULL);
		}
	}
	if (rc != NANOARROW_OK) {
		ArrowArrayViewReset(view);
		return bsc__fail_nomem(err, "preparing for batches");
	}
	return BSC_OK;
}

bool bsc__is_view_type(const struct ArrowArrayView *view)
{
	return view->storage_type == NANOARROW_TYPE_STRING_VIEW || view->storage_type == NANOARROW_TYPE_BINARY_VIEW;
}

bool bsc__is_list_view(const struct ArrowArrayView *view)
{
	return view->storage_type == NANOARROW_TYPE_LIST_VIEW || view->storage_type == NANOARROW_TYPE_LARGE_LIST_VIEW;
}

bool bsc__has_validity(const struct ArrowArrayView *view)
{
	return view->layout.buffer_type[0] == NANOARROW_BUFFER_TYPE_VALIDITY;
}

int bsc__fixed_buffers(const struct ArrowArrayView *view)
{
	int n = 0;
	while (n < NANOARROW_MAX_FIXED_BUFFERS && view->layout.buffer_type[n] != NANOARROW_BUFFER_TYPE_NONE) {
		n++;
	}
	return n;
}

const char *bsc__check_numbers(const struct ArrowArrayView *view, int64_t length, int64_t offset, int64_t null_count)
{
	if (length < 0 || offset < 0 || length > ROWS_MAX || offset > ROWS_MAX) {
		return "has a length or an offset out of range";
	}
	int64_t widest = view->layout.child_size_elements;
	for (int i = 0; i < bsc__fixed_buffers(view); i++) {
		int64_t bits = view->layout.element_size_bits[i];
		widest = bits > widest ? bits : widest;
	}
	if (widest > 0 && offset + length >= INT64_MAX / 2 / widest) {
		return "has a length or an offset out of range";
	}
	return null_count < -1 || null_count > length ? "has a null count out of range" : NULL;
}
