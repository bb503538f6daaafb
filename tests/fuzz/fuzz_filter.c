/* Predicates as bytes: what is accepted is written again, and reads as the same tree. */
#include "filter/filter.h"
#include "fuzz.h"

#include <string.h>

static void keep(struct ArrowSchema *schema)
{
	schema->release = NULL; /* its parts are the program's */
}

/* Each child is one of the tree's, within its limits, and reads a column that can be told by its name. */
static void check_tree(const struct bsc_filter *filter, const struct ArrowSchema *schema, int depth)
{
	CHECK(filter->kind >= BSC_FILTER_AND && filter->kind <= BSC_FILTER_CONTAINS && depth + filter->depth <= 64);
	if (bsc__filter_is_joint(filter->kind)) {
		CHECK(filter->n >= 1 && (filter->kind != BSC_FILTER_NOT || filter->n == 1));
		for (size_t i = 0; i < filter->n; i++) {
			CHECK(filter->children[i]->depth < filter->depth);
			check_tree(filter->children[i], schema, depth + 1);
		}
		return;
	}
	CHECK(filter->column >= 0 && filter->column < schema->n_children);
	/* Of two columns with one name none is meant. */
	CHECK(strcmp(schema->children[filter->column]->name, "twice") != 0);
	for (size_t i = 0; i < filter->n; i++) {
		const struct bsc_literal *literal = &filter->literals[i];
		CHECK(strlen(literal->format) <= 256);
		/* Each byte may be read. */
		CHECK(!literal->valid || bsc__str_equal(literal->value, literal->value));
		CHECK(literal->valid || literal->value.len == 0);
	}
}

/* Written and read: the same. Its AND at the top, and each AND in it, becomes one. */
static struct bsc_filter *through_bytes(const struct bsc_filter *filter, const struct ArrowSchema *schema)
{
	struct bsc__bytes bytes;
	struct bsc_filter *out;
	struct bsc_error err;
	bsc__bytes_init(&bytes, 64 << 20);
	bsc__filters_put(&bytes, filter, schema);
	CHECK(!bytes.failed);
	CHECK(bsc_filter_read((struct bsc_str){(const char *)bytes.ptr, bytes.len}, schema, &out, &err) == BSC_OK && out);
	bsc__bytes_release(&bytes);
	return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ArrowSchema dictionary = {.format = "u", .name = "", .release = keep};
	struct ArrowSchema columns[] = {
	    {.format = "l", .name = "a", .release = keep},
	    {.format = "i", .name = "b", .dictionary = &dictionary, .release = keep},
	    {.format = "i", .name = "twice", .release = keep},
	    {.format = "u", .name = "twice", .release = keep},
	    {.format = "d:9,2", .name = "", .release = keep},
	};
	enum { N = sizeof(columns) / sizeof(*columns) };
	struct ArrowSchema *children[N];
	for (int i = 0; i < N; i++) {
		children[i] = &columns[i];
	}
	struct ArrowSchema schema = {.format = "+s", .n_children = N, .children = children, .release = keep};

	/* A copy of the exact size: `data` may have bytes behind it. */
	struct arena *arena = arena_new();
	char *bytes = arena_take(arena, size);
	if (size) {
		memcpy(bytes, data, size);
	}
	struct bsc_filter *filter = (struct bsc_filter *)&schema;
	struct bsc_error err;
	int rc = bsc_filter_read((struct bsc_str){bytes, size}, &schema, &filter, &err);
	arena_free(arena);
	if (rc != BSC_OK) {
		check_error(rc, &err);
		CHECK(rc == BSC_INVALID && !filter);
	} else if (filter) {
		CHECK(filter->kind == BSC_FILTER_AND);
		check_tree(filter, &schema, 0);
		struct bsc_filter *once = through_bytes(filter, &schema), *twice = through_bytes(once, &schema);
		check_tree(once, &schema, 0);
		CHECK(once->depth <= filter->depth && once->n >= filter->n);
		CHECK(bsc_filter_equal(once, twice));
		/* What has no AND in its AND is not changed at all. */
		bool flat = true;
		for (size_t i = 0; i < filter->n; i++) {
			flat = flat && filter->children[i]->kind != BSC_FILTER_AND;
		}
		CHECK(!flat || bsc_filter_equal(filter, once));
		bsc_filter_free(filter);
		bsc_filter_free(once);
		bsc_filter_free(twice);
	}
	return 0;
}
