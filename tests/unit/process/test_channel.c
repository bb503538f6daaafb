/* Frames over a socket, and the descriptors beside them. */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "process/channel.h"
#include "process/os.h"

struct pair {
	struct bsc__channel channel;
	int other; /* -1: closed */
	struct bsc__bytes bytes;
};

static struct bsc_error err;

static int set_up(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));
	int fds[2];
	assert_ok(bsc__os_socket_pair(fds, &err), &err);
	bsc__channel_init(&p->channel, fds[0]);
	p->other = fds[1];
	bsc__bytes_init(&p->bytes, (size_t)BSC__PAYLOAD_MAX + (1 << 20));
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct pair *p = *state;
	bsc__channel_close(&p->channel);
	bsc__channel_close(&p->channel);
	if (p->other >= 0) {
		(void)close(p->other);
	}
	bsc__bytes_release(&p->bytes);
	free(p);
	return 0;
}

/* Puts a frame whose bytes are those of its number. */
static void put(struct pair *p, enum bsc__frame_type type, uint64_t number, size_t len)
{
	size_t begin = bsc__frame_begin(&p->bytes, type, number);
	void *payload = bsc__bytes_extend(&p->bytes, len);
	assert_true(payload || len == 0);
	if (len) {
		memset(payload, (int)(number & 0xff), len);
	}
	bsc__frame_end(&p->bytes, begin);
	assert_false(p->bytes.failed);
}

static void write_part(struct pair *p, size_t from, size_t to, int fd)
{
	while (from < to) {
		ssize_t n = bsc__os_send(p->other, p->bytes.ptr + from, to - from, fd);
		assert_true(n > 0);
		from += (size_t)n;
		fd = -1;
	}
}

static void write_it(struct pair *p, int fd)
{
	write_part(p, 0, p->bytes.len, fd);
	bsc__bytes_clear(&p->bytes);
}

static void expect(struct pair *p, enum bsc__frame_type type, uint64_t number, size_t len)
{
	struct bsc__frame frame;
	assert_int_equal(bsc__channel_receive(&p->channel, &frame, &err), BSC__CHANNEL_FRAME);
	assert_int_equal(frame.type, type);
	assert_int_equal(frame.number, number);
	assert_int_equal(frame.payload.left, len);
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(frame.payload.ptr[i], number & 0xff);
	}
	assert_int_equal(frame.fd >= 0, type == BSC__SEGMENT);
	if (frame.fd >= 0) {
		(void)close(frame.fd);
	}
}

static void expect_state(struct pair *p, enum bsc__channel_state state, const char *text)
{
	struct bsc__frame frame;
	err.message[0] = '\0';
	assert_int_equal(bsc__channel_receive(&p->channel, &frame, &err), state);
	if (text && !strstr(err.message, text)) {
		fail_msg("wanted '%s', got '%s'", text, err.message);
	}
}

/* ---- receiving ---- */

static void test_frames_arrive_whole(void **state)
{
	struct pair *p = *state;
	expect_state(p, BSC__CHANNEL_EMPTY, NULL);
	put(p, BSC__END, 7, 0);
	write_it(p, -1);
	expect(p, BSC__END, 7, 0);
	put(p, BSC__BATCH, UINT64_MAX, 100);
	write_it(p, -1);
	expect(p, BSC__BATCH, UINT64_MAX, 100);
	expect_state(p, BSC__CHANNEL_EMPTY, NULL);
}

static void test_frames_arrive_in_pieces(void **state)
{
	struct pair *p = *state;
	put(p, BSC__BATCH, 1, 10);
	put(p, BSC__END, 2, 0);
	for (size_t i = 0; i < p->bytes.len; i++) {
		write_part(p, i, i + 1, -1);
		if (i + 1 == BSC__FRAME_HEADER + 10) {
			expect(p, BSC__BATCH, 1, 10);
		} else if (i + 1 < p->bytes.len) {
			expect_state(p, BSC__CHANNEL_EMPTY, NULL);
		}
	}
	expect(p, BSC__END, 2, 0);
}

static void test_many_frames_arrive_at_once(void **state)
{
	struct pair *p = *state;
	for (uint64_t round = 0; round < 50; round++) {
		for (uint64_t i = 0; i < 1000; i++) {
			put(p, BSC__BATCH, round * 1000 + i, i % 97);
		}
		write_it(p, -1);
		for (uint64_t i = 0; i < 1000; i++) {
			expect(p, BSC__BATCH, round * 1000 + i, i % 97);
		}
		expect_state(p, BSC__CHANNEL_EMPTY, NULL);
	}
}

static void *write_slowly(void *arg)
{
	struct pair *p = arg;
	for (size_t at = 0; at < p->bytes.len;) {
		ssize_t n = bsc__os_send(p->other, p->bytes.ptr + at, p->bytes.len - at, -1);
		if (n > 0) {
			at += (size_t)n;
		} else {
			(void)poll(&(struct pollfd){p->other, POLLOUT, 0}, 1, 1000);
		}
	}
	return NULL;
}

static void pass_through(struct pair *p, size_t len)
{
	pthread_t thread;
	struct bsc__frame frame;
	enum bsc__channel_state got;
	put(p, BSC__BATCH, 5, len);
	put(p, BSC__END, 6, 3);
	assert_int_equal(pthread_create(&thread, NULL, write_slowly, p), 0);
	while ((got = bsc__channel_receive(&p->channel, &frame, &err)) == BSC__CHANNEL_EMPTY) {
		bsc__channel_wait(&p->channel, 1000);
	}
	assert_int_equal(got, BSC__CHANNEL_FRAME);
	assert_int_equal(frame.payload.left, len);
	assert_int_equal(frame.payload.ptr[0], 5);
	assert_int_equal(frame.payload.ptr[len - 1], 5);
	pthread_join(thread, NULL);
	expect(p, BSC__END, 6, 3);
	expect_state(p, BSC__CHANNEL_EMPTY, NULL);
	/* The memory of a large one is not kept. */
	assert_true(p->channel.in.cap <= 512 << 10);
}

static void test_frame_larger_than_the_buffer_arrives(void **state)
{
	pass_through(*state, 3 << 20);
}

static void test_frame_of_the_largest_size_arrives(void **state)
{
	pass_through(*state, BSC__PAYLOAD_MAX);
}

static void test_frame_above_the_largest_size_is_refused(void **state)
{
	struct pair *p = *state;
	bsc__put_u32(&p->bytes, BSC__PAYLOAD_MAX + 1);
	bsc__put_u16(&p->bytes, BSC__BATCH);
	bsc__put_u16(&p->bytes, 0);
	bsc__put_u64(&p->bytes, 1);
	write_it(p, -1);
	expect_state(p, BSC__CHANNEL_BROKEN, "its length is 67108865");
}

static void test_reserved_field_must_be_zero(void **state)
{
	struct pair *p = *state;
	bsc__put_u32(&p->bytes, 0);
	bsc__put_u16(&p->bytes, BSC__END);
	bsc__put_u16(&p->bytes, 3);
	bsc__put_u64(&p->bytes, 1);
	write_it(p, -1);
	expect_state(p, BSC__CHANNEL_BROKEN, "a field that is to be zero is 3");
}

/* ---- descriptors ---- */

static int count_descriptors(void)
{
	int n = 0;
	for (int fd = 0; fd < 256; fd++) {
		n += fcntl(fd, F_GETFD) != -1;
	}
	return n;
}

static void test_descriptor_arrives_with_its_segment(void **state)
{
	struct pair *p = *state;
	int before = count_descriptors();
	for (int i = 0; i < 20; i++) {
		put(p, BSC__BATCH, 1, 70000);
		write_it(p, -1);
		put(p, BSC__SEGMENT, 2, 8);
		write_it(p, STDIN_FILENO);
		put(p, BSC__SEGMENT, 3, 8);
		write_it(p, STDIN_FILENO);
		expect(p, BSC__BATCH, 1, 70000);
		expect(p, BSC__SEGMENT, 2, 8);
		expect(p, BSC__SEGMENT, 3, 8);
	}
	assert_int_equal(count_descriptors(), before);
}

static void test_segment_without_descriptor_is_refused(void **state)
{
	struct pair *p = *state;
	put(p, BSC__SEGMENT, 9, 8);
	write_it(p, -1);
	expect_state(p, BSC__CHANNEL_BROKEN, "no descriptor came with segment 9");
}

static void test_descriptors_that_nobody_asked_for_end_it(void **state)
{
	struct pair *p = *state;
	int before = count_descriptors();
	enum bsc__channel_state got = BSC__CHANNEL_EMPTY;
	struct bsc__frame frame;
	for (int i = 0; i < 9; i++) {
		put(p, BSC__END, 1, 0);
		write_it(p, STDIN_FILENO);
		got = bsc__channel_receive(&p->channel, &frame, &err);
		assert_int_equal(got, i < 8 ? BSC__CHANNEL_FRAME : BSC__CHANNEL_BROKEN);
	}
	assert_non_null(strstr(err.message, "or the worker sent more than it may"));
	bsc__channel_close(&p->channel);
	assert_int_equal(count_descriptors(), before - 1);
}

/* Several descriptors at once: as sendmsg allows. */
static void send_many(int fd, const void *bytes, size_t len, int n)
{
	union {
		char bytes[CMSG_SPACE(32 * sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct iovec part = {(void *)(uintptr_t)bytes, len};
	struct msghdr message = {.msg_iov = &part,
	                         .msg_iovlen = 1,
	                         .msg_control = control.bytes,
	                         .msg_controllen = CMSG_SPACE((size_t)n * sizeof(int))};
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
	for (int i = 0; i < n; i++) {
		memcpy(CMSG_DATA(c) + (size_t)i * sizeof(int), &(int){STDIN_FILENO}, sizeof(int));
	}
	assert_true(sendmsg(fd, &message, 0) == (ssize_t)len);
}

static void test_more_descriptors_than_there_is_room_for_are_closed(void **state)
{
	struct pair *p = *state;
	int before = count_descriptors();
	put(p, BSC__SEGMENT, 1, 8);
	send_many(p->other, p->bytes.ptr, p->bytes.len, 3);
	expect(p, BSC__SEGMENT, 1, 8);
	assert_int_equal(count_descriptors(), before + 2);
	send_many(p->other, p->bytes.ptr, p->bytes.len, 7);
	expect_state(p, BSC__CHANNEL_BROKEN, "a descriptor of shared memory was lost");
	bsc__channel_close(&p->channel);
	assert_int_equal(count_descriptors(), before - 1);
}

static void test_descriptor_that_the_process_may_not_open_is_missed(void **state)
{
	struct pair *p = *state;
	struct rlimit before, low;
	put(p, BSC__SEGMENT, 1, 8);
	write_it(p, STDIN_FILENO);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	int fd = dup(STDIN_FILENO);
	low.rlim_cur = (rlim_t)fd;
	(void)close(fd);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	struct bsc__frame frame;
	enum bsc__channel_state got = bsc__channel_receive(&p->channel, &frame, &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(got, BSC__CHANNEL_BROKEN);
	assert_non_null(strstr(err.message, "ulimit -n"));
}

/* ---- the other end ---- */

static void close_other(struct pair *p)
{
	(void)close(p->other);
	p->other = -1;
}

static void test_end_that_is_closed_before_a_frame(void **state)
{
	struct pair *p = *state;
	close_other(p);
	expect_state(p, BSC__CHANNEL_CLOSED, NULL);
	expect_state(p, BSC__CHANNEL_CLOSED, NULL);
	assert_false(bsc__channel_send(&p->channel, "x", 1, -1, 1000));
}

static void test_frames_sent_before_the_end_still_arrive(void **state)
{
	struct pair *p = *state;
	/* Bytes that it left unread make the end a reset. */
	assert_true(bsc__channel_send(&p->channel, "x", 1, -1, 1000));
	put(p, BSC__END, 1, 5);
	write_it(p, -1);
	close_other(p);
	expect(p, BSC__END, 1, 5);
	expect_state(p, BSC__CHANNEL_CLOSED, NULL);
}

static void test_end_that_is_closed_in_a_frame(void **state)
{
	struct pair *p = *state;
	put(p, BSC__BATCH, 1, 100);
	write_part(p, 0, 50, -1);
	expect_state(p, BSC__CHANNEL_EMPTY, NULL);
	close_other(p);
	expect_state(p, BSC__CHANNEL_CLOSED, NULL);
}

static void test_closed_channel_neither_sends_nor_receives(void **state)
{
	struct pair *p = *state;
	bsc__channel_close(&p->channel);
	expect_state(p, BSC__CHANNEL_CLOSED, NULL);
	assert_false(bsc__channel_send(&p->channel, "x", 1, -1, 1000));
}

/* ---- sending ---- */

static void test_end_that_does_not_read_is_given_up(void **state)
{
	struct pair *p = *state;
	enum { SIZE = 4 << 20 };
	void *much = calloc(1, SIZE);
	assert_false(bsc__channel_send(&p->channel, much, SIZE, -1, 50));
	/* What is out is no whole frame: there is nothing to be said any more. */
	assert_false(bsc__channel_send(&p->channel, "x", 1, -1, 1000));
	expect_state(p, BSC__CHANNEL_CLOSED, NULL);
	free(much);
}

static void test_posted_frames_wait_for_nobody_and_go_first(void **state)
{
	struct pair *p = *state;
	struct bsc__channel other;
	struct bsc__frame frame;
	enum bsc__channel_state got;
	uint64_t n = 0, next = 0;
	bool left;
	put(p, BSC__CLOSE, 0, 1000);
	do {
		memcpy(p->bytes.ptr + 8, &n, sizeof(n));
		left = bsc__channel_post(&p->channel, p->bytes.ptr, p->bytes.len);
		n++;
	} while (n < 2000);
	assert_true(left);
	assert_true(bsc__channel_flush(&p->channel));
	bsc__channel_init(&other, p->other);
	p->other = -1;
	while (next < n) {
		while ((got = bsc__channel_receive(&other, &frame, &err)) == BSC__CHANNEL_FRAME) {
			assert_int_equal(frame.number, next++);
		}
		assert_int_equal(got, BSC__CHANNEL_EMPTY);
		left = bsc__channel_flush(&p->channel);
		assert_true(left || next + 1000 > n);
	}
	assert_false(bsc__channel_flush(&p->channel));
	assert_false(bsc__channel_post(&p->channel, p->bytes.ptr, p->bytes.len));
	assert_int_equal(bsc__channel_receive(&other, &frame, &err), BSC__CHANNEL_FRAME);
	bsc__channel_close(&other);
}

static void test_end_that_lets_posted_frames_pile_up_is_given_up(void **state)
{
	struct pair *p = *state;
	struct bsc__frame frame;
	put(p, BSC__CLOSE, 0, 1 << 20);
	for (int i = 0; i < 32; i++) {
		(void)bsc__channel_post(&p->channel, p->bytes.ptr, p->bytes.len);
	}
	assert_false(bsc__channel_send(&p->channel, "x", 1, -1, 10));
	assert_int_equal(bsc__channel_receive(&p->channel, &frame, &err), BSC__CHANNEL_CLOSED);
}

struct sender {
	struct pair *pair;
	uint64_t id;
	pthread_t thread;
};

enum { SENDERS = 4, FRAMES = 300 };

static void *send_frames(void *arg)
{
	struct sender *s = arg;
	struct bsc__bytes out;
	bsc__bytes_init(&out, 1 << 20);
	for (size_t i = 0; i < FRAMES; i++) {
		bsc__bytes_clear(&out);
		size_t begin = bsc__frame_begin(&out, BSC__BATCH, s->id);
		size_t len = (i * 7919) % 20000;
		memset(bsc__bytes_extend(&out, len), (int)s->id, len);
		bsc__frame_end(&out, begin);
		if (!bsc__channel_send(&s->pair->channel, out.ptr, out.len, -1, 60000)) {
			break;
		}
	}
	bsc__bytes_release(&out);
	return NULL;
}

static void test_frames_of_many_senders_never_mix(void **state)
{
	struct pair *p = *state;
	struct sender senders[SENDERS];
	size_t n_of[SENDERS] = {0};
	struct bsc__channel other;
	bsc__channel_init(&other, p->other);
	p->other = -1;
	for (uint64_t i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){p, i, 0};
		assert_int_equal(pthread_create(&senders[i].thread, NULL, send_frames, &senders[i]), 0);
	}
	for (int n = 0; n < SENDERS * FRAMES; n++) {
		struct bsc__frame frame;
		enum bsc__channel_state got;
		while ((got = bsc__channel_receive(&other, &frame, &err)) == BSC__CHANNEL_EMPTY) {
			bsc__channel_wait(&other, 1000);
		}
		assert_int_equal(got, BSC__CHANNEL_FRAME);
		assert_true(frame.number < SENDERS);
		assert_int_equal(frame.payload.left, (n_of[frame.number]++ * 7919) % 20000);
		for (size_t i = 0; i < frame.payload.left; i++) {
			assert_int_equal(frame.payload.ptr[i], frame.number);
		}
	}
	for (int i = 0; i < SENDERS; i++) {
		pthread_join(senders[i].thread, NULL);
	}
	bsc__channel_close(&other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_frames_arrive_whole),
	    TEST(test_frames_arrive_in_pieces),
	    TEST(test_many_frames_arrive_at_once),
	    TEST(test_frame_larger_than_the_buffer_arrives),
	    TEST(test_frame_of_the_largest_size_arrives),
	    TEST(test_frame_above_the_largest_size_is_refused),
	    TEST(test_reserved_field_must_be_zero),
	    TEST(test_descriptor_arrives_with_its_segment),
	    TEST(test_segment_without_descriptor_is_refused),
	    TEST(test_descriptors_that_nobody_asked_for_end_it),
	    TEST(test_more_descriptors_than_there_is_room_for_are_closed),
	    TEST(test_descriptor_that_the_process_may_not_open_is_missed),
	    TEST(test_end_that_is_closed_before_a_frame),
	    TEST(test_frames_sent_before_the_end_still_arrive),
	    TEST(test_end_that_is_closed_in_a_frame),
	    TEST(test_closed_channel_neither_sends_nor_receives),
	    TEST(test_end_that_does_not_read_is_given_up),
	    TEST(test_posted_frames_wait_for_nobody_and_go_first),
	    TEST(test_end_that_lets_posted_frames_pile_up_is_given_up),
	    TEST(test_frames_of_many_senders_never_mix),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
