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

/* An item that a class yielded. 1: `array` and `schema` are exported, or else `stream` is: who has a release. -1: an
 * exception is set, that of bascule._instance.not_arrow where it exports nothing. */
int exported_item(PyObject *item, struct ArrowArray *array, struct ArrowSchema *schema,
                  struct ArrowArrayStream *stream);

#endif
