/* The host's end of the arena: mapped segments, each as long as something lies in it. */
#include "process/arena.h"

#include <stdatomic.h>
#include <string.h>

#include "process/os.h"

/* Beyond it a worker's numbers are nonsense: each segment is one mapping of the process. */
#define SEGMENTS_MAX 16384

void bsc__segment_ref(struct bsc__segment *segment)
{
	atomic_fetch_add_explicit(&segment->refs, 1, memory_order_relaxed);
}

void bsc__segment_unref(struct bsc__segment *segment)
{
	if (atomic_fetch_sub(&segment->refs, 1) == 1) {
		bsc__os_memory_unmap(segment->ptr, segment->size);
		bsc__free(segment);
	}
}

/* The first whose number isn't below. */
static size_t position(const struct bsc__segments *segments, uint64_t number)
{
	size_t low = 0, high = segments->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (segments->items[middle]->number < number) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

int bsc__segments_add(struct bsc__segments *segments, uint64_t number, uint64_t size, int fd, struct bsc_error *err)
{
	if (number <= segments->last) {
		return bsc__fail(err, BSC_MALFORMED, "segment %llu of shared memory was sent after segment %llu",
		                 (unsigned long long)number, (unsigned long long)segments->last);
	}
	if (segments->n == SEGMENTS_MAX) {
		return bsc__fail(err, BSC_MALFORMED, "more than %d segments of shared memory", SEGMENTS_MAX);
	}
	if (segments->n == segments->cap) {
		size_t cap = segments->cap ? 2 * segments->cap : 8;
		struct bsc__segment **items = bsc__resize(segments->items, cap, sizeof(struct bsc__segment *));
		if (!items) {
			return bsc__fail_nomem(err, "mapping shared memory");
		}
		segments->items = items;
		segments->cap = cap;
	}
	struct bsc__segment *segment = bsc__calloc(1, sizeof(*segment));
	if (!segment) {
		return bsc__fail_nomem(err, "mapping shared memory");
	}
	const void *ptr;
	int rc = bsc__os_memory_map(fd, size, &ptr, err);
	if (rc != BSC_OK) {
		bsc__free(segment);
		return rc;
	}
	segment->number = number;
	segment->ptr = ptr;
	segment->size = size;
	atomic_init(&segment->refs, 1);
	segments->items[segments->n++] = segment;
	segments->last = number;
	return BSC_OK;
}

struct bsc__segment *bsc__segments_find(const struct bsc__segments *segments, uint64_t number)
{
	size_t i = position(segments, number);
	return i < segments->n && segments->items[i]->number == number ? segments->items[i] : NULL;
}

void bsc__segments_drop(struct bsc__segments *segments, uint64_t number)
{
	size_t i = position(segments, number);
	if (i < segments->n && segments->items[i]->number == number) {
		bsc__segment_unref(segments->items[i]);
		segments->n--;
		memmove(&segments->items[i], &segments->items[i + 1], (segments->n - i) * sizeof(struct bsc__segment *));
	}
}

void bsc__segments_release(struct bsc__segments *segments)
{
	for (size_t i = 0; i < segments->n; i++) {
		bsc__segment_unref(segments->items[i]);
	}
	bsc__free(segments->items);
	*segments = (struct bsc__segments){0};
}
