/* Predicate trees: built, written as bytes, read from them. */
#include "filter/filter.h"

#include <string.h>

/* A query text that needs more is no predicate to help a source with. */
#define DEPTH_MAX 64
#define BYTES_MAX ((size_t)8 << 20)
#define FORMAT_MAX 256

bool bsc__filter_is_joint(enum bsc_filter_kind kind)
{
	return kind == BSC_FILTER_AND || kind == BSC_FILTER_OR || kind == BSC_FILTER_NOT;
}

static bool is_string(enum bsc_filter_kind kind)
{
	return kind == BSC_FILTER_STARTS_WITH || kind == BSC_FILTER_ENDS_WITH || kind == BSC_FILTER_CONTAINS;
}

/* May a leaf of that kind have so many literals? */
static bool takes(enum bsc_filter_kind kind, size_t n)
{
	switch (kind) {
	case BSC_FILTER_IS_NULL:
	case BSC_FILTER_IS_NOT_NULL:
		return n == 0;
	case BSC_FILTER_IN:
		return n > 0;
	default:
		return n == 1;
	}
}

static int too_large(struct bsc_error *err)
{
	return bsc__fail(err, BSC_INVALID,
	                 "a predicate is deeper than %d levels or of more than %u MiB: it can't be told to a source",
	                 DEPTH_MAX, (unsigned)(BYTES_MAX >> 20));
}

/* ---- building ---- */

void bsc_filter_free(struct bsc_filter *filter)
{
	if (!filter) {
		return;
	}
	for (size_t i = 0; filter->children && i < filter->n; i++) {
		bsc_filter_free(filter->children[i]);
	}
	for (size_t i = 0; filter->literals && i < filter->n; i++) {
		bsc__free((char *)(uintptr_t)filter->literals[i].format);
		bsc__free((char *)(uintptr_t)filter->literals[i].value.ptr);
	}
	bsc__free(filter->children);
	bsc__free(filter->literals);
	bsc__free(filter);
}

bool bsc_filter_equal(const struct bsc_filter *a, const struct bsc_filter *b)
{
	bool joint = bsc__filter_is_joint(a->kind);
	bool same = a->kind == b->kind && a->n == b->n && (joint || a->column == b->column);
	for (size_t i = 0; same && i < a->n; i++) {
		same = joint ? bsc_filter_equal(a->children[i], b->children[i])
		             : a->literals[i].valid == b->literals[i].valid &&
		                   strcmp(a->literals[i].format, b->literals[i].format) == 0 &&
		                   bsc__str_equal(a->literals[i].value, b->literals[i].value);
	}
	return same;
}

static bool literal_copy(const struct bsc_literal *from, struct bsc_literal *to)
{
	char *format = bsc__strndup(bsc__str(from->format)), *value = from->valid ? bsc__strndup(from->value) : NULL;
	*to = (struct bsc_literal){format, from->valid, {value, from->valid ? from->value.len : 0}};
	return format && (value || !from->valid);
}

int bsc_filter_new(enum bsc_filter_kind kind, int64_t column, const struct bsc_literal *literals, size_t n,
                   struct bsc_filter **out, struct bsc_error *err)
{
	*out = NULL;
	if (bsc__filter_is_joint(kind) || kind < BSC_FILTER_AND || kind > BSC_FILTER_CONTAINS || column < 0 ||
	    !takes(kind, n)) {
		return bsc__fail(err, BSC_INVALID, "a predicate of kind %d can't have column %lld and %zu literals", (int)kind,
		                 (long long)column, n);
	}
	size_t bytes = sizeof(struct bsc_filter);
	for (size_t i = 0; i < n; i++) {
		if (!literals[i].format || strlen(literals[i].format) > FORMAT_MAX ||
		    (is_string(kind) && (!literals[i].valid || strcmp(literals[i].format, "u") != 0))) {
			return bsc__fail(err, BSC_INVALID, "a predicate of kind %d can't have a literal of format '%.20s'",
			                 (int)kind, literals[i].format ? literals[i].format : "");
		}
		bytes += sizeof(literals[i]) + (literals[i].valid ? literals[i].value.len : 0);
		if (bytes > BYTES_MAX) {
			return too_large(err);
		}
	}
	struct bsc_filter *filter = bsc__calloc(1, sizeof(*filter));
	bool good = filter != NULL;
	if (good) {
		filter->kind = kind;
		filter->column = column;
		filter->depth = 1;
		filter->bytes = bytes;
		filter->literals = n ? bsc__calloc(n, sizeof(*filter->literals)) : NULL;
		good = !n || filter->literals;
	}
	for (size_t i = 0; good && i < n; i++) {
		good = literal_copy(&literals[i], &filter->literals[i]);
		filter->n = i + 1;
	}
	if (!good) {
		bsc_filter_free(filter);
		return bsc__fail_nomem(err, "building a predicate");
	}
	*out = filter;
	return BSC_OK;
}

int bsc_filter_join(enum bsc_filter_kind kind, struct bsc_filter *const *children, size_t n, struct bsc_filter **out,
                    struct bsc_error *err)
{
	*out = NULL;
	if (!bsc__filter_is_joint(kind) || n < 1 || (kind == BSC_FILTER_NOT && n != 1)) {
		return bsc__fail(err, BSC_INVALID, "a predicate of kind %d can't join %zu predicates", (int)kind, n);
	}
	int depth = 0;
	size_t bytes = sizeof(struct bsc_filter);
	for (size_t i = 0; i < n; i++) {
		depth = children[i]->depth > depth ? children[i]->depth : depth;
		bytes += children[i]->bytes;
	}
	if (depth >= DEPTH_MAX || bytes > BYTES_MAX) {
		return too_large(err);
	}
	struct bsc_filter *filter = bsc__calloc(1, sizeof(*filter));
	struct bsc_filter **copy = bsc__calloc(n, sizeof(struct bsc_filter *));
	if (!filter || !copy) {
		bsc__free(filter);
		bsc__free(copy);
		return bsc__fail_nomem(err, "building a predicate");
	}
	memcpy(copy, children, n * sizeof(struct bsc_filter *));
	*filter = (struct bsc_filter){.kind = kind, .depth = depth + 1, .bytes = bytes, .n = n, .children = copy};
	*out = filter;
	return BSC_OK;
}

/* ---- as bytes ---- */

static bool is_named_once(const struct ArrowSchema *schema, int64_t column)
{
	int64_t n = 0;
	for (int64_t i = 0; i < schema->n_children; i++) {
		n += strcmp(schema->children[i]->name, schema->children[column]->name) == 0;
	}
	return n == 1;
}

static bool can_be_said(const struct bsc_filter *filter, const struct ArrowSchema *schema)
{
	if (!bsc__filter_is_joint(filter->kind)) {
		return filter->column < schema->n_children && is_named_once(schema, filter->column);
	}
	for (size_t i = 0; i < filter->n; i++) {
		if (!can_be_said(filter->children[i], schema)) {
			return false;
		}
	}
	return true;
}

static void put_filter(struct bsc__bytes *out, const struct bsc_filter *filter, const struct ArrowSchema *schema)
{
	bsc__put_u8(out, (uint8_t)filter->kind);
	if (bsc__filter_is_joint(filter->kind)) {
		bsc__put_u32(out, (uint32_t)filter->n);
		for (size_t i = 0; i < filter->n; i++) {
			put_filter(out, filter->children[i], schema);
		}
		return;
	}
	const struct ArrowSchema *column = schema->children[filter->column];
	bsc__put_str(out, bsc__str(column->name));
	bsc__put_str(out, bsc__str((column->dictionary ? column->dictionary : column)->format));
	bsc__put_u32(out, (uint32_t)filter->n);
	for (size_t i = 0; i < filter->n; i++) {
		bsc__put_str(out, bsc__str(filter->literals[i].format));
		bsc__put_u8(out, filter->literals[i].valid);
		if (filter->literals[i].valid) {
			bsc__put_str(out, filter->literals[i].value);
		}
	}
}

/* The conjuncts that can be said: how many, and written where out is given. */
static uint32_t put_conjuncts(struct bsc__bytes *out, const struct bsc_filter *filter, const struct ArrowSchema *schema)
{
	uint32_t n = 0;
	if (filter->kind == BSC_FILTER_AND) {
		for (size_t i = 0; i < filter->n; i++) {
			n += put_conjuncts(out, filter->children[i], schema);
		}
		return n;
	}
	if (can_be_said(filter, schema)) {
		n = 1;
		if (out) {
			put_filter(out, filter, schema);
		}
	}
	return n;
}

void bsc__filters_put(struct bsc__bytes *out, const struct bsc_filter *filter, const struct ArrowSchema *schema)
{
	bsc__put_u32(out, filter ? put_conjuncts(NULL, filter, schema) : 0);
	if (filter) {
		(void)put_conjuncts(out, filter, schema);
	}
}

/* ---- from bytes ---- */

static int64_t column_of(const struct ArrowSchema *schema, struct bsc_str name)
{
	for (int64_t i = 0; i < schema->n_children; i++) {
		if (bsc__str_equal(bsc__str(schema->children[i]->name), name)) {
			return is_named_once(schema, i) ? i : -1;
		}
	}
	return -1;
}

static int malformed(struct bsc_error *err)
{
	return bsc__fail(err, BSC_INVALID, "the bytes of a predicate are no predicate");
}

static int get_leaf(struct bsc__view *view, enum bsc_filter_kind kind, const struct ArrowSchema *schema,
                    struct bsc_filter **out, struct bsc_error *err)
{
	enum { LITERAL_BYTES_MIN = 5 };
	struct bsc_str name = bsc__get_str(view, BYTES_MAX);
	(void)bsc__get_str(view, BYTES_MAX); /* the schema says it */
	uint32_t n = bsc__get_u32(view);
	if (view->failed || n > view->left / LITERAL_BYTES_MIN) {
		return malformed(err);
	}
	if (n > BYTES_MAX / sizeof(struct bsc_literal)) {
		return too_large(err);
	}
	int64_t column = column_of(schema, name);
	if (column < 0) {
		return bsc__fail(err, BSC_INVALID, "a predicate names the column '%.*s', which is not the name of one column",
		                 BSC__ARG(name));
	}
	struct bsc_literal *literals = bsc__calloc(n ? n : 1, sizeof(*literals));
	char (*formats)[FORMAT_MAX + 1] = bsc__calloc(n ? n : 1, sizeof(*formats));
	int rc = literals && formats ? BSC_OK : bsc__fail_nomem(err, "reading a predicate");
	for (uint32_t i = 0; rc == BSC_OK && i < n; i++) {
		struct bsc_str format = bsc__get_str(view, FORMAT_MAX);
		literals[i].valid = bsc__get_u8(view) != 0;
		if (literals[i].valid) {
			literals[i].value = bsc__get_str(view, BYTES_MAX);
		}
		if (view->failed || memchr(format.ptr ? format.ptr : "", '\0', format.len)) {
			rc = malformed(err);
		} else {
			memcpy(formats[i], format.ptr ? format.ptr : "", format.len);
			literals[i].format = formats[i];
		}
	}
	if (rc == BSC_OK) {
		rc = bsc_filter_new(kind, column, literals, n, out, err);
	}
	bsc__free(formats);
	bsc__free(literals);
	return rc;
}

static int get_filter(struct bsc__view *view, const struct ArrowSchema *schema, int depth, struct bsc_filter **out,
                      struct bsc_error *err);

/* n filters, joined. AND of none: *out NULL. */
static int get_joint(struct bsc__view *view, enum bsc_filter_kind kind, const struct ArrowSchema *schema, int depth,
                     struct bsc_filter **out, struct bsc_error *err)
{
	enum { FILTER_BYTES_MIN = 5 };
	uint32_t n = bsc__get_u32(view), got = 0;
	if (view->failed || n > view->left / FILTER_BYTES_MIN) {
		return malformed(err);
	}
	struct bsc_filter **children = bsc__calloc(n ? n : 1, sizeof(*children));
	int rc = children ? BSC_OK : bsc__fail_nomem(err, "reading a predicate");
	while (rc == BSC_OK && got < n) {
		rc = get_filter(view, schema, depth + 1, &children[got], err);
		got += rc == BSC_OK;
	}
	if (rc == BSC_OK && (n || kind != BSC_FILTER_AND || depth)) {
		rc = bsc_filter_join(kind, children, n, out, err);
	}
	for (uint32_t i = 0; rc != BSC_OK && i < got; i++) {
		bsc_filter_free(children[i]);
	}
	bsc__free(children);
	return rc;
}

static int get_filter(struct bsc__view *view, const struct ArrowSchema *schema, int depth, struct bsc_filter **out,
                      struct bsc_error *err)
{
	enum bsc_filter_kind kind = bsc__get_u8(view);
	*out = NULL;
	if (depth > DEPTH_MAX) {
		return too_large(err);
	}
	return bsc__filter_is_joint(kind) ? get_joint(view, kind, schema, depth, out, err)
	                                  : get_leaf(view, kind, schema, out, err);
}

int bsc_filter_read(struct bsc_str bytes, const struct ArrowSchema *schema, struct bsc_filter **out,
                    struct bsc_error *err)
{
	struct bsc__view view = {(const uint8_t *)bytes.ptr, bytes.len, false};
	*out = NULL;
	int rc = get_joint(&view, BSC_FILTER_AND, schema, 0, out, err);
	if (rc == BSC_OK && view.left) {
		bsc_filter_free(*out);
		*out = NULL;
		rc = malformed(err);
	}
	return rc;
}
