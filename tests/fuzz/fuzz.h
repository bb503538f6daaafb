/* What the fuzz targets share: bytes taken from the input, and memory whose every
 * block the address sanitizer watches.
 *
 * A target is one function from bytes to nothing. It fails by CHECK, or by what
 * the sanitizers see. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise of the code under test: ends the run where it is broken. */
#define CHECK(promise)                                                                                                 \
	do {                                                                                                               \
		if (!(promise)) {                                                                                              \
			fuzz_fail(__FILE__, __LINE__, #promise);                                                                   \
		}                                                                                                              \
	} while (0)

_Noreturn void fuzz_fail(const char *file, int line, const char *promise);

/* The call failed: `rc` is a status, and `err` holds it and a text in UTF-8. */
void check_error(int rc, const struct bsc_error *err);

/* ---- input ---- */

/* What is left of the input; at its end every number is 0 and every text empty. */
struct input {
	const uint8_t *at;
	size_t left;
};

uint8_t take(struct input *in);
/* 0 <= result < n */
uint32_t take_below(struct input *in, uint32_t n);
/* Any 64 bits; mostly a value near 0, or near a limit. */
int64_t take_hostile(struct input *in);
/* A length byte and as many bytes, at most `max`: borrowed from the input. */
struct bsc_str take_text(struct input *in, size_t max);

/* ---- memory ---- */

#define BLOCKS_MAX 16384

/* Blocks that are freed together. An allocation's size is exact, so that a read
 * of one byte more is seen. */
struct arena {
	void *blocks[BLOCKS_MAX];
	size_t n;
};

struct arena *arena_new(void);
void arena_free(struct arena *arena);
/* Zeroed. n == 0: a block of which no byte may be read. */
void *arena_take(struct arena *arena, size_t n);
/* NUL-terminated. */
char *arena_text(struct arena *arena, struct bsc_str text);

#endif
