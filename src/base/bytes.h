/* bytes: a buffer that grows to a maximum, and a view that reads within its end.
 * What is written to another process, and what came from one.
 *
 * Neither stops at its first failure: `failed` is set, what follows does nothing
 * or reads zeros, and the caller looks once, at the end. Numbers are
 * little-endian. No locks. */
#ifndef BSC_BYTES_H
#define BSC_BYTES_H

#include "base/base.h"

/* ---- writing ---- */

struct bsc__bytes {
	uint8_t *ptr;
	size_t len, cap;
	size_t max;     /* bytes; beyond it: failed */
	bool failed;    /* too long, or out of memory */
	bool no_memory; /* which of the two */
};

/* A zeroed one may be released. */
void bsc__bytes_init(struct bsc__bytes *bytes, size_t max);
void bsc__bytes_release(struct bsc__bytes *bytes);
/* Empty again, its memory kept. */
void bsc__bytes_clear(struct bsc__bytes *bytes);

/* Room for n more bytes at the end, which is then moved behind them; NULL where
 * it failed. Valid until the next call. */
void *bsc__bytes_extend(struct bsc__bytes *bytes, size_t n);

void bsc__put(struct bsc__bytes *bytes, const void *ptr, size_t n);
void bsc__put_u8(struct bsc__bytes *bytes, uint8_t value);
void bsc__put_u16(struct bsc__bytes *bytes, uint16_t value);
void bsc__put_u32(struct bsc__bytes *bytes, uint32_t value);
void bsc__put_u64(struct bsc__bytes *bytes, uint64_t value);
void bsc__put_i64(struct bsc__bytes *bytes, int64_t value);
/* Its length (u32) and its bytes. */
void bsc__put_str(struct bsc__bytes *bytes, struct bsc_str text);

/* ---- reading ---- */

struct bsc__view {
	const uint8_t *ptr;
	size_t left;
	bool failed; /* read beyond the end */
};

uint8_t bsc__get_u8(struct bsc__view *view);
uint16_t bsc__get_u16(struct bsc__view *view);
uint32_t bsc__get_u32(struct bsc__view *view);
uint64_t bsc__get_u64(struct bsc__view *view);
int64_t bsc__get_i64(struct bsc__view *view);
/* Borrowed from the view's memory. Longer than `max`, or than what is left: failed. */
struct bsc_str bsc__get_str(struct bsc__view *view, size_t max);

#endif
