/* Times the check of one batch, as a cursor does it: the core's own function, called
 * over and over.
 *
 *   validate_batch COLUMNS ROWS CALLS    formats of the columns, as in "llgu"; besides
 *                                        d a dictionary of text, a a list of int64,
 *                                        A a list view, U a list of text, v a string view
 *
 * Prints nanoseconds for a call: without bitmaps; then with a bitmap in each column, every
 * tenth row null, and the number of nulls, which must be right: every bit is counted. */
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

static void set_format(struct ArrowSchema *field, const char *format)
{
	must(ArrowSchemaSetFormat(field, format), "a column");
	must(ArrowSchemaSetName(field, "x"), "a column");
}

static void make_column(struct ArrowSchema *field, char kind)
{
	const char format[] = {kind, 0};
	switch (kind) {
	case 'd':
		set_format(field, "i");
		must(ArrowSchemaAllocateDictionary(field), "a dictionary");
		ArrowSchemaInit(field->dictionary);
		set_format(field->dictionary, "u");
		break;
	case 'a':
	case 'A':
	case 'U':
		set_format(field, kind == 'A' ? "+vl" : "+l");
		must(ArrowSchemaAllocateChildren(field, 1), "a list");
		ArrowSchemaInit(field->children[0]);
		set_format(field->children[0], kind == 'U' ? "u" : "l");
		break;
	case 'v':
		set_format(field, "vu");
		break;
	default:
		set_format(field, format);
	}
}

static void make_schema(struct ArrowSchema *schema, const char *columns)
{
	ArrowSchemaInit(schema);
	must(ArrowSchemaSetTypeStruct(schema, (int64_t)strlen(columns)), "a schema");
	for (int64_t i = 0; i < schema->n_children; i++) {
		make_column(schema->children[i], columns[i]);
	}
}

static void append(struct ArrowArray *column, const struct ArrowSchema *field, int64_t i)
{
	bool text = field->format[0] == 'u' || field->format[0] == 'v';
	if (field->n_children > 0) {
		append(column->children[0], field->children[0], i);
		must(ArrowArrayFinishElement(column), "a list");
	} else {
		must(text ? ArrowArrayAppendString(column, ArrowCharView(i % 3 ? "sixteen" : "longer than a view's own bytes"))
		          : ArrowArrayAppendInt(column, i % 100),
		     "a value");
	}
}

static void make_batch(struct ArrowArray *batch, const struct ArrowSchema *schema, int64_t n_rows, bool bitmaps)
{
	must(ArrowArrayInitFromSchema(batch, schema, NULL), "a batch");
	must(ArrowArrayStartAppending(batch), "a batch");
	for (int64_t k = 0; k < batch->n_children; k++) {
		const struct ArrowSchema *field = schema->children[k];
		for (int64_t i = 0; i < n_rows; i++) {
			append(batch->children[k], field, i);
		}
		for (int64_t i = 0; i < 100 && field->dictionary; i++) {
			append(batch->children[k]->dictionary, field->dictionary, i);
		}
		for (int64_t i = 0; i < n_rows && bitmaps; i++) {
			must(ArrowBitmapAppend(ArrowArrayValidityBitmap(batch->children[k]), i % 10 != 0, 1), "a bitmap");
		}
		batch->children[k]->null_count = bitmaps ? (n_rows + 9) / 10 : 0;
	}
	batch->length = n_rows;
	must(ArrowArrayFinishBuildingDefault(batch, NULL), "a batch");
}

static double nanoseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double time_calls(const char *columns_text, int64_t n_rows, int64_t n_calls, bool bitmaps)
{
	struct ArrowSchema declared, seen;
	struct ArrowArray batch;
	struct bsc__match match;
	struct bsc__validate validate;
	struct bsc_error err;
	const struct bsc__place place = {"bench:Wide", 0, 1, 0};
	int64_t columns[16];
	make_schema(&declared, columns_text);
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
