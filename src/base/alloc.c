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

size_t bsc__utf8_valid(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t i = 0;
	while (i < len) {
		unsigned char c = s[i];
		if (c < 0x80) {
			i++;
			continue;
		}
		size_t more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
		unsigned char low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
		unsigned char high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
		if (c < 0xC2 || c > 0xF4 || len - i <= more || s[i + 1] < low || s[i + 1] > high) {
			return i;
		}
		for (size_t k = 2; k <= more; k++) {
			if ((s[i + k] & 0xC0) != 0x80) {
				return i;
			}
		}
		i += more + 1;
	}
	return i;
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
