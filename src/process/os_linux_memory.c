/* Shared memory of Linux: memfd, sealed, its pages committed. */
#define _GNU_SOURCE
#include "process/os.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int fail_memory(struct bsc_error *err, const char *call, uint64_t size)
{
	int code = errno;
	switch (code) {
	case EPERM:
	case EACCES:
	case ENOSYS:
		return bsc__fail(err, BSC_WORKER, "the system refuses shared memory (%s: %s)", call, strerror(code));
	case EMFILE:
	case ENFILE:
		return bsc__fail(err, BSC_NOMEM, "too many open files to make shared memory (%s: %s): raise ulimit -n", call,
		                 strerror(code));
	default:
		return bsc__fail(err, BSC_NOMEM, "the system has no %llu bytes of shared memory left (%s: %s)",
		                 (unsigned long long)size, call, strerror(code));
	}
}

/* All pages now: where there are none left this fails, and no write to them does later. */
static int commit(int fd, uint64_t size)
{
	int rc;
	do {
		rc = fallocate(fd, 0, 0, (off_t)size);
	} while (rc != 0 && errno == EINTR);
	/* A system that can't promise pages still has them. */
	return rc != 0 && errno == EOPNOTSUPP ? 0 : rc;
}

int bsc__os_memory_new(uint64_t size, int *fd_out, void **ptr_out, struct bsc_error *err)
{
	*fd_out = -1;
	*ptr_out = NULL;
	if (size == 0 || size > INT64_MAX) {
		errno = ENOMEM;
		return fail_memory(err, "memfd_create", size);
	}
	const char *call = "memfd_create";
	void *ptr = MAP_FAILED;
	int fd = memfd_create("bascule", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	bool good = fd >= 0;
	if (good) {
		call = "ftruncate";
		good = ftruncate(fd, (off_t)size) == 0;
	}
	if (good) {
		call = "fallocate";
		good = commit(fd, size) == 0;
	}
	if (good) {
		call = "F_ADD_SEALS";
		good = fcntl(fd, F_ADD_SEALS, SEALS) == 0;
	}
	if (good) {
		call = "mmap";
		ptr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		good = ptr != MAP_FAILED;
	}
	if (!good) {
		int rc = fail_memory(err, call, size);
		if (fd >= 0) {
			close(fd);
		}
		return rc;
	}
	*fd_out = fd;
	*ptr_out = ptr;
	return BSC_OK;
}

int bsc__os_memory_map(int fd, uint64_t size, const void **ptr_out, struct bsc_error *err)
{
	*ptr_out = NULL;
	struct stat stat;
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || fstat(fd, &stat) != 0) {
		return bsc__fail(err, BSC_MALFORMED, "what was sent as shared memory is none (%s)", strerror(errno));
	}
	if ((seals & (F_SEAL_SHRINK | F_SEAL_GROW)) != (F_SEAL_SHRINK | F_SEAL_GROW)) {
		return bsc__fail(err, BSC_MALFORMED, "shared memory that was sent can still shrink or grow");
	}
	if (size == 0 || stat.st_size < 0 || (uint64_t)stat.st_size != size) {
		return bsc__fail(err, BSC_MALFORMED, "shared memory that was sent has %lld bytes, not %llu",
		                 (long long)stat.st_size, (unsigned long long)size);
	}
	void *ptr = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (ptr == MAP_FAILED) {
		return bsc__fail(err, BSC_NOMEM, "%llu bytes of shared memory can't be mapped (%s)", (unsigned long long)size,
		                 strerror(errno));
	}
	*ptr_out = ptr;
	return BSC_OK;
}

void bsc__os_memory_unmap(const void *ptr, uint64_t size)
{
	if (ptr) {
		munmap((void *)(uintptr_t)ptr, size);
	}
}
