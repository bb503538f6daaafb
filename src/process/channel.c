/* Frames over a stream socket. */
#include "process/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "process/os.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))
/* What is received at once; a buffer that a large frame made longer goes back to it. */
#define RECEIVE_BYTES (64u << 10)
/* Of posted frames that the other end doesn't take. */
#define POSTED_MAX (16u << 20)

void bsc__channel_init(struct bsc__channel *channel, int fd)
{
	*channel = (struct bsc__channel){.fd = fd};
	pthread_mutex_init(&channel->send_lock, NULL);
	pthread_mutex_init(&channel->post_lock, NULL);
	bsc__bytes_init(&channel->going, POSTED_MAX);
	bsc__bytes_init(&channel->posted, POSTED_MAX);
	bsc__bytes_init(&channel->in, (size_t)BSC__PAYLOAD_MAX + BSC__FRAME_HEADER + RECEIVE_BYTES);
	int flags = fcntl(fd, F_GETFL);
	if (flags != -1) {
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	}
}

void bsc__channel_close(struct bsc__channel *channel)
{
	pthread_mutex_lock(&channel->send_lock);
	if (channel->fd >= 0) {
		(void)close(channel->fd);
		channel->fd = -1;
	}
	bsc__bytes_release(&channel->going);
	channel->going_at = 0;
	pthread_mutex_lock(&channel->post_lock);
	bsc__bytes_release(&channel->posted);
	pthread_mutex_unlock(&channel->post_lock);
	pthread_mutex_unlock(&channel->send_lock);
	for (int i = 0; i < channel->n_fds; i++) {
		(void)close(channel->fds[i]);
	}
	channel->n_fds = 0;
	bsc__bytes_release(&channel->in);
}

/* ---- receiving ---- */

static enum bsc__channel_state fail_frame(struct bsc_error *err, const char *what, uint64_t number)
{
	(void)bsc__fail(err, BSC_WORKER, "what came over the channel is no frame: %s %llu", what,
	                (unsigned long long)number);
	return BSC__CHANNEL_BROKEN;
}

/* Takes a frame off what was received; EMPTY: more is needed. */
static enum bsc__channel_state parse(struct bsc__channel *channel, struct bsc__frame *frame, struct bsc_error *err)
{
	size_t left = channel->in.len - channel->at;
	if (left < BSC__FRAME_HEADER) {
		return BSC__CHANNEL_EMPTY;
	}
	struct bsc__view view = {channel->in.ptr + channel->at, left, false};
	uint32_t length = bsc__get_u32(&view);
	uint16_t type = bsc__get_u16(&view), zero = bsc__get_u16(&view);
	uint64_t number = bsc__get_u64(&view);
	if (length > BSC__PAYLOAD_MAX) {
		return fail_frame(err, "its length is", length);
	}
	if (zero) {
		return fail_frame(err, "a field that is to be zero is", zero);
	}
	if (view.left < length) {
		return BSC__CHANNEL_EMPTY;
	}
	*frame = (struct bsc__frame){type, number, {view.ptr, length, false}, -1};
	channel->at += BSC__FRAME_HEADER + (size_t)length;
	if (type == BSC__SEGMENT) {
		/* It came with the frame's first byte, or with one before: in order. */
		if (channel->n_fds == 0) {
			return fail_frame(err, "no descriptor came with segment", number);
		}
		frame->fd = channel->fds[0];
		channel->n_fds--;
		memmove(channel->fds, channel->fds + 1, (size_t)channel->n_fds * sizeof(*channel->fds));
	}
	return BSC__CHANNEL_FRAME;
}

/* Moves what is left to the front, and lets go of the memory of a large frame. */
static void compact(struct bsc__channel *channel)
{
	struct bsc__bytes *in = &channel->in;
	size_t left = in->len - channel->at;
	if (channel->at) {
		memmove(in->ptr, in->ptr + channel->at, left);
		in->len = left;
		channel->at = 0;
	}
	if (left == 0 && in->cap > 4 * (size_t)RECEIVE_BYTES) {
		bsc__bytes_release(in);
	}
}

enum bsc__channel_state bsc__channel_receive(struct bsc__channel *channel, struct bsc__frame *frame,
                                             struct bsc_error *err)
{
	for (;;) {
		enum bsc__channel_state state = parse(channel, frame, err);
		if (state != BSC__CHANNEL_EMPTY) {
			return state;
		}
		if (channel->fd < 0) {
			return BSC__CHANNEL_CLOSED;
		}
		compact(channel);
		size_t before = channel->in.len;
		void *room = bsc__bytes_extend(&channel->in, RECEIVE_BYTES);
		if (!room) {
			(void)bsc__fail_nomem(err, "receiving from a worker");
			return BSC__CHANNEL_BROKEN;
		}
		int n_fds = (int)LENGTH(channel->fds) - channel->n_fds;
		bool cut = false;
		ssize_t n = bsc__os_receive(channel->fd, room, RECEIVE_BYTES, channel->fds + channel->n_fds, &n_fds, &cut);
		channel->in.len = before + (n > 0 ? (size_t)n : 0);
		channel->n_fds += n_fds;
		if (cut) {
			(void)bsc__fail(
			    err, BSC_WORKER,
			    "a descriptor of shared memory was lost on its way: too many files are open in this process "
			    "(raise the limit: ulimit -n), or the worker sent more than it may");
			return BSC__CHANNEL_BROKEN;
		}
		if (n == 0) {
			return BSC__CHANNEL_CLOSED;
		}
		if (n < 0) {
			return errno == EAGAIN || errno == EWOULDBLOCK ? BSC__CHANNEL_EMPTY : BSC__CHANNEL_CLOSED;
		}
	}
}

void bsc__channel_wait(const struct bsc__channel *channel, int timeout_ms)
{
	struct pollfd wait = {channel->fd, POLLIN, 0};
	(void)poll(&wait, 1, timeout_ms);
}

/* ---- sending ---- */

/* Until when to wait for the other end. */
struct patience {
	int timeout_ms; /* 0: not at all */
	int64_t until_ms;
};

static bool has_patience(struct bsc__channel *channel, struct patience *patience)
{
	if (patience->timeout_ms == 0) {
		return false;
	}
	int64_t now = bsc__now_ms();
	patience->until_ms = patience->until_ms ? patience->until_ms : now + patience->timeout_ms;
	if (now >= patience->until_ms) {
		return false;
	}
	struct pollfd wait = {channel->fd, POLLOUT, 0};
	(void)poll(&wait, 1, (int)(patience->until_ms - now));
	return true;
}

enum pushed {
	PUSHED,
	PUSHED_PART, /* the other end doesn't take more */
	PUSHED_NONE, /* it is gone */
};

/* With send_lock held. *at: how much is out. */
static enum pushed push(struct bsc__channel *channel, const uint8_t *bytes, size_t len, size_t *at, int fd,
                        struct patience *patience)
{
	while (*at < len) {
		ssize_t n = channel->fd < 0 ? -1 : bsc__os_send(channel->fd, bytes + *at, len - *at, fd);
		if (n >= 0) {
			*at += (size_t)n;
			fd = -1;
		} else if (channel->fd < 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) {
			return PUSHED_NONE;
		} else if (!has_patience(channel, patience)) {
			return PUSHED_PART;
		}
	}
	return PUSHED;
}

/* With send_lock held. */
static enum pushed push_posted(struct bsc__channel *channel, struct patience *patience)
{
	for (;;) {
		struct bsc__bytes *going = &channel->going;
		if (channel->going_at == going->len) {
			bsc__bytes_release(going);
			channel->going_at = 0;
			pthread_mutex_lock(&channel->post_lock);
			*going = channel->posted;
			bsc__bytes_init(&channel->posted, POSTED_MAX);
			pthread_mutex_unlock(&channel->post_lock);
		}
		if (going->failed) {
			return PUSHED_NONE;
		}
		if (going->len == 0) {
			return PUSHED;
		}
		enum pushed pushed = push(channel, going->ptr, going->len, &channel->going_at, -1, patience);
		if (pushed != PUSHED) {
			return pushed;
		}
	}
}

/* With send_lock held. A part of a frame may be out: what follows would be garbage. */
static void give_up(struct bsc__channel *channel)
{
	if (channel->fd >= 0) {
		bsc__os_shut(channel->fd);
	}
	bsc__bytes_release(&channel->going);
	channel->going_at = 0;
}

bool bsc__channel_send(struct bsc__channel *channel, const void *frames, size_t len, int fd, int timeout_ms)
{
	struct patience patience = {timeout_ms, 0};
	size_t at = 0;
	pthread_mutex_lock(&channel->send_lock);
	bool good = push_posted(channel, &patience) == PUSHED && push(channel, frames, len, &at, fd, &patience) == PUSHED;
	if (!good) {
		give_up(channel);
	}
	pthread_mutex_unlock(&channel->send_lock);
	return good;
}

bool bsc__channel_flush(struct bsc__channel *channel)
{
	struct patience none = {0, 0};
	pthread_mutex_lock(&channel->post_lock);
	bool any = channel->posted.len > 0 || channel->posted.failed;
	pthread_mutex_unlock(&channel->post_lock);
	/* Who holds the lock may be past what was posted. */
	if (pthread_mutex_trylock(&channel->send_lock) != 0) {
		return any;
	}
	enum pushed pushed = push_posted(channel, &none);
	if (pushed == PUSHED_NONE) {
		give_up(channel);
	}
	pthread_mutex_unlock(&channel->send_lock);
	return pushed == PUSHED_PART;
}

bool bsc__channel_post(struct bsc__channel *channel, const void *frames, size_t len)
{
	pthread_mutex_lock(&channel->post_lock);
	bsc__put(&channel->posted, frames, len);
	pthread_mutex_unlock(&channel->post_lock);
	return bsc__channel_flush(channel);
}

void bsc__channel_forked(struct bsc__channel *channel)
{
	pthread_mutex_init(&channel->send_lock, NULL);
	pthread_mutex_init(&channel->post_lock, NULL);
	if (channel->fd >= 0) {
		(void)close(channel->fd);
		channel->fd = -1;
	}
}
