/* The watching thread, and the observer of SIGINT. */
#include "watch.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "gate.h"

#define TICK_MS 20
/* Ticks until a Ctrl-C that the main thread did not handle counts as unanswered,
 * and idle ones until the thread sleeps. */
#define ANSWER_TICKS 3
#define IDLE_TICKS 25

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static bool started;              /* guarded by lock */
static _Atomic bool awake;        /* set with lock held, read without */
static bool observing;            /* guarded by lock */
static struct sigaction previous; /* the handler that ours stands before */

static _Atomic unsigned n_interrupts; /* incremented by the handler */
static _Atomic unsigned n_answered;   /* the last interrupt that the main thread handled */
static _Atomic unsigned n_unanswered;

static _Atomic unsigned long main_thread;

static _Atomic int n_held; /* waits that are no stays: the thread is to be awake for them too */

bool watch_is_main_thread(void)
{
	return PyThread_get_thread_ident() == atomic_load(&main_thread);
}

unsigned watch_interrupts(void)
{
	return atomic_load(&n_interrupts);
}

unsigned watch_unanswered(void)
{
	return atomic_load(&n_unanswered);
}

/* ---- the observer ---- */

static void on_interrupt(int number, siginfo_t *info, void *context)
{
	atomic_fetch_add(&n_interrupts, 1);
	if (previous.sa_flags & SA_SIGINFO) {
		previous.sa_sigaction(number, info, context);
	} else {
		previous.sa_handler(number);
	}
}

static bool is_ours(const struct sigaction *action)
{
	return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == on_interrupt;
}

/* Is Ctrl-C to raise KeyboardInterrupt? */
static bool python_handles_interrupts(void)
{
	PyGILState_STATE gil = PyGILState_Ensure();
	PyObject *module = PyImport_ImportModule("_signal");
	PyObject *now = module ? PyObject_CallMethod(module, "getsignal", "i", SIGINT) : NULL;
	PyObject *usual = now ? PyObject_GetAttrString(module, "default_int_handler") : NULL;
	bool same = usual && now == usual;
	PyErr_Clear();
	Py_XDECREF(usual);
	Py_XDECREF(now);
	Py_XDECREF(module);
	PyGILState_Release(gil);
	return same;
}

/* With lock held. */
static void observe(void)
{
	struct sigaction now;
	if (observing || sigaction(SIGINT, NULL, &now) != 0 || is_ours(&now) || now.sa_handler == SIG_IGN ||
	    now.sa_handler == SIG_DFL) {
		return;
	}
	previous = now;
	now.sa_flags |= SA_SIGINFO;
	now.sa_sigaction = on_interrupt;
	observing = sigaction(SIGINT, &now, NULL) == 0;
}

/* With lock held. A handler that was set since stays. */
static void stop_observing(void)
{
	struct sigaction now;
	if (observing && sigaction(SIGINT, NULL, &now) == 0 && is_ours(&now)) {
		(void)sigaction(SIGINT, &previous, NULL);
	}
	observing = false;
}

/* ---- the thread ---- */

static int answer(void *unused)
{
	(void)unused;
	atomic_store(&n_answered, atomic_load(&n_interrupts));
	return 0;
}

void watch_answer(void)
{
	if (watch_is_main_thread()) {
		(void)answer(NULL);
	}
}

/* Does the main thread run Python? Then it handles the signal itself: what we
 * ask it to call, it calls. */
static void ask_main(void)
{
	struct gate_stay stay;
	if (gate_enter_nogil(&stay, NULL)) {
		(void)Py_AddPendingCall(answer, NULL);
		gate_leave(&stay);
	}
}

/* One look at the count of interrupts. */
static void look_at_interrupts(void)
{
	static unsigned seen; /* the last one that was asked about */
	static int ticks_left;
	unsigned now = atomic_load(&n_interrupts);
	if (now != seen) {
		seen = now;
		ticks_left = ANSWER_TICKS;
		ask_main();
	} else if (ticks_left > 0 && --ticks_left == 0 && (int)(atomic_load(&n_answered) - seen) < 0) {
		atomic_fetch_add(&n_unanswered, 1);
	}
}

static void *run(void *unused)
{
	(void)unused;
	int n_idle = 0;
	for (;;) {
		nanosleep(&(struct timespec){0, TICK_MS * 1000000L}, NULL);
		look_at_interrupts();
		n_idle = gate_ask() || atomic_load(&n_held) ? 0 : n_idle + 1;
		if (n_idle < IDLE_TICKS) {
			continue;
		}
		/* A stay that begins now sees `awake` false, or is seen here. */
		pthread_mutex_lock(&lock);
		atomic_store(&awake, false);
		pthread_mutex_unlock(&lock);
		bool busy = gate_ask() > 0 || atomic_load(&n_held) > 0;
		pthread_mutex_lock(&lock);
		if (busy) {
			atomic_store(&awake, true);
		} else if (!atomic_load(&awake)) {
			stop_observing();
		}
		while (!atomic_load(&awake)) {
			pthread_cond_wait(&wake, &lock);
		}
		pthread_mutex_unlock(&lock);
		n_idle = 0;
	}
	return NULL;
}

/* With lock held. Signals are for the threads that wait for them. */
static bool start(void)
{
	sigset_t all, before;
	pthread_t thread;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	bool made = pthread_create(&thread, NULL, run, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (made) {
		pthread_detach(thread);
	}
	return made;
}

/* ---- fork ---- */

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork_in_parent(void)
{
	pthread_mutex_unlock(&lock);
}

/* The thread is not in the child; the handler, if it was there, is. */
static void after_fork_in_child(void)
{
	started = false;
	atomic_store(&main_thread, PyThread_get_thread_ident());
	atomic_store(&awake, false);
	wake = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	pthread_mutex_unlock(&lock);
}

int watch_init(void)
{
	PyObject *threading = PyImport_ImportModule("threading");
	PyObject *thread = threading ? PyObject_CallMethod(threading, "main_thread", NULL) : NULL;
	PyObject *ident = thread ? PyObject_GetAttrString(thread, "ident") : NULL;
	static bool watching; /* with the GIL; a second time they would lock twice */
	if (ident) {
		atomic_store(&main_thread, PyLong_AsUnsignedLong(ident));
	}
	if (ident && !watching) {
		watching = true;
		pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
	}
	Py_XDECREF(ident);
	Py_XDECREF(thread);
	Py_XDECREF(threading);
	return PyErr_Occurred() ? -1 : 0;
}

void watch_begin(void)
{
	if (atomic_load(&awake)) {
		return;
	}
	bool observes = python_handles_interrupts();
	pthread_mutex_lock(&lock);
	/* Without a thread nothing is interrupted: the scan itself goes on. */
	started = started || start();
	atomic_store(&awake, started);
	if (observes) {
		observe();
	}
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
}

bool watch_hold(void)
{
	atomic_fetch_add(&n_held, 1); /* before the look: the thread looks the other way round */
	return atomic_load(&awake);
}

void watch_release(void)
{
	atomic_fetch_sub(&n_held, 1);
}
