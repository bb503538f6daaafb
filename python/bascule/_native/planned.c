/* What a plan is asked and answered. */
#include "planned.h"

#include <stdlib.h>
#include <string.h>

#include "imported.h"

static PyObject *hints_type; /* bascule._hints.Hints */
static PyObject *specs_name, *n_pruned_name, *rows_name, *pushed_name;

int planned_init(void)
{
	bool good = (hints_type || imported("bascule._hints", "Hints", &hints_type) == 0) &&
	            (specs_name = PyUnicode_InternFromString("specs")) &&
	            (n_pruned_name = PyUnicode_InternFromString("n_pruned")) &&
	            (rows_name = PyUnicode_InternFromString("rows")) &&
	            (pushed_name = PyUnicode_InternFromString("pushed"));
	return good ? 0 : -1;
}

PyObject *planned_columns(const struct bsc_hints *hints)
{
	if (!hints->columns) {
		Py_RETURN_NONE;
	}
	PyObject *tuple = PyTuple_New((Py_ssize_t)hints->n_columns);
	for (int64_t i = 0; tuple && i < hints->n_columns; i++) {
		PyObject *name = PyUnicode_FromString(hints->columns[i]);
		if (!name) {
			Py_CLEAR(tuple);
			break;
		}
		PyTuple_SET_ITEM(tuple, (Py_ssize_t)i, name);
	}
	return tuple;
}

PyObject *planned_hints(const struct bsc_hints *hints, PyObject *columns)
{
	PyObject *limit = hints->limited ? PyLong_FromLongLong(hints->limit) : Py_NewRef(Py_None);
	PyObject *start = limit ? unicode(hints->offsets.start) : NULL, *end = start ? unicode(hints->offsets.end) : NULL;
	PyObject *made = end && columns ? PyObject_CallFunction(hints_type, "Oy#OOOO", columns, hints->filters.ptr,
	                                                        (Py_ssize_t)hints->filters.len, limit, start, end,
	                                                        hints->portable ? Py_True : Py_False)
	                                : NULL;
	Py_XDECREF(end);
	Py_XDECREF(start);
	Py_XDECREF(limit);
	return made;
}

PyObject *planned_specs(const struct bsc_hints *hints)
{
	PyObject *list = PyList_New((Py_ssize_t)hints->n_specs);
	for (int64_t i = 0; list && i < hints->n_specs; i++) {
		PyObject *spec = PyBytes_FromStringAndSize(hints->specs[i].ptr, (Py_ssize_t)hints->specs[i].len);
		if (!spec) {
			Py_CLEAR(list);
			break;
		}
		PyList_SET_ITEM(list, (Py_ssize_t)i, spec);
	}
	return list;
}

/* The exact rows of each partition, a list or None; none are known: *out NULL. -1: an exception is set. */
static int take_rows(PyObject *rows, int64_t **out)
{
	Py_ssize_t n = rows == Py_None ? 0 : PyList_Size(rows);
	int64_t *taken = n > 0 ? malloc((size_t)n * sizeof(*taken)) : NULL;
	if (n > 0 && !taken) {
		PyErr_NoMemory();
		return -1;
	}
	bool good = n >= 0;
	for (Py_ssize_t i = 0; good && i < n; i++) {
		taken[i] = PyLong_AsLongLong(PyList_GET_ITEM(rows, i));
		good = taken[i] != -1 || !PyErr_Occurred();
	}
	if (!good) {
		free(taken);
		return -1;
	}
	*out = taken;
	return 0;
}

int planned_take(PyObject *plan, struct bsc_planned *out)
{
	/* Nothing of Python is called once an exception is set. */
	PyObject *specs = PyObject_GetAttr(plan, specs_name);
	PyObject *n_pruned = specs ? PyObject_GetAttr(plan, n_pruned_name) : NULL;
	PyObject *pushed = n_pruned ? PyObject_GetAttr(plan, pushed_name) : NULL;
	PyObject *rows = pushed ? PyObject_GetAttr(plan, rows_name) : NULL;
	const char *text = rows ? PyUnicode_AsUTF8(pushed) : NULL;
	struct bsc_planned planned = {0};
	bool good = text && (planned.n_partitions = PyList_Size(specs)) >= 0 &&
	            ((planned.n_pruned = PyLong_AsLongLong(n_pruned)) != -1 || !PyErr_Occurred()) &&
	            take_rows(rows, &planned.rows) == 0;
	if (good && *text && !(planned.pushed = strdup(text))) {
		PyErr_NoMemory();
		free(planned.rows);
		good = false;
	}
	Py_XDECREF(rows);
	Py_XDECREF(pushed);
	Py_XDECREF(n_pruned);
	Py_XDECREF(specs);
	if (!good) {
		return -1;
	}
	*out = planned;
	return 0;
}
