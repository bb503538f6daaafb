/* The monotonic clock. */
#include <time.h>

#include "base/base.h"

int64_t bsc__now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t bsc__now_ms(void)
{
	return bsc__now_ns() / 1000000;
}
