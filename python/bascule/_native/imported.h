/* imported: into Python: a name of a module, a str. With the GIL. */
#ifndef BSC_IMPORTED_H
#define BSC_IMPORTED_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "bascule.h"

/* *out: a new reference. -1: an exception is set. */
static inline int imported(const char *module, const char *name, PyObject **out)
{
	PyObject *m = PyImport_ImportModule(module);
	*out = m ? PyObject_GetAttrString(m, name) : NULL;
	Py_XDECREF(m);
	return *out ? 0 : -1;
}

/* Bytes that are not UTF-8 are replaced. NULL: an exception is set. */
static inline PyObject *unicode(struct bsc_str s)
{
	return PyUnicode_DecodeUTF8(s.ptr ? s.ptr : "", (Py_ssize_t)s.len, "replace");
}

#endif
