/* Linux: sockets that pass descriptors, and processes. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* pipe2, memfd_create, posix_spawn_file_actions_addclosefrom_np */
#endif
#include "process/os.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* ---- sockets ---- */

int bsc__os_fail(struct bsc_error *err, const char *doing, int code)
{
	bool full = code == EMFILE || code == ENFILE;
	return bsc__fail(err, code == ENOMEM ? BSC_NOMEM : BSC_WORKER, "%s: %s%s", doing, strerror(code),
	                 full ? " (too many files are open in this process: raise the limit, ulimit -n)" : "");
}

int bsc__os_socket_pair(int fds[2], struct bsc_error *err)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
		return bsc__os_fail(err, "a channel to a worker process can't be made", errno);
	}
	return BSC_OK;
}

int bsc__os_pipe(int fds[2], struct bsc_error *err)
{
	if (pipe2(fds, O_CLOEXEC) != 0) {
		return bsc__os_fail(err, "a pipe for a worker's output can't be made", errno);
	}
	(void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
	return BSC_OK;
}

int bsc__os_crash_file(void)
{
	return memfd_create("bascule-crash", MFD_CLOEXEC);
}

void bsc__os_shut(int fd)
{
	(void)shutdown(fd, SHUT_RDWR);
}

union control {
	char bytes[CMSG_SPACE(8 * sizeof(int))];
	struct cmsghdr align;
};

ssize_t bsc__os_receive(int fd, void *buffer, size_t len, int *fds, int *n_fds, bool *cut)
{
	union control control;
	struct iovec part = {buffer, len};
	int room = *n_fds;
	*n_fds = 0;
	*cut = false;
	struct msghdr message = {
	    .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
	ssize_t n;
	do {
		n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		return n;
	}
	*cut = (message.msg_flags & MSG_CTRUNC) != 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
			continue;
		}
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int received;
			memcpy(&received, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (*n_fds < room) {
				fds[(*n_fds)++] = received;
			} else {
				(void)close(received);
				*cut = true;
			}
		}
	}
	return n;
}

ssize_t bsc__os_send(int fd, const void *buffer, size_t len, int fd_to_send)
{
	union control control = {{0}};
	struct iovec part = {(void *)(uintptr_t)buffer, len};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	if (fd_to_send >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd_to_send, sizeof(int));
	}
	ssize_t n;
	do {
		n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n;
}

void bsc__os_wait_gone(int fd)
{
	struct pollfd other = {fd, POLLRDHUP, 0};
	while (poll(&other, 1, -1) <= 0) {
	}
}

/* ---- processes ---- */

#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
#define CLOSE_OTHERS(actions, from) posix_spawn_file_actions_addclosefrom_np(actions, from)
#else
/* The worker closes them itself, as its first act. */
#define CLOSE_OTHERS(actions, from) 0
#endif

/* A copy of fd beyond the child's own numbers, lest one be overwritten before it is used. */
static int lift(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 16);
}

int bsc__os_spawn(const struct bsc__os_child *child, pid_t *out, struct bsc_error *err)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	char doing[512];
	int code = posix_spawn_file_actions_init(&actions);
	if (code == 0 && (code = posix_spawnattr_init(&attributes)) != 0) {
		(void)posix_spawn_file_actions_destroy(&actions);
	}
	if (code != 0) {
		return bsc__os_fail(err, "a worker process can't be started", code);
	}
	int socket = lift(child->socket), output = lift(child->output), crash = child->crash < 0 ? -1 : lift(child->crash);
	if (socket < 0 || output < 0 || (child->crash >= 0 && crash < 0)) {
		/* EINVAL: the process may open no number so high. */
		code = errno == EINVAL ? EMFILE : errno;
		goto out;
	}
	sigemptyset(&none);
	sigfillset(&all);
	if ((code = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)) != 0 ||
	    (code = posix_spawn_file_actions_adddup2(&actions, output, 1)) != 0 ||
	    (code = posix_spawn_file_actions_adddup2(&actions, output, 2)) != 0 ||
	    (code = posix_spawn_file_actions_adddup2(&actions, socket, 3)) != 0 ||
	    (crash >= 0 && (code = posix_spawn_file_actions_adddup2(&actions, crash, 4)) != 0) ||
	    (code = CLOSE_OTHERS(&actions, crash >= 0 ? 5 : 4)) != 0 ||
	    (code = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
	                                                      POSIX_SPAWN_SETSIGDEF)) != 0 ||
	    (code = posix_spawnattr_setpgroup(&attributes, 0)) != 0 ||
	    (code = posix_spawnattr_setsigmask(&attributes, &none)) != 0 ||
	    (code = posix_spawnattr_setsigdefault(&attributes, &all)) != 0) {
		goto out;
	}
	code = posix_spawnp(out, child->argv[0], &actions, &attributes, (char *const *)(uintptr_t)child->argv, environ);
out:
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&actions);
	for (int *fd = (int[]){socket, output, crash, -2}; *fd != -2; fd++) {
		if (*fd >= 0) {
			(void)close(*fd);
		}
	}
	snprintf(doing, sizeof(doing), "a worker process can't be started with the interpreter %.300s", child->argv[0]);
	if (code == ENOENT || code == EACCES || code == ENOTDIR || code == ENOEXEC) {
		return bsc__fail(err, BSC_WORKER,
		                 "%s: %s. Name another one, with bascule, by bascule_python or the environment variable "
		                 "BASCULE_PYTHON",
		                 doing, strerror(code));
	}
	return code == 0 ? BSC_OK : bsc__os_fail(err, doing, code);
}

bool bsc__os_reap(pid_t pid, char *how, size_t cap)
{
	int status = 0;
	pid_t got = waitpid(pid, &status, WNOHANG);
	if (got == pid && WIFSIGNALED(status)) {
		snprintf(how, cap, "was killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	} else if (got == pid) {
		snprintf(how, cap, "exited with status %d", WEXITSTATUS(status));
	} else if (got < 0 && errno != EINTR) {
		/* The host reaps all its children, or ignores their end. */
		snprintf(how, cap, "ended");
	} else {
		return false;
	}
	return true;
}
