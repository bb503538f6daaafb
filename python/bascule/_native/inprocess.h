/* inprocess: the executor that runs a class in the host's own interpreter.
 *
 * Enters Python through the gate, only for the calls into the class and for the
 * PyCapsule export of what it yields; holds no lock of the core meanwhile. */
#ifndef BSC_INPROCESS_H
#define BSC_INPROCESS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "bascule.h"

/* The process's one in-process executor; imports bascule._instance and
 * bascule.errors when first asked for. With the GIL. NULL: a Python exception is
 * set. Lives as long as the process. */
const struct bsc_executor *inprocess_executor(void);

/* Closes every instance and drops every reference into Python, for good. With
 * the GIL, behind a closed gate that is empty: what the host still holds then
 * ends without the interpreter. */
void inprocess_shutdown(void);

#endif
