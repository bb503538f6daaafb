#include "faults.h"

#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *ptr, size_t size);
void __real_free(void *ptr);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *ptr, size_t size);
void __wrap_free(void *ptr);

static struct {
	bool armed;
	int paused;
	int64_t counted;
	int64_t fails;
	int64_t live;
} faults;

void faults_arm(int64_t n)
{
	faults.armed = true;
	faults.counted = 0;
	faults.fails = n;
}

int64_t faults_disarm(void)
{
	faults.armed = false;
	return faults.counted;
}

bool faults_take(void)
{
	return faults.armed && !faults.paused && ++faults.counted == faults.fails;
}

void faults_pause(void)
{
	faults.paused++;
}

void faults_resume(void)
{
	faults.paused--;
}

int64_t faults_live(void)
{
	return faults.live;
}

static void *counted(void *block)
{
	faults.live += block != NULL;
	return block;
}

void *__wrap_malloc(size_t size)
{
	return faults_take() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return faults_take() ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *ptr, size_t size)
{
	if (faults_take()) {
		return NULL;
	}
	void *block = __real_realloc(ptr, size);
	return ptr ? block : counted(block);
}

void __wrap_free(void *ptr)
{
	faults.live -= ptr != NULL;
	__real_free(ptr);
}
