/* os: what of worker processes is the system's own. Linux's is os_linux.c; another
 * system brings its file. No locks. */
#ifndef BSC_OS_H
#define BSC_OS_H

#include <sys/types.h>

#include "base/base.h"

/* "doing: what the system says", with advice where too many files are open. code: errno's. Returns
 * BSC_NOMEM or BSC_WORKER. */
int bsc__os_fail(struct bsc_error *err, const char *doing, int code);

/* ---- shared memory ---- */

/* Shared memory of `size` bytes that the system has committed, and that can neither shrink nor
 * grow. *fd_out, *ptr_out (mapped for reading and writing): out. */
int bsc__os_memory_new(uint64_t size, int *fd_out, void **ptr_out, struct bsc_error *err) BSC_MUST_CHECK;
/* Maps such memory for reading. BSC_MALFORMED: it isn't of that size, or can shrink. fd: borrowed. */
int bsc__os_memory_map(int fd, uint64_t size, const void **ptr_out, struct bsc_error *err) BSC_MUST_CHECK;
void bsc__os_memory_unmap(const void *ptr, uint64_t size);

/* ---- sockets ---- */

/* A connected pair of stream sockets, neither of them inherited by what the process starts. */
int bsc__os_socket_pair(int fds[2], struct bsc_error *err) BSC_MUST_CHECK;
/* No more is sent or received; the other end sees its end. */
void bsc__os_shut(int fd);
/* As recvmsg and sendmsg of one buffer, without waiting or signals, EINTR handled. fds: received
 * descriptors, the caller's to close; *n_fds: in, room; out, how many; cut: some were lost, because there was no
 * room or the process may open no more. */
ssize_t bsc__os_receive(int fd, void *buffer, size_t len, int *fds, int *n_fds, bool *cut);
ssize_t bsc__os_send(int fd, const void *buffer, size_t len, int fd_to_send);

/* A pipe, not inherited; its reading end, [0], does not wait. */
int bsc__os_pipe(int fds[2], struct bsc_error *err) BSC_MUST_CHECK;

/* Waits until the other end of a socket is closed, however much of what it sent is unread. */
void bsc__os_wait_gone(int fd);

/* ---- processes ---- */

/* A file without a name, for what a process says as it crashes; -1: the system has none. */
int bsc__os_crash_file(void);

/* What the started process has: */
struct bsc__os_child {
	const char *const *argv; /* argv[0]: looked up on the PATH unless it has a slash */
	int socket;              /* its descriptor 3 */
	int crash;               /* its descriptor 4: a file for a last message; -1: none */
	int output;              /* its descriptors 1 and 2 */
};

/* Starts a process in a process group of its own, with no other descriptor, default
 * signals, and the null device as input. Not by a fork of this process. */
int bsc__os_spawn(const struct bsc__os_child *child, pid_t *out, struct bsc_error *err) BSC_MUST_CHECK;

/* How a process ended, in words ("was killed by signal 11 (Segmentation fault)", "exited with
 * status 3"), once it has; false: it runs. Doesn't wait. After true the id is free. */
bool bsc__os_reap(pid_t pid, char *how, size_t cap);

#endif
