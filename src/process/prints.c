/* Prints of workers, on their way to the host's stderr. */
#include "process/prints.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "process/os.h"
#include "process/worker.h"

/* How long the beginning of a line waits for its end: lines of several workers are to stay whole, and a progress bar is
 * to be seen. */
#define REST_MS 300
/* What was read and is not written yet. Workers' outputs are read only while there is nothing of it, but for what would
 * have another label, or none, were it read later. */
#define PENDING_BYTES (1u << 20)

static pthread_mutex_t stderr_lock = PTHREAD_MUTEX_INITIALIZER; /* a leaf; never held while writing */
static const struct bsc__worker *line_owner;                    /* guarded by stderr_lock: whose line has no end yet */
static struct {
	char text[PENDING_BYTES];
	size_t begin, end;
} pending; /* guarded by stderr_lock: what stderr has not taken yet, with labels */

void bsc__prints_forked(void)
{
	stderr_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	line_owner = NULL;
	pending.begin = pending.end = 0;
}

bool bsc__prints_left(void)
{
	pthread_mutex_lock(&stderr_lock);
	bool left = pending.end > pending.begin;
	pthread_mutex_unlock(&stderr_lock);
	return left;
}

void bsc__prints_await(int timeout_ms)
{
	for (int64_t until = bsc__now_ms() + timeout_ms; bsc__prints_left() && bsc__now_ms() < until;) {
		bsc__pool_wake();
		nanosleep(&(struct timespec){0, 2000000}, NULL);
	}
}

/* Where writes to stderr do not wait; -1: there is no such descriptor. It is a new description of the same pipe or
 * terminal: the host's own, which it may share with other processes, must go on to wait. */
static int open_stderr(void)
{
	struct stat what;
	bool may_wait = fstat(STDERR_FILENO, &what) == 0 && (S_ISFIFO(what.st_mode) || S_ISCHR(what.st_mode));
	return may_wait ? open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
}

/* As write without waiting. fd: open_stderr's. */
static ssize_t write_now(int fd, const char *text, size_t len)
{
	if (fd >= 0) {
		return write(fd, text, len);
	}
	ssize_t n = bsc__os_send(STDERR_FILENO, text, len, -1);
	if (n >= 0 || errno != ENOTSOCK) {
		return n;
	}
	/* A file, or what the system does not let this process open. */
	struct pollfd room = {STDERR_FILENO, POLLOUT, 0};
	if (poll(&room, 1, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	return write(STDERR_FILENO, text, len);
}

/* The next piece: whole lines if it may be, as others write there too. */
static size_t next_piece(char piece[PIPE_BUF])
{
	pthread_mutex_lock(&stderr_lock);
	size_t left = pending.end - pending.begin, len = left < PIPE_BUF ? left : PIPE_BUF, whole = len;
	const char *text = pending.text + pending.begin;
	while (whole > 0 && text[whole - 1] != '\n') {
		whole--;
	}
	len = whole && len < left ? whole : len;
	memcpy(piece, text, len);
	pthread_mutex_unlock(&stderr_lock);
	return len;
}

bool bsc__prints_flush(void)
{
	char piece[PIPE_BUF];
	size_t len = next_piece(piece);
	int fd = len ? open_stderr() : -1;
	bool full = false;
	while (len > 0 && !full) {
		ssize_t n = write_now(fd, piece, len);
		full = n < 0 && errno == EAGAIN;
		bool failed = n <= 0 && !full && errno != EINTR;
		pthread_mutex_lock(&stderr_lock);
		/* Nobody reads it any more, or ever will. */
		pending.begin = failed ? pending.end : pending.begin + (n > 0 ? (size_t)n : 0);
		pthread_mutex_unlock(&stderr_lock);
		len = full ? len : next_piece(piece);
	}
	if (fd >= 0) {
		(void)close(fd);
	}
	return !full;
}

/* With stderr_lock held. What finds no room is lost. */
static void append(const char *text, size_t len)
{
	if (pending.begin == pending.end || len > sizeof(pending.text) - pending.end) {
		memmove(pending.text, pending.text + pending.begin, pending.end - pending.begin);
		pending.end -= pending.begin;
		pending.begin = 0;
	}
	if (len <= sizeof(pending.text) - pending.end) {
		memcpy(pending.text + pending.end, text, len);
		pending.end += len;
	}
}

/* How many bytes of the worker's there is room for, were each a line. With both locks held. */
static size_t room_for(const struct bsc__worker *worker)
{
	size_t label = strlen(worker->label) + sizeof("[] ") + 1, room = sizeof(pending.text);
	size_t taken = pending.end - pending.begin + worker->rest.len + label;
	return taken < room ? (room - taken) / label : 0;
}

/* Prints `text` with the label before each line; a line that another one left open is ended before. With
 * both locks held, as all that follow. */
static void print_lines(struct bsc__worker *worker, const char *text, size_t len)
{
	char label[BSC__LABEL_CAP + 4];
	int label_len = snprintf(label, sizeof(label), "[%s] ", worker->label);
	if (line_owner && line_owner != worker) {
		append("\n", 1);
		line_owner = NULL;
	}
	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t line = end ? (size_t)(end - text) + 1 : len;
		if (!line_owner) {
			append(label, (size_t)label_len);
		}
		append(text, line);
		line_owner = end ? NULL : worker;
		text += line;
		len -= line;
	}
}

static void end_line(const struct bsc__worker *worker)
{
	if (line_owner == worker) {
		append("\n", 1);
		line_owner = NULL;
	}
}

/* Prints what has no end of its line. */
static void print_rest(struct bsc__worker *worker)
{
	if (worker->rest.len) {
		print_lines(worker, (const char *)worker->rest.ptr, worker->rest.len);
		bsc__bytes_clear(&worker->rest);
	}
}

/* Prints whole lines; what follows them waits for its end, for a while. */
static void print_whole(struct bsc__worker *worker, const char *text, size_t len)
{
	size_t whole = len;
	while (whole > 0 && text[whole - 1] != '\n') {
		whole--;
	}
	if (whole) {
		print_rest(worker);
		print_lines(worker, text, whole);
	}
	worker->rest_ms = worker->rest.len ? worker->rest_ms : bsc__now_ms();
	bsc__put(&worker->rest, text + whole, len - whole);
	if (worker->rest.failed || worker->rest.len >= BSC__PRINTS_REST_BYTES) {
		print_rest(worker);
	}
}

/* Reads once. False: there is nothing to read, or no room for it. */
static bool take(struct bsc__worker *worker)
{
	char text[16384];
	size_t room = room_for(worker);
	if (worker->output < 0 || room == 0) {
		return false;
	}
	ssize_t n = read(worker->output, text, room < sizeof(text) ? room : sizeof(text));
	if (n > 0) {
		print_whole(worker, text, (size_t)n);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		print_rest(worker);
		end_line(worker);
		(void)close(worker->output);
		worker->output = -1;
	}
	return n > 0;
}

static void lock_prints(struct bsc__worker *worker)
{
	pthread_mutex_lock(&worker->lock);
	pthread_mutex_lock(&stderr_lock);
}

static void unlock_prints(struct bsc__worker *worker)
{
	pthread_mutex_unlock(&stderr_lock);
	pthread_mutex_unlock(&worker->lock);
}

/* Not for ever: a worker that prints without end is not to keep the others' from being read. */
#define READS_AT_ONCE 64

void bsc__prints_take(struct bsc__worker *worker)
{
	bool more = true;
	for (int i = 0; i < READS_AT_ONCE && more && bsc__prints_flush(); i++) {
		lock_prints(worker);
		more = take(worker);
		unlock_prints(worker);
	}
}

/* All that it has printed until now, and the end of its line. */
static void take_all(struct bsc__worker *worker)
{
	for (int i = 0; i < READS_AT_ONCE && take(worker); i++) {
	}
	print_rest(worker);
	end_line(worker);
}

void bsc__prints_take_last(struct bsc__worker *worker)
{
	lock_prints(worker);
	take_all(worker);
	unlock_prints(worker);
}

int64_t bsc__prints_take_late(struct bsc__worker *worker, int64_t now)
{
	int64_t due = INT64_MAX;
	lock_prints(worker);
	/* While stderr is full it can wait for its end: the thread looks again once there is room. */
	if (worker->rest.len && pending.end == pending.begin) {
		due = worker->rest_ms + REST_MS - now;
		if (due <= 0) {
			/* Its end may have come while nothing was read, as stderr was full. */
			if (!take(worker)) {
				print_rest(worker);
			}
			due = worker->rest.len ? 0 : INT64_MAX;
		}
	}
	unlock_prints(worker);
	return due;
}

void bsc__prints_label(struct bsc__worker *worker, const char *label)
{
	lock_prints(worker);
	bool same = strncmp(worker->label, label, sizeof(worker->label) - 1) == 0;
	if (!same) {
		/* What was printed until now is the one's before. */
		take_all(worker);
		snprintf(worker->label, sizeof(worker->label), "%s", label);
	}
	unlock_prints(worker);
	if (!same) {
		bsc__pool_wake();
	}
}

/* ---- before HELLO ---- */

void bsc__prints_listen(struct bsc__worker *worker, struct bsc__told *told)
{
	char text[1024];
	ssize_t n = 1;
	while (n > 0) {
		lock_prints(worker);
		bool room = room_for(worker) >= sizeof(told->text);
		n = room ? read(worker->output, text, sizeof(text)) : 0;
		size_t more = n > 0 ? (size_t)n : 0, keep = sizeof(told->text) - 1;
		if (told->len + more > keep) {
			size_t gone = told->len + more - keep;
			print_whole(worker, told->text, gone);
			memmove(told->text, told->text + gone, told->len - gone);
			told->len -= gone;
		}
		unlock_prints(worker);
		memcpy(told->text + told->len, text, more);
		told->len += more;
		told->text[told->len] = '\0';
	}
}

void bsc__prints_told(struct bsc__worker *worker, const struct bsc__told *told)
{
	lock_prints(worker);
	print_whole(worker, told->text, told->len);
	unlock_prints(worker);
	bsc__pool_wake();
}
