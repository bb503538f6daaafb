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
#define PATH_TEXT 256
#define WHAT_TEXT 1024

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

/* Without the 128 bits that a decimal has unsaid. */
static size_t format_length(const char *format)
{
	const char *scale = format[0] == 'd' ? strchr(format, ',') : NULL;
	const char *width = scale ? strchr(scale + 1, ',') : NULL;
	return width && strcmp(width, ",128") == 0 ? (size_t)(width - format) : strlen(format);
}

static bool same_format(const char *a, const char *b)
{
	size_t length = format_length(a);
	return length == format_length(b) && memcmp(a, b, length) == 0;
}

static bool same_type(const struct ArrowSchema *a, const struct ArrowSchema *b, int depth)
{
	if (depth > BSC__SCHEMA_DEPTH_MAX || !same_format(a->format, b->format) || a->n_children != b->n_children ||
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

/* Before anything reads a batch's schema: what it lacks, or NULL. */
static const char *find_broken(const struct ArrowSchema *field, int depth)
{
	const char *what = bsc__field_broken(field);
	if (what || depth > BSC__SCHEMA_DEPTH_MAX) {
		return what ? what : "has a schema that is nested too deep";
	}
	for (int64_t i = 0; i < field->n_children && !what; i++) {
		what = find_broken(field->children[i], depth + 1);
	}
	return what || !field->dictionary ? what : find_broken(field->dictionary, depth + 1);
}

/* Why the type of a field or of one below it can't be read, or NULL. */
static const char *find_unreadable(const struct ArrowSchema *field, char text[BSC__REASON_CAP])
{
	const char *what = NULL;
	for (int64_t i = 0; i < field->n_children && !what; i++) {
		what = find_unreadable(field->children[i], text);
	}
	if (!what && field->dictionary) {
		what = find_unreadable(field->dictionary, text);
	}
	return what ? what : bsc__type_unreadable(field, text);
}

/* ---- messages ---- */

static int mismatch(const struct bsc__place *place, struct bsc_error *err, const char *what)
{
	return bsc__fail(err, BSC_MISMATCH, "%s, partition %lld of %lld, batch %lld: %s", place->label,
	                 (long long)place->partition, (long long)place->n_partitions, (long long)place->batch, what);
}

/* Where two types differ first, and how. */
struct difference {
	char path[PATH_TEXT]; /* "a.b[]", from the column on */
	char how[WHAT_TEXT];  /* "is string, but infer_schema said int32" */
};

static void describe_types(struct difference *d, const struct ArrowSchema *declared, const struct ArrowSchema *got)
{
	char want_text[TYPE_TEXT], got_text[TYPE_TEXT], formats[TYPE_TEXT] = "";
	type_text(declared, want_text);
	type_text(got, got_text);
	if (strcmp(want_text, got_text) == 0) {
		snprintf(formats, sizeof(formats), " (the format is '%.100s', not '%.100s')", got->format, declared->format);
	}
	snprintf(d->how, sizeof(d->how), "is %s, but infer_schema said %s%s", got_text, want_text, formats);
}

static bool find_difference(struct difference *d, const struct ArrowSchema *declared, const struct ArrowSchema *got);

/* Of a child: the path goes on while it is looked at. */
static bool find_below(struct difference *d, const struct ArrowSchema *declared, const struct ArrowSchema *got,
                       const char *dot, const char *name)
{
	size_t length = strlen(d->path);
	snprintf(d->path + length, sizeof(d->path) - length, "%s%s", dot, name);
	bool found = find_difference(d, declared, got);
	if (!found) {
		d->path[length] = '\0';
	}
	return found;
}

static bool find_difference(struct difference *d, const struct ArrowSchema *declared, const struct ArrowSchema *got)
{
	if (!same_format(declared->format, got->format) || !declared->dictionary != !got->dictionary ||
	    !bsc__str_equal(extension_name(declared), extension_name(got))) {
		describe_types(d, declared, got);
		return true;
	}
	if (declared->n_children != got->n_children) {
		snprintf(d->how, sizeof(d->how), "has %lld fields, but infer_schema said %lld", (long long)got->n_children,
		         (long long)declared->n_children);
		return true;
	}
	bool named = names_matter(declared->format);
	bool found = false;
	for (int64_t i = 0; i < got->n_children && !found; i++) {
		const char *want_name = field_name(declared->children[i]), *got_name = field_name(got->children[i]);
		if (named && strcmp(want_name, got_name) != 0) {
			snprintf(d->how, sizeof(d->how), "has a field '%.200s', but infer_schema said '%.200s'", got_name,
			         want_name);
			return true;
		}
		found = find_below(d, declared->children[i], got->children[i], named ? "." : "[]", named ? want_name : "");
	}
	return found || (got->dictionary && find_below(d, declared->dictionary, got->dictionary, ".", "dictionary"));
}

static int fail_type(const struct ArrowSchema *declared, const struct ArrowSchema *got, const struct bsc__place *place,
                     struct bsc_error *err)
{
	char what[2 * WHAT_TEXT], reason[BSC__REASON_CAP];
	struct difference d = {0};
	if (find_unreadable(got, reason)) {
		snprintf(what, sizeof(what),
		         "the type of column '%.200s' can't be read: %s. Check the library that made the batch's schema",
		         field_name(declared), reason);
		return mismatch(place, err, what);
	}
	snprintf(d.path, sizeof(d.path), "%.200s", field_name(declared));
	size_t length = strlen(d.path);
	find_difference(&d, declared, got);
	bool nested = d.path[length] != '\0';
	snprintf(what, sizeof(what), "column '%.200s'%s%s%s %s. Cast it in read_partition, or change infer_schema",
	         field_name(declared), nested ? " is of another type: field '" : "", nested ? d.path : "",
	         nested ? "'" : "", d.how);
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
	char what[WHAT_TEXT], text[TYPE_TEXT];
	const char *broken = bsc__field_broken(schema);
	if (broken) {
		snprintf(what, sizeof(what), "the batch %s", broken);
		return mismatch(place, err, what);
	}
	for (int64_t i = 0; i < schema->n_children; i++) {
		const struct ArrowSchema *child = schema->children[i];
		if ((broken = find_broken(child, 1))) {
			if (child && child->release) {
				snprintf(text, sizeof(text), "column '%.200s'", field_name(child));
			} else {
				snprintf(text, sizeof(text), "column %lld of the batch", (long long)i + 1);
			}
			snprintf(what, sizeof(what), "%s %s. Check the library that made the batch's schema", text, broken);
			return mismatch(place, err, what);
		}
	}
	if (strcmp(schema->format, "+s") != 0) {
		char reason[BSC__REASON_CAP];
		bool readable = !find_unreadable(schema, reason);
		snprintf(what, sizeof(what), "expected a record batch (a struct of columns), got %s%s",
		         readable ? "" : "a type that can't be read: ", readable ? type_text(schema, text) : reason);
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
