/* The number of a thread. */
#define _GNU_SOURCE /* gettid */
#include <unistd.h>

#include "base/base.h"

int64_t bsc__thread_id(void)
{
	static _Thread_local int64_t id;
	static _Thread_local pid_t of; /* a forked child's thread is another */
	if (of != getpid()) {
		of = getpid();
		id = gettid();
	}
	return id;
}
