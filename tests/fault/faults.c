#include "faults.h"

#include <execinfo.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#define FRAMES_MAX 12

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *ptr, size_t size);
char *__real_strdup(const char *text);
void __real_free(void *ptr);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *ptr, size_t size);
char *__wrap_strdup(const char *text);
void __wrap_free(void *ptr);

static struct {
	_Atomic bool armed;
	int paused; /* by the arming thread */
	_Atomic int64_t counted;
	_Atomic int64_t fails;
	_Atomic int64_t live;
	int n_frames; /* written by the thread that failed, read once it has */
	void *frames[FRAMES_MAX];
} faults;

void faults_arm(int64_t n)
{
	faults.counted = 0;
	faults.fails = n;
	faults.armed = true;
}

int64_t faults_disarm(void)
{
	faults.armed = false;
	return faults.counted;
}

bool faults_take(void)
{
	bool fails = faults.armed && !faults.paused && ++faults.counted == faults.fails;
	if (fails) {
		faults.n_frames = backtrace(faults.frames, FRAMES_MAX);
	}
	return fails;
}

int faults_frames(void **frames, int max)
{
	int n = faults.n_frames < max ? faults.n_frames : max;
	memcpy(frames, faults.frames, (size_t)n * sizeof(*frames));
	return n;
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

void *faults_counted(void *block)
{
	faults.live += block != NULL;
	return block;
}

void faults_freed(void *block)
{
	faults.live -= block != NULL;
}

void *__wrap_malloc(size_t size)
{
	return faults_take() ? NULL : faults_counted(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return faults_take() ? NULL : faults_counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *ptr, size_t size)
{
	if (faults_take()) {
		return NULL;
	}
	void *block = __real_realloc(ptr, size);
	return ptr ? block : faults_counted(block);
}

char *__wrap_strdup(const char *text)
{
	return faults_take() ? NULL : faults_counted(__real_strdup(text));
}

void __wrap_free(void *ptr)
{
	faults_freed(ptr);
	__real_free(ptr);
}
