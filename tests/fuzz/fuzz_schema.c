/* Schemas: what infer_schema gave, and a batch's schema matched against it. Formats,
 * names, flags and metadata may hold anything; children may be missing. */
#include "scan/internal.h"
#include "schemas.h"

#include <stdlib.h>
#include <string.h>

static const struct bsc__place place = {"fuzz:Schema", 0, 1, 0};

static void describe_all(struct input *in, const struct ArrowSchema *schema)
{
	for (int64_t i = 0; i < schema->n_children; i++) {
		/* On the heap, so that its end is watched. */
		size_t cap = 1 + take(in);
		char *text = malloc(cap);
		CHECK(text);
		memset(text, 0xAA, cap);
		bsc_schema_describe(schema->children[i], text, cap);
		CHECK(memchr(text, 0, cap));
		free(text);
		describe_all(in, schema->children[i]);
	}
}

/* What the arrays of an accepted schema are read by. */
static void check_sizes(const struct ArrowSchema *field, int depth)
{
	CHECK(field && field->release && field->format && field->n_children >= 0 && depth <= BSC__SCHEMA_DEPTH_MAX);
	struct ArrowSchemaView view;
	CHECK(depth == 0 || ArrowSchemaViewInit(&view, field, NULL) == NANOARROW_OK);
	if (strncmp(field->format, "+w:", 3) == 0 || strncmp(field->format, "w:", 2) == 0) {
		char *end;
		long long size = strtoll(strchr(field->format, ':') + 1, &end, 10);
		CHECK(*end == '\0' && size >= 0 && size <= INT32_MAX);
	}
	if (strncmp(field->format, "+u", 2) == 0) {
		bool seen[128] = {false};
		const char *at = field->format + 4;
		for (int64_t i = 0; i < field->n_children; i++) {
			char *end;
			long id = strtol(at, &end, 10);
			CHECK(id >= 0 && id < 128 && !seen[id]);
			seen[id] = true;
			at = end + 1;
		}
	}
	for (int64_t i = 0; i < field->n_children; i++) {
		check_sizes(field->children[i], depth + 1);
	}
	if (field->dictionary) {
		check_sizes(field->dictionary, depth + 1);
	}
}

static void match_batch(struct input *in, const struct ArrowSchema *declared)
{
	struct bsc__match match;
	struct bsc__validate validate;
	struct bsc_error err;
	int64_t columns[8];
	int64_t n = 0;
	for (; n < declared->n_children && n < 8; n++) {
		columns[n] = take(in) % declared->n_children;
	}
	CHECK(bsc__match_init(&match, declared, columns, n, NULL) == BSC_OK);
	for (int i = 0; i < 3; i++) {
		struct ArrowSchema schema = {0};
		uint32_t how = take_below(in, 3);
		if (how == 0) {
			CHECK(bsc_schema_copy(declared, &schema, NULL) == BSC_OK);
		} else {
			schema_of_bytes(in, how == 1, &schema);
		}
		int rc = bsc__match_schema(&match, &schema, &place, &err);
		if (rc != BSC_OK) {
			check_error(rc, &err);
			CHECK(rc == BSC_MISMATCH && how != 0);
		}
		for (int64_t c = 0; rc == BSC_OK && c < n; c++) {
			CHECK(match.from[c] >= 0 && match.from[c] < match.seen.n_children);
			CHECK(strcmp(match.seen.children[match.from[c]]->format, declared->children[columns[c]]->format) == 0);
		}
		if (schema.release) {
			schema.release(&schema);
		}
	}
	CHECK(bsc__validate_init(&validate, &match, false, NULL) == BSC_OK);
	bsc__validate_release(&validate);
	bsc__match_release(&match);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct ArrowSchema declared, copy;
	struct bsc_error err;
	schema_of_bytes(&in, true, &declared);
	int rc = bsc__schema_check(&declared, "fuzz:Schema", &err);
	if (rc != BSC_OK) {
		check_error(rc, &err);
		CHECK(rc == BSC_SOURCE);
	} else {
		CHECK(strcmp(declared.format, "+s") == 0 && declared.n_children > 0 && !declared.dictionary);
		check_sizes(&declared, 0);
		describe_all(&in, &declared);
		CHECK(bsc_schema_copy(&declared, &copy, NULL) == BSC_OK);
		CHECK(bsc__schema_check(&copy, "fuzz:Schema", &err) == BSC_OK);
		match_batch(&in, &copy);
		copy.release(&copy);
	}
	declared.release(&declared);
	CHECK(schemas_live() == 0);
	return 0;
}
