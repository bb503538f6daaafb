/* Which types DuckDB's importer can't take, and what they are to be cast to. */
#include "types.h"

#include <stdio.h>
#include <stdlib.h>

#define DECIMAL_DIGITS_MAX 38

/* ---- extension types ---- */

static bool is_extension(const struct ArrowSchema *field, const char *name)
{
	struct bsc_str value = bsc_schema_metadata(field, "ARROW:extension:name");
	return value.len == strlen(name) && memcmp(value.ptr, name, value.len) == 0;
}

/* True for an extension of DuckDB's own, "hugeint" say; NULL: for any of them. */
static bool is_duckdbs(const struct ArrowSchema *field, const char *type_name)
{
	struct bsc_str value = bsc_schema_metadata(field, "ARROW:extension:metadata");
	char text[256] = "";
	if (value.ptr && is_extension(field, "arrow.opaque")) {
		memcpy(text, value.ptr, value.len < sizeof(text) ? value.len : sizeof(text) - 1);
	}
	return strstr(text, "\"DuckDB\"") && (!type_name || strstr(text, type_name));
}

/* Extensions whose storage the importer takes for granted, or refuses without a word of the
 * column: each needs one of these formats. */
static const struct {
	const char *name;
	const char *duckdbs; /* in the metadata of DuckDB's own */
	const char *formats[3];
} storages[] = {
    {"arrow.uuid", NULL, {"w:16"}},
    {"arrow.bool8", NULL, {"c"}},
    {"arrow.json", NULL, {"u", "U", "vu"}},
    {"geoarrow.wkb", NULL, {"z", "Z", "vz"}},
    {"arrow.parquet.variant", NULL, {"+s"}},
    {"arrow.opaque", "\"hugeint\"", {"w:16"}},
    {"arrow.opaque", "\"uhugeint\"", {"w:16"}},
    {"arrow.opaque", "\"time_tz\"", {"w:8"}},
    {"arrow.opaque", "\"bit\"", {"z", "Z", "vz"}},
    {"arrow.opaque", "\"bignum\"", {"z", "Z", "vz"}},
};

static bool has_wrong_storage(const struct ArrowSchema *field)
{
	bool wrong = false;
	for (size_t i = 0; i < sizeof(storages) / sizeof(storages[0]) && !wrong; i++) {
		const char *duckdbs = storages[i].duckdbs;
		if (is_extension(field, storages[i].name) && (!duckdbs || is_duckdbs(field, duckdbs))) {
			wrong = true;
			for (int k = 0; k < 3 && storages[i].formats[k] && !field->dictionary; k++) {
				wrong = wrong && strcmp(field->format, storages[i].formats[k]) != 0;
			}
		}
	}
	return wrong;
}

/* ---- how the importer converts a leaf ---- */

struct decimal {
	long digits, scale;
	int bits;
};

/* With room for its scale: Arrow allows DECIMAL(3, 5), 0.00042 say, DuckDB doesn't. */
static struct decimal decimal_of(const char *format)
{
	struct decimal out = {.bits = 128};
	char *end;
	out.digits = strtol(format + 2, &end, 10);
	out.scale = strtol(end + 1, &end, 10);
	out.bits = *end ? (int)strtol(end + 1, NULL, 10) : 128;
	out.digits = out.scale > out.digits ? out.scale : out.digits;
	return out;
}

/* True where a decimal has the width of DuckDB's own. */
static bool has_duckdbs_width(const char *format)
{
	struct decimal d = decimal_of(format);
	return d.digits > 4 && d.bits == (d.digits <= 9 ? 32 : d.digits <= 18 ? 64 : 128);
}

/* True where DuckDB takes the buffer as it is. */
static bool is_taken_as_is(const struct ArrowSchema *field)
{
	const char *format = field->format;
	switch (format[0]) {
	case 'c':
		return !is_extension(field, "arrow.bool8");
	case 'w':
		return is_duckdbs(field, NULL);
	case 'd':
		return has_duckdbs_width(format);
	case 't':
		return strcmp(format, "tdD") == 0 || (format[1] == 's' && (format[4] == 0 || strchr("un", format[2])));
	default:
		return strlen(format) == 1 && strchr("sSiIlLfg", format[0]);
	}
}

/* True where DuckDB needs more than the type's name to convert it. */
static bool needs_type_info(const struct ArrowSchema *field)
{
	if (field->dictionary) {
		return needs_type_info(field->dictionary);
	}
	const char *format = field->format;
	switch (format[0]) {
	case '+':
		return !is_run_end(field) || needs_type_info(field->children[1]);
	case 'w':
		return !is_extension(field, "arrow.uuid") && !is_duckdbs(field, NULL);
	case 't':
		return format[1] != 's' || format[4] != 0;
	default:
		return strlen(format) != 1 || strchr("uUzZ", format[0]);
	}
}

bool types_must_not_be_empty(const struct ArrowSchema *item)
{
	return (item->dictionary || is_run_end(item)) && needs_type_info(item);
}

/* ---- encodings ---- */

static bool has_dictionary(const struct ArrowSchema *field)
{
	bool has = field->dictionary != NULL;
	for (int64_t i = 0; i < field->n_children && !has; i++) {
		has = has_dictionary(field->children[i]);
	}
	return has;
}

/* A dictionary's values get one null more, for which those that are taken as they
 * are have no room below a struct or a fixed-size list. */
static bool has_no_room(const struct ArrowSchema *field)
{
	bool is_inner = is_struct(field) || is_fixed_size_list(field);
	bool has = !is_inner && is_taken_as_is(field);
	for (int64_t i = 0; is_inner && i < field->n_children && !has; i++) {
		has = has_no_room(field->children[i]);
	}
	return has;
}

/* The types below a fixed-size list are declared without their dictionaries. */
static bool is_declared_as_index(const struct ArrowSchema *field)
{
	return strcmp(field->format, field->dictionary->format) != 0 || field->dictionary->metadata;
}

static bool is_bad_dictionary(const struct ArrowSchema *field, bool in_fixed)
{
	const struct ArrowSchema *values = field->dictionary;
	bool inner = is_struct(values) || is_fixed_size_list(values);
	return (in_fixed && is_declared_as_index(field)) || has_dictionary(values) || (inner && has_no_room(values));
}

static bool is_bad_run_end(const struct ArrowSchema *field, const struct ArrowSchema *parent)
{
	const struct ArrowSchema *values = field->children[1];
	return values->dictionary || values->format[0] == '+' || is_duckdbs(values, "\"uhugeint\"") ||
	       (parent && is_fixed_size_list(parent));
}

/* `values`, a child or the dictionary of `field`, takes its place; the name stays. */
static void take_place(struct ArrowSchema *field, struct ArrowSchema *values)
{
	struct ArrowSchema outer = *field, inner = *values;
	outer.name = values->name;
	inner.name = field->name;
	inner.flags = (inner.flags & ~ARROW_FLAG_NULLABLE) | (outer.flags & ARROW_FLAG_NULLABLE);
	values->release = NULL;
	outer.release(&outer);
	*field = inner;
}

/* ---- formats ---- */

/* The strings of a copy are malloc'ed. */
static bool set_format(struct ArrowSchema *copy, const char *text)
{
	char *format = realloc((char *)(uintptr_t)copy->format, strlen(text) + 1);
	if (format) {
		strcpy(format, text);
		copy->format = format;
	}
	return format;
}

/* DuckDB's decimals have up to 38 digits, of which the scale takes some. False: out of
 * memory. */
static bool mend_decimal(struct ArrowSchema *field, bool *mended)
{
	struct decimal d = decimal_of(field->format);
	if (d.bits < 256 && d.scale >= 0 && d.digits <= DECIMAL_DIGITS_MAX) {
		return true;
	}
	*mended = true;
	d.digits = d.scale < 0 ? d.digits - d.scale : d.digits;
	d.scale = d.scale < 0 ? 0 : d.scale;
	/* A double where no decimal can do. */
	char text[64] = "g";
	if (d.digits <= DECIMAL_DIGITS_MAX) {
		snprintf(text, sizeof(text), "d:%ld,%ld", d.digits, d.scale);
	}
	return set_format(field, text);
}

/* Sparse, with the members' numbers for type codes: no longer than what was there. */
static bool mend_union(char *format, int64_t n)
{
	bool bad = format[2] == 'd';
	format[2] = 's';
	char *at = format + 4;
	for (int64_t i = 0; i < n; i++) {
		char *end;
		bad = strtol(at, &end, 10) != i || bad;
		at = end + (*end == ',');
	}
	char *to = format + 4;
	for (int64_t i = 0; bad && i < n; i++) {
		to += sprintf(to, i + 1 < n ? "%lld," : "%lld", (long long)i);
	}
	return bad;
}

static bool mend_format(struct ArrowSchema *field, bool *mended)
{
	char *format = (char *)(uintptr_t)field->format;
	if (format[0] == 'd') {
		return mend_decimal(field, mended);
	}
	if (format[0] == 'e') {
		format[0] = 'f';
		*mended = true;
	} else if (strcmp(format, "tiD") == 0) {
		format[2] = 'n';
		*mended = true;
	} else if (is_union(field)) {
		*mended = mend_union(format, field->n_children) || *mended;
	}
	return true;
}

/* ---- the whole ---- */

/* One turn. False: out of memory. */
static bool mend(struct ArrowSchema *field, const struct ArrowSchema *parent, bool in_fixed, bool *mended)
{
	if (has_wrong_storage(field)) {
		/* Its storage, then. */
		free((char *)(uintptr_t)field->metadata);
		field->metadata = NULL;
		*mended = true;
	}
	if ((field->dictionary && is_bad_dictionary(field, in_fixed)) ||
	    (is_run_end(field) && is_bad_run_end(field, parent))) {
		take_place(field, field->dictionary ? field->dictionary : field->children[1]);
		*mended = true;
	}
	bool good = mend_format(field, mended);
	in_fixed = in_fixed || is_fixed_size_list(field);
	for (int64_t i = 0; i < field->n_children && good; i++) {
		good = mend(field->children[i], field, in_fixed, mended);
	}
	return good && (!field->dictionary || mend(field->dictionary, field, in_fixed, mended));
}

bool types_mend(struct ArrowSchema *field, bool *mended)
{
	/* What took another's place is seen at the next turn, by those around it too. */
	bool good = true, more = true;
	*mended = false;
	while (good && more) {
		more = false;
		good = mend(field, NULL, false, &more);
		*mended = *mended || more;
	}
	return good;
}

bool types_widen(struct ArrowSchema *field)
{
	bool good = true;
	if (field->format[0] == 'd') {
		struct decimal d = decimal_of(field->format);
		char text[64];
		snprintf(text, sizeof(text), "d:%ld,%ld,%d", d.digits, d.scale, d.bits);
		good = set_format(field, text);
	}
	for (int64_t i = 0; i < field->n_children && good; i++) {
		good = types_widen(field->children[i]);
	}
	return good && (!field->dictionary || types_widen(field->dictionary));
}

void types_decode(struct ArrowSchema *field)
{
	while (field->dictionary || is_run_end(field)) {
		take_place(field, field->dictionary ? field->dictionary : field->children[1]);
	}
	for (int64_t i = 0; i < field->n_children; i++) {
		types_decode(field->children[i]);
	}
}
