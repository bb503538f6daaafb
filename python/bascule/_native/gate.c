/* The gate, and one kept thread state per foreign thread: making one anew for
 * each batch costs more than the batch's export. */
#include "gate.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t asked = PTHREAD_COND_INITIALIZER; /* a stay's poll has answered */
static struct gate_stay *inside;                        /* guarded by lock, as all in it but `stopped` */
static _Atomic bool closed;                             /* set with lock held, read without */

static _Atomic int n_with_gil; /* stays that took the GIL on entering; some may have let go of it */

static pthread_key_t kept_key;
static pthread_once_t kept_once = PTHREAD_ONCE_INIT;

/* A thread ends that entered once: its thread state goes, if the interpreter is
 * still there to take it. */
static void drop_thread_state(void *ptr)
{
	struct gate_stay stay = {0};
	if (!gate_enter_nogil(&stay, NULL)) {
		return;
	}
	PyThreadState *state = ptr;
	PyEval_RestoreThread(state);
	PyThreadState_Clear(state);
	PyThreadState_DeleteCurrent();
	gate_leave(&stay);
}

static void make_key(void)
{
	pthread_key_create(&kept_key, drop_thread_state);
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

/* Only the forking thread goes on in the child: the other stays never end. */
static void after_fork_in_child(void)
{
	unsigned long self = PyThread_get_thread_ident();
	struct gate_stay *mine = NULL;
	for (struct gate_stay *s = inside, *next; s; s = next) {
		next = s->next;
		if (s->thread == self) {
			s->asking = false; /* who asked is not in the child */
			s->prev = NULL;
			s->next = mine;
			if (mine) {
				mine->prev = s;
			}
			mine = s;
		}
	}
	inside = mine;
	int n = 0;
	for (struct gate_stay *s = mine; s; s = s->next) {
		n += s->counted;
	}
	atomic_store(&n_with_gil, n);
	asked = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	pthread_mutex_unlock(&lock);
}

void gate_watch_forks(void)
{
	pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

bool gate_is_closed(void)
{
	return atomic_load(&closed);
}

bool gate_enter_nogil(struct gate_stay *stay, const struct bsc_poll *poll)
{
	*stay = (struct gate_stay){.thread = PyThread_get_thread_ident(), .poll = poll};
	pthread_mutex_lock(&lock);
	bool open = !atomic_load(&closed);
	if (open) {
		stay->next = inside;
		if (inside) {
			inside->prev = stay;
		}
		inside = stay;
	}
	pthread_mutex_unlock(&lock);
	return open;
}

/* Most stays take a microsecond or two. To sleep until the GIL is free and be woken
 * takes ten times as long, in which the other thread comes back: two threads then
 * meet again and again. */
static void wait_briefly(void)
{
	enum { TURNS = 150 };
	for (int i = 0; i < TURNS && atomic_load_explicit(&n_with_gil, memory_order_relaxed) > 0; i++) {
#if defined(__x86_64__)
		__builtin_ia32_pause();
#elif defined(__aarch64__)
		__asm__ volatile("yield");
#endif
	}
}

bool gate_enter(struct gate_stay *stay, const struct bsc_poll *poll)
{
	if (!gate_enter_nogil(stay, poll)) {
		return false;
	}
	stay->first = PyGILState_GetThisThreadState() == NULL;
	if (!PyGILState_Check()) {
		wait_briefly();
	}
	stay->gil = PyGILState_Ensure();
	stay->has_gil = true;
	atomic_fetch_add_explicit(&n_with_gil, 1, memory_order_relaxed);
	stay->counted = true;
	if (stay->first) {
		pthread_once(&kept_once, make_key);
		stay->first = pthread_setspecific(kept_key, PyThreadState_Get()) == 0;
	}
	return true;
}

void gate_leave(struct gate_stay *stay)
{
	pthread_mutex_lock(&lock);
	while (stay->asking) {
		pthread_cond_wait(&asked, &lock);
	}
	/* Once it is stopped, it is not asked again; what was raised may come to nobody who is inside. */
	bool raised = atomic_load(&stay->stopped) || stay->raised;
	if (raised && !stay->has_gil) {
		pthread_mutex_unlock(&lock);
		stay->gil = PyGILState_Ensure();
		stay->has_gil = true;
		pthread_mutex_lock(&lock);
	}
	if (stay->prev) {
		stay->prev->next = stay->next;
	} else {
		inside = stay->next;
	}
	if (stay->next) {
		stay->next->prev = stay->prev;
	}
	pthread_mutex_unlock(&lock);
	if (raised) {
		PyThreadState_SetAsyncExc(stay->thread, NULL);
	}
	/* Still counted by nobody, the GIL is given back: gate_close holds it when it
	 * sees the list empty, so this thread has it no more. */
	if (stay->has_gil && stay->first) {
		PyEval_SaveThread();
	} else if (stay->has_gil) {
		PyGILState_Release(stay->gil);
	}
	if (stay->counted) {
		atomic_fetch_sub_explicit(&n_with_gil, 1, memory_order_relaxed);
	}
}

static void raise_in_stopped(void)
{
	struct gate_stay own;
	if (!gate_enter(&own, NULL)) {
		return; /* gate_close interrupts them itself */
	}
	/* Under the lock, with the GIL: none of them leaves meanwhile. */
	pthread_mutex_lock(&lock);
	for (struct gate_stay *s = inside; s; s = s->next) {
		if (s->due) {
			s->due = false;
			s->raised = PyThreadState_SetAsyncExc(s->thread, PyExc_KeyboardInterrupt) > 0 || s->raised;
		}
	}
	pthread_mutex_unlock(&lock);
	gate_leave(&own);
}

int gate_ask(void)
{
	/* Calls, until code that does not come to its next batch is interrupted, and
	 * until code that caught the interrupt gets another. */
	enum { GRACE = 25, AGAIN = 64 };
	int n = 0;
	bool any_due = false;
	pthread_mutex_lock(&lock);
	for (struct gate_stay *s = inside; s; s = s->next) {
		if (!s->poll) {
			continue;
		}
		n++;
		unsigned before = s->n_asked++;
		if (before == 0) {
			continue; /* most are over before the next call */
		}
		if (!atomic_load(&s->stopped)) {
			s->asking = true; /* it stays in the list, and `poll` valid */
			pthread_mutex_unlock(&lock);
			bool stop = s->poll->interrupted(s->poll->ctx) != 0;
			pthread_mutex_lock(&lock);
			s->asking = false;
			pthread_cond_broadcast(&asked);
			s->n_unwanted += stop;
			s->due = s->n_unwanted > GRACE;
			atomic_store(&s->stopped, s->due);
		} else {
			s->due = s->due || before % AGAIN == 0;
		}
		any_due = any_due || s->due;
	}
	pthread_mutex_unlock(&lock);
	if (any_due) {
		raise_in_stopped();
	}
	return n;
}

/* Counts those inside but the caller, whose own stay, far up its stack, ends only
 * after this call; on request raises SystemExit in them. With the GIL. */
static int count_inside(bool interrupt)
{
	int n = 0;
	unsigned long self = PyThread_get_thread_ident();
	/* Under the lock, with the GIL: as in raise_in_stopped. */
	pthread_mutex_lock(&lock);
	for (struct gate_stay *s = inside; s; s = s->next) {
		if (s->thread != self) {
			n++;
			s->raised = (interrupt && PyThreadState_SetAsyncExc(s->thread, PyExc_SystemExit) > 0) || s->raised;
		}
	}
	pthread_mutex_unlock(&lock);
	return n;
}

int gate_close(int timeout_ms)
{
	const int slice_ms = 10, ask_again_ms = 1000;
	pthread_mutex_lock(&lock);
	atomic_store(&closed, true);
	pthread_mutex_unlock(&lock);
	int left = count_inside(true);
	for (int waited_ms = slice_ms; left && waited_ms <= timeout_ms; waited_ms += slice_ms) {
		Py_BEGIN_ALLOW_THREADS
		nanosleep(&(struct timespec){0, slice_ms * 1000000L}, NULL);
		Py_END_ALLOW_THREADS
		left = count_inside(waited_ms % ask_again_ms == 0);
	}
	return left;
}
