/* worker: what a worker process does in C: the conversation with its host
 * (process/serve.h), and the batches of a read, from the class's iterator into
 * shared memory. As the type _native.Serving, for bascule._serving. */
#ifndef BSC_NATIVE_WORKER_H
#define BSC_NATIVE_WORKER_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "bascule.h"

/* Where classes report to in a worker process, whichever thread they are on; NULL: this is none. */
struct bsc_meter *worker_meter(void);

/* Adds the type to the module. -1: an exception is set. */
int worker_add(PyObject *module);

#endif
