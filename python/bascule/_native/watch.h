/* watch: a thread that ends what runs in Python for a host that gave up.
 *
 * It wakes some fifty times a second while polled stays last (gate.h), else it
 * sleeps. And it sees Ctrl-C where Python can't: a host whose main thread waits
 * in its own code, while the class runs on other threads, gives Python no chance
 * to handle the signal. For that it puts a handler of its own before Python's for
 * as long as it is awake, which counts and passes on; and only where Python's
 * default handler is in force, so that a program's own keeps its meaning.
 *
 * Locks: one leaf mutex; never held while taking the GIL or running Python. */
#ifndef BSC_WATCH_H
#define BSC_WATCH_H

#include <stdbool.h>

/* Once, before the others. With the GIL; -1: an exception is set. */
int watch_init(void);

/* Does this thread handle the process's signals, as far as Python goes? */
bool watch_is_main_thread(void);

/* Wakes the thread, or starts it. Inside a polled stay. */
void watch_begin(void);

/* For a wait outside of Python, keeps the thread awake until watch_release. False: it sleeps, watch_begin
 * is to wake it. */
bool watch_hold(void);
void watch_release(void);

/* This thread runs Python now, or did until now: if it is the main one, it
 * handles what was pressed. */
void watch_answer(void);

/* How often Ctrl-C was pressed while the thread was awake. Any thread. */
unsigned watch_interrupts(void);

/* How often of that the main thread ran no Python to handle it. */
unsigned watch_unanswered(void);

#endif
