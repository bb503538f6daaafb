/* raised: what a Python exception becomes on its way into the core. */
#ifndef BSC_RAISED_H
#define BSC_RAISED_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "bascule.h"

/* Fills `err`, which may be NULL, with a text of any length: of a longer one it
 * keeps head and tail. Returns `status`. */
int raised_fail_text(struct bsc_error *err, int status, const char *text);

/* The exception that is set, with its traceback; clears it. With the GIL. New
 * reference. */
PyObject *raised_take(void);

#endif
