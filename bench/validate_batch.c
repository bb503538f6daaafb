/* Times the check of one batch, as a cursor does it: the core's own function, called
 * over and over.
 *
 *   validate_batch COLUMNS ROWS CALLS    formats of the columns, as in "llgu"
 *
 * Prints nanoseconds for a call: without bitmaps; then with a bitmap of ones and an
 * unknown null count in each column, which is not nullable: every bit is counted. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "scan/internal.h"

static void must(int rc, const char *what)
{
	if (rc != 0) {
		fprintf(stderr, "validate_batch: %s failed\n", what);
		exit(1);
	}
}

static void make_schema(struct ArrowSchema *schema, const char *formats, int64_t flags)
{
	ArrowSchemaInit(schema);
	must(ArrowSchemaSetTypeStruct(schema, (int64_t)strlen(formats)), "a schema");
	for (int64_t i = 0; i < schema->n_children; i++) {
		const char format[] = {formats[i], 0};
		must(ArrowSchemaSetFormat(schema->children[i], format), "a column");
		must(ArrowSchemaSetName(schema->children[i], "x"), "a column");
		schema->children[i]->flags = flags;
	}
}

static void make_batch(struct ArrowArray *batch, const struct ArrowSchema *schema, int64_t n_rows, bool bitmaps)
{
	must(ArrowArrayInitFromSchema(batch, schema, NULL), "a batch");
	must(ArrowArrayStartAppending(batch), "a batch");
	for (int64_t i = 0; i < n_rows; i++) {
		for (int64_t k = 0; k < batch->n_children; k++) {
			bool text = schema->children[k]->format[0] == 'u';
			must(text ? ArrowArrayAppendString(batch->children[k], ArrowCharView("sixteen"))
			          : ArrowArrayAppendInt(batch->children[k], i % 100),
			     "a value");
		}
		must(ArrowArrayFinishElement(batch), "a row");
	}
	for (int64_t k = 0; k < batch->n_children && bitmaps; k++) {
		must(ArrowBitmapAppend(ArrowArrayValidityBitmap(batch->children[k]), 1, n_rows), "a bitmap");
	}
	must(ArrowArrayFinishBuildingDefault(batch, NULL), "a batch");
	for (int64_t k = 0; k < batch->n_children && bitmaps; k++) {
		batch->children[k]->null_count = -1;
	}
}

static double nanoseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double time_calls(const char *formats, int64_t n_rows, int64_t n_calls, bool bitmaps)
{
	struct ArrowSchema declared, seen;
	struct ArrowArray batch;
	struct bsc__match match;
	struct bsc__validate validate;
	struct bsc_error err;
	const struct bsc__place place = {"bench:Wide", 0, 1, 0};
	int64_t columns[16];
	make_schema(&declared, formats, bitmaps ? 0 : ARROW_FLAG_NULLABLE);
	make_batch(&batch, &declared, n_rows, bitmaps);
	for (int64_t i = 0; i < declared.n_children; i++) {
		columns[i] = i;
	}
	must(bsc__match_init(&match, &declared, columns, declared.n_children, &err), "the match");
	must(bsc_schema_copy(&declared, &seen, &err), "the match");
	must(bsc__match_schema(&match, &seen, &place, &err), "the match");
	must(bsc__validate_init(&validate, &match, false, &err), "the validation");
	double start = nanoseconds();
	for (int64_t i = 0; i < n_calls; i++) {
		must(bsc__validate_batch(&validate, &match, &batch, &place, &err), "the validation");
	}
	double each = (nanoseconds() - start) / (double)n_calls;
	bsc__validate_release(&validate);
	bsc__match_release(&match);
	batch.release(&batch);
	declared.release(&declared);
	return each;
}

int main(int argc, char **argv)
{
	if (argc != 4 || strlen(argv[1]) > 16) {
		fprintf(stderr, "validate_batch COLUMNS ROWS CALLS\n");
		return 2;
	}
	int64_t n_rows = strtoll(argv[2], NULL, 10), n_calls = strtoll(argv[3], NULL, 10);
	printf("%.1f %.1f\n", time_calls(argv[1], n_rows, n_calls, false), time_calls(argv[1], n_rows, n_calls, true));
	return 0;
}
