/* planned: what a plan is asked, as bascule._hints.Hints, and what bascule._instance.Plan answers. With the GIL. */
#ifndef BSC_PLANNED_H
#define BSC_PLANNED_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "bascule.h"

/* Once, before the others. -1: an exception is set. */
int planned_init(void);

/* A new reference each; NULL: an exception is set. */

/* The names of the asked columns, a tuple, or None. */
PyObject *planned_columns(const struct bsc_hints *hints);
/* bascule._hints.Hints. columns: as planned_columns, borrowed; NULL: an exception is set. */
PyObject *planned_hints(const struct bsc_hints *hints, PyObject *columns);
/* The given partitions, a list of bytes. */
PyObject *planned_specs(const struct bsc_hints *hints);

/* out: its lists are malloc'ed, the caller's. -1: an exception is set. */
int planned_take(PyObject *plan, struct bsc_planned *out);

#endif
