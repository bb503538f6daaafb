/* arguments: what a plan is asked for, out of Python's lists. All in PyMem's memory; NULL: an exception is set. */
#ifndef BSC_ARGUMENTS_H
#define BSC_ARGUMENTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "bascule.h"

/* Names (the first of each) or numbers of columns, as indices. */
int64_t *arguments_columns(const struct bsc_source *source, PyObject *columns, Py_ssize_t *n);

/* A list of bytes, borrowed from its items; one view more than there are. */
struct bsc_str *arguments_specs(PyObject *list);

#endif
