/* run: a stay inside the gate in which a class runs, what ends it, and what becomes
 * of the exception that it ends with. */
#ifndef BSC_RUN_H
#define BSC_RUN_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "gate.h"

/* Once, before the others. With the GIL; -1: an exception is set. */
int run_init(void);

/* A stay in which the class runs, until it ends or nobody waits for it. */
struct run {
	struct gate_stay stay;
	struct bsc_poll poll;
	const struct bsc_poll *host; /* may be NULL */
	bool on_main;
	unsigned unanswered; /* watch_unanswered, when what runs was opened */
	unsigned interrupts; /* watch_interrupts, when the stay began */
	int64_t asked_ns, entered_ns;
	struct bsc_meter *meter, *outer; /* that of this stay, and of the thread before it; may be NULL */
};

/* False: the gate is closed; then nothing is to be left. unanswered: see struct
 * run. gil: false for foreign code that may take it itself. */
bool run_enter_since(struct run *run, bool on_main, const struct bsc_poll *host, unsigned unanswered, bool gil);

/* For what begins now. */
bool run_enter(struct run *run, bool on_main, const struct bsc_poll *host);

/* The costs of the stay are `meter`'s, and so is what the class reports on this thread, until run_leave. */
void run_measure(struct run *run, struct bsc_meter *meter);
/* The end of a stay that was measured. */
void run_leave(struct run *run);
/* What classes report on this thread goes there; NULL: nowhere. */
struct bsc_meter *run_meter(void);

/* Takes a Ctrl-C that waits for this thread, if it is the main one, lest it end
 * Python code that it is not for. */
bool run_take_interrupt(void);

/* Has a Ctrl-C come since, that nobody but us can act on? */
bool run_is_interrupted(bool on_main, unsigned unanswered);

/* "finding pkg.mod:Class". */
void run_describe_finding(const struct bsc_locator *locator, char *text, size_t cap);

/* The error for what the closed gate keeps out. */
int run_fail_shutdown(struct bsc_error *err, const char *label);

/* The exception that is set, as an error; clears it. run: may be NULL. secrets: a list, to be masked, or
 * NULL. attempt: what was being done to what, "acme:Orders: plan_partitions". */
int run_fail_python(struct bsc_error *err, struct run *run, PyObject *secrets, const char *attempt);

/* A stay that closes or drops something. It may begin with an exception set, in
 * a dealloc on its way out: that is kept. */
struct closing {
	struct gate_stay stay;
	PyObject *pending;
	bool interrupted; /* before it, by a Ctrl-C that is not for the closing */
};

bool closing_enter(struct closing *closing);
void closing_leave(struct closing *closing);

#endif
