/* What Source.plan takes of Python. */
#include "arguments.h"

#include <string.h>

/* A column by name (the first of that name) or by number. -1: exception set. */
static int64_t column_index(const struct bsc_source *source, PyObject *column)
{
	if (PyLong_Check(column)) {
		return PyLong_AsLongLong(column);
	}
	Py_ssize_t len = 0;
	const char *name = PyUnicode_Check(column) ? PyUnicode_AsUTF8AndSize(column, &len) : NULL;
	if (!name || strlen(name) != (size_t)len) {
		if (!PyErr_Occurred()) {
			PyErr_Format(PyExc_TypeError, "a column is named by a string or a number, got %R", column);
		}
		return -1;
	}
	const struct ArrowSchema *schema = bsc_source_schema(source);
	for (int64_t i = 0; i < schema->n_children; i++) {
		if (schema->children[i]->name && strcmp(schema->children[i]->name, name) == 0) {
			return i;
		}
	}
	PyErr_Format(PyExc_KeyError, "%s has no column '%s'", bsc_source_label(source), name);
	return -1;
}

int64_t *arguments_columns(const struct bsc_source *source, PyObject *columns, Py_ssize_t *n)
{
	PyObject *list = PySequence_Fast(columns, "columns is a list of names or numbers");
	if (!list) {
		return NULL;
	}
	*n = PySequence_Fast_GET_SIZE(list);
	int64_t *indices = PyMem_Calloc((size_t)*n + 1, sizeof(*indices));
	bool good = indices != NULL;
	if (!good) {
		PyErr_NoMemory();
	}
	for (Py_ssize_t i = 0; good && i < *n; i++) {
		indices[i] = column_index(source, PySequence_Fast_GET_ITEM(list, i));
		good = indices[i] != -1 || !PyErr_Occurred();
	}
	Py_DECREF(list);
	if (!good) {
		PyMem_Free(indices);
		indices = NULL;
	}
	return indices;
}

struct bsc_str *arguments_specs(PyObject *list)
{
	Py_ssize_t n = PyList_GET_SIZE(list);
	struct bsc_str *views = PyMem_Calloc((size_t)n + 1, sizeof(*views));
	if (!views) {
		PyErr_NoMemory();
	}
	for (Py_ssize_t i = 0; views && i < n; i++) {
		char *bytes;
		Py_ssize_t len;
		if (PyBytes_AsStringAndSize(PyList_GET_ITEM(list, i), &bytes, &len) < 0) {
			PyMem_Free(views);
			return NULL;
		}
		views[i] = (struct bsc_str){bytes, (size_t)len};
	}
	return views;
}
