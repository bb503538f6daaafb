/* trimmed: batches without the columns that a query doesn't read, where that saves
 * their export. With the GIL. */
#ifndef BSC_TRIMMED_H
#define BSC_TRIMMED_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Once, before the other. -1: an exception is set. */
int trimmed_init(void);

/* A pyarrow batch with the columns that are read, so that the others are not exported only to
 * be dropped: one of 5,000 columns costs as one of 5. The first batch of each schema goes
 * whole, for the core to check. Any other item as it is.
 *
 * item     moved
 * columns  tuple of names, or None
 * known    *known: NULL before the first item, then what is known of the last schema; the
 *          caller's to drop
 *
 * NULL: an exception is set. */
PyObject *trimmed(PyObject *item, PyObject *columns, PyObject **known);

#endif
