/* Batches without the columns that a query doesn't read. */
#include "trimmed.h"

#include <string.h>

static PyObject *trimming; /* bascule._instance.trimming */
static PyObject *schema_name, *select_name;

int trimmed_init(void)
{
	PyObject *module = trimming ? NULL : PyImport_ImportModule("bascule._instance");
	if (module) {
		schema_name = PyUnicode_InternFromString("schema");
		select_name = PyUnicode_InternFromString("select");
		trimming = schema_name && select_name ? PyObject_GetAttrString(module, "trimming") : NULL;
		Py_DECREF(module);
	}
	return trimming ? 0 : -1;
}

PyObject *trimmed(PyObject *item, PyObject *columns, PyObject **known)
{
	if (columns == Py_None || strcmp(Py_TYPE(item)->tp_name, "pyarrow.lib.RecordBatch") != 0) {
		return item;
	}
	PyObject *its = PyObject_GetAttr(item, schema_name), *result = NULL;
	/* *known: schema, indices or None */
	int same = !its ? -1 : *known ? PyObject_RichCompareBool(its, PyTuple_GET_ITEM(*known, 0), Py_EQ) : 0;
	if (same == 0) {
		PyObject *said = PyObject_CallFunctionObjArgs(trimming, its, columns, NULL);
		if (said) {
			Py_XSETREF(*known, said);
			result = Py_NewRef(item);
		}
	} else if (same == 1) {
		PyObject *indices = PyTuple_GET_ITEM(*known, 1);
		result = indices == Py_None ? Py_NewRef(item) : PyObject_CallMethodOneArg(item, select_name, indices);
	}
	Py_XDECREF(its);
	Py_DECREF(item);
	return result;
}
