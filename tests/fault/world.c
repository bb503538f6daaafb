#include "world.h"

#include <stdio.h>

#define CALLS_MAX 10000

/* ---- an executor whose every call may be the allocation that fails ---- */

static int out_of_memory(struct bsc_error *err)
{
	return bsc__fail(err, BSC_NOMEM, "out of memory in the executor");
}

static const struct bsc_executor *mock_of; /* the world's that runs now */

static int resolve(void *state, const struct bsc_locator *locator, const struct bsc_run_settings *settings,
                   const struct bsc_poll *poll, void **class_out, struct bsc_error *err)
{
	if (faults_take()) {
		return out_of_memory(err);
	}
	faults_pause();
	int rc = mock_of->resolve(state, locator, settings, poll, class_out, err);
	faults_resume();
	return rc;
}

static int open_instance(void *state, void *cls, const struct bsc_opening *opening, const struct bsc_poll *poll,
                         void **instance_out, struct ArrowSchema *schema_out, struct bsc_error *err)
{
	if (faults_take()) {
		return out_of_memory(err);
	}
	faults_pause();
	int rc = mock_of->open(state, cls, opening, poll, instance_out, schema_out, err);
	faults_resume();
	return rc;
}

static int make_plan(void *instance, const struct bsc_hints *hints, struct bsc_meter *meter,
                     const struct bsc_poll *poll, void **plan_out, struct bsc_planned *planned, struct bsc_error *err)
{
	if (faults_take()) {
		return out_of_memory(err);
	}
	faults_pause();
	int rc = mock_of->plan(instance, hints, meter, poll, plan_out, planned, err);
	faults_resume();
	return rc;
}

static int read_open(void *plan, int64_t partition, struct bsc_meter *meter, void **reader_out, struct bsc_error *err)
{
	if (faults_take()) {
		return out_of_memory(err);
	}
	faults_pause();
	int rc = mock_of->read_open(plan, partition, meter, reader_out, err);
	faults_resume();
	return rc;
}

static int read_next(void *reader, const struct bsc_poll *poll, struct ArrowArray *array, struct ArrowSchema *schema,
                     bool *ended, struct bsc_error *err)
{
	if (faults_take()) {
		return out_of_memory(err);
	}
	faults_pause();
	int rc = mock_of->read_next(reader, poll, array, schema, ended, err);
	faults_resume();
	return rc;
}

static void watch_executor(struct world *w)
{
	struct bsc_executor *executor = &w->mock.executor;
	w->executor = *executor;
	mock_of = &w->executor;
	executor->resolve = resolve;
	executor->open = open_instance;
	executor->plan = make_plan;
	executor->read_open = read_open;
	executor->read_next = read_next;
}

/* ---- schemas ---- */

static void na(int rc)
{
	assert_int_equal(rc, NANOARROW_OK);
}

/* A field of another nested type: a struct's, with its format changed. */
static void nest(struct ArrowSchema *out, const char *name, const char *format, struct ArrowSchema *a,
                 struct ArrowSchema *b)
{
	mock_struct_init(out, name, b ? 2 : 1);
	na(ArrowSchemaSetFormat(out, format));
	mock_set_child(out, 0, a);
	if (b) {
		mock_set_child(out, 1, b);
	}
}

static void flat_schema(struct ArrowSchema *out, bool swapped)
{
	static const struct mock_column columns[] = {{"a", "l", true}, {"b", "u", false}, {"c", "vu", false}};
	mock_struct_init(out, "", 4);
	for (int64_t i = 0; i < 4; i++) {
		struct ArrowSchema field;
		if (i < 3) {
			mock_field_init(&field, columns[i].name, columns[i].format);
			field.flags = columns[i].required ? 0 : ARROW_FLAG_NULLABLE;
		} else {
			mock_dictionary_init(&field, "d", "u");
		}
		mock_set_child(out, swapped ? 3 - i : i, &field);
	}
	mock_set_extension(out->children[swapped ? 2 : 1], "acme.text");
}

static void nested_schema(struct ArrowSchema *out)
{
	struct ArrowSchema a, b, inner, column;
	mock_struct_init(out, "", 5);
	mock_field_init(&a, "n", "l");
	mock_field_init(&b, "t", "u");
	nest(&inner, "item", "+s", &a, &b);
	nest(&column, "list", "+l", &inner, NULL);
	mock_set_child(out, 0, &column);
	mock_field_init(&a, "key", "u");
	a.flags = 0;
	mock_field_init(&b, "value", "l");
	nest(&inner, "entries", "+s", &a, &b);
	inner.flags = 0;
	nest(&column, "map", "+m", &inner, NULL);
	mock_set_child(out, 1, &column);
	mock_field_init(&a, "i", "i");
	mock_field_init(&b, "u", "u");
	nest(&column, "sparse", "+us:0,1", &a, &b);
	mock_set_child(out, 2, &column);
	mock_field_init(&a, "i", "i");
	mock_field_init(&b, "u", "u");
	nest(&column, "dense", "+ud:5,7", &a, &b);
	mock_set_child(out, 3, &column);
	mock_field_init(&a, "run_ends", "i");
	a.flags = 0;
	mock_field_init(&b, "values", "u");
	nest(&column, "runs", "+r", &a, &b);
	mock_set_child(out, 4, &column);
}

/* ---- the world ---- */

void world_flat(struct world *w)
{
	/* Declared order, another order, then the schema of the batch before. */
	static struct mock_batch batches[] = {{.n_rows = 3}, {.n_rows = 2}, {.n_rows = 2, .same_schema = true}};
	static const struct mock_partition partitions[] = {{batches, 3}, {batches, 1}};
	flat_schema(&w->schema, false);
	flat_schema(&w->swapped, true);
	batches[1].schema = &w->swapped;
	batches[2].schema = &w->swapped;
	mock_init(&w->mock, &w->schema, partitions, LENGTH(partitions));
	watch_executor(w);
}

void world_nested(struct world *w)
{
	/* No rows: the mock can't write all of these types. */
	static const struct mock_batch batches[] = {{.n_rows = 0}, {.n_rows = 0}};
	static const struct mock_partition partitions[] = {{batches, 2}};
	nested_schema(&w->schema);
	mock_init(&w->mock, &w->schema, partitions, LENGTH(partitions));
	watch_executor(w);
}

void world_source(struct world *w)
{
	if (!w->schema.release) {
		world_flat(w);
	}
	w->source = mock_source(&w->mock);
}

void world_plan(struct world *w)
{
	struct bsc_error err;
	world_source(w);
	assert_ok(bsc_plan_new(w->source, w->request.columns ? &w->request : NULL, NULL, &w->plan, &err), &err);
}

void world_scan(struct world *w)
{
	struct bsc_error err;
	world_plan(w);
	assert_ok(bsc_scan_open(w->plan, &w->scan, &err), &err);
}

void world_cursor(struct world *w)
{
	struct bsc_error err;
	world_scan(w);
	assert_ok(bsc_cursor_open(w->scan, &w->cursor, &err), &err);
}

static void world_release(struct world *w)
{
	bsc_cursor_close(w->cursor);
	bsc_scan_close(w->scan);
	bsc_plan_free(w->plan);
	bsc_source_close(w->source);
	bsc_options_free(w->options);
	bsc_scans_forget();
	if (w->schema.release) {
		mock_assert_all_closed(&w->mock);
		w->schema.release(&w->schema);
	}
	if (w->swapped.release) {
		w->swapped.release(&w->swapped);
	}
}

/* ---- the loop ---- */

static char wrong[BSC_ERROR_CAP + 256];

#define WRONG(...) (snprintf(wrong, sizeof(wrong), __VA_ARGS__), wrong)

static bool is_zeroed(const void *memory, size_t size)
{
	const unsigned char *bytes = memory;
	for (size_t i = 0; i < size; i++) {
		if (bytes[i]) {
			return false;
		}
	}
	return true;
}

/* What is wrong after a failure, or NULL. err: as twin_run's. */
static const char *check_failure(const struct twin *twin, struct world *w, int rc, const struct bsc_error *err)
{
	if (rc != BSC_NOMEM) {
		return WRONG("gave status %d, not BSC_NOMEM (%s)", rc, err ? err->message : "");
	}
	if (err && err->status != BSC_NOMEM) {
		return WRONG("left status %d in the error", err->status);
	}
	if (err && strncmp(err->message, "out of memory while ", 20) != 0 &&
	    strcmp(err->message, "out of memory in the executor") != 0) {
		return WRONG("left the message '%s'", err->message);
	}
	if (!is_zeroed(&w->out, twin->out_size)) {
		return WRONG("left its output as it was, or half made");
	}
	if (twin->failed) {
		twin->failed(w);
	}
	return NULL;
}

/* One call with allocation n failing. *fired: it was reached. */
static const char *run_once(const struct twin *twin, int64_t n, bool with_err, bool *fired)
{
	struct world w = {0};
	struct bsc_error error;
	struct bsc_error *err = with_err ? &error : NULL;
	int64_t live = faults_live();
	if (twin->set_up) {
		twin->set_up(&w);
	}
	memset(&w.out, 0xAA, sizeof(w.out));
	error.status = -1;
	snprintf(error.message, sizeof(error.message), "of another call");
	faults_arm(n);
	int rc = twin->call(&w, err);
	*fired = faults_disarm() >= n;
	if (*fired) {
		const char *what = check_failure(twin, &w, rc, err);
		if (what) {
			return what;
		}
		rc = (twin->again ? twin->again : twin->call)(&w, &error);
	}
	if (rc != BSC_OK) {
		return WRONG("%s: status %d, %s", *fired ? "a second try failed" : "nothing failed, but the call did", rc,
		             with_err || *fired ? error.message : "");
	}
	if (twin->done) {
		twin->done(&w);
	}
	world_release(&w);
	if (faults_live() != live) {
		return WRONG("leaked %lld blocks", (long long)(faults_live() - live));
	}
	return NULL;
}

const char *twin_run(const struct twin *twin, bool err)
{
	for (int64_t n = 1; n < CALLS_MAX; n++) {
		bool fired = false;
		const char *what = run_once(twin, n, err, &fired);
		if (what) {
			static char text[sizeof(wrong) + 64];
			snprintf(text, sizeof(text), "allocation %lld %s: %s", (long long)n, fired ? "failed" : "was not reached",
			         what);
			return text;
		}
		if (fired && !twin->allocates) {
			return "it allocates, but is listed as one that does not";
		}
		if (!fired) {
			return twin->allocates && n == 1 ? "it allocates nothing, but is listed as one that does" : NULL;
		}
	}
	return "its allocations do not end";
}
