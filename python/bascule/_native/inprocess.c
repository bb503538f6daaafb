/* The in-process executor: bsc_executor over bascule._instance. */
#include "inprocess.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exported.h"
#include "gate.h"
#include "held.h"
#include "imported.h"
#include "planned.h"
#include "raised.h"
#include "run.h"
#include "trimmed.h"
#include "watch.h"

/* What is called of Python, found once; strong references for good. */
static struct {
	PyObject *resolve;                                   /* bascule._instance.resolve */
	PyObject *release;                                   /* bascule._instance.release */
	PyObject *shutdown;                                  /* bascule._instance.shutdown */
	PyObject *warn;                                      /* bascule._instance.warn */
	PyObject *instance_type;                             /* bascule._instance.Instance */
	PyObject *open, *plan, *read, *end, *masked, *close; /* interned names */
	PyObject *statistics, *claim, *offset, *restore, *spec;
} py;

struct instance {
	struct held *held; /* bascule._instance.Instance */
	char *label;
	bool on_main; /* opened by the main thread: Ctrl-C is for it */
};

struct plan {
	struct held *held;         /* bascule._instance.Plan; tuple of columns, or None */
	struct instance *instance; /* outlives the plan */
	int64_t n_partitions;
};

struct reader {
	struct held *held;       /* the class's iterator; what trimmed() knows */
	struct plan *plan;       /* outlives the reader */
	struct bsc_meter *meter; /* so does it */
	int64_t partition;
	unsigned unanswered;            /* watch_unanswered, when it was opened */
	struct ArrowArrayStream stream; /* of the item in hand, release == NULL: none */
	bool stream_begun;              /* its schema was handed over */
};

static PyObject *object_of(const struct instance *instance)
{
	return instance->held->refs[0];
}

/* For a reader's next item. */
static bool run_enter_reader(struct run *run, const struct reader *reader, const struct bsc_poll *host, bool gil)
{
	return run_enter_since(run, reader->plan->instance->on_main, host, reader->unanswered, gil);
}

static int fail_of(struct bsc_error *err, struct run *run, const struct instance *instance, const char *attempt)
{
	PyObject *error = raised_take();
	PyObject *secrets = PyObject_GetAttrString(object_of(instance), "secrets");
	PyErr_Clear();
	PyErr_SetObject((PyObject *)Py_TYPE(error), error);
	Py_DECREF(error);
	int rc = run_fail_python(err, run, secrets, attempt);
	Py_XDECREF(secrets);
	return rc;
}

/* ---- source ---- */

static int resolve(void *state, const struct bsc_locator *locator, const struct bsc_run_settings *settings,
                   const struct bsc_poll *poll, void **class_out, struct bsc_error *err)
{
	(void)state;
	struct run run;
	char attempt[512];
	run_describe_finding(locator, attempt, sizeof(attempt));
	if (!run_enter(&run, watch_is_main_thread(), poll)) {
		return run_fail_shutdown(err, attempt);
	}
	PyObject *module = unicode(locator->module), *name = unicode(locator->name);
	bool may_leave = settings->choice == BSC_EXECUTOR_DEFAULT;
	PyObject *cls = module && name
	                    ? PyObject_CallFunction(py.resolve, "iOOi", (int)locator->kind, module, name, (int)may_leave)
	                    : NULL;
	int rc = cls ? BSC_OK : run_fail_python(err, &run, NULL, attempt);
	Py_XDECREF(module);
	Py_XDECREF(name);
	/* bascule._instance keeps the class, until class_release. */
	*class_out = cls;
	Py_XDECREF(cls);
	gate_leave(&run.stay);
	return rc;
}

static void class_release(void *state, void *cls)
{
	(void)state;
	struct closing closing;
	if (closing_enter(&closing)) {
		PyObject *done = PyObject_CallFunction(py.release, "O", (PyObject *)cls);
		if (!done) {
			PyErr_WriteUnraisable(cls);
		}
		Py_XDECREF(done);
		closing_leave(&closing);
	}
}

static bool wants_process(void *state, void *cls)
{
	(void)state;
	struct closing closing;
	bool wants = false;
	if (closing_enter(&closing)) {
		PyObject *said = PyObject_GetAttrString((PyObject *)cls, "wants_process");
		wants = said == Py_True;
		PyErr_Clear();
		Py_XDECREF(said);
		closing_leave(&closing);
	}
	return wants;
}

static PyObject *option_pairs(const struct bsc_options *options)
{
	size_t n = bsc_options_count(options);
	PyObject *pairs = PyList_New((Py_ssize_t)n);
	for (size_t i = 0; pairs && i < n; i++) {
		PyObject *name = unicode(bsc_options_name(options, i)), *value = unicode(bsc_options_value(options, i));
		PyObject *pair = name && value ? PyTuple_Pack(2, name, value) : NULL;
		Py_XDECREF(name);
		Py_XDECREF(value);
		if (pair) {
			PyList_SET_ITEM(pairs, (Py_ssize_t)i, pair);
		} else {
			Py_CLEAR(pairs);
		}
	}
	return pairs;
}

static void instance_close(void *ptr);

/* bascule._instance.Instance.step says how far it came. */
static int fail_open(struct bsc_error *err, struct run *run, const struct instance *instance)
{
	PyObject *error = raised_take();
	PyObject *step = object_of(instance) ? PyObject_GetAttrString(object_of(instance), "step") : NULL;
	const char *name = step ? PyUnicode_AsUTF8(step) : NULL;
	char attempt[512];
	snprintf(attempt, sizeof(attempt), "%.450s%s%.50s", instance->label, name && *name ? ": " : "", name ? name : "");
	PyErr_Clear();
	Py_XDECREF(step);
	PyErr_SetObject((PyObject *)Py_TYPE(error), error);
	Py_DECREF(error);
	return object_of(instance) ? fail_of(err, run, instance, attempt) : run_fail_python(err, run, NULL, attempt);
}

static int instance_open(void *state, void *cls, const struct bsc_opening *opening, const struct bsc_poll *poll,
                         void **instance_out, struct ArrowSchema *schema_out, struct bsc_error *err)
{
	(void)state;
	struct run run;
	bool on_main = watch_is_main_thread();
	struct instance *instance = calloc(1, sizeof(*instance));
	char *copy = strdup(opening->label);
	struct held *held = held_new();
	if (!instance || !copy || !held || !run_enter(&run, on_main, poll)) {
		int rc = instance && copy && held ? run_fail_shutdown(err, opening->label)
		                                  : raised_fail_text(err, BSC_NOMEM, "out of memory");
		if (held) {
			held_drop(held);
		}
		free(instance);
		free(copy);
		return rc;
	}
	instance->label = copy;
	instance->held = held;
	instance->on_main = on_main;
	int rc = BSC_OK;
	PyObject *pairs = option_pairs(opening->options), *schema = NULL;
	PyObject *object =
	    pairs ? PyObject_CallFunction(py.instance_type, "OsOidK", (PyObject *)cls, opening->label, pairs,
		                              (int)(opening->schema_mode == BSC_SCHEMA_EVOLVE),
		                              (double)opening->cache_ttl_ms / 1000, (unsigned long long)opening->cache_epoch)
		      : NULL;
	instance->held->refs[0] = object;
	if (!object || !(schema = PyObject_CallMethodNoArgs(object, py.open)) || exported_schema(schema, schema_out) < 0) {
		rc = fail_open(err, &run, instance);
	}
	Py_XDECREF(pairs);
	Py_XDECREF(schema);
	if (rc != BSC_OK) {
		instance_close(instance);
		instance = NULL;
	}
	gate_leave(&run.stay);
	*instance_out = instance;
	return rc;
}

/* The result of a method that logs what the class raises by itself. */
static void call_quietly(PyObject *done)
{
	if (!done) {
		PyErr_WriteUnraisable(py.instance_type);
	}
	Py_XDECREF(done);
}

static void instance_close(void *ptr)
{
	struct instance *instance = ptr;
	struct closing closing;
	if (closing_enter(&closing)) {
		if (object_of(instance)) {
			call_quietly(PyObject_CallMethodNoArgs(object_of(instance), py.close));
		}
		held_drop(instance->held);
		closing_leave(&closing);
	} else {
		held_abandon(instance->held);
	}
	free(instance->label);
	free(instance);
}

/* ---- what the class says of itself ---- */

static int statistics(void *ptr, const struct bsc_poll *poll, struct bsc_statistics *out, struct bsc_error *err)
{
	struct instance *instance = ptr;
	struct run run;
	char attempt[512];
	*out = (struct bsc_statistics){-1, -1, false};
	if (!run_enter(&run, instance->on_main, poll)) {
		return run_fail_shutdown(err, instance->label);
	}
	long long n_rows = -1, n_bytes = -1;
	int exact = 0;
	PyObject *found = PyObject_CallMethodNoArgs(object_of(instance), py.statistics);
	bool good = found && (found == Py_None || PyArg_ParseTuple(found, "LLp:statistics", &n_rows, &n_bytes, &exact));
	snprintf(attempt, sizeof(attempt), "%.450s: statistics", instance->label);
	int rc = good ? BSC_OK : fail_of(err, &run, instance, attempt);
	Py_XDECREF(found);
	gate_leave(&run.stay);
	if (rc == BSC_OK) {
		*out = (struct bsc_statistics){n_rows, n_bytes, exact};
	}
	return rc;
}

static int claim(void *ptr, struct bsc_str filters, const struct bsc_poll *poll, bool *exact, size_t n,
                 struct bsc_error *err)
{
	struct instance *instance = ptr;
	struct run run;
	char attempt[512];
	if (!run_enter(&run, instance->on_main, poll)) {
		return run_fail_shutdown(err, instance->label);
	}
	PyObject *data = PyBytes_FromStringAndSize(filters.ptr, (Py_ssize_t)filters.len);
	PyObject *claimed = data ? PyObject_CallMethodOneArg(object_of(instance), py.claim, data) : NULL;
	bool good = claimed && PyList_Check(claimed) && (size_t)PyList_GET_SIZE(claimed) == n;
	for (size_t i = 0; good && i < n; i++) {
		exact[i] = PyList_GET_ITEM(claimed, (Py_ssize_t)i) == Py_True;
	}
	if (claimed && !good) {
		PyErr_SetString(PyExc_ValueError, "the predicates are not as many as was said");
	}
	snprintf(attempt, sizeof(attempt), "%.450s: push_filters", instance->label);
	int rc = good ? BSC_OK : fail_of(err, &run, instance, attempt);
	Py_XDECREF(claimed);
	Py_XDECREF(data);
	gate_leave(&run.stay);
	return rc;
}

static int offset(void *ptr, enum bsc_offset_question question, const struct bsc_offsets *offsets,
                  const struct bsc_poll *poll, char **answer_out, struct bsc_error *err)
{
	static const char *const methods[] = {"initial_offset", "latest_offset", "commit_offset"};
	struct instance *instance = ptr;
	struct run run;
	char attempt[512];
	if (!run_enter(&run, instance->on_main, poll)) {
		return run_fail_shutdown(err, instance->label);
	}
	PyObject *name = PyUnicode_FromString(methods[question]);
	PyObject *start = name ? unicode(offsets->start) : NULL, *end = start ? unicode(offsets->end) : NULL;
	PyObject *answer = end ? PyObject_CallMethodObjArgs(object_of(instance), py.offset, name, start, end, NULL) : NULL;
	const char *text = answer ? PyUnicode_AsUTF8(answer) : NULL;
	bool good = text != NULL;
	if (good && *text && !(*answer_out = strdup(text))) {
		PyErr_NoMemory();
		good = false;
	}
	snprintf(attempt, sizeof(attempt), "%.450s: %s", instance->label, methods[question]);
	int rc = good ? BSC_OK : fail_of(err, &run, instance, attempt);
	Py_XDECREF(answer);
	Py_XDECREF(end);
	Py_XDECREF(start);
	Py_XDECREF(name);
	gate_leave(&run.stay);
	return rc;
}

/* ---- plan ---- */

static int plan_new(void *ptr, const struct bsc_hints *hints, struct bsc_meter *meter, const struct bsc_poll *poll,
                    void **plan_out, struct bsc_planned *planned, struct bsc_error *err)
{
	struct instance *instance = ptr;
	struct run run;
	struct plan *plan = calloc(1, sizeof(*plan));
	struct held *held = held_new();
	if (!plan || !held || !run_enter(&run, instance->on_main, poll)) {
		int rc =
		    plan && held ? run_fail_shutdown(err, instance->label) : raised_fail_text(err, BSC_NOMEM, "out of memory");
		if (held) {
			held_drop(held);
		}
		free(plan);
		return rc;
	}
	run_measure(&run, meter);
	char attempt[512];
	snprintf(attempt, sizeof(attempt), "%.450s: plan_partitions", instance->label);
	int rc = BSC_OK;
	plan->instance = instance;
	plan->held = held;
	PyObject *asked = planned_hints(hints, held->refs[1] = planned_columns(hints));
	PyObject *specs = asked && hints->specs ? planned_specs(hints) : NULL;
	PyObject *made = NULL;
	if (asked && !hints->specs) {
		made = PyObject_CallMethodOneArg(object_of(instance), py.plan, asked);
	} else if (specs) {
		made = PyObject_CallMethodObjArgs(object_of(instance), py.restore, asked, specs, NULL);
	}
	Py_XDECREF(specs);
	Py_XDECREF(asked);
	held->refs[0] = made;
	if (made && planned_take(made, planned) == 0) {
		plan->n_partitions = planned->n_partitions;
	} else {
		rc = fail_of(err, &run, instance, attempt);
		held_drop(held);
		free(plan);
		plan = NULL;
	}
	run_leave(&run);
	*plan_out = plan;
	return rc;
}

static int plan_spec(void *ptr, int64_t partition, char **spec_out, size_t *len_out, struct bsc_error *err)
{
	struct plan *plan = ptr;
	struct instance *instance = plan->instance;
	struct run run;
	if (!run_enter(&run, instance->on_main, NULL)) {
		return run_fail_shutdown(err, instance->label);
	}
	char attempt[512];
	snprintf(attempt, sizeof(attempt), "%.450s: plan_partitions", instance->label);
	PyObject *number = PyLong_FromLongLong(partition);
	PyObject *spec = number ? PyObject_CallMethodOneArg(plan->held->refs[0], py.spec, number) : NULL;
	char *bytes = NULL;
	Py_ssize_t len = 0;
	int rc = BSC_OK;
	if (!spec || PyBytes_AsStringAndSize(spec, &bytes, &len) < 0) {
		rc = fail_of(err, &run, instance, attempt);
	} else if (!(*spec_out = malloc((size_t)len + 1))) {
		rc = raised_fail_text(err, BSC_NOMEM, "out of memory");
	} else {
		memcpy(*spec_out, bytes, (size_t)len);
		*len_out = (size_t)len;
	}
	Py_XDECREF(spec);
	Py_XDECREF(number);
	gate_leave(&run.stay);
	return rc;
}

static void plan_free(void *ptr)
{
	struct plan *plan = ptr;
	struct closing closing;
	if (closing_enter(&closing)) {
		held_drop(plan->held);
		closing_leave(&closing);
	} else {
		held_abandon(plan->held);
	}
	free(plan);
}

/* ---- reader ---- */

static int fail_read(struct bsc_error *err, struct run *run, const struct reader *reader)
{
	char attempt[600];
	const struct plan *plan = reader->plan;
	snprintf(attempt, sizeof(attempt), "%.450s, partition %lld of %lld: read_partition", plan->instance->label,
	         (long long)reader->partition, (long long)reader->plan->n_partitions);
	return fail_of(err, run, plan->instance, attempt);
}

/* The class is called at the first read_next, which can be interrupted. */
static int read_open(void *ptr, int64_t partition, struct bsc_meter *meter, void **reader_out, struct bsc_error *err)
{
	struct plan *plan = ptr;
	struct reader *reader = calloc(1, sizeof(*reader));
	struct held *held = held_new();
	if (!reader || !held) {
		if (held) {
			held_drop(held);
		}
		free(reader);
		return raised_fail_text(err, BSC_NOMEM, "out of memory");
	}
	reader->plan = plan;
	reader->meter = meter;
	reader->partition = partition;
	reader->held = held;
	reader->unanswered = watch_unanswered();
	*reader_out = reader;
	return BSC_OK;
}

/* The class's iterator, borrowed; NULL: an exception is set. */
static PyObject *items_of(struct reader *reader)
{
	struct plan *plan = reader->plan;
	PyObject **items = &reader->held->refs[0];
	if (!*items) {
		PyObject *partition = PyLong_FromLongLong(reader->partition);
		*items = partition ? PyObject_CallMethodOneArg(plan->held->refs[0], py.read, partition) : NULL;
		Py_XDECREF(partition);
	}
	return *items;
}

/* Pulls one item of the class: an array, or a stream that is then in hand, or
 * the end (*ended). */
static int next_item(struct reader *reader, const struct bsc_poll *poll, struct ArrowArray *array,
                     struct ArrowSchema *schema, bool *ended, struct bsc_error *err)
{
	struct run run;
	if (!run_enter_reader(&run, reader, poll, true)) {
		return run_fail_shutdown(err, reader->plan->instance->label);
	}
	run_measure(&run, reader->meter);
	int rc = BSC_OK;
	PyObject *items = items_of(reader), *item = items ? PyIter_Next(items) : NULL;
	if (item) {
		item = trimmed(item, reader->plan->held->refs[1], &reader->held->refs[1]);
	}
	if (!item) {
		*ended = !PyErr_Occurred();
		rc = *ended ? BSC_OK : fail_read(err, &run, reader);
	} else {
		reader->stream_begun = false;
		rc = exported_item(item, array, schema, &reader->stream) < 0 ? fail_read(err, &run, reader) : BSC_OK;
		Py_DECREF(item);
	}
	run_leave(&run);
	return rc;
}

/* The stream's own words may hold secrets, as an exception's may. */
static int fail_stream(struct bsc_error *err, struct run *run, const struct reader *reader, const char *what,
                       const char *said)
{
	const struct instance *instance = reader->plan->instance;
	struct gate_stay stay;
	if (!gate_enter(&stay, NULL)) {
		return run_fail_shutdown(err, instance->label);
	}
	/* The stream has made the KeyboardInterrupt a text. */
	bool interrupted = run_take_interrupt() || (watch_interrupts() != run->interrupts && watch_is_main_thread());
	PyObject *text = PyUnicode_DecodeUTF8(said, (Py_ssize_t)strlen(said), "replace");
	PyObject *masked = text ? PyObject_CallMethodOneArg(object_of(instance), py.masked, text) : NULL;
	const char *utf8 = masked ? PyUnicode_AsUTF8(masked) : NULL;
	char message[4096];
	snprintf(message, sizeof(message),
	         "%.450s, partition %lld of %lld: read_partition yielded an Arrow stream that failed in %s: %.3000s",
	         instance->label, (long long)reader->partition, (long long)reader->plan->n_partitions, what,
	         utf8 ? utf8 : "(its message can't be shown)");
	PyErr_Clear();
	Py_XDECREF(masked);
	Py_XDECREF(text);
	gate_leave(&stay);
	bool cancelled = interrupted || atomic_load(&run->stay.stopped);
	return raised_fail_text(err, cancelled ? BSC_CANCELLED : BSC_SOURCE, message);
}

/* The next array of the stream in hand; its end leaves array->release NULL. The
 * stream takes the GIL itself, if it needs it. */
static int next_of_stream(struct reader *reader, const struct bsc_poll *poll, struct ArrowArray *array,
                          struct ArrowSchema *schema, struct bsc_error *err)
{
	struct ArrowArrayStream *stream = &reader->stream;
	struct run run;
	if (!run_enter_reader(&run, reader, poll, false)) {
		return run_fail_shutdown(err, reader->plan->instance->label);
	}
	run_measure(&run, reader->meter);
	const char *what = NULL;
	int code = 0;
	if (!reader->stream_begun) {
		code = stream->get_schema(stream, schema);
		what = code ? "get_schema" : NULL;
		reader->stream_begun = true;
	}
	if (!what) {
		code = stream->get_next(stream, array);
		what = code ? "get_next" : NULL;
	}
	int rc = BSC_OK;
	if (what) {
		const char *said = stream->get_last_error(stream);
		rc = fail_stream(err, &run, reader, what, said ? said : strerror(code));
		*array = (struct ArrowArray){0};
	}
	if (rc != BSC_OK || !array->release) {
		stream->release(stream);
		stream->release = NULL;
		if (schema->release) {
			schema->release(schema);
			schema->release = NULL;
		}
	}
	run_leave(&run);
	return rc;
}

/* ---- releases ---- */

/* A batch's buffers may belong to Python objects (numpy arrays), whose release
 * takes the GIL. So it goes through the gate; behind the closed one it is left. */
struct guarded {
	struct ArrowArray array;
};

static void guarded_release(struct ArrowArray *array)
{
	struct guarded *guarded = array->private_data;
	struct gate_stay stay;
	if (gate_enter_nogil(&stay, NULL)) {
		guarded->array.release(&guarded->array);
		gate_leave(&stay);
	}
	free(guarded);
	array->release = NULL;
}

/* Lets `array` be released through the gate. False: out of memory. */
static bool guard(struct ArrowArray *array)
{
	struct guarded *guarded = malloc(sizeof(*guarded));
	if (guarded) {
		guarded->array = *array;
		array->release = guarded_release;
		array->private_data = guarded;
	}
	return guarded != NULL;
}

static int read_next(void *ptr, const struct bsc_poll *poll, struct ArrowArray *array, struct ArrowSchema *schema,
                     bool *ended, struct bsc_error *err)
{
	struct reader *reader = ptr;
	int rc = BSC_OK;
	if (run_is_interrupted(reader->plan->instance->on_main, reader->unanswered)) {
		char message[512];
		snprintf(message, sizeof(message), "%.450s: interrupted by Ctrl-C", reader->plan->instance->label);
		return raised_fail_text(err, BSC_CANCELLED, message);
	}
	if (!reader->stream.release) {
		rc = next_item(reader, poll, array, schema, ended, err);
	}
	if (rc == BSC_OK && reader->stream.release) {
		rc = next_of_stream(reader, poll, array, schema, err);
	}
	if (rc == BSC_OK && array->release && !guard(array)) {
		array->release(array);
		rc = raised_fail_text(err, BSC_NOMEM, "out of memory for a batch");
	}
	return rc;
}

static void read_close(void *ptr)
{
	struct reader *reader = ptr;
	struct closing closing;
	if (closing_enter(&closing)) {
		if (reader->stream.release) {
			reader->stream.release(&reader->stream);
		}
		if (reader->held->refs[0] && object_of(reader->plan->instance)) {
			call_quietly(PyObject_CallMethodOneArg(object_of(reader->plan->instance), py.end, reader->held->refs[0]));
		}
		held_drop(reader->held);
		closing_leave(&closing);
	} else {
		held_abandon(reader->held);
	}
	free(reader);
}

/* ---- the log ---- */

/* bsc_log_warning, to Python's logging. Behind the closed gate nobody reads it. */
static void log_warning(const char *text)
{
	struct closing closing;
	if (closing_enter(&closing)) {
		call_quietly(PyObject_CallFunction(py.warn, "s", text));
		closing_leave(&closing);
	}
}

/* ---- the executor ---- */

static int intern(const char *name, PyObject **out)
{
	*out = PyUnicode_InternFromString(name);
	return *out ? 0 : -1;
}

const struct bsc_executor *inprocess_executor(void)
{
	static const struct bsc_executor executor = {
	    .name = "inprocess",
	    .resolve = resolve,
	    .class_release = class_release,
	    .wants_process = wants_process,
	    .open = instance_open,
	    .close = instance_close,
	    .statistics = statistics,
	    .claim = claim,
	    .offset = offset,
	    .plan = plan_new,
	    .plan_free = plan_free,
	    .plan_spec = plan_spec,
	    .read_open = read_open,
	    .read_next = read_next,
	    .read_close = read_close,
	};
	if (py.close) {
		return &executor;
	}
	static bool watching;
	if (!watching) {
		watching = true;
		gate_watch_forks();
		held_watch_forks();
	}
	/* `close` last: it says that all are there. */
	if (imported("bascule._instance", "resolve", &py.resolve) < 0 ||
	    imported("bascule._instance", "release", &py.release) < 0 ||
	    imported("bascule._instance", "shutdown", &py.shutdown) < 0 ||
	    imported("bascule._instance", "warn", &py.warn) < 0 ||
	    imported("bascule._instance", "Instance", &py.instance_type) < 0 || planned_init() < 0 || run_init() < 0 ||
	    exported_init() < 0 || watch_init() < 0 || trimmed_init() < 0 || intern("statistics", &py.statistics) < 0 ||
	    intern("claim", &py.claim) < 0 || intern("offset", &py.offset) < 0 || intern("open", &py.open) < 0 ||
	    intern("plan", &py.plan) < 0 || intern("restore", &py.restore) < 0 || intern("spec", &py.spec) < 0 ||
	    intern("read", &py.read) < 0 || intern("end", &py.end) < 0 || intern("masked", &py.masked) < 0 ||
	    intern("close", &py.close) < 0) {
		return NULL;
	}
	bsc_log_set_sink(log_warning);
	return &executor;
}

void inprocess_shutdown(void)
{
	if (!py.close) {
		return;
	}
	/* Readers and plans before their instances. None is added meanwhile: the gate
	 * is closed. */
	PyObject *refs[2];
	while (held_take_last(refs)) {
		if (refs[0] && Py_TYPE(refs[0]) == (PyTypeObject *)py.instance_type) {
			call_quietly(PyObject_CallMethodNoArgs(refs[0], py.close));
		}
		Py_XDECREF(refs[0]);
		Py_XDECREF(refs[1]);
	}
	PyObject *done = PyObject_CallNoArgs(py.shutdown);
	if (!done) {
		PyErr_WriteUnraisable(py.shutdown);
	}
	Py_XDECREF(done);
}
