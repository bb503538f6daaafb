/* A Python process as the host of worker processes. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "hosting.h"

#include <stdlib.h>
#include <string.h>

#include "bascule.h"
#include "gate.h"
#include "inprocess.h"
#include "watch.h"

static PyObject *workers_of; /* bascule._hosting.workers_of: the interpreter and the paths */

static char *copy_text(PyObject *text)
{
	Py_ssize_t len = 0;
	const char *utf8 = text && PyUnicode_Check(text) ? PyUnicode_AsUTF8AndSize(text, &len) : NULL;
	char *copy = utf8 ? malloc((size_t)len + 1) : NULL;
	if (copy) {
		memcpy(copy, utf8, (size_t)len + 1);
	}
	return copy;
}

/* Where the gate is closed, or Python fails, workers begin as a host without Python would have them. */
static void interpreter(char **python_out, char **path_out)
{
	struct gate_stay stay;
	*python_out = *path_out = NULL;
	if (!gate_enter(&stay, NULL)) {
		return;
	}
	PyObject *pair = PyObject_CallNoArgs(workers_of);
	if (pair && PyTuple_Check(pair) && PyTuple_GET_SIZE(pair) == 2) {
		*python_out = copy_text(PyTuple_GET_ITEM(pair, 0));
		*path_out = copy_text(PyTuple_GET_ITEM(pair, 1));
	}
	if (PyErr_Occurred()) {
		PyErr_WriteUnraisable(workers_of);
	}
	Py_XDECREF(pair);
	gate_leave(&stay);
}

/* ---- waiting ---- */

/* The watching thread counts Ctrl-C while it is awake. A host that waits with the GIL held would keep
 * Python's other threads waiting too. */
static void *wait_begin(void)
{
	struct gate_stay stay;
	if (!watch_hold() && gate_enter(&stay, NULL)) {
		watch_begin();
		gate_leave(&stay);
	}
	return PyGILState_Check() ? PyEval_SaveThread() : NULL;
}

static void wait_end(void *begun, bool interrupted)
{
	if (begun) {
		PyEval_RestoreThread(begun);
	}
	watch_release();
	struct gate_stay stay;
	if (interrupted && gate_enter(&stay, NULL)) {
		inprocess_take_interrupt();
		gate_leave(&stay);
	}
}

int hosting_init(void)
{
	static const struct bsc_process_host host = {
	    .interpreter = interpreter,
	    .ship = inprocess_ship,
	    .is_main_thread = watch_is_main_thread,
	    .interrupts = watch_unanswered,
	    .wait_begin = wait_begin,
	    .wait_end = wait_end,
	};
	if (workers_of) {
		return 0;
	}
	PyObject *module = PyImport_ImportModule("bascule._hosting");
	workers_of = module ? PyObject_GetAttrString(module, "workers_of") : NULL;
	Py_XDECREF(module);
	if (!workers_of) {
		return -1;
	}
	bsc_process_set_host(&host);
	return 0;
}
