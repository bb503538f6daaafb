#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void fuzz_fail(const char *file, int line, const char *promise)
{
	fprintf(stderr, "%s:%d: broken promise: %s\n", file, line, promise);
	abort();
}

void check_error(int rc, const struct bsc_error *err)
{
	CHECK(rc > BSC_OK && rc <= BSC_NOMEM);
	CHECK(err->status == rc);
	size_t len = strnlen(err->message, sizeof(err->message));
	CHECK(len > 0 && len < sizeof(err->message));
	CHECK(bsc__utf8_valid(err->message, len) == len);
}

/* ---- input ---- */

uint8_t take(struct input *in)
{
	if (in->left == 0) {
		return 0;
	}
	in->left--;
	return *in->at++;
}

uint32_t take_below(struct input *in, uint32_t n)
{
	return take(in) % n;
}

int64_t take_hostile(struct input *in)
{
	static const int64_t near[] = {0,         INT8_MAX,  INT16_MAX,        INT32_MAX,          (int64_t)1 << 40,
	                               INT64_MAX, INT64_MIN, (int64_t)1 << 62, (int64_t)INT32_MIN, UINT32_MAX};
	uint8_t what = take(in);
	if (what == 255) {
		uint64_t any = 0;
		for (int i = 0; i < 8; i++) {
			any = any << 8 | take(in);
		}
		return (int64_t)any;
	}
	uint64_t base = (uint64_t)near[what % (sizeof(near) / sizeof(near[0]))];
	return (int64_t)(base + (uint64_t)(int64_t)(int8_t)take(in));
}

struct bsc_str take_text(struct input *in, size_t max)
{
	size_t len = take(in);
	len = len > max ? max : len;
	len = len > in->left ? in->left : len;
	struct bsc_str text = {(const char *)in->at, len};
	in->at += len;
	in->left -= len;
	return text;
}

/* ---- memory ---- */

struct arena *arena_new(void)
{
	struct arena *arena = malloc(sizeof(*arena));
	CHECK(arena);
	arena->n = 0;
	return arena;
}

void arena_free(struct arena *arena)
{
	for (size_t i = 0; i < arena->n; i++) {
		free(arena->blocks[i]);
	}
	free(arena);
}

void *arena_take(struct arena *arena, size_t n)
{
	CHECK(arena->n < BLOCKS_MAX);
	void *block = calloc(n, 1);
	CHECK(block);
	arena->blocks[arena->n++] = block;
	return block;
}

char *arena_text(struct arena *arena, struct bsc_str text)
{
	char *copy = arena_take(arena, text.len + 1);
	if (text.len) {
		memcpy(copy, text.ptr, text.len);
	}
	return copy;
}
