/* arena: a worker's shared memory, and the host's view of it.
 *
 * The worker makes segments (memfd, sealed against shrinking and growing), lays a
 * batch out in one slot, a run of bytes of a segment, and tells the host where the buffers are. The host
 * maps a segment once, read-only, and hands pointers into it to the engine. When
 * the engine has released the batch the worker may use the slot again: first-fit,
 * so that what is used is warm. A mapping lives, in the host, until the last batch
 * in it is released, whatever became of the worker. */
#ifndef BSC_ARENA_H
#define BSC_ARENA_H

#include "base/bytes.h"

/* Each buffer begins at a multiple of this, as Arrow recommends. */
#define BSC__BUFFER_ALIGN 64

/* ---- the worker's end. No locks: one thread. ---- */

struct bsc__arena;

/* What the arena tells the host of: frames, through the caller. */
struct bsc__arena_host {
	/* SEGMENT, with its descriptor. False: it can't be sent. */
	bool (*segment)(void *ctx, uint64_t segment, uint64_t size, int fd);
	void (*drop)(void *ctx, uint64_t segment);
	void *ctx;
};

int bsc__arena_new(const struct bsc__arena_host *host, struct bsc__arena **out, struct bsc_error *err) BSC_MUST_CHECK;
void bsc__arena_free(struct bsc__arena *arena);

struct bsc__slot {
	uint64_t number; /* from 1 on, in no order, never used again */
	uint64_t segment;
	uint64_t offset; /* of the slot's first byte in the segment, a multiple of BSC__BUFFER_ALIGN */
	uint8_t *ptr;    /* that byte, in this process */
	uint64_t size;   /* as was asked */
};

/* A slot of `size` bytes (at least 1). BSC_NOMEM where the system has no shared memory left. */
int bsc__arena_take(struct bsc__arena *arena, uint64_t size, struct bsc__slot *out,
                    struct bsc_error *err) BSC_MUST_CHECK;
/* The host, or the caller who did not send it, has no more use for a slot. An unknown number is ignored. */
void bsc__arena_release(struct bsc__arena *arena, uint64_t slot);
/* Gives memory back beyond keep_bytes of free segments: between reads. */
void bsc__arena_trim(struct bsc__arena *arena, uint64_t keep_bytes);

/* ---- the host's end. Reference counts are atomic; the table is the receiver's. ---- */

/* One mapped segment. */
struct bsc__segment {
	uint64_t number;
	const uint8_t *ptr;
	uint64_t size;
	_Atomic int64_t refs;
};

struct bsc__segments {
	struct bsc__segment **items; /* their numbers rise */
	size_t n, cap;
	uint64_t last; /* number that was added */
};

/* Checks that fd is a segment of that size that can't shrink, and maps it. Its number must
 * be above those of all before. fd: borrowed. */
int bsc__segments_add(struct bsc__segments *segments, uint64_t number, uint64_t size, int fd,
                      struct bsc_error *err) BSC_MUST_CHECK;
/* Borrowed; NULL: there is none of that number. */
struct bsc__segment *bsc__segments_find(const struct bsc__segments *segments, uint64_t number);
void bsc__segments_drop(struct bsc__segments *segments, uint64_t number);
void bsc__segments_release(struct bsc__segments *segments);

void bsc__segment_ref(struct bsc__segment *segment);
void bsc__segment_unref(struct bsc__segment *segment);

#endif
