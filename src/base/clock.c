/* The monotonic clock, and the wall's. */
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

int64_t bsc__wall_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}
