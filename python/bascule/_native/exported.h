/* exported: Arrow structs that Python objects export, moved out of their
 * PyCapsules. All with the GIL. */
#ifndef BSC_EXPORTED_H
#define BSC_EXPORTED_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "bascule.h"

/* Once, before the others. -1: an exception is set. */
int exported_init(void);

/* By __arrow_c_schema__. -1: an exception is set. */
int exported_schema(PyObject *exporter, struct ArrowSchema *out);

/* By __arrow_c_array__. 1: exported, 0: the item has no such method, -1: an
 * exception is set. */
int exported_array(PyObject *item, struct ArrowArray *array, struct ArrowSchema *schema);

/* By __arrow_c_stream__, the same. */
int exported_stream(PyObject *item, struct ArrowArrayStream *stream);

#endif
