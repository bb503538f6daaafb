/* capsule: Arrow structs given to Python, by the Arrow PyCapsule interface. */
#ifndef BSC_CAPSULE_H
#define BSC_CAPSULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "bascule.h"

/* Each takes what it is given, memory of PyMem: into a capsule whose destructor releases what nobody moved out and
 * frees the memory. NULL: an exception is set, and both are done already. */
PyObject *capsule_schema(struct ArrowSchema *schema);
PyObject *capsule_array(struct ArrowArray *array);
PyObject *capsule_stream(struct ArrowArrayStream *stream);

#endif
