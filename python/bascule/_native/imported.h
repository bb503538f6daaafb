/* imported: a name of a Python module. With the GIL. */
#ifndef BSC_IMPORTED_H
#define BSC_IMPORTED_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* *out: a new reference. -1: an exception is set. */
static inline int imported(const char *module, const char *name, PyObject **out)
{
	PyObject *m = PyImport_ImportModule(module);
	*out = m ? PyObject_GetAttrString(m, name) : NULL;
	Py_XDECREF(m);
	return *out ? 0 : -1;
}

#endif
