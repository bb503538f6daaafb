/* The worker's end of the arena: segments, cut into blocks.
 *
 * Blocks of a segment are a list by address, so that a released one joins its
 * neighbours at once; free ones are also in the list of their size's class, so that
 * finding one costs the same with a hundred thousand slots as with one. */
#include "process/arena.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "process/os.h"

#define SEGMENT_SIZE ((uint64_t)16 << 20)
#define SIZE_MAX_OF_SLOT ((uint64_t)1 << 46)

/* Free blocks of 2^i to 2^(i+1) - 1 units of BSC__BUFFER_ALIGN bytes. */
#define CLASSES 48
/* Of a class whose blocks may be too small as many are looked at. */
#define TRIES 16

/* A slot's number: its block's index and one, below that block's generation. */
#define INDEX_BITS 24
#define BLOCKS_MAX ((UINT32_C(1) << INDEX_BITS) - 1)
#define NONE UINT32_MAX

enum state { UNUSED, FREE, TAKEN };

struct segment {
	uint64_t number;
	uint64_t size;
	uint8_t *ptr;
	uint32_t first;         /* block */
	uint64_t classes;       /* bit i: free[i] is not empty */
	uint32_t free[CLASSES]; /* what was released last comes first: it is warm */
};

struct block {
	struct segment *segment;
	uint64_t offset, size;
	uint64_t generation;     /* how often it was a slot */
	uint32_t before, after;  /* by address */
	uint32_t previous, next; /* of the class, or, of unused ones, the next unused */
	enum state state;
};

struct bsc__arena {
	struct bsc__arena_host host;
	struct segment **segments;
	size_t n_segments, cap_segments;
	uint64_t last_number;
	struct block *blocks;
	uint32_t n_blocks, cap_blocks;
	uint32_t unused;
};

int bsc__arena_new(const struct bsc__arena_host *host, struct bsc__arena **out, struct bsc_error *err)
{
	*out = NULL;
	struct bsc__arena *arena = bsc__calloc(1, sizeof(*arena));
	if (!arena) {
		return bsc__fail_nomem(err, "making shared memory");
	}
	arena->host = *host;
	arena->unused = NONE;
	*out = arena;
	return BSC_OK;
}

void bsc__arena_free(struct bsc__arena *arena)
{
	if (!arena) {
		return;
	}
	for (size_t i = 0; i < arena->n_segments; i++) {
		bsc__os_memory_unmap(arena->segments[i]->ptr, arena->segments[i]->size);
		bsc__free(arena->segments[i]);
	}
	bsc__free(arena->segments);
	bsc__free(arena->blocks);
	bsc__free(arena);
}

/* ---- blocks ---- */

/* Makes it sure that the next `n` of new_block succeed. */
static bool reserve_blocks(struct bsc__arena *arena, uint32_t n)
{
	uint32_t spare = arena->cap_blocks - arena->n_blocks;
	for (uint32_t i = arena->unused; i != NONE && spare < n; i = arena->blocks[i].next) {
		spare++;
	}
	if (spare >= n) {
		return true;
	}
	uint32_t cap = arena->cap_blocks ? 2 * arena->cap_blocks : 64;
	if (arena->cap_blocks >= BLOCKS_MAX / 2) {
		return false;
	}
	struct block *blocks = bsc__resize(arena->blocks, cap, sizeof(*blocks));
	if (!blocks) {
		return false;
	}
	arena->blocks = blocks;
	arena->cap_blocks = cap;
	return true;
}

static uint32_t new_block(struct bsc__arena *arena, struct segment *segment, uint64_t offset, uint64_t size)
{
	uint32_t index = arena->unused;
	uint64_t generation = 0;
	if (index != NONE) {
		arena->unused = arena->blocks[index].next;
		generation = arena->blocks[index].generation;
	} else {
		index = arena->n_blocks++;
	}
	arena->blocks[index] = (struct block){
	    .segment = segment,
	    .offset = offset,
	    .size = size,
	    .generation = generation,
	    .before = NONE,
	    .after = NONE,
	    .previous = NONE,
	    .next = NONE,
	};
	return index;
}

static void unuse_block(struct bsc__arena *arena, uint32_t index)
{
	arena->blocks[index].state = UNUSED;
	arena->blocks[index].next = arena->unused;
	arena->unused = index;
}

static int class_of(uint64_t size)
{
	return 63 - __builtin_clzll(size / BSC__BUFFER_ALIGN);
}

static void list_free(struct bsc__arena *arena, uint32_t index)
{
	struct block *block = &arena->blocks[index];
	int class = class_of(block->size);
	uint32_t head = block->segment->classes >> class & 1 ? block->segment->free[class] : NONE;
	block->state = FREE;
	block->previous = NONE;
	block->next = head;
	if (head != NONE) {
		arena->blocks[head].previous = index;
	}
	block->segment->free[class] = index;
	block->segment->classes |= UINT64_C(1) << class;
}

static void unlist_free(struct bsc__arena *arena, uint32_t index)
{
	struct block *block = &arena->blocks[index];
	int class = class_of(block->size);
	if (block->next != NONE) {
		arena->blocks[block->next].previous = block->previous;
	}
	if (block->previous != NONE) {
		arena->blocks[block->previous].next = block->next;
	} else if (block->next != NONE) {
		block->segment->free[class] = block->next;
	} else {
		block->segment->classes &= ~(UINT64_C(1) << class);
	}
}

/* Joins a block that is in no list of free ones with the one after it, likewise. */
static void join_next(struct bsc__arena *arena, uint32_t index)
{
	struct block *block = &arena->blocks[index];
	uint32_t gone = block->after;
	block->size += arena->blocks[gone].size;
	block->after = arena->blocks[gone].after;
	if (block->after != NONE) {
		arena->blocks[block->after].before = index;
	}
	unuse_block(arena, gone);
}

/* ---- segments ---- */

static bool wholly_free(const struct bsc__arena *arena, const struct segment *segment)
{
	const struct block *first = &arena->blocks[segment->first];
	return first->state == FREE && first->after == NONE;
}

static void drop_segment(struct bsc__arena *arena, size_t i)
{
	struct segment *segment = arena->segments[i];
	arena->n_segments--;
	memmove(&arena->segments[i], &arena->segments[i + 1], (arena->n_segments - i) * sizeof(*arena->segments));
	unuse_block(arena, segment->first);
	bsc__os_memory_unmap(segment->ptr, segment->size);
	arena->host.drop(arena->host.ctx, segment->number);
	bsc__free(segment);
}

void bsc__arena_trim(struct bsc__arena *arena, uint64_t keep_bytes)
{
	/* The lowest are kept: they are what is used first. */
	for (size_t i = 0; i < arena->n_segments;) {
		uint64_t size = arena->segments[i]->size;
		if (!wholly_free(arena, arena->segments[i])) {
			i++;
		} else if (size <= keep_bytes) {
			keep_bytes -= size;
			i++;
		} else {
			drop_segment(arena, i);
		}
	}
}

static int add_segment(struct bsc__arena *arena, uint64_t need, struct bsc_error *err)
{
	if (arena->n_segments == arena->cap_segments) {
		size_t cap = arena->cap_segments ? 2 * arena->cap_segments : 8;
		struct segment **segments = bsc__resize(arena->segments, cap, sizeof(struct segment *));
		if (!segments) {
			return bsc__fail_nomem(err, "making shared memory");
		}
		arena->segments = segments;
		arena->cap_segments = cap;
	}
	struct segment *segment = bsc__calloc(1, sizeof(*segment));
	if (!segment) {
		return bsc__fail_nomem(err, "making shared memory");
	}
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t size = need <= SEGMENT_SIZE ? SEGMENT_SIZE : (need + page - 1) / page * page;
	int fd;
	void *ptr;
	int rc = bsc__os_memory_new(size, &fd, &ptr, err);
	if (rc != BSC_OK) {
		bsc__free(segment);
		return rc;
	}
	bool sent = arena->host.segment(arena->host.ctx, arena->last_number + 1, size, fd);
	close(fd);
	if (!sent) {
		bsc__os_memory_unmap(ptr, size);
		bsc__free(segment);
		return bsc__fail(err, BSC_WORKER, "the host takes no shared memory: it is gone");
	}
	segment->number = ++arena->last_number;
	segment->size = size;
	segment->ptr = ptr;
	segment->first = new_block(arena, segment, 0, size);
	list_free(arena, segment->first);
	arena->segments[arena->n_segments++] = segment;
	return BSC_OK;
}

/* ---- slots ---- */

static uint32_t find_in(const struct bsc__arena *arena, const struct segment *segment, uint64_t size)
{
	int class = class_of(size);
	if (segment->classes >> class & 1) {
		uint32_t i = segment->free[class];
		for (int tries = 0; i != NONE && tries < TRIES; tries++) {
			if (arena->blocks[i].size >= size) {
				return i;
			}
			i = arena->blocks[i].next;
		}
	}
	uint64_t larger = segment->classes >> (class + 1);
	return larger ? segment->free[class + 1 + __builtin_ctzll(larger)] : NONE;
}

static uint32_t find(const struct bsc__arena *arena, uint64_t size)
{
	uint32_t found = NONE;
	for (size_t i = 0; i < arena->n_segments && found == NONE; i++) {
		found = find_in(arena, arena->segments[i], size);
	}
	return found;
}

static void split(struct bsc__arena *arena, uint32_t index, uint64_t size)
{
	struct block *block = &arena->blocks[index];
	if (block->size == size) {
		return;
	}
	uint32_t rest = new_block(arena, block->segment, block->offset + size, block->size - size);
	arena->blocks[rest].before = index;
	arena->blocks[rest].after = block->after;
	if (block->after != NONE) {
		arena->blocks[block->after].before = rest;
	}
	block->after = rest;
	block->size = size;
	list_free(arena, rest);
}

int bsc__arena_take(struct bsc__arena *arena, uint64_t size, struct bsc__slot *out, struct bsc_error *err)
{
	*out = (struct bsc__slot){0};
	if (size > SIZE_MAX_OF_SLOT) {
		return bsc__fail(err, BSC_NOMEM, "a batch of %llu bytes is larger than any memory", (unsigned long long)size);
	}
	uint64_t need = (size + (size == 0) + BSC__BUFFER_ALIGN - 1) / BSC__BUFFER_ALIGN * BSC__BUFFER_ALIGN;
	/* One of a new segment, and one of what is left. */
	if (!reserve_blocks(arena, 2)) {
		return bsc__fail_nomem(err, "placing a batch in shared memory");
	}
	uint32_t index = find(arena, need);
	if (index == NONE) {
		int rc = add_segment(arena, need, err);
		size_t n_segments = arena->n_segments;
		if (rc == BSC_NOMEM) {
			/* What lies free in pieces that are too small may be enough for one that isn't. */
			bsc__arena_trim(arena, 0);
		}
		if (arena->n_segments < n_segments) {
			rc = add_segment(arena, need, err);
		}
		if (rc != BSC_OK) {
			return rc;
		}
		index = arena->segments[arena->n_segments - 1]->first;
	}
	unlist_free(arena, index);
	split(arena, index, need);
	struct block *block = &arena->blocks[index];
	block->state = TAKEN;
	*out = (struct bsc__slot){
	    .number = block->generation << INDEX_BITS | (index + 1),
	    .segment = block->segment->number,
	    .offset = block->offset,
	    .ptr = block->segment->ptr + block->offset,
	    .size = size,
	};
	return BSC_OK;
}

void bsc__arena_release(struct bsc__arena *arena, uint64_t slot)
{
	uint64_t index_and_one = slot & BLOCKS_MAX;
	if (index_and_one == 0 || index_and_one > arena->n_blocks) {
		return;
	}
	uint32_t index = (uint32_t)index_and_one - 1;
	struct block *block = &arena->blocks[index];
	if (block->state != TAKEN || block->generation != slot >> INDEX_BITS) {
		return;
	}
	block->generation++;
	if (block->after != NONE && arena->blocks[block->after].state == FREE) {
		unlist_free(arena, block->after);
		join_next(arena, index);
	}
	if (block->before != NONE && arena->blocks[block->before].state == FREE) {
		index = block->before;
		unlist_free(arena, index);
		join_next(arena, index);
	}
	list_free(arena, index);
}
