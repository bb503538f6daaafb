/* Locks that a fork must not split. */
#include <pthread.h>

#include "base/base.h"

enum { LOCKS_MAX = 8 }; /* each room has one at most */

static pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER; /* guards what follows; before all of them */
static pthread_mutex_t *locks[LOCKS_MAX];
static int n_locks;

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void before_fork(void)
{
	pthread_mutex_lock(&own);
	for (int i = 0; i < n_locks; i++) {
		pthread_mutex_lock(locks[i]);
	}
}

static void after_fork(void)
{
	for (int i = n_locks; i-- > 0;) {
		pthread_mutex_unlock(locks[i]);
	}
	pthread_mutex_unlock(&own);
}

static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork, after_fork);
}

void bsc__keep_over_forks(pthread_mutex_t *lock)
{
	pthread_once(&once, watch_forks);
	pthread_mutex_lock(&own);
	int i = 0;
	while (i < n_locks && locks[i] != lock) {
		i++;
	}
	if (i == n_locks && n_locks < LOCKS_MAX) {
		locks[n_locks++] = lock;
	}
	pthread_mutex_unlock(&own);
}
