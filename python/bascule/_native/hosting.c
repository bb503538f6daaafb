/* A Python process as the host of worker processes. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "hosting.h"

#include <stdlib.h>
#include <string.h>

#include "bascule.h"
#include "imported.h"
#include "run.h"
#include "watch.h"

static PyObject *workers_of; /* bascule._hosting.workers_of: what they see of this process */
static PyObject *shipped_by; /* bascule._identity.ship: how a class reaches a worker */

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
static void interpreter(char **python_out, char **path_out, struct bsc_str *environment_out)
{
	struct gate_stay stay;
	*python_out = *path_out = NULL;
	*environment_out = (struct bsc_str){NULL, 0};
	if (!gate_enter(&stay, NULL)) {
		return;
	}
	PyObject *told = PyObject_CallNoArgs(workers_of);
	if (told && PyTuple_Check(told) && PyTuple_GET_SIZE(told) == 3) {
		*python_out = copy_text(PyTuple_GET_ITEM(told, 0));
		*path_out = copy_text(PyTuple_GET_ITEM(told, 1));
		char *bytes = NULL, *copy = NULL;
		Py_ssize_t len = 0;
		if (PyBytes_AsStringAndSize(PyTuple_GET_ITEM(told, 2), &bytes, &len) == 0 && (copy = malloc((size_t)len + 1))) {
			memcpy(copy, bytes, (size_t)len);
			*environment_out = (struct bsc_str){copy, (size_t)len};
		}
	}
	if (PyErr_Occurred()) {
		PyErr_WriteUnraisable(workers_of);
	}
	Py_XDECREF(told);
	gate_leave(&stay);
}

static int ship(const struct bsc_locator *locator, const struct bsc_poll *poll, char **pickle_out, size_t *len_out,
                uint64_t *identity_out, struct bsc_error *err)
{
	struct run run;
	char attempt[512];
	run_describe_finding(locator, attempt, sizeof(attempt));
	*pickle_out = NULL;
	if (!run_enter(&run, watch_is_main_thread(), poll)) {
		return run_fail_shutdown(err, attempt);
	}
	PyObject *module = PyUnicode_DecodeUTF8(locator->module.ptr ? locator->module.ptr : "",
	                                        (Py_ssize_t)locator->module.len, "replace"),
	         *pickle;
	PyObject *name = PyUnicode_DecodeUTF8(locator->name.ptr, (Py_ssize_t)locator->name.len, "replace");
	PyObject *pair = module && name ? PyObject_CallFunction(shipped_by, "iOO", (int)locator->kind, module, name) : NULL;
	unsigned long long identity = 0;
	if (pair && PyArg_ParseTuple(pair, "OK", &pickle, &identity) && pickle != Py_None) {
		char *bytes = NULL;
		Py_ssize_t len = 0;
		if (PyBytes_AsStringAndSize(pickle, &bytes, &len) == 0 && !(*pickle_out = malloc((size_t)len + 1))) {
			PyErr_NoMemory();
		}
		if (*pickle_out) {
			memcpy(*pickle_out, bytes, (size_t)len);
			*len_out = (size_t)len;
		}
	}
	*identity_out = identity;
	int rc = PyErr_Occurred() ? run_fail_python(err, &run, NULL, attempt) : BSC_OK;
	Py_XDECREF(pair);
	Py_XDECREF(module);
	Py_XDECREF(name);
	gate_leave(&run.stay);
	return rc;
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
		watch_answer();
		(void)run_take_interrupt();
		gate_leave(&stay);
	}
}

int hosting_init(void)
{
	static const struct bsc_process_host host = {
	    .interpreter = interpreter,
	    .ship = ship,
	    .is_main_thread = watch_is_main_thread,
	    .interrupts = watch_unanswered,
	    .wait_begin = wait_begin,
	    .wait_end = wait_end,
	};
	if (shipped_by) {
		return 0;
	}
	if (imported("bascule._hosting", "workers_of", &workers_of) < 0 ||
	    imported("bascule._identity", "ship", &shipped_by) < 0) {
		return -1;
	}
	bsc_process_set_host(&host);
	return 0;
}
