/* Arrays: a whole scan of one batch that is not to be trusted. What comes out of the
 * cursor is read as an engine reads it. */
#include "arrays.h"
#include "schemas.h"

#include <stdlib.h>
#include <string.h>

struct batch {
	struct ArrowSchema declared; /* borrowed by `open`'s copy */
	struct ArrowSchema schema;
	struct ArrowArray array;
	bool handed;
};

static int resolve(void *state, const struct bsc_locator *locator, const struct bsc_run_settings *settings,
                   const struct bsc_poll *poll, void **class_out, struct bsc_error *err)
{
	(void)settings;
	(void)locator;
	(void)poll;
	(void)err;
	*class_out = state;
	return BSC_OK;
}

static void class_release(void *state, void *cls)
{
	(void)state;
	(void)cls;
}

static int open_instance(void *state, void *cls, const struct bsc_opening *opening, const struct bsc_poll *poll,
                         void **instance_out, struct ArrowSchema *schema_out, struct bsc_error *err)
{
	(void)poll;
	struct batch *batch = state;
	(void)cls;
	(void)opening;
	*instance_out = batch;
	return bsc_schema_copy(&batch->declared, schema_out, err);
}

static void nothing(void *handle)
{
	(void)handle;
}

static int make_plan(void *instance, const struct bsc_hints *hints, struct bsc_meter *meter,
                     const struct bsc_poll *poll, void **plan_out, struct bsc_planned *planned, struct bsc_error *err)
{
	(void)poll;
	(void)hints;
	(void)meter;
	(void)err;
	*plan_out = instance;
	planned->n_partitions = 1;
	return BSC_OK;
}

static int read_open(void *plan, int64_t partition, struct bsc_meter *meter, void **reader_out, struct bsc_error *err)
{
	(void)meter;
	(void)partition;
	(void)err;
	*reader_out = plan;
	return BSC_OK;
}

static int read_next(void *reader, const struct bsc_poll *poll, struct ArrowArray *array, struct ArrowSchema *schema,
                     bool *ended, struct bsc_error *err)
{
	(void)poll;
	struct batch *batch = reader;
	(void)err;
	if (batch->handed) {
		*ended = true;
		return BSC_OK;
	}
	batch->handed = true;
	*array = batch->array;
	*schema = batch->schema;
	return BSC_OK;
}

static const struct bsc_executor calls = {
    .name = "fuzz",
    .resolve = resolve,
    .class_release = class_release,
    .open = open_instance,
    .close = nothing,
    .plan = make_plan,
    .plan_free = nothing,
    .read_open = read_open,
    .read_next = read_next,
    .read_close = nothing,
};

static void must(int rc)
{
	CHECK(rc == BSC_OK);
}

static struct bsc_source *open_source(const struct bsc_executor *executor, bool full)
{
	struct bsc_options *options;
	struct bsc_source *source;
	must(bsc_options_new(&options, NULL));
	must(bsc_options_add(options, bsc__str("bascule_validation"), bsc__str(full ? "full" : "layout"), NULL));
	struct bsc_error err;
	int rc = bsc_source_open(executor, bsc__str("fuzz:Batch"), options, 0, NULL, &source, &err);
	if (rc != BSC_OK) {
		check_error(rc, &err);
		bsc_options_free(options);
		return NULL;
	}
	return source;
}

/* Some of the columns, some of them twice; or all. */
static void ask(struct input *in, int64_t n, int64_t columns[4], struct bsc_request *request)
{
	*request = (struct bsc_request){.columns = columns, .n_columns = take_below(in, 5)};
	for (int64_t i = 0; i < request->n_columns; i++) {
		columns[i] = take(in) % n;
	}
	if (take(in) & 1) {
		*request = (struct bsc_request){0};
	}
}

/* A column of `out` is the child of the batch that has its name, cut to its rows. */
static void check_cut(const struct batch *batch, bool turned, const char *name, const struct ArrowArray *column)
{
	const struct ArrowArray *whole = &batch->array;
	int64_t n = whole->n_children, k = 0;
	while (k < n && (!whole->children[k] || whole->children[k]->buffers != column->buffers)) {
		k++;
	}
	CHECK(k < n);
	CHECK(strcmp(batch->declared.children[turned ? n - 1 - k : k]->name, name) == 0);
	CHECK(column->offset == whole->children[k]->offset + (column == whole->children[k] ? 0 : whole->offset));
	CHECK(column->length == whole->length);
}

static void read_all(struct bsc_plan *plan, const struct batch *batch, bool turned, bool full)
{
	struct bsc_scan *scan;
	struct bsc_cursor *cursor;
	struct bsc_error err;
	struct ArrowArray out;
	must(bsc_scan_open(plan, &scan, NULL));
	must(bsc_cursor_open(scan, &cursor, NULL));
	int rc = bsc_cursor_next(cursor, NULL, &out, &err);
	bsc_cursor_close(cursor);
	bsc_scan_close(scan);
	if (rc != BSC_OK) {
		CHECK(rc == BSC_MISMATCH || rc == BSC_MALFORMED);
		CHECK(!out.release);
		check_error(rc, &err);
		return;
	}
	const struct ArrowSchema *schema = bsc_plan_schema(plan);
	if (out.release) {
		CHECK(out.length > 0 && out.offset == 0 && out.n_children == schema->n_children);
		for (int64_t i = 0; i < out.n_children; i++) {
			check_cut(batch, turned, schema->children[i]->name, out.children[i]);
			walk_column(schema->children[i], out.children[i], full);
		}
		out.release(&out);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct batch batch = {0};
	struct bsc_executor executor = calls;
	executor.state = &batch;
	uint8_t how = take(&in);
	bool full = how & 1, turned = how & 2;
	schema_of_bytes(&in, false, &batch.declared);
	struct bsc_source *source = open_source(&executor, full);
	if (source) {
		struct bsc_request request;
		struct bsc_plan *plan;
		int64_t columns[4];
		ask(&in, batch.declared.n_children, columns, &request);
		if (turned) {
			schema_turned(&in, &batch.declared, &batch.schema);
		} else {
			must(bsc_schema_copy(&batch.declared, &batch.schema, NULL));
		}
		array_of_bytes(&in, &batch.schema, &batch.array);
		must(bsc_plan_new(source, &request, NULL, &plan, NULL));
		bsc_source_close(source);
		read_all(plan, &batch, turned, full);
		bsc_plan_free(plan);
	}
	batch.declared.release(&batch.declared);
	CHECK(schemas_live() == 0 && arrays_live() == 0);
	return 0;
}
