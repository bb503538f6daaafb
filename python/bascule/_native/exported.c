/* Arrow structs, moved out of the PyCapsules of the Arrow PyCapsule interface. */
#include "exported.h"

#include "imported.h"

static PyObject *arrow_c_array, *arrow_c_stream; /* interned names */
static PyObject *not_arrow;                      /* bascule._instance.not_arrow */

int exported_init(void)
{
	arrow_c_array = PyUnicode_InternFromString("__arrow_c_array__");
	arrow_c_stream = arrow_c_array ? PyUnicode_InternFromString("__arrow_c_stream__") : NULL;
	return not_arrow ? 0 : arrow_c_stream ? imported("bascule._instance", "not_arrow", &not_arrow) : -1;
}

static int capsule_schema(PyObject *capsule, struct ArrowSchema *out)
{
	struct ArrowSchema *schema = PyCapsule_GetPointer(capsule, "arrow_schema");
	if (!schema) {
		return -1;
	}
	if (!schema->release) {
		PyErr_SetString(PyExc_ValueError, "the exported Arrow schema was released already");
		return -1;
	}
	*out = *schema;
	schema->release = NULL;
	return 0;
}

int exported_schema(PyObject *exporter, struct ArrowSchema *out)
{
	PyObject *capsule = PyObject_CallMethod(exporter, "__arrow_c_schema__", NULL);
	int rc = capsule ? capsule_schema(capsule, out) : -1;
	Py_XDECREF(capsule);
	return rc;
}

/* Calls an export method of an item. 1: *result is what it returned, 0: it has no
 * such method, -1: an exception is set. */
static int call_export(PyObject *item, PyObject *name, PyObject **result)
{
	PyObject *method = PyObject_GetAttr(item, name);
	*result = NULL;
	if (!method) {
		if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
			return -1;
		}
		PyErr_Clear();
		return 0;
	}
	*result = PyObject_CallNoArgs(method);
	Py_DECREF(method);
	return *result ? 1 : -1;
}

/* By __arrow_c_array__. 1: exported, 0: the item has no such method, -1: an
 * exception is set. */
static int export_array(PyObject *item, struct ArrowArray *array, struct ArrowSchema *schema)
{
	PyObject *pair;
	int rc = call_export(item, arrow_c_array, &pair);
	if (rc != 1) {
		return rc;
	}
	rc = -1;
	if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
		PyErr_Format(PyExc_TypeError, "__arrow_c_array__ of %s returned no pair of capsules", Py_TYPE(item)->tp_name);
	} else if (!PyCapsule_IsValid(PyTuple_GET_ITEM(pair, 0), "arrow_schema") ||
	           !PyCapsule_IsValid(PyTuple_GET_ITEM(pair, 1), "arrow_array")) {
		PyErr_Format(PyExc_TypeError, "__arrow_c_array__ of %s returned no capsules named arrow_schema and arrow_array",
		             Py_TYPE(item)->tp_name);
	} else {
		struct ArrowArray *exported = PyCapsule_GetPointer(PyTuple_GET_ITEM(pair, 1), "arrow_array");
		if (exported && !exported->release) {
			PyErr_SetString(PyExc_ValueError, "the exported Arrow array was released already");
		} else if (exported && capsule_schema(PyTuple_GET_ITEM(pair, 0), schema) == 0) {
			*array = *exported;
			exported->release = NULL;
			rc = 1;
		}
	}
	Py_DECREF(pair);
	return rc;
}

/* By __arrow_c_stream__, the same. */
static int export_stream(PyObject *item, struct ArrowArrayStream *stream)
{
	PyObject *capsule;
	int rc = call_export(item, arrow_c_stream, &capsule);
	if (rc != 1) {
		return rc;
	}
	rc = -1;
	struct ArrowArrayStream *exported = PyCapsule_GetPointer(capsule, "arrow_array_stream");
	if (exported && !exported->release) {
		PyErr_SetString(PyExc_ValueError, "the exported Arrow stream was released already");
	} else if (exported && (!exported->get_schema || !exported->get_next || !exported->get_last_error)) {
		/* Not taken: the capsule's own destructor releases it. */
		PyErr_Format(PyExc_ValueError, "the exported Arrow stream has no %s: check the library that made it",
		             !exported->get_schema ? "get_schema"
		             : !exported->get_next ? "get_next"
		                                   : "get_last_error");
	} else if (exported) {
		*stream = *exported;
		exported->release = NULL;
		rc = 1;
	}
	Py_DECREF(capsule);
	return rc;
}

int exported_item(PyObject *item, struct ArrowArray *array, struct ArrowSchema *schema, struct ArrowArrayStream *stream)
{
	int done = export_array(item, array, schema);
	if (done == 0) {
		done = export_stream(item, stream);
	}
	if (done == 0) {
		PyObject *error = PyObject_CallOneArg(not_arrow, item);
		if (error) {
			PyErr_SetObject((PyObject *)Py_TYPE(error), error);
			Py_DECREF(error);
		}
		done = -1;
	}
	return done;
}
