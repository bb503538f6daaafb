/* metrics: what scans did, for Python: _native.scans and _native.report_metric. */
#ifndef BSC_NATIVE_METRICS_H
#define BSC_NATIVE_METRICS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "bascule.h"

/* Adds the functions to the module. -1: an exception is set. */
int metrics_add(PyObject *module);

/* What a scan did so far, as __arrow_c_array__ gives it. scan: NULL for all. NULL: an exception is set. */
PyObject *metrics_of(const struct bsc_scan *scan);

#endif
