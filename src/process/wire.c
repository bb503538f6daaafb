/* Frames, and schemas in them. */
#include "process/wire.h"

#include <errno.h>
#include <string.h>

#include "nanoarrow/nanoarrow.h"

/* Longer than any that means something: a union of 127 types has less than 600 bytes,
 * a time zone is a name. */
#define FORMAT_MAX (64u << 10)
#define NAME_MAX_BYTES (16u << 20)
/* What the smallest field takes, so that a count says no more than there are bytes for. */
#define FIELD_MIN (4 + 4 + 1 + 8 + 4 + 1)

size_t bsc__frame_begin(struct bsc__bytes *out, enum bsc__frame_type type, uint64_t number)
{
	size_t begin = out->len;
	bsc__put_u32(out, 0);
	bsc__put_u16(out, (uint16_t)type);
	bsc__put_u16(out, 0);
	bsc__put_u64(out, number);
	return begin;
}

void bsc__frame_end(struct bsc__bytes *out, size_t begin)
{
	if (out->failed) {
		return;
	}
	size_t length = out->len - begin - BSC__FRAME_HEADER;
	if (length > BSC__PAYLOAD_MAX) {
		out->failed = true;
		return;
	}
	uint32_t n = (uint32_t)length;
	memcpy(out->ptr + begin, &n, sizeof(n));
}

/* ---- what a schema must have before anyone follows it ---- */

const char *bsc__field_broken_at(const struct ArrowSchema *field, int depth)
{
	const char *what = bsc__field_broken(field);
	if (!what && depth > BSC__WIRE_DEPTH_MAX) {
		what = "has a schema that is nested too deep";
	}
	if (what) {
		return what;
	}
	for (int64_t i = 0; i < field->n_children && !what; i++) {
		what = bsc__field_broken_at(field->children[i], depth + 1);
	}
	return what || !field->dictionary ? what : bsc__field_broken_at(field->dictionary, depth + 1);
}

const char *bsc__schema_broken(const struct ArrowSchema *schema)
{
	return bsc__field_broken_at(schema, 0);
}

/* ---- writing ---- */

static void put_text(struct bsc__bytes *out, const char *text, size_t max)
{
	struct bsc_str s = bsc__str(text);
	if (s.len > max) {
		out->failed = true;
		return;
	}
	bsc__put_str(out, s);
}

static void put_field(struct bsc__bytes *out, const struct ArrowSchema *field)
{
	put_text(out, field->format, FORMAT_MAX);
	put_text(out, field->name, NAME_MAX_BYTES);
	bsc__put_u8(out, field->metadata != NULL);
	if (field->metadata) {
		int64_t length = bsc__metadata_length(field->metadata, BSC__PAYLOAD_MAX);
		if (length < 0) {
			out->failed = true;
			return;
		}
		bsc__put_str(out, (struct bsc_str){field->metadata, (size_t)length});
	}
	bsc__put_i64(out, field->flags);
	if (field->n_children > BSC__WIRE_FIELDS_MAX) {
		out->failed = true;
		return;
	}
	bsc__put_u32(out, (uint32_t)field->n_children);
	for (int64_t i = 0; i < field->n_children && !out->failed; i++) {
		put_field(out, field->children[i]);
	}
	bsc__put_u8(out, field->dictionary != NULL);
	if (field->dictionary) {
		put_field(out, field->dictionary);
	}
}

static int64_t count_fields(const struct ArrowSchema *field)
{
	int64_t n = 1 + (field->dictionary ? count_fields(field->dictionary) : 0);
	for (int64_t i = 0; i < field->n_children; i++) {
		n += count_fields(field->children[i]);
	}
	return n;
}

void bsc__put_schema(struct bsc__bytes *out, const struct ArrowSchema *schema)
{
	if (bsc__schema_broken(schema) || count_fields(schema) > BSC__WIRE_FIELDS_MAX) {
		out->failed = true;
		return;
	}
	put_field(out, schema);
}

/* ---- reading ---- */

enum problem { GOOD, BROKEN, NO_MEMORY };

/* NUL-terminated; a NUL within it is no text of a schema. */
static enum problem get_text(struct bsc__view *view, size_t max, char **out)
{
	*out = NULL;
	struct bsc_str text = bsc__get_str(view, max);
	if (view->failed || memchr(text.ptr, 0, text.len)) {
		return BROKEN;
	}
	*out = bsc__strndup(text);
	return *out ? GOOD : NO_MEMORY;
}

static enum problem status_of(ArrowErrorCode code)
{
	return code == NANOARROW_OK ? GOOD : NO_MEMORY;
}

static enum problem get_texts(struct bsc__view *view, struct ArrowSchema *out)
{
	char *text;
	enum problem problem = get_text(view, FORMAT_MAX, &text);
	problem = problem ? problem : status_of(ArrowSchemaSetFormat(out, text));
	bsc__free(text);
	if (problem) {
		return problem;
	}
	problem = get_text(view, NAME_MAX_BYTES, &text);
	problem = problem ? problem : status_of(ArrowSchemaSetName(out, text));
	bsc__free(text);
	if (problem) {
		return problem;
	}
	if (bsc__get_u8(view)) {
		struct bsc_str metadata = bsc__get_str(view, BSC__PAYLOAD_MAX);
		/* Its readers know its end by the lengths in it alone. */
		if (view->failed || bsc__metadata_length(metadata.ptr, metadata.len) != (int64_t)metadata.len) {
			return BROKEN;
		}
		problem = status_of(ArrowSchemaSetMetadata(out, metadata.ptr));
	}
	return problem;
}

static enum problem get_field(struct bsc__view *view, struct ArrowSchema *out, int depth, int64_t *fields_left)
{
	ArrowSchemaInit(out);
	if (depth > BSC__WIRE_DEPTH_MAX || --*fields_left < 0) {
		return BROKEN;
	}
	enum problem problem = get_texts(view, out);
	if (problem) {
		return problem;
	}
	out->flags = bsc__get_i64(view);
	int64_t n = bsc__get_u32(view);
	if (view->failed || n > *fields_left || (uint64_t)n > view->left / FIELD_MIN) {
		return BROKEN;
	}
	problem = status_of(ArrowSchemaAllocateChildren(out, n));
	for (int64_t i = 0; i < n && !problem; i++) {
		problem = get_field(view, out->children[i], depth + 1, fields_left);
	}
	if (!problem && bsc__get_u8(view)) {
		problem = status_of(ArrowSchemaAllocateDictionary(out));
		problem = problem ? problem : get_field(view, out->dictionary, depth + 1, fields_left);
	}
	return problem ? problem : view->failed ? BROKEN : GOOD;
}

int bsc__get_schema(struct bsc__view *view, struct ArrowSchema *out, struct bsc_error *err)
{
	int64_t fields_left = BSC__WIRE_FIELDS_MAX;
	enum problem problem = get_field(view, out, 0, &fields_left);
	if (problem == GOOD) {
		return BSC_OK;
	}
	out->release(out);
	*out = (struct ArrowSchema){0};
	return problem == NO_MEMORY ? bsc__fail_nomem(err, "reading a schema")
	                            : bsc__fail(err, BSC_MALFORMED, "a worker sent what is no schema");
}
