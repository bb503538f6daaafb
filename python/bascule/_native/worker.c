/* The worker's end of the conversation, for Python. The stub with the docstrings is in
 * _native.pyi. */
#include "worker.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "exported.h"
#include "imported.h"
#include "process/serve.h"
#include "raised.h"
#include "trimmed.h"

struct serving_object {
	PyObject_HEAD struct bsc__serving serving;
	bool open;
	PyObject *error, *mismatch, *contract; /* of bascule.errors */
};

/* ---- errors ---- */

/* An exception with a text, and the status that it has for the host. */
static void raise_status(PyObject *type, int status, PyObject *text)
{
	PyObject *error = text ? PyObject_CallOneArg(type, text) : NULL;
	PyObject *number = error ? PyLong_FromLong(status) : NULL;
	if (number && PyObject_SetAttrString(error, "_status", number) == 0) {
		PyErr_SetObject(type, error);
	}
	Py_XDECREF(number);
	Py_XDECREF(error);
	Py_XDECREF(text);
}

static PyObject *raise(const struct serving_object *self, const struct bsc_error *err)
{
	raise_status(self->error, err->status,
	             PyUnicode_DecodeUTF8(err->message, (Py_ssize_t)strlen(err->message), "replace"));
	return NULL;
}

/* As the core words it, with the source and the partition before it. */
static void raise_batch(const struct serving_object *self, const struct bsc_error *err, long long batch)
{
	const char *whose =
	    err->status != BSC_MALFORMED
	        ? ""
	        : ". The object that read_partition yielded exports a broken Arrow array: check the library "
	          "that made it";
	raise_status(self->mismatch, err->status, PyUnicode_FromFormat("batch %lld: %s%s", batch, err->message, whose));
}

/* ---- a read ---- */

/* What of it is in hand. */
struct read {
	struct serving_object *self;
	PyObject *items;
	PyObject *columns;              /* tuple of names, or None */
	PyObject *known;                /* by trimmed() */
	struct ArrowArrayStream stream; /* release == NULL: none */
	struct ArrowSchema schema;      /* of the stream, or of the array */
	struct ArrowArray array;
	long long batch;
};

static void release_schema(struct read *read)
{
	if (read->schema.release) {
		read->schema.release(&read->schema);
		read->schema.release = NULL;
	}
}

static void release_stream(struct read *read)
{
	if (read->stream.release) {
		read->stream.release(&read->stream);
		read->stream.release = NULL;
	}
	release_schema(read);
}

/* -1: an exception is set, 0: no more items, 1: an array, or a stream that is then in hand. */
static int next_item(struct read *read)
{
	int64_t begun = bsc__now_ns();
	PyObject *item = PyIter_Next(read->items);
	bsc_meter_time(&read->self->serving.meter, bsc__now_ns() - begun, 0);
	if (!item) {
		return PyErr_Occurred() ? -1 : 0;
	}
	item = trimmed(item, read->columns, &read->known);
	if (!item) {
		return -1;
	}
	int done = exported_item(item, &read->array, &read->schema, &read->stream);
	Py_DECREF(item);
	return done;
}

/* The next array of the stream in hand, at whose end it is in hand no more. It takes the GIL
 * itself, if it needs it. -1: an exception is set. */
static int next_of_stream(struct read *read)
{
	struct ArrowArrayStream *stream = &read->stream;
	const char *what = NULL;
	int code = 0;
	int64_t begun = bsc__now_ns();
	Py_BEGIN_ALLOW_THREADS
	if (!read->schema.release) {
		code = stream->get_schema(stream, &read->schema);
		what = code ? "get_schema" : NULL;
	}
	if (!what) {
		code = stream->get_next(stream, &read->array);
		what = code ? "get_next" : NULL;
	}
	Py_END_ALLOW_THREADS
	bsc_meter_time(&read->self->serving.meter, bsc__now_ns() - begun, 0);
	if (what) {
		const char *said = stream->get_last_error(stream);
		PyObject *text = PyUnicode_DecodeUTF8(said ? said : strerror(code),
		                                      (Py_ssize_t)strlen(said ? said : strerror(code)), "replace");
		PyObject *message =
		    text ? PyUnicode_FromFormat("yielded an Arrow stream that failed in %s: %U", what, text) : NULL;
		Py_XDECREF(text);
		if (message) {
			PyErr_SetObject(read->self->contract, message);
			Py_DECREF(message);
		}
		read->array.release = NULL;
		release_stream(read);
		return -1;
	}
	if (!read->array.release) {
		release_stream(read);
	}
	return 0;
}

/* The array in hand, to the host. -1: an exception is set. */
static int send_batch(struct read *read)
{
	struct bsc_error err;
	int rc;
	Py_BEGIN_ALLOW_THREADS
	rc = bsc__serving_batch(&read->self->serving, &read->schema, &read->array, &err);
	Py_END_ALLOW_THREADS
	read->array.release(&read->array);
	read->array.release = NULL;
	if (!read->stream.release) {
		release_schema(read);
	}
	if (rc != BSC_OK) {
		raise_batch(read->self, &err, read->batch);
		return -1;
	}
	read->batch++;
	return 0;
}

/* Until the read ends, or is not wanted. -1: an exception is set. */
static int run(struct read *read)
{
	for (;;) {
		enum bsc__serving_state state;
		Py_BEGIN_ALLOW_THREADS
		state = bsc__serving_wait(&read->self->serving);
		Py_END_ALLOW_THREADS
		if (PyErr_CheckSignals() < 0) {
			return -1;
		}
		if (state == BSC__SERVING_INTERRUPTED) {
			continue;
		}
		if (state != BSC__SERVING_GO) {
			return 0;
		}
		if (!read->stream.release) {
			int got = next_item(read);
			if (got <= 0) {
				return got;
			}
		}
		if (read->stream.release && next_of_stream(read) < 0) {
			return -1;
		}
		if (read->array.release && send_batch(read) < 0) {
			return -1;
		}
	}
}

/* The names as UTF-8, borrowed from the tuple. NULL: an exception is set. */
static const char **names_of(PyObject *columns)
{
	Py_ssize_t n = PyTuple_GET_SIZE(columns);
	const char **names = PyMem_Calloc((size_t)n + 1, sizeof(*names));
	if (!names) {
		PyErr_NoMemory();
	}
	for (Py_ssize_t i = 0; names && i < n; i++) {
		names[i] = PyUnicode_AsUTF8(PyTuple_GET_ITEM(columns, i));
		if (!names[i]) {
			PyMem_Free((void *)names);
			names = NULL;
		}
	}
	return names;
}

static bool check_open(const struct serving_object *self)
{
	if (!self->open) {
		PyErr_SetString(PyExc_ValueError, "the worker's socket is closed");
	}
	return self->open;
}

static PyObject *serving_stream(struct serving_object *self, PyObject *args)
{
	unsigned long long number, window;
	PyObject *items, *columns;
	if (!PyArg_ParseTuple(args, "KKOO:stream", &number, &window, &items, &columns) || !check_open(self)) {
		return NULL;
	}
	if (!PyIter_Check(items) || (columns != Py_None && !PyTuple_Check(columns))) {
		PyErr_SetString(PyExc_TypeError, "stream takes an iterator, and a tuple of names or None");
		return NULL;
	}
	const char **names = columns == Py_None ? NULL : names_of(columns);
	if (columns != Py_None && !names) {
		return NULL;
	}
	struct read read = {.self = self, .items = items, .columns = columns};
	bsc__serving_begin(&self->serving, number, window, names, names ? (size_t)PyTuple_GET_SIZE(columns) : 0);
	int rc = run(&read);
	PyObject *error = rc < 0 ? raised_take() : NULL;
	release_stream(&read);
	Py_CLEAR(read.known);
	bsc__serving_end(&self->serving);
	PyMem_Free((void *)names);
	if (rc < 0) {
		PyErr_SetObject((PyObject *)Py_TYPE(error), error);
		Py_DECREF(error);
		return NULL;
	}
	Py_RETURN_NONE;
}

/* ---- requests and answers ---- */

static PyObject *serving_receive(struct serving_object *self, PyObject *Py_UNUSED(args))
{
	if (!check_open(self)) {
		return NULL;
	}
	for (;;) {
		struct bsc__frame frame;
		enum bsc__serving_state state;
		Py_BEGIN_ALLOW_THREADS
		state = bsc__serving_receive(&self->serving, &frame);
		Py_END_ALLOW_THREADS
		if (state == BSC__SERVING_GO) {
			return Py_BuildValue("iKy#", (int)frame.type, (unsigned long long)frame.number,
			                     (const char *)frame.payload.ptr, (Py_ssize_t)frame.payload.left);
		}
		if (state == BSC__SERVING_ENDED) {
			Py_RETURN_NONE;
		}
		if (PyErr_CheckSignals() < 0) {
			return NULL;
		}
	}
}

static PyObject *serving_answer(struct serving_object *self, PyObject *args)
{
	int type;
	unsigned long long number;
	Py_buffer payload;
	if (!PyArg_ParseTuple(args, "iKy*:answer", &type, &number, &payload)) {
		return NULL;
	}
	bool sent = false;
	if (check_open(self)) {
		Py_BEGIN_ALLOW_THREADS
		sent =
		    bsc__serving_answer(&self->serving, (enum bsc__frame_type)type, number, payload.buf, (size_t)payload.len);
		Py_END_ALLOW_THREADS
		if (!sent && !self->serving.gone) {
			PyErr_Format(PyExc_ValueError, "an answer of %zd bytes is too long", payload.len);
		}
	}
	PyBuffer_Release(&payload);
	if (PyErr_Occurred()) {
		return NULL;
	}
	Py_RETURN_NONE;
}

static PyObject *serving_opened(struct serving_object *self, PyObject *args)
{
	unsigned long long number;
	PyObject *exporter;
	const char *identity;
	Py_ssize_t len;
	int statistics;
	struct ArrowSchema schema = {0};
	if (!PyArg_ParseTuple(args, "KOs#p:opened", &number, &exporter, &identity, &len, &statistics) ||
	    !check_open(self) || (exporter != Py_None && exported_schema(exporter, &schema) < 0)) {
		return NULL;
	}
	struct bsc_error err;
	int rc = bsc__serving_opened(&self->serving, number, exporter == Py_None ? NULL : &schema,
	                             (struct bsc_str){identity, (size_t)len}, statistics != 0, &err);
	if (schema.release) {
		schema.release(&schema);
	}
	if (rc != BSC_OK) {
		return raise(self, &err);
	}
	Py_RETURN_NONE;
}

static PyObject *serving_fail(struct serving_object *self, PyObject *args)
{
	unsigned long long number;
	int status;
	const char *text;
	if (!PyArg_ParseTuple(args, "Kis:fail", &number, &status, &text) || !check_open(self)) {
		return NULL;
	}
	struct bsc_error err;
	raised_fail_text(&err, status, text);
	Py_BEGIN_ALLOW_THREADS(void)
	bsc__serving_fail(&self->serving, number, status, bsc__str(err.message));
	Py_END_ALLOW_THREADS
	Py_RETURN_NONE;
}

/* ---- costs ---- */

/* What classes report in this process, a worker, is of the request that lasts. Set once. */
static struct bsc_meter *reports;

struct bsc_meter *worker_meter(void)
{
	return reports;
}

static PyObject *serving_spent(struct serving_object *self, PyObject *arg)
{
	long long ns = PyLong_AsLongLong(arg);
	if (ns == -1 && PyErr_Occurred()) {
		return NULL;
	}
	bsc_meter_time(&self->serving.meter, ns, 0);
	Py_RETURN_NONE;
}

/* ---- the type ---- */

static PyObject *serving_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"fd", NULL};
	int fd;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "i:Serving", names, &fd)) {
		return NULL;
	}
	struct serving_object *self = (struct serving_object *)type->tp_alloc(type, 0);
	struct bsc_error err;
	if (!self || imported("bascule.errors", "BasculeError", &self->error) < 0 ||
	    imported("bascule.errors", "MismatchError", &self->mismatch) < 0 ||
	    imported("bascule.errors", "ContractError", &self->contract) < 0 || exported_init() < 0 || trimmed_init() < 0) {
		Py_XDECREF(self);
		return NULL;
	}
	if (bsc__serving_open(&self->serving, fd, &err) != BSC_OK) {
		raise(self, &err);
		Py_DECREF(self);
		return NULL;
	}
	self->open = true;
	reports = &self->serving.meter;
	if (bsc__serving_watch(fd, &err) != BSC_OK) {
		raise(self, &err);
		Py_DECREF(self);
		return NULL;
	}
	return (PyObject *)self;
}

static void serving_dealloc(struct serving_object *self)
{
	PyTypeObject *type = Py_TYPE(self);
	if (self->open) {
		reports = NULL;
		bsc__serving_close(&self->serving);
	}
	Py_XDECREF(self->error);
	Py_XDECREF(self->mismatch);
	Py_XDECREF(self->contract);
	type->tp_free((PyObject *)self);
	Py_DECREF(type);
}

static PyMethodDef serving_methods[] = {{"receive", (PyCFunction)serving_receive, METH_NOARGS, NULL},
                                        {"answer", (PyCFunction)serving_answer, METH_VARARGS, NULL},
                                        {"opened", (PyCFunction)serving_opened, METH_VARARGS, NULL},
                                        {"spent", (PyCFunction)serving_spent, METH_O, NULL},
                                        {"fail", (PyCFunction)serving_fail, METH_VARARGS, NULL},
                                        {"stream", (PyCFunction)serving_stream, METH_VARARGS, NULL},
                                        {0}};

static PyType_Slot serving_slots[] = {
    {Py_tp_new, serving_new}, {Py_tp_dealloc, serving_dealloc}, {Py_tp_methods, serving_methods}, {0, NULL}};

static PyType_Spec serving_spec = {"bascule._native.Serving", sizeof(struct serving_object), 0, Py_TPFLAGS_DEFAULT,
                                   serving_slots};

int worker_add(PyObject *module)
{
	PyObject *type = PyType_FromModuleAndSpec(module, &serving_spec, NULL);
	int rc = type ? PyModule_AddType(module, (PyTypeObject *)type) : -1;
	Py_XDECREF(type);
	return rc;
}
