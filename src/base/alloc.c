/* Allocation and strings of the core. */
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

void *bsc__alloc(size_t size)
{
	return malloc(size ? size : 1);
}

void *bsc__calloc(size_t n, size_t size)
{
	return calloc(n ? n : 1, size ? size : 1);
}

void *bsc__resize(void *ptr, size_t n, size_t size)
{
	if (size && n > SIZE_MAX / size) {
		return NULL;
	}
	size_t bytes = n * size;
	return realloc(ptr, bytes ? bytes : 1);
}

void bsc__free(void *ptr)
{
	free(ptr);
}

char *bsc__strndup(struct bsc_str s)
{
	char *copy = bsc__alloc(s.len + 1);
	if (!copy) {
		return NULL;
	}
	if (s.len) {
		memcpy(copy, s.ptr, s.len);
	}
	copy[s.len] = '\0';
	return copy;
}

bool bsc__str_equal(struct bsc_str a, struct bsc_str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static char fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool bsc__str_equal_nocase(struct bsc_str a, struct bsc_str b)
{
	if (a.len != b.len) {
		return false;
	}
	for (size_t i = 0; i < a.len; i++) {
		if (fold(a.ptr[i]) != fold(b.ptr[i])) {
			return false;
		}
	}
	return true;
}
