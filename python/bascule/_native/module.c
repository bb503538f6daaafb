/* bascule._native: the core for Python, without any engine.
 *
 *   source = Source("pkg.mod:Class", {"region": "eu"})
 *   plan = source.plan(["a", "b"])
 *   scan = plan.scan()
 *   pyarrow.RecordBatchReader.from_stream(scan.partition(0))
 *
 * and what the engine adapters in Python need: register_duckdb, close_gate. The
 * stubs with the docstrings are in _native.pyi. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string.h>

#include "arguments.h"
#include "bascule.h"
#include "capsule.h"
#include "duckdb_adapter.h"
#include "gate.h"
#include "hosting.h"
#include "inprocess.h"
#include "metrics.h"
#include "partition_stream.h"
#include "worker.h"

struct module_state {
	PyObject *error, *option_error, *not_found, *mismatch; /* of bascule.errors */
	PyTypeObject *source_type, *plan_type, *scan_type, *partition_type;
};

static struct module_state *state_of(PyTypeObject *type)
{
	return PyType_GetModuleState(type);
}

/* ---- errors ---- */

static PyObject *raise(const struct module_state *state, const struct bsc_error *err)
{
	/* A Ctrl-C that cancelled it may still wait to be raised: once is enough. */
	if (err->status == BSC_CANCELLED && PyErr_CheckSignals() < 0) {
		return NULL;
	}
	PyObject *type = err->status == BSC_NOMEM       ? PyExc_MemoryError
	                 : err->status == BSC_CANCELLED ? PyExc_KeyboardInterrupt
	                 : err->status == BSC_INVALID   ? state->option_error
	                 : err->status == BSC_NOT_FOUND ? state->not_found
	                 : err->status == BSC_MISMATCH  ? state->mismatch
	                                                : state->error;
	PyObject *text = PyUnicode_DecodeUTF8(err->message, (Py_ssize_t)strlen(err->message), "replace");
	if (text) {
		PyErr_SetObject(type, text);
		Py_DECREF(text);
	}
	return NULL;
}

/* The executor of this process's own interpreter, which also hosts worker processes. NULL: an exception is set. */
static const struct bsc_executor *hosts_executor(void)
{
	const struct bsc_executor *executor = inprocess_executor();
	return executor && hosting_init() == 0 ? executor : NULL;
}

/* ---- schemas ---- */

static PyObject *copy_of_schema(const struct module_state *state, const struct ArrowSchema *schema)
{
	struct ArrowSchema *copy = PyMem_Calloc(1, sizeof(*copy));
	if (!copy) {
		return PyErr_NoMemory();
	}
	struct bsc_error err;
	if (bsc_schema_copy(schema, copy, &err) != BSC_OK) {
		PyMem_Free(copy);
		return raise(state, &err);
	}
	return capsule_schema(copy);
}

/* ---- objects ---- */

struct source_object {
	PyObject_HEAD struct bsc_source *source;
};

struct plan_object {
	PyObject_HEAD struct bsc_plan *plan;
};

struct scan_object {
	PyObject_HEAD struct bsc_plan *plan;
	struct bsc_scan *scan;
};

struct partition_object {
	PyObject_HEAD struct bsc_plan *plan;
	struct bsc_scan *scan;
	int64_t partition;
};

/* Frees the object; heap types are referenced by their instances. */
static void object_free(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);
	type->tp_free(self);
	Py_DECREF(type);
}

/* ---- Partition ---- */

static void partition_dealloc(struct partition_object *self)
{
	bsc_scan_close(self->scan);
	bsc_plan_free(self->plan);
	object_free((PyObject *)self);
}

static PyObject *partition_schema(struct partition_object *self, PyObject *Py_UNUSED(args))
{
	return copy_of_schema(state_of(Py_TYPE(self)), bsc_plan_schema(self->plan));
}

static PyObject *partition_export(struct partition_object *self, PyObject *args, PyObject *kwargs)
{
	/* A requested schema is a wish that the consumer must check anyway. */
	static char *names[] = {"requested_schema", NULL};
	PyObject *requested = NULL;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:__arrow_c_stream__", names, &requested)) {
		return NULL;
	}
	struct ArrowArrayStream *stream = PyMem_Calloc(1, sizeof(*stream));
	if (!stream) {
		return PyErr_NoMemory();
	}
	struct bsc_error err;
	if (partition_stream_open(self->plan, self->scan, self->partition, stream, &err) != BSC_OK) {
		PyMem_Free(stream);
		return raise(state_of(Py_TYPE(self)), &err);
	}
	return capsule_stream(stream);
}

static PyMethodDef partition_methods[] = {
    {"__arrow_c_schema__", (PyCFunction)partition_schema, METH_NOARGS, NULL},
    {"__arrow_c_stream__", (PyCFunction)(void (*)(void))partition_export, METH_VARARGS | METH_KEYWORDS, NULL},
    {0}};

static PyType_Slot partition_slots[] = {
    {Py_tp_dealloc, partition_dealloc}, {Py_tp_methods, partition_methods}, {0, NULL}};

static PyType_Spec partition_spec = {"bascule._native.Partition", sizeof(struct partition_object), 0,
                                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, partition_slots};

/* ---- Scan ---- */

static void scan_dealloc(struct scan_object *self)
{
	bsc_scan_close(self->scan);
	bsc_plan_free(self->plan);
	object_free((PyObject *)self);
}

static PyObject *scan_partition(struct scan_object *self, PyObject *arg)
{
	struct module_state *state = state_of(Py_TYPE(self));
	long long partition = PyLong_AsLongLong(arg);
	if (partition == -1 && PyErr_Occurred()) {
		return NULL;
	}
	int64_t n = bsc_plan_partition_count(self->plan);
	if (partition < 0 || partition >= n) {
		return PyErr_Format(PyExc_IndexError, "partition %lld: the plan has %lld", partition, (long long)n);
	}
	struct partition_object *made = PyObject_New(struct partition_object, state->partition_type);
	if (made) {
		bsc_plan_ref(self->plan);
		bsc_scan_ref(self->scan);
		made->plan = self->plan;
		made->scan = self->scan;
		made->partition = partition;
	}
	return (PyObject *)made;
}

static PyObject *scan_cancel(struct scan_object *self, PyObject *Py_UNUSED(args))
{
	bsc_scan_cancel(self->scan);
	Py_RETURN_NONE;
}

static PyObject *scan_finish(struct scan_object *self, PyObject *Py_UNUSED(args))
{
	bsc_scan_finish(self->scan);
	Py_RETURN_NONE;
}

static PyObject *scan_number(struct scan_object *self, void *Py_UNUSED(closure))
{
	return PyLong_FromLongLong(bsc_scan_number(self->scan));
}

static PyObject *scan_progress(struct scan_object *self, void *Py_UNUSED(closure))
{
	return PyFloat_FromDouble(bsc_scan_progress(self->scan));
}

static PyObject *scan_metrics(struct scan_object *self, PyObject *Py_UNUSED(args))
{
	return metrics_of(self->scan);
}

static PyMethodDef scan_methods[] = {{"metrics", (PyCFunction)scan_metrics, METH_NOARGS, NULL},
                                     {"partition", (PyCFunction)scan_partition, METH_O, NULL},
                                     {"cancel", (PyCFunction)scan_cancel, METH_NOARGS, NULL},
                                     {"finish", (PyCFunction)scan_finish, METH_NOARGS, NULL},
                                     {0}};

static PyGetSetDef scan_getset[] = {
    {"number", (getter)scan_number, NULL, NULL, NULL}, {"progress", (getter)scan_progress, NULL, NULL, NULL}, {0}};

static PyType_Slot scan_slots[] = {
    {Py_tp_dealloc, scan_dealloc}, {Py_tp_methods, scan_methods}, {Py_tp_getset, scan_getset}, {0, NULL}};

static PyType_Spec scan_spec = {"bascule._native.Scan", sizeof(struct scan_object), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, scan_slots};

/* ---- Plan ---- */

static void plan_dealloc(struct plan_object *self)
{
	bsc_plan_free(self->plan);
	object_free((PyObject *)self);
}

static PyObject *plan_scan(struct plan_object *self, PyObject *Py_UNUSED(args))
{
	struct module_state *state = state_of(Py_TYPE(self));
	struct bsc_scan *scan;
	struct bsc_error err;
	if (bsc_scan_open(self->plan, &scan, &err) != BSC_OK) {
		return raise(state, &err);
	}
	struct scan_object *made = PyObject_New(struct scan_object, state->scan_type);
	if (!made) {
		bsc_scan_close(scan);
		return NULL;
	}
	bsc_plan_ref(self->plan);
	made->plan = self->plan;
	made->scan = scan;
	return (PyObject *)made;
}

static PyObject *plan_schema(struct plan_object *self, PyObject *Py_UNUSED(args))
{
	return copy_of_schema(state_of(Py_TYPE(self)), bsc_plan_schema(self->plan));
}

static PyObject *plan_partition_count(struct plan_object *self, void *Py_UNUSED(closure))
{
	return PyLong_FromLongLong(bsc_plan_partition_count(self->plan));
}

static PyObject *plan_row_count(struct plan_object *self, void *Py_UNUSED(closure))
{
	int64_t rows = bsc_plan_row_count(self->plan);
	if (rows < 0) {
		Py_RETURN_NONE;
	}
	return PyLong_FromLongLong(rows);
}

static PyObject *plan_pushed(struct plan_object *self, void *Py_UNUSED(closure))
{
	const char *text = bsc_plan_pushed(self->plan);
	return PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
}

static PyObject *plan_spec_bytes(struct plan_object *self, PyObject *arg)
{
	long long partition = PyLong_AsLongLong(arg);
	if (partition == -1 && PyErr_Occurred()) {
		return NULL;
	}
	char *spec;
	size_t len;
	struct bsc_error err;
	int rc;
	Py_BEGIN_ALLOW_THREADS
	rc = bsc_plan_spec(self->plan, partition, &spec, &len, &err);
	Py_END_ALLOW_THREADS
	if (rc != BSC_OK) {
		return raise(state_of(Py_TYPE(self)), &err);
	}
	PyObject *bytes = PyBytes_FromStringAndSize(spec, (Py_ssize_t)len);
	free(spec);
	return bytes;
}

static PyObject *plan_concurrency(struct plan_object *self, void *Py_UNUSED(closure))
{
	return PyLong_FromLongLong(bsc_plan_concurrency(self->plan));
}

static PyMethodDef plan_methods[] = {{"scan", (PyCFunction)plan_scan, METH_NOARGS, NULL},
                                     {"spec", (PyCFunction)plan_spec_bytes, METH_O, NULL},
                                     {"__arrow_c_schema__", (PyCFunction)plan_schema, METH_NOARGS, NULL},
                                     {0}};

static PyGetSetDef plan_getset[] = {{"partition_count", (getter)plan_partition_count, NULL, NULL, NULL},
                                    {"concurrency", (getter)plan_concurrency, NULL, NULL, NULL},
                                    {"row_count", (getter)plan_row_count, NULL, NULL, NULL},
                                    {"pushed", (getter)plan_pushed, NULL, NULL, NULL},
                                    {0}};

static PyType_Slot plan_slots[] = {
    {Py_tp_dealloc, plan_dealloc}, {Py_tp_methods, plan_methods}, {Py_tp_getset, plan_getset}, {0, NULL}};

static PyType_Spec plan_spec = {"bascule._native.Plan", sizeof(struct plan_object), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, plan_slots};

/* ---- Source ---- */

/* The items of a mapping of strings, as options. */
static struct bsc_options *options_from(const struct module_state *state, PyObject *mapping)
{
	struct bsc_options *options = NULL;
	struct bsc_error err;
	if (bsc_options_new(&options, &err) != BSC_OK) {
		raise(state, &err);
		return NULL;
	}
	PyObject *items = mapping && mapping != Py_None ? PyMapping_Items(mapping) : PyList_New(0);
	bool good = items != NULL;
	for (Py_ssize_t i = 0; good && i < PyList_GET_SIZE(items); i++) {
		struct bsc_str name, value;
		Py_ssize_t name_len, value_len;
		PyObject *pair = PyList_GET_ITEM(items, i);
		if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2 || !PyUnicode_Check(PyTuple_GET_ITEM(pair, 0)) ||
		    !PyUnicode_Check(PyTuple_GET_ITEM(pair, 1))) {
			PyErr_Format(PyExc_TypeError, "options are strings by name, got the item %R", pair);
			good = false;
			break;
		}
		name.ptr = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(pair, 0), &name_len);
		value.ptr = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(pair, 1), &value_len);
		if (!name.ptr || !value.ptr) {
			good = false;
			break;
		}
		name.len = (size_t)name_len;
		value.len = (size_t)value_len;
		if (bsc_options_add(options, name, value, &err) != BSC_OK) {
			raise(state, &err);
			good = false;
		}
	}
	Py_XDECREF(items);
	if (!good) {
		bsc_options_free(options);
		return NULL;
	}
	return options;
}

static PyObject *source_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"name", "options", NULL};
	struct module_state *state = state_of(type);
	const char *text;
	Py_ssize_t len;
	PyObject *mapping = NULL;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s#|O:Source", names, &text, &len, &mapping)) {
		return NULL;
	}
	const struct bsc_executor *executor = hosts_executor();
	struct bsc_options *options = executor ? options_from(state, mapping) : NULL;
	if (!options) {
		return NULL;
	}
	struct source_object *self = (struct source_object *)type->tp_alloc(type, 0);
	if (!self) {
		bsc_options_free(options);
		return NULL;
	}
	struct bsc_error err;
	int rc;
	Py_BEGIN_ALLOW_THREADS
	rc = bsc_source_open(executor, (struct bsc_str){text, (size_t)len}, options, 0, NULL, &self->source, &err);
	Py_END_ALLOW_THREADS
	if (rc != BSC_OK) {
		bsc_options_free(options);
		Py_DECREF(self);
		return raise(state, &err);
	}
	return (PyObject *)self;
}

static void source_dealloc(struct source_object *self)
{
	bsc_source_close(self->source);
	object_free((PyObject *)self);
}

static PyObject *source_schema(struct source_object *self, PyObject *Py_UNUSED(args))
{
	return copy_of_schema(state_of(Py_TYPE(self)), bsc_source_schema(self->source));
}

static PyObject *source_label(struct source_object *self, void *Py_UNUSED(closure))
{
	return PyUnicode_FromString(bsc_source_label(self->source));
}

static PyObject *source_plan(struct source_object *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"columns", "filters", "limit", "specs", "start", "end", "portable", NULL};
	struct module_state *state = state_of(Py_TYPE(self));
	PyObject *columns = Py_None, *limit = Py_None, *specs = NULL;
	const char *bytes = NULL, *start = NULL, *end = NULL;
	Py_ssize_t bytes_len = 0, n = 0, start_len = 0, end_len = 0;
	int portable = 0;
	int64_t *indices = NULL;
	struct bsc_str *views = NULL;
	struct bsc_filter *filter = NULL;
	struct bsc_error err;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|Oz#OO!z#z#p:plan", names, &columns, &bytes, &bytes_len, &limit,
	                                 &PyList_Type, &specs, &start, &start_len, &end, &end_len, &portable)) {
		return NULL;
	}
	struct bsc_request request = {.limited = limit != Py_None,
	                              .limit = limit != Py_None ? PyLong_AsLongLong(limit) : 0};
	if (PyErr_Occurred() || (columns != Py_None && !(indices = arguments_columns(self->source, columns, &n))) ||
	    (specs && !(views = arguments_specs(specs)))) {
		PyMem_Free(indices);
		return NULL;
	}
	if (bytes && bsc_filter_read((struct bsc_str){bytes, (size_t)bytes_len}, bsc_source_schema(self->source), &filter,
	                             &err) != BSC_OK) {
		PyMem_Free(indices);
		PyMem_Free(views);
		return raise(state, &err);
	}
	request.specs = views;
	request.n_specs = specs ? PyList_GET_SIZE(specs) : 0;
	request.columns = indices;
	request.n_columns = n;
	request.filter = filter;
	request.portable = portable;
	request.offsets = (struct bsc_offsets){{start, (size_t)start_len}, {end, (size_t)end_len}};
	struct plan_object *made = PyObject_New(struct plan_object, state->plan_type);
	int rc = BSC_OK;
	if (made) {
		made->plan = NULL;
		Py_BEGIN_ALLOW_THREADS
		rc = bsc_plan_new(self->source, &request, NULL, &made->plan, &err);
		Py_END_ALLOW_THREADS
	}
	bsc_filter_free(filter);
	PyMem_Free(indices);
	PyMem_Free(views);
	if (rc != BSC_OK) {
		Py_DECREF(made);
		return raise(state, &err);
	}
	return (PyObject *)made;
}

static PyObject *source_claim(struct source_object *self, PyObject *args)
{
	const char *bytes;
	Py_ssize_t len, n;
	if (!PyArg_ParseTuple(args, "y#n:claim", &bytes, &len, &n)) {
		return NULL;
	}
	bool *exact = PyMem_Calloc((size_t)(n > 0 ? n : 1), sizeof(*exact));
	if (!exact) {
		return PyErr_NoMemory();
	}
	struct bsc_error err;
	int rc;
	Py_BEGIN_ALLOW_THREADS
	rc = bsc_source_claim(self->source, (struct bsc_str){bytes, (size_t)len}, NULL, exact, (size_t)(n > 0 ? n : 0),
	                      &err);
	Py_END_ALLOW_THREADS
	PyObject *list = rc == BSC_OK ? PyList_New(n > 0 ? n : 0) : raise(state_of(Py_TYPE(self)), &err);
	for (Py_ssize_t i = 0; list && i < n; i++) {
		PyList_SET_ITEM(list, i, PyBool_FromLong(exact[i]));
	}
	PyMem_Free(exact);
	return list;
}

static PyObject *source_statistics(struct source_object *self, PyObject *Py_UNUSED(args))
{
	struct bsc_statistics found;
	struct bsc_error err;
	int rc;
	Py_BEGIN_ALLOW_THREADS
	rc = bsc_source_statistics(self->source, NULL, &found, &err);
	Py_END_ALLOW_THREADS
	if (rc != BSC_OK) {
		return raise(state_of(Py_TYPE(self)), &err);
	}
	return Py_BuildValue("LLN", (long long)found.n_rows, (long long)found.n_bytes, PyBool_FromLong(found.exact));
}

static PyObject *source_offset(struct source_object *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"question", "start", "end", NULL};
	int question;
	const char *start = NULL, *end = NULL;
	Py_ssize_t start_len = 0, end_len = 0;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "i|z#z#:offset", names, &question, &start, &start_len, &end,
	                                 &end_len)) {
		return NULL;
	}
	if (question < BSC_OFFSET_INITIAL || question > BSC_OFFSET_COMMIT) {
		return PyErr_Format(PyExc_ValueError, "there is no question %d about offsets", question);
	}
	const struct bsc_offsets offsets = {{start, (size_t)start_len}, {end, (size_t)end_len}};
	char *answer;
	struct bsc_error err;
	int rc;
	Py_BEGIN_ALLOW_THREADS
	rc = bsc_source_offset(self->source, (enum bsc_offset_question)question, &offsets, NULL, &answer, &err);
	Py_END_ALLOW_THREADS
	if (rc != BSC_OK) {
		return raise(state_of(Py_TYPE(self)), &err);
	}
	PyObject *text = PyUnicode_FromString(answer ? answer : "");
	free(answer);
	return text;
}

static PyMethodDef source_methods[] = {
    {"plan", (PyCFunction)(void (*)(void))source_plan, METH_VARARGS | METH_KEYWORDS, NULL},
    {"claim", (PyCFunction)source_claim, METH_VARARGS, NULL},
    {"offset", (PyCFunction)(void (*)(void))source_offset, METH_VARARGS | METH_KEYWORDS, NULL},
    {"statistics", (PyCFunction)source_statistics, METH_NOARGS, NULL},
    {"__arrow_c_schema__", (PyCFunction)source_schema, METH_NOARGS, NULL},
    {0}};

static PyGetSetDef source_getset[] = {{"label", (getter)source_label, NULL, NULL, NULL}, {0}};

static PyType_Slot source_slots[] = {{Py_tp_new, source_new},
                                     {Py_tp_dealloc, source_dealloc},
                                     {Py_tp_methods, source_methods},
                                     {Py_tp_getset, source_getset},
                                     {0, NULL}};

static PyType_Spec source_spec = {"bascule._native.Source", sizeof(struct source_object), 0, Py_TPFLAGS_DEFAULT,
                                  source_slots};

/* ---- module ---- */

static PyObject *py_register_duckdb(PyObject *module, PyObject *args)
{
	const char *path;
	if (!PyArg_ParseTuple(args, "s:register_duckdb", &path)) {
		return NULL;
	}
	const struct bsc_executor *executor = hosts_executor();
	struct bsc_error err;
	if (!executor) {
		return NULL;
	}
	if (duckdb_adapter_register(path, executor, &err) != BSC_OK) {
		return raise(PyModule_GetState(module), &err);
	}
	Py_RETURN_NONE;
}

/* How long the end of the interpreter waits for threads that read a source. */
#define EXIT_TIMEOUT_MS 10000
/* And until worker processes have closed their instances. */
#define WORKERS_END_TIMEOUT_MS 3000

static PyObject *py_close_gate(PyObject *Py_UNUSED(module), PyObject *args)
{
	int timeout_ms = EXIT_TIMEOUT_MS;
	if (!PyArg_ParseTuple(args, "|i:close_gate", &timeout_ms)) {
		return NULL;
	}
	int left = gate_close(timeout_ms);
	Py_BEGIN_ALLOW_THREADS
	bsc_process_end_workers(WORKERS_END_TIMEOUT_MS);
	Py_END_ALLOW_THREADS
	if (left) {
		PySys_WriteStderr("bascule: %d thread(s) still read a source at exit, and did not stop within %d ms\n", left,
		                  timeout_ms);
	} else {
		inprocess_shutdown();
	}
	return PyLong_FromLong(left);
}

static PyObject *py_end_workers(PyObject *Py_UNUSED(module), PyObject *args)
{
	int timeout_ms = WORKERS_END_TIMEOUT_MS;
	if (!PyArg_ParseTuple(args, "|i:end_workers", &timeout_ms)) {
		return NULL;
	}
	Py_BEGIN_ALLOW_THREADS
	bsc_process_end_workers(timeout_ms);
	Py_END_ALLOW_THREADS
	Py_RETURN_NONE;
}

static PyObject *py_worker_count(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
	return PyLong_FromLongLong(bsc_process_worker_count());
}

static PyObject *py_clear_cache(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
	bsc_cache_clear();
	Py_RETURN_NONE;
}

static PyObject *py_parse_locator(PyObject *module, PyObject *arg)
{
	struct bsc_locator locator;
	struct bsc_error err;
	Py_ssize_t len;
	const char *text = PyUnicode_AsUTF8AndSize(arg, &len);
	if (!text) {
		return NULL;
	}
	if (bsc_locator_parse((struct bsc_str){text, (size_t)len}, &locator, &err) != BSC_OK) {
		return raise(PyModule_GetState(module), &err);
	}
	return Py_BuildValue("is#s#", (int)locator.kind, locator.module.ptr ? locator.module.ptr : "",
	                     (Py_ssize_t)locator.module.len, locator.name.ptr, (Py_ssize_t)locator.name.len);
}

static PyMethodDef module_methods[] = {{"parse_locator", py_parse_locator, METH_O, NULL},
                                       {"register_duckdb", py_register_duckdb, METH_VARARGS, NULL},
                                       {"close_gate", py_close_gate, METH_VARARGS, NULL},
                                       {"end_workers", py_end_workers, METH_VARARGS, NULL},
                                       {"clear_cache", py_clear_cache, METH_NOARGS, NULL},
                                       {"worker_count", py_worker_count, METH_NOARGS, NULL},
                                       {0}};

static int add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **out)
{
	*out = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
	return *out ? PyModule_AddType(module, *out) : -1;
}

static int close_gate_at_exit(PyObject *module)
{
	PyObject *atexit = PyImport_ImportModule("atexit");
	PyObject *close = !atexit ? NULL : PyObject_GetAttrString(module, "close_gate");
	PyObject *done = atexit && close ? PyObject_CallMethod(atexit, "register", "O", close) : NULL;
	Py_XDECREF(done);
	Py_XDECREF(close);
	Py_XDECREF(atexit);
	return done ? 0 : -1;
}

static int module_exec(PyObject *module)
{
	struct module_state *state = PyModule_GetState(module);
	if (close_gate_at_exit(module) < 0) {
		return -1;
	}
	PyObject *errors = PyImport_ImportModule("bascule.errors");
	if (!errors) {
		return -1;
	}
	state->error = PyObject_GetAttrString(errors, "BasculeError");
	state->option_error = !state->error ? NULL : PyObject_GetAttrString(errors, "OptionError");
	state->not_found = !state->option_error ? NULL : PyObject_GetAttrString(errors, "SourceNotFoundError");
	state->mismatch = !state->not_found ? NULL : PyObject_GetAttrString(errors, "MismatchError");
	Py_DECREF(errors);
	if (!state->error || !state->option_error || !state->not_found || !state->mismatch ||
	    add_type(module, &source_spec, &state->source_type) < 0 ||
	    add_type(module, &plan_spec, &state->plan_type) < 0 || add_type(module, &scan_spec, &state->scan_type) < 0 ||
	    add_type(module, &partition_spec, &state->partition_type) < 0 || worker_add(module) < 0 ||
	    metrics_add(module) < 0) {
		return -1;
	}
	PyObject *names = PyTuple_New(0);
	for (const char *const *name = bsc_setting_names(); names && *name; name++) {
		PyObject *one = Py_BuildValue("(s)", *name), *all = one ? PySequence_Concat(names, one) : NULL;
		Py_XDECREF(one);
		Py_SETREF(names, all);
	}
	int rc = names ? PyModule_AddObjectRef(module, "setting_names", names) : -1;
	Py_XDECREF(names);
	return rc < 0 ? -1 : PyModule_AddStringConstant(module, "duckdb_version", duckdb_adapter_version());
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
	struct module_state *state = PyModule_GetState(module);
	Py_VISIT(state->error);
	Py_VISIT(state->option_error);
	Py_VISIT(state->not_found);
	Py_VISIT(state->mismatch);
	Py_VISIT(state->source_type);
	Py_VISIT(state->plan_type);
	Py_VISIT(state->scan_type);
	Py_VISIT(state->partition_type);
	return 0;
}

static int module_clear(PyObject *module)
{
	struct module_state *state = PyModule_GetState(module);
	Py_CLEAR(state->error);
	Py_CLEAR(state->option_error);
	Py_CLEAR(state->not_found);
	Py_CLEAR(state->mismatch);
	Py_CLEAR(state->source_type);
	Py_CLEAR(state->plan_type);
	Py_CLEAR(state->scan_type);
	Py_CLEAR(state->partition_type);
	return 0;
}

static struct PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    /* The gate and the executor are the process's: one interpreter. */
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    /* A free-threaded build turns its GIL on for us: the gate's order at exit
	 * leans on it, and nothing was tested without. */
    {Py_mod_gil, Py_MOD_GIL_USED},
#endif
    {0, NULL}};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_native",
    .m_doc = "The C core for Python.",
    .m_size = sizeof(struct module_state),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
};

PyMODINIT_FUNC PyInit__native(void)
{
	return PyModuleDef_Init(&module_def);
}
