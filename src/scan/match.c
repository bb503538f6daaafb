/* Schema matching, strict: which child of a batch is which column.
 *
 * Columns are matched by name, so their order is the class's own affair; of
 * several with one name the first is the first. An asked column that is missing,
 * a column outside the schema, a column of another type are errors. Metadata is
 * ignored, but the extension's name is part of a type, as are the time zone and
 * the index and value type of a dictionary. */
#include "scan/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPE_TEXT 256

/* ---- types ---- */

static struct bsc_str extension_name(const struct ArrowSchema *field)
{
	return bsc_schema_metadata(field, "ARROW:extension:name");
}

static const char *field_name(const struct ArrowSchema *field)
{
	return field->name ? field->name : "";
}

/* Children of a struct or union are told apart by name; those of a list or map
 * are called what their producer likes ("item", "element"). */
static bool names_matter(const char *format)
{
	return strcmp(format, "+s") == 0 || strncmp(format, "+u", 2) == 0;
}

static bool same_type(const struct ArrowSchema *a, const struct ArrowSchema *b, int depth)
{
	if (depth > BSC__SCHEMA_DEPTH_MAX || strcmp(a->format, b->format) != 0 || a->n_children != b->n_children ||
	    !a->dictionary != !b->dictionary || !bsc__str_equal(extension_name(a), extension_name(b))) {
		return false;
	}
	for (int64_t i = 0; i < a->n_children; i++) {
		if (names_matter(a->format) && strcmp(field_name(a->children[i]), field_name(b->children[i])) != 0) {
			return false;
		}
		if (!same_type(a->children[i], b->children[i], depth + 1)) {
			return false;
		}
	}
	return !a->dictionary || same_type(a->dictionary, b->dictionary, depth + 1);
}

static const char *type_text(const struct ArrowSchema *field, char *text)
{
	bsc_schema_describe(field, text, TYPE_TEXT);
	return text;
}

/* Before anything reads a batch's schema: nothing in it is missing. */
static bool is_whole(const struct ArrowSchema *field, int depth)
{
	if (!field || !field->release || !field->format || field->n_children < 0 || depth > BSC__SCHEMA_DEPTH_MAX ||
	    (field->n_children > 0 && !field->children)) {
		return false;
	}
	for (int64_t i = 0; i < field->n_children; i++) {
		if (!is_whole(field->children[i], depth + 1)) {
			return false;
		}
	}
	return !field->dictionary || is_whole(field->dictionary, depth + 1);
}

/* ---- messages ---- */

static int mismatch(const struct bsc__place *place, struct bsc_error *err, const char *what)
{
	return bsc__fail(err, BSC_MISMATCH, "%s, partition %lld of %lld, batch %lld: %s", place->label,
	                 (long long)place->partition, (long long)place->n_partitions, (long long)place->batch, what);
}

static int fail_type(const struct ArrowSchema *declared, const struct ArrowSchema *got, const struct bsc__place *place,
                     struct bsc_error *err)
{
	char want_text[TYPE_TEXT], got_text[TYPE_TEXT], what[4 * TYPE_TEXT];
	type_text(declared, want_text);
	type_text(got, got_text);
	const char *detail = strcmp(want_text, got_text) == 0 ? " (they differ in nested names or a time zone)" : "";
	snprintf(what, sizeof(what),
	         "column '%.200s' is %s, but infer_schema said %s%s. Cast it in read_partition, or change infer_schema",
	         field_name(declared), got_text, want_text, detail);
	return mismatch(place, err, what);
}

/* ---- names ---- */

struct named {
	const char *name;
	int64_t index;
};

static int by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = strcmp(x->name, y->name);
	return order ? order : (x->index > y->index) - (x->index < y->index);
}

static struct named *sorted_names(const struct ArrowSchema *schema)
{
	struct named *names = bsc__calloc((size_t)schema->n_children, sizeof(*names));
	if (names) {
		for (int64_t i = 0; i < schema->n_children; i++) {
			names[i] = (struct named){field_name(schema->children[i]), i};
		}
		qsort(names, (size_t)schema->n_children, sizeof(*names), by_name);
	}
	return names;
}

static int64_t run_length(const struct named *names, int64_t at, int64_t n)
{
	int64_t end = at + 1;
	while (end < n && strcmp(names[end].name, names[at].name) == 0) {
		end++;
	}
	return end - at;
}

/* The declared name that differs from `name` in case only, or NULL. */
static const char *name_in_other_case(const struct ArrowSchema *declared, const char *name)
{
	for (int64_t i = 0; i < declared->n_children; i++) {
		const char *other = field_name(declared->children[i]);
		if (bsc__str_equal_nocase(bsc__str(other), bsc__str(name))) {
			return other;
		}
	}
	return NULL;
}

/* Fills `child_of`: declared column -> child of the batch, -1 where it has none.
 * Walks both lists of names in order, a run of one name at a time. */
static int match_names(const struct ArrowSchema *declared, const struct ArrowSchema *got, int64_t *child_of,
                       const bool *asked, const struct bsc__place *place, struct bsc_error *err)
{
	struct named *want = sorted_names(declared);
	struct named *have = sorted_names(got);
	char what[1024];
	int rc = BSC_OK;
	if (!want || !have) {
		rc = bsc__fail_nomem(err, "matching a batch's columns");
		goto out;
	}
	for (int64_t i = 0; i < declared->n_children; i++) {
		child_of[i] = -1;
	}
	int64_t w = 0, h = 0;
	while (h < got->n_children) {
		while (w < declared->n_children && strcmp(want[w].name, have[h].name) < 0) {
			w++;
		}
		if (w == declared->n_children || strcmp(want[w].name, have[h].name) != 0) {
			const char *near = name_in_other_case(declared, have[h].name);
			snprintf(
			    what, sizeof(what),
			    "column '%.200s' is not in the schema%s%.200s%s. Drop it in read_partition, or add it to infer_schema",
			    have[h].name, near ? " (which has '" : "", near ? near : "", near ? "')" : "");
			rc = mismatch(place, err, what);
			goto out;
		}
		int64_t n_want = run_length(want, w, declared->n_children);
		int64_t n_have = run_length(have, h, got->n_children);
		int64_t n_asked = 0;
		for (int64_t k = 0; k < n_want; k++) {
			n_asked += asked[want[w + k].index];
		}
		/* All that are declared, or just those that were asked for. */
		if (n_have != n_want && n_have != n_asked) {
			snprintf(what, sizeof(what), "column '%.200s' is there %lld times, but %lld times in the schema",
			         have[h].name, (long long)n_have, (long long)n_want);
			rc = mismatch(place, err, what);
			goto out;
		}
		int64_t next = h;
		for (int64_t k = 0; k < n_want; k++) {
			if (n_have == n_want || asked[want[w + k].index]) {
				child_of[want[w + k].index] = have[next++].index;
			}
		}
		w += n_want;
		h += n_have;
	}
out:
	bsc__free(want);
	bsc__free(have);
	return rc;
}

static bool same_order(const struct ArrowSchema *declared, const struct ArrowSchema *got)
{
	if (declared->n_children != got->n_children) {
		return false;
	}
	for (int64_t i = 0; i < got->n_children; i++) {
		if (strcmp(field_name(declared->children[i]), field_name(got->children[i])) != 0) {
			return false;
		}
	}
	return true;
}

/* ---- the matcher ---- */

int bsc__match_init(struct bsc__match *match, const struct ArrowSchema *declared, const int64_t *columns,
                    int64_t n_columns, struct bsc_error *err)
{
	*match = (struct bsc__match){.declared = declared, .columns = columns, .n_columns = n_columns};
	match->from = bsc__calloc((size_t)n_columns, sizeof(*match->from));
	return match->from ? BSC_OK : bsc__fail_nomem(err, "opening a cursor");
}

void bsc__match_release(struct bsc__match *match)
{
	if (match->seen.release) {
		match->seen.release(&match->seen);
	}
	bsc__free(match->from);
	*match = (struct bsc__match){0};
}

static int build(struct bsc__match *match, const struct ArrowSchema *got, const struct bsc__place *place,
                 struct bsc_error *err)
{
	const struct ArrowSchema *declared = match->declared;
	int64_t n = declared->n_children;
	int64_t *child_of = bsc__calloc((size_t)n, sizeof(*child_of));
	bool *asked = bsc__calloc((size_t)n, sizeof(*asked));
	int rc = BSC_OK;
	if (!child_of || !asked) {
		rc = bsc__fail_nomem(err, "matching a batch's columns");
		goto out;
	}
	for (int64_t i = 0; i < match->n_columns; i++) {
		asked[match->columns[i]] = true;
	}
	if (same_order(declared, got)) {
		for (int64_t i = 0; i < n; i++) {
			child_of[i] = i;
		}
	} else {
		rc = match_names(declared, got, child_of, asked, place, err);
	}
	for (int64_t i = 0; rc == BSC_OK && i < n; i++) {
		const struct ArrowSchema *column = declared->children[i];
		if (child_of[i] >= 0) {
			if (!same_type(column, got->children[child_of[i]], 0)) {
				rc = fail_type(column, got->children[child_of[i]], place, err);
			}
		} else if (asked[i]) {
			char what[512];
			snprintf(what, sizeof(what),
			         "column '%.200s' is missing. Yield it in read_partition, or take it out of infer_schema",
			         field_name(column));
			rc = mismatch(place, err, what);
		}
	}
	match->identity = match->n_columns == got->n_children;
	for (int64_t i = 0; rc == BSC_OK && i < match->n_columns; i++) {
		match->from[i] = child_of[match->columns[i]];
		match->identity = match->identity && match->from[i] == i;
	}
out:
	bsc__free(child_of);
	bsc__free(asked);
	return rc;
}

int bsc__match_schema(struct bsc__match *match, struct ArrowSchema *schema, const struct bsc__place *place,
                      struct bsc_error *err)
{
	if (!schema->release) {
		return match->seen.release ? BSC_OK : mismatch(place, err, "the batch has no schema");
	}
	if (!is_whole(schema, 0) || strcmp(schema->format, "+s") != 0) {
		char text[TYPE_TEXT] = "a schema that was released or is incomplete", what[2 * TYPE_TEXT];
		if (is_whole(schema, 0)) {
			type_text(schema, text);
		}
		snprintf(what, sizeof(what), "expected a record batch (a struct of columns), got %s", text);
		return mismatch(place, err, what);
	}
	if (match->seen.release && same_type(&match->seen, schema, 0)) {
		return BSC_OK;
	}
	int rc = build(match, schema, place, err);
	if (match->seen.release) {
		match->seen.release(&match->seen);
		match->seen.release = NULL;
	}
	if (rc == BSC_OK) {
		match->seen = *schema;
		schema->release = NULL;
	}
	return rc;
}
