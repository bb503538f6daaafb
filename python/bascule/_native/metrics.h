/* metrics: what scans did, for Python: _native.scans and _native.report_metric. */
#ifndef BSC_NATIVE_METRICS_H
#define BSC_NATIVE_METRICS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Adds the functions to the module. -1: an exception is set. */
int metrics_add(PyObject *module);

#endif
