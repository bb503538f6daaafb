/* gate: the way from any thread into Python, and its closing.
 *
 * After gate_close no thread touches the interpreter through us: what would
 * enter is refused, what is inside is asked to stop and waited for. Without it a
 * scan that is open at exit takes the GIL of a dead interpreter, and the process
 * aborts.
 *
 * Locks: one leaf mutex over the list of those inside; never held while taking
 * the GIL. */
#ifndef BSC_GATE_H
#define BSC_GATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>

/* One stay inside. Caller's memory, lives until gate_leave. */
struct gate_stay {
	struct gate_stay *prev, *next;
	unsigned long thread; /* PyThread_get_thread_ident, to interrupt it */
	PyGILState_STATE gil;
	bool has_gil;
	bool first; /* of this thread: its thread state is kept for the next */
};

/* Takes the GIL, held already or not. False: the gate is closed; then nothing is
 * to be left. */
bool gate_enter(struct gate_stay *stay);

/* As gate_enter, without the GIL: for foreign code that may take it itself. */
bool gate_enter_nogil(struct gate_stay *stay);
void gate_leave(struct gate_stay *stay);

bool gate_is_closed(void);

/* Keeps the list of those inside right in a child made by fork. Once. */
void gate_watch_forks(void);

/* Closes the gate and waits at most `timeout_ms` until it is empty, raising
 * SystemExit in the threads that still run Python inside. Called with the GIL,
 * which it releases while it waits. Returns how many are left. */
int gate_close(int timeout_ms);

#endif
