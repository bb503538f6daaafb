/* The declared schema: what infer_schema may return. */
#include "source/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nanoarrow/nanoarrow.h"

/* What nanoarrow takes for granted of a type that it can read: NULL, or what is
 * wrong with it. */
static const char *check_parameters(const struct ArrowSchemaView *view)
{
	const char *format = view->schema->format;
	if (view->type == NANOARROW_TYPE_FIXED_SIZE_LIST || view->type == NANOARROW_TYPE_FIXED_SIZE_BINARY) {
		/* It cuts a number to 32 bits, and takes signs and blanks. */
		char number[16];
		snprintf(number, sizeof(number), "%d", view->fixed_size);
		if (view->fixed_size < 0 || strcmp(strchr(format, ':') + 1, number) != 0) {
			return "its size is not a whole number of at most 2147483647";
		}
	}
	if (view->type == NANOARROW_TYPE_DENSE_UNION || view->type == NANOARROW_TYPE_SPARSE_UNION) {
		/* It counts them in 8 bits. */
		if (view->schema->n_children > INT8_MAX) {
			return "a union of more than 127 types is not supported";
		}
		bool seen[INT8_MAX + 1] = {false};
		const char *ids = view->union_type_ids;
		for (int64_t i = 0; i < view->schema->n_children; i++) {
			char *end;
			long id = strtol(ids, &end, 10);
			if (seen[id]) {
				return "its union has a type id twice";
			}
			seen[id] = true;
			ids = end + 1;
		}
	}
	return NULL;
}

const char *bsc__type_unreadable(const struct ArrowSchema *field, char text[BSC__REASON_CAP])
{
	struct ArrowSchemaView view;
	struct ArrowError reason;
	if (ArrowSchemaViewInit(&view, field, &reason) != NANOARROW_OK) {
		snprintf(text, BSC__REASON_CAP, "%.300s", reason.message);
		return text;
	}
	const char *what = check_parameters(&view);
	if (what) {
		snprintf(text, BSC__REASON_CAP, "%s ('%.100s')", what, field->format);
	}
	return what ? text : NULL;
}

static int check_field(const struct ArrowSchema *field, const char *label, const char *column, int depth,
                       struct bsc_error *err)
{
	if (depth > BSC__SCHEMA_DEPTH_MAX) {
		return bsc__fail(err, BSC_SOURCE, "%s.infer_schema: column '%.200s' is nested deeper than %d levels", label,
		                 column, BSC__SCHEMA_DEPTH_MAX);
	}
	const char *what = bsc__field_broken(field);
	if (what) {
		return bsc__fail(err, BSC_SOURCE, "%s.infer_schema: column '%.200s' %s", label, column, what);
	}
	/* Children before their parent: nanoarrow looks into a map's entries and a
	 * dictionary unasked. */
	int rc = BSC_OK;
	for (int64_t i = 0; i < field->n_children && rc == BSC_OK; i++) {
		rc = check_field(field->children[i], label, column, depth + 1, err);
	}
	if (rc == BSC_OK && field->dictionary) {
		rc = check_field(field->dictionary, label, column, depth + 1, err);
	}
	char text[BSC__REASON_CAP];
	if (rc == BSC_OK && bsc__type_unreadable(field, text)) {
		rc = bsc__fail(err, BSC_SOURCE, "%s.infer_schema: the type of column '%.200s' can't be read: %s", label, column,
		               text);
	}
	return rc;
}

int bsc__schema_check(const struct ArrowSchema *schema, const char *label, struct bsc_error *err)
{
	if (!schema->release || !schema->format || strcmp(schema->format, "+s") != 0 || schema->dictionary) {
		return bsc__fail(err, BSC_SOURCE,
		                 "%s.infer_schema returned a type, not a schema of columns: return pyarrow.schema([...])",
		                 label);
	}
	if (schema->n_children < 1) {
		return bsc__fail(err, BSC_SOURCE, "%s.infer_schema returned a schema without columns: a table needs one",
		                 label);
	}
	const char *what = bsc__field_broken(schema);
	if (what) {
		return bsc__fail(err, BSC_SOURCE, "%s.infer_schema returned what %s", label, what);
	}
	for (int64_t i = 0; i < schema->n_children; i++) {
		const struct ArrowSchema *child = schema->children[i];
		bool named = child && child->release && child->name;
		int rc = check_field(child, label, named ? child->name : "", 1, err);
		if (rc != BSC_OK) {
			return rc;
		}
	}
	return BSC_OK;
}

static bool lacks_names(const struct ArrowSchema *field)
{
	bool lacks = !field->name || (field->dictionary && lacks_names(field->dictionary));
	for (int64_t i = 0; i < field->n_children && !lacks; i++) {
		lacks = lacks_names(field->children[i]);
	}
	return lacks;
}

static bool set_names(struct ArrowSchema *field)
{
	bool good = field->name || ArrowSchemaSetName(field, "") == NANOARROW_OK;
	good = good && (!field->dictionary || set_names(field->dictionary));
	for (int64_t i = 0; i < field->n_children && good; i++) {
		good = set_names(field->children[i]);
	}
	return good;
}

int bsc__schema_set_names(struct ArrowSchema *schema, struct bsc_error *err)
{
	if (!lacks_names(schema)) {
		return BSC_OK;
	}
	/* Its release may free what stands in it: only a copy may be changed. */
	struct ArrowSchema copy;
	int rc = bsc_schema_copy(schema, &copy, err);
	if (rc != BSC_OK) {
		return rc;
	}
	if (!set_names(&copy)) {
		copy.release(&copy);
		return bsc__fail_nomem(err, "copying a schema");
	}
	schema->release(schema);
	*schema = copy;
	return BSC_OK;
}

int bsc_schema_copy(const struct ArrowSchema *schema, struct ArrowSchema *out, struct bsc_error *err)
{
	int code = ArrowSchemaDeepCopy(schema, out);
	if (code != NANOARROW_OK) {
		*out = (struct ArrowSchema){0};
		return code == ENOMEM ? bsc__fail_nomem(err, "copying a schema")
		                      : bsc__fail(err, BSC_MALFORMED,
		                                  "a schema that breaks the Arrow C Data Interface can't be "
		                                  "copied: check the library that made it");
	}
	return BSC_OK;
}

void bsc_schema_describe(const struct ArrowSchema *field, char *text, size_t cap)
{
	if (strcmp(field->format, "n") == 0) {
		snprintf(text, cap, "null");
		return;
	}
	ArrowSchemaToString(field, text, (int64_t)cap, 1);
}

struct bsc_str bsc_schema_metadata(const struct ArrowSchema *field, const char *key)
{
	struct ArrowStringView value = {NULL, 0};
	if (!field->metadata || ArrowMetadataGetValue(field->metadata, ArrowCharView(key), &value) != NANOARROW_OK) {
		value = (struct ArrowStringView){NULL, 0};
	}
	return (struct bsc_str){value.data, (size_t)value.size_bytes};
}
