/* gate: the way from any thread into Python, and its closing.
 *
 * After gate_close no thread touches the interpreter through us: what would
 * enter is refused, what is inside is asked to stop and waited for. Without it a
 * scan that is open at exit takes the GIL of a dead interpreter, and the process
 * aborts. And nobody stays inside for a host that gave up: a stay with a poll is
 * asked about from time to time, by gate_ask, and interrupted.
 *
 * Locks: one leaf mutex over the list of those inside; may be taken with the GIL
 * held, never held while taking the GIL. */
#ifndef BSC_GATE_H
#define BSC_GATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "bascule.h"

/* One stay inside. Caller's memory, lives until gate_leave. */
struct gate_stay {
	struct gate_stay *prev, *next;
	unsigned long thread; /* PyThread_get_thread_ident, to interrupt it */
	PyGILState_STATE gil;
	bool has_gil;
	bool counted; /* among those that took the GIL on entering */
	bool first;   /* of this thread: its thread state is kept for the next */
	const struct bsc_poll *poll;
	bool asking;          /* the poll is being asked */
	bool due;             /* the interrupt is to be raised */
	unsigned n_asked;     /* calls of gate_ask that saw this stay */
	unsigned n_unwanted;  /* of those, how often the poll said stop */
	bool raised;          /* an exception was set in its thread; what of it is left ends with the stay */
	_Atomic bool stopped; /* it was interrupted: what it fails with is a cancel */
};

/* Takes the GIL, held already or not. False: the gate is closed; then nothing is
 * to be left.
 *
 * poll  borrowed for the stay; NULL: it is never asked about. Called without the
 *       GIL, on another thread. */
bool gate_enter(struct gate_stay *stay, const struct bsc_poll *poll);

/* As gate_enter, without the GIL: for foreign code that may take it itself. */
bool gate_enter_nogil(struct gate_stay *stay, const struct bsc_poll *poll);

/* An interrupt that was raised too late for the stay is forgotten: the thread's
 * next Python code is none of ours. */
void gate_leave(struct gate_stay *stay);

/* Asks about each stay that was inside at the call before. Where the poll says
 * stop for some time, raises KeyboardInterrupt in the stay's Python code, and
 * again at times, if it goes on: not at once, because an exception in the middle
 * of code that locks may leave a lock behind, and most code is about to yield. Without the GIL, from one thread.
 * Returns how many stays have a poll. */
int gate_ask(void);

bool gate_is_closed(void);

/* Keeps the list of those inside right in a child made by fork. Once. */
void gate_watch_forks(void);

/* Closes the gate and waits at most `timeout_ms` until it is empty, raising
 * SystemExit in the threads that still run Python inside. Called with the GIL,
 * which it releases while it waits. Returns how many are left. */
int gate_close(int timeout_ms);

#endif
