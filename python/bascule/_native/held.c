/* The list of what is held. */
#include "held.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER;
static struct held all_held = {.prev = &all_held, .next = &all_held}; /* guarded by held_lock */

/* In a child made by fork: what the parent holds. Its instances are the parent's to
 * close (a connection's socket is shared), so the child leaves them alone. */
static struct held inherited = {.prev = &inherited, .next = &inherited};

static void before_fork(void)
{
	pthread_mutex_lock(&held_lock);
}

static void after_fork_in_parent(void)
{
	pthread_mutex_unlock(&held_lock);
}

static void after_fork_in_child(void)
{
	if (all_held.next != &all_held) {
		struct held *first = all_held.next, *last = all_held.prev, *end = inherited.prev;
		first->prev = end;
		end->next = first;
		last->next = &inherited;
		inherited.prev = last;
		all_held.prev = all_held.next = &all_held;
	}
	pthread_mutex_unlock(&held_lock);
}

void held_watch_forks(void)
{
	pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

struct held *held_new(void)
{
	struct held *held = calloc(1, sizeof(*held));
	if (held) {
		pthread_mutex_lock(&held_lock);
		held->next = &all_held;
		held->prev = all_held.prev;
		held->prev->next = held;
		all_held.prev = held;
		pthread_mutex_unlock(&held_lock);
	}
	return held;
}

static void unlink_held(struct held *held)
{
	held->prev->next = held->next;
	held->next->prev = held->prev;
	held->dropped = true;
}

void held_drop(struct held *held)
{
	pthread_mutex_lock(&held_lock);
	unlink_held(held);
	pthread_mutex_unlock(&held_lock);
	Py_XDECREF(held->refs[0]);
	Py_XDECREF(held->refs[1]);
	free(held);
}

void held_abandon(struct held *held)
{
	pthread_mutex_lock(&held_lock);
	bool dropped = held->dropped;
	held->abandoned = true;
	pthread_mutex_unlock(&held_lock);
	if (dropped) {
		free(held);
	}
}

bool held_take_last(PyObject *refs[2])
{
	pthread_mutex_lock(&held_lock);
	struct held *last = all_held.prev;
	bool found = last != &all_held;
	if (found) {
		unlink_held(last);
		memcpy(refs, last->refs, sizeof(last->refs));
		memset(last->refs, 0, sizeof(last->refs));
		if (last->abandoned) {
			free(last);
		}
	}
	pthread_mutex_unlock(&held_lock);
	return found;
}
