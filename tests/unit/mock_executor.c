#include "mock_executor.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A mistake of the test's own, possibly on a thread where cmocka can't jump. */
static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "mock: %s\n", what);
		abort();
	}
}

/* Counts without ordering anything: the mock must not hide a race of the core. */
static int64_t bump(_Atomic int64_t *counter)
{
	return atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void na(int rc, const char *what)
{
	must(rc == NANOARROW_OK, what);
}

/* ---- schemas ---- */

void mock_field_init(struct ArrowSchema *out, const char *name, const char *format)
{
	ArrowSchemaInit(out);
	na(ArrowSchemaSetFormat(out, format), "set format");
	na(ArrowSchemaSetName(out, name), "set name");
}

void mock_struct_init(struct ArrowSchema *out, const char *name, int64_t n)
{
	ArrowSchemaInit(out);
	na(ArrowSchemaSetTypeStruct(out, n), "set struct");
	na(ArrowSchemaSetName(out, name), "set name");
}

void mock_set_child(struct ArrowSchema *parent, int64_t i, struct ArrowSchema *field)
{
	ArrowSchemaRelease(parent->children[i]);
	ArrowSchemaMove(field, parent->children[i]);
}

void mock_schema_init(struct ArrowSchema *out, const struct mock_column *columns, int64_t n)
{
	mock_struct_init(out, "", n);
	out->flags = 0;
	for (int64_t i = 0; i < n; i++) {
		struct ArrowSchema field;
		mock_field_init(&field, columns[i].name, columns[i].format);
		if (columns[i].required) {
			field.flags = 0;
		}
		mock_set_child(out, i, &field);
	}
}

void mock_dictionary_init(struct ArrowSchema *out, const char *name, const char *values)
{
	mock_field_init(out, name, "i");
	na(ArrowSchemaAllocateDictionary(out), "allocate dictionary");
	mock_field_init(out->dictionary, "", values);
}

void mock_set_extension(struct ArrowSchema *field, const char *name)
{
	struct ArrowBuffer buffer;
	na(ArrowMetadataBuilderInit(&buffer, NULL), "metadata");
	na(ArrowMetadataBuilderAppend(&buffer, ArrowCharView("ARROW:extension:name"), ArrowCharView(name)), "metadata");
	na(ArrowSchemaSetMetadata(field, (const char *)buffer.data), "metadata");
	ArrowBufferReset(&buffer);
}

/* ---- arrays ---- */

const char *mock_text(int64_t row, char text[40])
{
	snprintf(text, 40, "text of row %lld", (long long)row);
	return text;
}

static void append(struct ArrowArray *array, const struct ArrowSchema *schema, int64_t row)
{
	struct ArrowSchemaView view;
	char text[40];
	na(ArrowSchemaViewInit(&view, schema, NULL), "read a type");
	if (schema->dictionary) {
		row %= MOCK_DICTIONARY;
	}
	switch (view.storage_type) {
	case NANOARROW_TYPE_NA:
		na(ArrowArrayAppendNull(array, 1), "append null");
		break;
	case NANOARROW_TYPE_STRING:
	case NANOARROW_TYPE_LARGE_STRING:
	case NANOARROW_TYPE_STRING_VIEW:
		na(ArrowArrayAppendString(array, ArrowCharView(mock_text(row, text))), "append text");
		break;
	case NANOARROW_TYPE_STRUCT:
	case NANOARROW_TYPE_LIST:
	case NANOARROW_TYPE_MAP:
		for (int64_t i = 0; i < array->n_children; i++) {
			append(array->children[i], schema->children[i], row);
		}
		na(ArrowArrayFinishElement(array), "finish element");
		break;
	default:
		na(ArrowArrayAppendInt(array, row), "append number");
		break;
	}
}

/* Values of each dictionary below `array`, once. */
static void fill_dictionaries(struct ArrowArray *array, const struct ArrowSchema *schema)
{
	for (int64_t i = 0; array->dictionary && i < MOCK_DICTIONARY; i++) {
		append(array->dictionary, schema->dictionary, i);
	}
	for (int64_t i = 0; i < array->n_children; i++) {
		fill_dictionaries(array->children[i], schema->children[i]);
	}
}

void mock_array_init(struct ArrowArray *out, const struct ArrowSchema *schema, int64_t first, int64_t n)
{
	na(ArrowArrayInitFromSchema(out, schema, NULL), "init array");
	na(ArrowArrayStartAppending(out), "start appending");
	fill_dictionaries(out, schema);
	for (int64_t i = 0; i < n; i++) {
		append(out, schema, first + i);
	}
	struct ArrowError reason;
	if (ArrowArrayFinishBuildingDefault(out, &reason) != NANOARROW_OK) {
		must(false, reason.message);
	}
}

/* ---- shells ---- */

/* Keeps a list of what it allocated, since the test breaks the structs that say it. */
struct shell {
	struct ArrowArray inner;
	void *owned[256];
	size_t n_owned;
};

static void *shell_alloc(struct shell *shell, size_t n, size_t size)
{
	must(shell->n_owned < LENGTH(shell->owned), "too many structs for a shell");
	void *memory = calloc(n + 1, size);
	must(memory, "out of memory");
	shell->owned[shell->n_owned++] = memory;
	return memory;
}

static void shell_child_release(struct ArrowArray *child)
{
	child->release = NULL;
}

static void shell_copy(struct shell *shell, struct ArrowArray *to, const struct ArrowArray *from)
{
	*to = *from;
	to->release = shell_child_release;
	to->private_data = NULL;
	to->buffers = shell_alloc(shell, (size_t)from->n_buffers, sizeof(*to->buffers));
	to->children = shell_alloc(shell, (size_t)from->n_children, sizeof(*to->children));
	for (int64_t i = 0; i < from->n_buffers; i++) {
		to->buffers[i] = from->buffers[i];
	}
	for (int64_t i = 0; i < from->n_children; i++) {
		to->children[i] = shell_alloc(shell, 1, sizeof(**to->children));
		shell_copy(shell, to->children[i], from->children[i]);
	}
	if (from->dictionary) {
		to->dictionary = shell_alloc(shell, 1, sizeof(*to->dictionary));
		shell_copy(shell, to->dictionary, from->dictionary);
	}
}

static void shell_release(struct ArrowArray *array)
{
	struct shell *shell = array->private_data;
	shell->inner.release(&shell->inner);
	for (size_t i = 0; i < shell->n_owned; i++) {
		free(shell->owned[i]);
	}
	free(shell);
	array->release = NULL;
}

void mock_shell(struct ArrowArray *array)
{
	struct shell *shell = calloc(1, sizeof(*shell));
	must(shell, "out of memory");
	shell->inner = *array;
	shell_copy(shell, array, &shell->inner);
	array->release = shell_release;
	array->private_data = shell;
}

/* ---- what the executor hands over: counted ---- */

struct counted {
	struct ArrowArray inner;
	struct mock *mock;
};

static void counted_release(struct ArrowArray *array)
{
	struct counted *counted = array->private_data;
	bump(&counted->mock->arrays_released);
	counted->inner.release(&counted->inner);
	free(counted);
	array->release = NULL;
}

static void count(struct mock *mock, struct ArrowArray *array)
{
	struct counted *counted = malloc(sizeof(*counted));
	must(counted, "out of memory");
	counted->inner = *array;
	counted->mock = mock;
	array->release = counted_release;
	array->private_data = counted;
	bump(&mock->arrays);
}

/* ---- the executor ---- */

struct class_handle {
	int unused;
};

/* One for each class name, for ever: a class object has an address of its own. */
static struct class_handle class_orders, class_other;

struct instance {
	struct mock *mock;
};

struct plan {
	struct mock *mock;
};

struct reader {
	struct mock *mock;
	struct bsc_meter *meter;
	int64_t partition;
	int64_t next;
};

static bool faulty(struct mock *mock, enum mock_call call, const struct bsc_poll *poll, struct bsc_error *err)
{
	if (mock->waits[call]) {
		must(poll, "no poll to wait with");
		while (!poll->interrupted(poll->ctx)) {
			nanosleep(&(struct timespec){0, 1000 * 1000}, NULL);
		}
		bsc__fail(err, BSC_CANCELLED, "stopped in the middle");
		return true;
	}
	int64_t n = bump(&mock->calls[call]);
	if (!mock->fault[call].status || n < mock->fault[call].after) {
		return false;
	}
	bsc__fail(err, mock->fault[call].status, "%s", mock->fault[call].text);
	return true;
}

static void *new_handle(size_t size)
{
	void *handle = calloc(1, size);
	must(handle, "out of memory");
	return handle;
}

/* Guards what a call leaves in the mock for a test to read: kind, module, name,
 * label, options, columns. */
static pthread_mutex_t texts_lock = PTHREAD_MUTEX_INITIALIZER;

static int resolve(void *state, const struct bsc_locator *locator, const struct bsc_run_settings *settings,
                   const struct bsc_poll *poll, void **class_out, struct bsc_error *err)
{
	(void)settings;
	struct mock *mock = state;
	bool other = bsc__str_equal(locator->name, bsc__str("Other"));
	pthread_mutex_lock(&texts_lock);
	mock->kind = locator->kind;
	snprintf(mock->module, sizeof(mock->module), "%.*s", BSC__ARG(locator->module));
	snprintf(mock->name, sizeof(mock->name), "%.*s", BSC__ARG(locator->name));
	pthread_mutex_unlock(&texts_lock);
	if (faulty(mock, MOCK_RESOLVE, poll, err)) {
		return err->status;
	}
	bump(&mock->classes);
	*class_out = other ? &class_other : &class_orders;
	return BSC_OK;
}

static void class_release(void *state, void *cls)
{
	struct mock *mock = state;
	must(cls == &class_orders || cls == &class_other, "a class that resolve never gave");
	bump(&mock->classes_released);
	mock->order_errors += mock->classes_released > mock->classes;
}

static int open_instance(void *state, void *cls, const struct bsc_opening *opening, const struct bsc_poll *poll,
                         void **instance_out, struct ArrowSchema *schema_out, struct bsc_error *err)
{
	struct mock *mock = state;
	must(cls == &class_orders || cls == &class_other, "a class that resolve never gave");
	pthread_mutex_lock(&texts_lock);
	snprintf(mock->label, sizeof(mock->label), "%s", opening->label);
	mock->schema_mode = opening->schema_mode;
	const struct bsc_options *options = opening->options;
	size_t used = 0;
	mock->options[0] = '\0';
	for (size_t i = 0; i < bsc_options_count(options) && used < sizeof(mock->options); i++) {
		used += (size_t)snprintf(mock->options + used, sizeof(mock->options) - used, "%.*s=%.*s;",
		                         BSC__ARG(bsc_options_name(options, i)), BSC__ARG(bsc_options_value(options, i)));
	}
	pthread_mutex_unlock(&texts_lock);
	if (faulty(mock, MOCK_OPEN, poll, err)) {
		return err->status;
	}
	struct instance *instance = new_handle(sizeof(*instance));
	instance->mock = mock;
	na(ArrowSchemaDeepCopy(mock->schema, schema_out), "copy a schema");
	if (mock->damage_schema) {
		mock->damage_schema(schema_out);
	}
	bump(&mock->instances);
	*instance_out = instance;
	return BSC_OK;
}

static void close_instance(void *state)
{
	struct instance *instance = state;
	struct mock *mock = instance->mock;
	bump(&mock->instances_closed);
	/* With several instances this can't tell whose: then it only sees too many. */
	mock->order_errors += mock->instances == 1 && mock->plans != mock->plans_freed;
	free(instance);
}

static void put_offsets(char *text, size_t cap, const struct bsc_offsets *offsets)
{
	snprintf(text, cap, "%.*s..%.*s", (int)offsets->start.len, offsets->start.ptr, (int)offsets->end.len,
	         offsets->end.ptr);
}

/* The number of the question, start and end: "1: a..b". */
static int offset(void *state, enum bsc_offset_question question, const struct bsc_offsets *offsets,
                  const struct bsc_poll *poll, char **answer_out, struct bsc_error *err)
{
	enum { CAP = 64 };
	struct mock *mock = ((struct instance *)state)->mock;
	char text[CAP];
	if (faulty(mock, MOCK_OFFSET, poll, err)) {
		return err->status;
	}
	put_offsets(text, sizeof(text), offsets);
	if (question != BSC_OFFSET_COMMIT) {
		char *answer = malloc(2 * CAP);
		if (!answer) {
			return bsc__fail_nomem(err, "saying an offset");
		}
		snprintf(answer, 2 * CAP, "%d: %s", (int)question, text);
		*answer_out = answer;
	}
	return BSC_OK;
}

static int make_plan(void *state, const struct bsc_hints *hints, struct bsc_meter *meter, const struct bsc_poll *poll,
                     void **plan_out, struct bsc_planned *planned, struct bsc_error *err)
{
	struct mock *mock = ((struct instance *)state)->mock;
	size_t used = 0;
	pthread_mutex_lock(&texts_lock);
	snprintf(mock->columns, sizeof(mock->columns), "%s", hints->columns ? "" : "*");
	for (int64_t i = 0; hints->columns && i < hints->n_columns && used < sizeof(mock->columns); i++) {
		used += (size_t)snprintf(mock->columns + used, sizeof(mock->columns) - used, "%s,", hints->columns[i]);
	}
	mock->n_filters = hints->filters.len >= sizeof(mock->n_filters) ? *(const uint32_t *)hints->filters.ptr : 0;
	mock->limit = hints->limited ? hints->limit : -1;
	mock->n_specs = hints->specs ? hints->n_specs : -1;
	mock->portable = hints->portable;
	put_offsets(mock->offsets, sizeof(mock->offsets), &hints->offsets);
	pthread_mutex_unlock(&texts_lock);
	if (faulty(mock, MOCK_PLAN, poll, err)) {
		return err->status;
	}
	bsc_meter_time(meter, MOCK_PLAN_NS, 0);
	struct plan *plan = new_handle(sizeof(*plan));
	plan->mock = mock;
	bump(&mock->plans);
	*plan_out = plan;
	*planned = (struct bsc_planned){.n_partitions = hints->specs ? hints->n_specs : mock->n_partitions,
	                                .n_pruned = mock->n_pruned};
	if (mock->rows) {
		size_t size = (size_t)mock->n_partitions * sizeof(*planned->rows);
		planned->rows = malloc(size + 1);
		must(planned->rows, "out of memory in the mock");
		memcpy(planned->rows, mock->rows, size);
	}
	if (mock->pushed) {
		planned->pushed = strdup(mock->pushed);
		must(planned->pushed, "out of memory in the mock");
	}
	return BSC_OK;
}

static int plan_spec(void *state, int64_t partition, char **spec_out, size_t *len_out, struct bsc_error *err)
{
	char text[32];
	(void)state;
	int len = snprintf(text, sizeof(text), "partition %lld", (long long)partition);
	char *spec = strdup(text);
	if (!spec) {
		return bsc__fail_nomem(err, "writing a spec");
	}
	*spec_out = spec;
	*len_out = (size_t)len;
	return BSC_OK;
}

static void plan_free(void *state)
{
	struct plan *plan = state;
	struct mock *mock = plan->mock;
	bump(&mock->plans_freed);
	mock->order_errors += mock->plans == 1 && mock->readers != mock->readers_closed;
	free(plan);
}

static int read_open(void *state, int64_t partition, struct bsc_meter *meter, void **reader_out, struct bsc_error *err)
{
	struct mock *mock = ((struct plan *)state)->mock;
	must(partition >= 0 && partition < mock->n_partitions, "a partition that plan never gave");
	bump(&mock->reads_of[partition]);
	if (faulty(mock, MOCK_READ_OPEN, NULL, err)) {
		return err->status;
	}
	struct reader *reader = new_handle(sizeof(*reader));
	reader->mock = mock;
	reader->meter = meter;
	reader->partition = partition;
	bump(&mock->readers);
	*reader_out = reader;
	return BSC_OK;
}

/* Row numbers tell the partition and the batch: 1,000,000 * partition + 1,000 * batch. */
static int read_next(void *state, const struct bsc_poll *poll, struct ArrowArray *array, struct ArrowSchema *schema,
                     bool *ended, struct bsc_error *err)
{
	struct reader *reader = state;
	struct mock *mock = reader->mock;
	must(!array->release && !schema->release && !*ended, "read_next's outputs were not zeroed");
	bsc_meter_time(reader->meter, MOCK_NEXT_NS, 0);
	if (faulty(mock, MOCK_READ_NEXT, poll, err)) {
		return err->status;
	}
	const struct mock_partition *partition = &mock->partitions[reader->partition];
	if (reader->next == partition->n_batches) {
		*ended = true;
		return BSC_OK;
	}
	const struct mock_batch *batch = &partition->batches[reader->next];
	const struct ArrowSchema *type = batch->schema ? batch->schema : mock->schema;
	int64_t first = 1000000 * reader->partition + 1000 * reader->next;
	reader->next += !batch->forever;
	if (batch->n_rows >= 0) {
		mock_array_init(array, type, first, batch->n_rows);
		if (batch->damage) {
			mock_shell(array);
			batch->damage(array);
		}
		count(mock, array);
	}
	if (batch->n_rows >= 0 ? !batch->same_schema : batch->schema_alone) {
		na(ArrowSchemaDeepCopy(type, schema), "copy a schema");
	}
	return BSC_OK;
}

static void read_close(void *state)
{
	struct reader *reader = state;
	bump(&reader->mock->readers_closed);
	free(reader);
}

void mock_init(struct mock *mock, const struct ArrowSchema *schema, const struct mock_partition *partitions, int64_t n)
{
	must(n <= MOCK_PARTITIONS_MAX, "too many partitions");
	memset(mock, 0, sizeof(*mock));
	mock->executor = (struct bsc_executor){
	    .name = "mock",
	    .state = mock,
	    .resolve = resolve,
	    .class_release = class_release,
	    .open = open_instance,
	    .close = close_instance,
	    .offset = offset,
	    .plan = make_plan,
	    .plan_free = plan_free,
	    .plan_spec = plan_spec,
	    .read_open = read_open,
	    .read_next = read_next,
	    .read_close = read_close,
	};
	mock->schema = schema;
	mock->partitions = partitions;
	mock->n_partitions = n;
}

void mock_assert_all_closed(struct mock *mock)
{
	assert_int_equal(mock->readers, mock->readers_closed);
	assert_int_equal(mock->plans, mock->plans_freed);
	assert_int_equal(mock->instances, mock->instances_closed);
	assert_int_equal(mock->classes, mock->classes_released);
	assert_int_equal(mock->arrays, mock->arrays_released);
	assert_int_equal(mock->order_errors, 0);
}

int mock_stop_after(void *left)
{
	return (*(int *)left)-- <= 0;
}

struct bsc_source *mock_source(struct mock *mock)
{
	struct bsc_source *source = NULL;
	struct bsc_error err;
	assert_ok(bsc_source_open(&mock->executor, bsc__str("acme:Orders"), NULL, 0, NULL, &source, &err), &err);
	return source;
}
