#define _GNU_SOURCE
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "process/arena.h"
#include "process/os.h"

#define MIB ((uint64_t)1 << 20)

/* What a host does with what the arena tells it. */
struct host {
	struct bsc__segments segments;
	uint64_t added, dropped;
	uint64_t last_dropped;
	bool refuses;
};

static bool on_segment(void *ctx, uint64_t segment, uint64_t size, int fd)
{
	struct host *host = ctx;
	struct bsc_error err;
	if (host->refuses) {
		return false;
	}
	assert_ok(bsc__segments_add(&host->segments, segment, size, fd, &err), &err);
	host->added++;
	assert_int_equal(segment, host->added);
	return true;
}

static void on_drop(void *ctx, uint64_t segment)
{
	struct host *host = ctx;
	bsc__segments_drop(&host->segments, segment);
	host->dropped++;
	host->last_dropped = segment;
}

static struct host host;
static struct bsc__arena *arena;
static struct bsc_error err;

static int setup(void **state)
{
	(void)state;
	host = (struct host){0};
	const struct bsc__arena_host calls = {on_segment, on_drop, &host};
	return bsc__arena_new(&calls, &arena, &err);
}

static int teardown(void **state)
{
	(void)state;
	bsc__arena_free(arena);
	bsc__segments_release(&host.segments);
	return 0;
}

static struct bsc__slot take(uint64_t size)
{
	struct bsc__slot slot;
	assert_ok(bsc__arena_take(arena, size, &slot, &err), &err);
	assert_int_equal(slot.offset % BSC__BUFFER_ALIGN, 0);
	assert_int_equal(slot.size, size);
	const struct bsc__segment *segment = bsc__segments_find(&host.segments, slot.segment);
	assert_non_null(segment);
	assert_true(slot.offset + size <= segment->size);
	return slot;
}

static void test_the_host_sees_what_the_worker_writes(void **state)
{
	(void)state;
	struct bsc__slot one = take(100), two = take(MIB);
	assert_int_equal(one.number, 1);
	assert_int_equal(one.segment, 1);
	memset(one.ptr, 1, one.size);
	memset(two.ptr, 2, two.size);
	const struct bsc__segment *segment = bsc__segments_find(&host.segments, 1);
	assert_int_equal(segment->size, 16 * MIB);
	for (uint64_t i = 0; i < 100; i++) {
		assert_int_equal(segment->ptr[one.offset + i], 1);
	}
	assert_int_equal(segment->ptr[two.offset + MIB - 1], 2);
	assert_int_equal(host.added, 1);
}

static void test_a_released_slot_is_used_again_by_another_number(void **state)
{
	(void)state;
	struct bsc__slot one = take(MIB), two = take(MIB);
	bsc__arena_release(arena, one.number);
	struct bsc__slot three = take(MIB);
	assert_ptr_equal(three.ptr, one.ptr);
	assert_true(three.number != one.number && three.number != two.number);
	/* Of the old number nothing is known any more. */
	bsc__arena_release(arena, one.number);
	struct bsc__slot four = take(MIB);
	assert_ptr_not_equal(four.ptr, three.ptr);
}

static void test_unknown_numbers_are_ignored(void **state)
{
	(void)state;
	struct bsc__slot one = take(1);
	const uint64_t unknown[] = {0, 2, 3, UINT64_MAX, one.number + ((uint64_t)1 << 24), (uint64_t)1 << 63};
	for (size_t i = 0; i < LENGTH(unknown); i++) {
		bsc__arena_release(arena, unknown[i]);
	}
	assert_ptr_not_equal(take(1).ptr, one.ptr);
}

static void test_neighbours_join_whatever_their_order(void **state)
{
	(void)state;
	const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	for (size_t o = 0; o < LENGTH(orders); o++) {
		struct bsc__slot slots[3] = {take(5 * MIB), take(5 * MIB), take(6 * MIB)};
		for (int i = 0; i < 3; i++) {
			bsc__arena_release(arena, slots[orders[o][i]].number);
		}
		struct bsc__slot all = take(16 * MIB);
		assert_int_equal(all.segment, 1);
		bsc__arena_release(arena, all.number);
	}
	assert_int_equal(host.added, 1);
}

static void test_what_is_larger_than_a_segment_gets_one_of_its_size(void **state)
{
	(void)state;
	struct bsc__slot slot = take(20 * MIB + 1);
	const struct bsc__segment *segment = bsc__segments_find(&host.segments, slot.segment);
	assert_true(segment->size > 20 * MIB && segment->size <= 20 * MIB + 65536);
	slot.ptr[slot.size - 1] = 7;
	assert_int_equal(segment->ptr[slot.size - 1], 7);
}

static void test_trim_drops_free_segments_beyond_what_is_kept(void **state)
{
	(void)state;
	struct bsc__slot slots[6];
	for (int i = 0; i < 6; i++) {
		slots[i] = take(16 * MIB);
	}
	assert_int_equal(host.added, 6);
	for (int i = 0; i < 5; i++) {
		bsc__arena_release(arena, slots[i].number);
	}
	bsc__arena_trim(arena, 64 * MIB);
	assert_int_equal(host.dropped, 1);
	assert_int_equal(host.last_dropped, 5);
	bsc__arena_trim(arena, 0);
	assert_int_equal(host.dropped, 5);
	/* The one that is in use stays, and the next has a new number. */
	slots[5].ptr[0] = 1;
	assert_int_equal(take(16 * MIB).segment, 7);
	bsc__arena_release(arena, slots[5].number);
}

static void test_a_hundred_thousand_slots_cost_little_each(void **state)
{
	(void)state;
	enum { N = 100000 };
	struct bsc__slot *slots = malloc(N * sizeof(*slots));
	assert_non_null(slots);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < N; i++) {
			slots[i] = take(64 + (uint64_t)(i % 7) * 64);
			memset(slots[i].ptr, i & 255, slots[i].size);
		}
		/* Every second one, then the others in the reverse order: as many holes as there can be. */
		for (int i = 0; i < N; i += 2) {
			assert_int_equal(slots[i].ptr[slots[i].size - 1], i & 255);
			bsc__arena_release(arena, slots[i].number);
		}
		for (int i = 0; i < N; i += 2) {
			slots[i] = take(64 + (uint64_t)(i % 11) * 64);
		}
		for (int i = N - 1; i >= 0; i--) {
			assert_true(i % 2 == 0 || slots[i].ptr[0] == (i & 255));
			bsc__arena_release(arena, slots[i].number);
		}
	}
	bsc__arena_trim(arena, 0);
	assert_int_equal(host.segments.n, 0);
	free(slots);
}

/* Against a map of who owns each unit of memory. */
static void test_slots_never_overlap(void **state)
{
	(void)state;
	enum { LIVE = 64, STEPS = 20000 };
	struct bsc__slot slots[LIVE] = {0};
	srand(7);
	for (int step = 0; step < STEPS; step++) {
		int i = rand() % LIVE;
		if (slots[i].ptr) {
			for (uint64_t k = 0; k < slots[i].size; k += 4096) {
				assert_int_equal(slots[i].ptr[k], i);
			}
			assert_int_equal(slots[i].ptr[slots[i].size - 1], i);
			bsc__arena_release(arena, slots[i].number);
			slots[i] = (struct bsc__slot){0};
		} else {
			slots[i] = take(1 + (uint64_t)rand() % (rand() % 8 ? 3000 : 2 * MIB));
			for (uint64_t k = 0; k < slots[i].size; k += 4096) {
				slots[i].ptr[k] = (uint8_t)i;
			}
			slots[i].ptr[slots[i].size - 1] = (uint8_t)i;
		}
	}
}

static void test_a_host_that_takes_nothing_is_an_error(void **state)
{
	(void)state;
	struct bsc__slot slot;
	host.refuses = true;
	assert_fails(bsc__arena_take(arena, 1, &slot, &err), BSC_WORKER, &err, "gone");
	host.refuses = false;
	assert_int_equal(take(1).segment, 1);
}

static void test_memory_that_there_is_not_is_an_error(void **state)
{
	(void)state;
	struct bsc__slot slot;
	assert_fails(bsc__arena_take(arena, UINT64_MAX, &slot, &err), BSC_NOMEM, &err, "larger than any memory");
	struct rlimit limit, none;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){0, limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_fails(bsc__arena_take(arena, 1, &slot, &err), BSC_NOMEM, &err, "raise ulimit -n");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(take(1).segment, 1);
}

static void test_no_descriptor_is_kept(void **state)
{
	(void)state;
	int before = dup(0);
	assert_true(before >= 0);
	close(before);
	for (int i = 0; i < 4; i++) {
		take(16 * MIB);
	}
	int after = dup(0);
	close(after);
	assert_int_equal(before, after);
}

/* ---- what is no segment ---- */

static void test_a_segment_is_sealed_memory_of_its_size(void **state)
{
	(void)state;
	struct bsc__segments segments = {0};
	int fd;
	void *ptr;
	assert_ok(bsc__os_memory_new(8192, &fd, &ptr, &err), &err);
	assert_int_not_equal(ftruncate(fd, 4096), 0);
	assert_int_not_equal(ftruncate(fd, 16384), 0);
	const uint64_t sizes[] = {0, 4096, 8191, 8193, UINT64_MAX};
	for (size_t i = 0; i < LENGTH(sizes); i++) {
		assert_fails(bsc__segments_add(&segments, 1, sizes[i], fd, &err), BSC_MALFORMED, &err, "8192 bytes");
	}
	int unsealed = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(unsealed, 8192), 0);
	assert_fails(bsc__segments_add(&segments, 1, 8192, unsealed, &err), BSC_MALFORMED, &err, "can still shrink");
	int pipes[2];
	assert_int_equal(pipe(pipes), 0);
	assert_fails(bsc__segments_add(&segments, 1, 8192, pipes[0], &err), BSC_MALFORMED, &err, "is none");
	assert_fails(bsc__segments_add(&segments, 1, 8192, -1, &err), BSC_MALFORMED, &err, "is none");
	assert_ok(bsc__segments_add(&segments, 1, 8192, fd, &err), &err);
	assert_fails(bsc__segments_add(&segments, 1, 8192, fd, &err), BSC_MALFORMED, &err, "after segment 1");
	assert_int_equal(segments.n, 1);
	close(fd);
	close(unsealed);
	close(pipes[0]);
	close(pipes[1]);
	bsc__os_memory_unmap(ptr, 8192);
	bsc__segments_release(&segments);
}

static void test_a_mapping_lives_until_its_last_user(void **state)
{
	(void)state;
	struct bsc__slot slot = take(100);
	memset(slot.ptr, 9, 100);
	struct bsc__segment *segment = bsc__segments_find(&host.segments, slot.segment);
	bsc__segment_ref(segment);
	bsc__segments_drop(&host.segments, slot.segment);
	bsc__segments_drop(&host.segments, slot.segment);
	assert_null(bsc__segments_find(&host.segments, slot.segment));
	assert_int_equal(segment->ptr[slot.offset + 99], 9);
	bsc__segment_unref(segment);
}

#define ARENA_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    ARENA_TEST(test_the_host_sees_what_the_worker_writes),
	    ARENA_TEST(test_a_released_slot_is_used_again_by_another_number),
	    ARENA_TEST(test_unknown_numbers_are_ignored),
	    ARENA_TEST(test_neighbours_join_whatever_their_order),
	    ARENA_TEST(test_what_is_larger_than_a_segment_gets_one_of_its_size),
	    ARENA_TEST(test_trim_drops_free_segments_beyond_what_is_kept),
	    ARENA_TEST(test_a_hundred_thousand_slots_cost_little_each),
	    ARENA_TEST(test_slots_never_overlap),
	    ARENA_TEST(test_a_host_that_takes_nothing_is_an_error),
	    ARENA_TEST(test_memory_that_there_is_not_is_an_error),
	    ARENA_TEST(test_no_descriptor_is_kept),
	    ARENA_TEST(test_a_segment_is_sealed_memory_of_its_size),
	    ARENA_TEST(test_a_mapping_lives_until_its_last_user),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
