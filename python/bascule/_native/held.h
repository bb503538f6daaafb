/* held: every reference into Python that the in-process executor gave to the core.
 *
 * An engine may hold a scan when the interpreter ends. Its references keep the
 * user's classes alive, and with them their modules, out of the collector's sight.
 * So they are in one list, and at the end all are dropped, whoever still has the
 * thing; its owner then frees it without entering Python.
 *
 * Locks: one leaf mutex over the list; nothing is called under it. */
#ifndef BSC_HELD_H
#define BSC_HELD_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>

struct held {
	struct held *prev, *next; /* the list's, as are the flags */
	PyObject *refs[2];        /* the owner's, as long as the gate is open */
	bool dropped;             /* out of the list, refs are gone */
	bool abandoned;           /* its owner is gone: whoever drops it frees it */
};

/* A new, empty one in the list; NULL when out of memory. Needs no GIL. */
struct held *held_new(void);

/* Drops the references and frees it. Inside the gate: that may run Python. */
void held_drop(struct held *held);

/* As held_drop, before a closed gate: leaves the references to held_take_last. */
void held_abandon(struct held *held);

/* Takes the references of the one that was made last; false: none is left. The
 * caller drops them. Behind the closed gate, when it is empty. */
bool held_take_last(PyObject *refs[2]);

/* In a child made by fork the parent's are no more in the list. Once. */
void held_watch_forks(void);

#endif
