/* Stays in which a class runs, and what becomes of its exceptions. */
#include "run.h"

#include <stdio.h>
#include <time.h>

#include "raised.h"
#include "watch.h"

/* What is called of Python, found once; strong references for good. */
static struct {
	PyObject *describe; /* bascule.errors.describe */
	PyObject *source_not_found, *option_error, *mismatch_error;
} py;

int run_init(void)
{
	PyObject *errors = PyImport_ImportModule("bascule.errors");
	if (!errors) {
		return -1;
	}
	/* `mismatch_error` last: it says that all are there. */
	bool found = py.mismatch_error || ((py.describe = PyObject_GetAttrString(errors, "describe")) &&
	                                   (py.source_not_found = PyObject_GetAttrString(errors, "SourceNotFoundError")) &&
	                                   (py.option_error = PyObject_GetAttrString(errors, "OptionError")) &&
	                                   (py.mismatch_error = PyObject_GetAttrString(errors, "MismatchError")));
	Py_DECREF(errors);
	return found ? 0 : -1;
}

/* ---- Ctrl-C ---- */

bool run_take_interrupt(void)
{
	if (!watch_interrupts() || PyErr_CheckSignals() == 0) {
		return false;
	}
	bool taken = PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
	if (taken) {
		PyErr_Clear();
	} else {
		PyErr_WriteUnraisable(NULL); /* another signal's handler raised */
	}
	return taken;
}

bool run_is_interrupted(bool on_main, unsigned unanswered)
{
	return on_main && watch_unanswered() != unanswered;
}

static int is_unwanted(void *ctx)
{
	const struct run *run = ctx;
	return run_is_interrupted(run->on_main, run->unanswered) ||
	       (run->host && run->host->interrupted && run->host->interrupted(run->host->ctx));
}

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

bool run_enter_since(struct run *run, bool on_main, const struct bsc_poll *host, unsigned unanswered, bool gil)
{
	*run = (struct run){.host = host, .on_main = on_main, .unanswered = unanswered, .interrupts = watch_interrupts()};
	run->poll = (struct bsc_poll){is_unwanted, run};
	run->asked_ns = now_ns();
	bool entered = gil ? gate_enter(&run->stay, &run->poll) : gate_enter_nogil(&run->stay, &run->poll);
	if (entered) {
		watch_begin();
	}
	if (entered && gil) {
		watch_answer();
	}
	run->entered_ns = now_ns();
	return entered;
}

static _Thread_local struct bsc_meter *current;

void run_measure(struct run *run, struct bsc_meter *meter)
{
	run->meter = meter;
	run->outer = current;
	current = meter;
}

void run_leave(struct run *run)
{
	gate_leave(&run->stay);
	current = run->outer;
	bsc_meter_time(run->meter, now_ns() - run->entered_ns, run->entered_ns - run->asked_ns);
}

struct bsc_meter *run_meter(void)
{
	return current;
}

bool run_enter(struct run *run, bool on_main, const struct bsc_poll *host)
{
	return run_enter_since(run, on_main, host, watch_unanswered(), true);
}

/* ---- errors ---- */

void run_describe_finding(const struct bsc_locator *locator, char *text, size_t cap)
{
	snprintf(text, cap, "finding %.*s%s%.*s", (int)(locator->module.len > 200 ? 200 : locator->module.len),
	         locator->module.ptr ? locator->module.ptr : "", locator->module.len ? ":" : "",
	         (int)(locator->name.len > 200 ? 200 : locator->name.len), locator->name.ptr);
}

int run_fail_shutdown(struct bsc_error *err, const char *label)
{
	char text[512];
	snprintf(text, sizeof(text), "%.400s: the Python interpreter is closing, its sources can't be read any more",
	         label);
	return raised_fail_text(err, BSC_SHUTDOWN, text);
}

static int status_of(PyObject *error)
{
	if (PyErr_GivenExceptionMatches(error, PyExc_KeyboardInterrupt)) {
		return BSC_CANCELLED;
	}
	if (PyErr_GivenExceptionMatches(error, py.source_not_found)) {
		return BSC_NOT_FOUND;
	}
	if (PyErr_GivenExceptionMatches(error, py.option_error)) {
		return BSC_INVALID;
	}
	if (PyErr_GivenExceptionMatches(error, py.mismatch_error)) {
		return BSC_MISMATCH;
	}
	return PyErr_GivenExceptionMatches(error, PyExc_MemoryError) ? BSC_NOMEM : BSC_SOURCE;
}

int run_fail_python(struct bsc_error *err, struct run *run, PyObject *secrets, const char *attempt)
{
	PyObject *error = raised_take();
	int status = status_of(error);
	watch_answer();
	/* A Ctrl-C is taken here for good, and the host's error tells of it: given
	 * back, it would come down on the host's traceback while that is printed. */
	if (run && (run_take_interrupt() || atomic_load(&run->stay.stopped))) {
		status = BSC_CANCELLED;
	}
	PyObject *none = secrets ? NULL : PyList_New(0), *masked = secrets ? secrets : none;
	PyObject *text = masked ? PyObject_CallFunction(py.describe, "OsO", error, attempt, masked) : NULL;
	const char *utf8 = text ? PyUnicode_AsUTF8(text) : NULL;
	if (gate_is_closed() && PyErr_GivenExceptionMatches(error, PyExc_SystemExit)) {
		status = run_fail_shutdown(err, attempt);
	} else if (utf8) {
		raised_fail_text(err, status, utf8);
	} else {
		PyErr_Clear();
		char plain[512];
		snprintf(plain, sizeof(plain), "%.300s raised %.100s (its message can't be shown)", attempt,
		         Py_TYPE(error)->tp_name);
		raised_fail_text(err, status, plain);
	}
	Py_XDECREF(text);
	Py_XDECREF(none);
	Py_DECREF(error);
	return status;
}

bool closing_enter(struct closing *closing)
{
	bool entered = gate_enter(&closing->stay, NULL);
	closing->pending = entered && PyErr_Occurred() ? raised_take() : NULL;
	closing->interrupted = entered && run_take_interrupt();
	return entered;
}

void closing_leave(struct closing *closing)
{
	if (closing->pending) {
		PyErr_SetObject((PyObject *)Py_TYPE(closing->pending), closing->pending);
		Py_DECREF(closing->pending);
	}
	gate_leave(&closing->stay);
	if (closing->interrupted) {
		PyErr_SetInterrupt();
	}
}
