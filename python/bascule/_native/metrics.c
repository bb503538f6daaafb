/* What scans did, for Python. */
#include "metrics.h"

#include "capsule.h"
#include "run.h"
#include "worker.h"

static PyObject *report_metric(PyObject *Py_UNUSED(module), PyObject *args)
{
	const char *name;
	Py_ssize_t len;
	double value;
	if (!PyArg_ParseTuple(args, "s#d:report_metric", &name, &len, &value)) {
		return NULL;
	}
	if (len == 0 || len > BSC_METRIC_NAME_MAX) {
		return PyErr_Format(PyExc_ValueError, "a metric's name has 1 to %d bytes, this one has %zd",
		                    BSC_METRIC_NAME_MAX, len);
	}
	struct bsc_meter *meter = run_meter() ? run_meter() : worker_meter();
	return PyBool_FromLong(meter && bsc_meter_report(meter, (struct bsc_str){name, (size_t)len}, value));
}

/* What `export` makes for `of`, as capsules. */
static PyObject *exported(int (*export)(const void *of, struct ArrowSchema *, struct ArrowArray *, struct bsc_error *),
                          const void *of)
{
	struct ArrowSchema *schema = PyMem_Calloc(1, sizeof(*schema));
	struct ArrowArray *array = PyMem_Calloc(1, sizeof(*array));
	struct bsc_error err;
	if (!schema || !array || export(of, schema, array, &err) != BSC_OK) {
		PyMem_Free(schema);
		PyMem_Free(array);
		return PyErr_NoMemory();
	}
	PyObject *schema_capsule = capsule_schema(schema), *array_capsule = capsule_array(array);
	PyObject *pair = schema_capsule && array_capsule ? PyTuple_Pack(2, schema_capsule, array_capsule) : NULL;
	Py_XDECREF(schema_capsule);
	Py_XDECREF(array_capsule);
	return pair;
}

static int export_scans(const void *of, struct ArrowSchema *schema, struct ArrowArray *array, struct bsc_error *err)
{
	return bsc_scans_export(of, schema, array, err);
}

static int export_timeline(const void *of, struct ArrowSchema *schema, struct ArrowArray *array, struct bsc_error *err)
{
	return bsc_timeline_export(*(const long long *)of, schema, array, err);
}

PyObject *metrics_of(const struct bsc_scan *scan)
{
	return exported(export_scans, scan);
}

static PyObject *timeline(PyObject *Py_UNUSED(module), PyObject *arg)
{
	long long scan = PyLong_AsLongLong(arg);
	return scan == -1 && PyErr_Occurred() ? NULL : exported(export_timeline, &scan);
}

static PyObject *scans(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
	return metrics_of(NULL);
}

static PyObject *forget_scans(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
	bsc_scans_forget();
	Py_RETURN_NONE;
}

static PyMethodDef methods[] = {{"report_metric", report_metric, METH_VARARGS, NULL},
                                {"scans", scans, METH_NOARGS, NULL},
                                {"timeline", timeline, METH_O, NULL},
                                {"forget_scans", forget_scans, METH_NOARGS, NULL},
                                {0}};

int metrics_add(PyObject *module)
{
	return PyModule_AddFunctions(module, methods);
}
