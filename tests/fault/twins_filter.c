/* Predicate trees. */
#include "filter/filter.h"
#include "world.h"

static const struct bsc_literal text = {"u", true, {"x", 1}};
static struct bsc_filter *children[2], *tree;
static struct bsc__bytes bytes;

static void some_schema(struct world *w)
{
	world_flat(w);
}

static struct bsc_filter *leaf(void)
{
	struct bsc_filter *filter;
	struct bsc_error err;
	assert_ok(bsc_filter_new(BSC_FILTER_IN, 1, (const struct bsc_literal[]){text, text}, 2, &filter, &err), &err);
	return filter;
}

static void some_children(struct world *w)
{
	(void)w;
	children[0] = leaf();
	children[1] = leaf();
}

static void some_tree(struct world *w)
{
	struct bsc_error err;
	some_children(w);
	assert_ok(bsc_filter_join(BSC_FILTER_OR, children, 2, &tree, &err), &err);
}

static void some_bytes(struct world *w)
{
	world_flat(w);
	some_tree(w);
	bsc__bytes_init(&bytes, 1 << 20);
	bsc__filters_put(&bytes, tree, &w->schema);
	assert_false(bytes.failed);
}

static int call_new(struct world *w, struct bsc_error *err)
{
	return bsc_filter_new(BSC_FILTER_IN, 1, (const struct bsc_literal[]){text, text}, 2, &w->out.filter, err);
}

static int call_join(struct world *w, struct bsc_error *err)
{
	return bsc_filter_join(BSC_FILTER_AND, children, 2, &w->out.filter, err);
}

static int call_read(struct world *w, struct bsc_error *err)
{
	return bsc_filter_read((struct bsc_str){(const char *)bytes.ptr, bytes.len}, &w->schema, &w->out.filter, err);
}

static void done_filter(struct world *w)
{
	bsc_filter_free(w->out.filter);
}

static void done_read(struct world *w)
{
	bsc_filter_free(w->out.filter);
	bsc_filter_free(tree);
	bsc__bytes_release(&bytes);
}

static int call_equal(struct world *w, struct bsc_error *err)
{
	(void)w;
	(void)err;
	assert_true(bsc_filter_equal(tree, tree));
	return BSC_OK;
}

static void done_tree(struct world *w)
{
	(void)w;
	bsc_filter_free(tree);
}

static int call_free(struct world *w, struct bsc_error *err)
{
	(void)w;
	(void)err;
	bsc_filter_free(tree);
	bsc_filter_free(NULL);
	return BSC_OK;
}

#define POINTER sizeof(void *)

const struct twin twins_filter[] = {
    {"bsc_filter_new", "", true, POINTER, some_schema, call_new, .done = done_filter},
    {"bsc_filter_join", "", true, POINTER, some_children, call_join, .done = done_filter},
    {"bsc_filter_read", "", true, POINTER, some_bytes, call_read, .done = done_read},
    {"bsc_filter_equal", "", false, .set_up = some_tree, .call = call_equal, .done = done_tree},
    {"bsc_filter_free", "", false, .set_up = some_tree, .call = call_free},
};
const size_t n_twins_filter = LENGTH(twins_filter);
