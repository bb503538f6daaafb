/* What workers see of the host. */
#include "process/surroundings.h"

#include <pthread.h>
#include <string.h>

#include "process/wire.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static char *directory, *path;
static struct bsc_str environment;
static uint64_t version; /* 0: never set */

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static char *copy(struct bsc_str text)
{
	return text.ptr ? bsc__strndup(text) : NULL;
}

int bsc__surroundings_set(const char *new_directory, const char *new_path, struct bsc_str new_environment,
                          struct bsc_error *err)
{
	int rc = BSC_OK;
	bsc__keep_over_forks(&lock);
	pthread_mutex_lock(&lock);
	if (!version || !same(directory, new_directory) || !same(path, new_path) ||
	    !bsc__str_equal(environment, new_environment)) {
		char *d = copy(bsc__str(new_directory)), *p = new_path ? copy(bsc__str(new_path)) : NULL;
		char *e = copy(new_environment);
		if (!d || (new_path && !p) || (new_environment.ptr && !e)) {
			rc = bsc__fail_nomem(err, "telling workers of the host");
		} else {
			char *old = (char *)(uintptr_t)environment.ptr;
			environment = (struct bsc_str){e, new_environment.len};
			e = old;
			old = directory, directory = d, d = old;
			old = path, path = p, p = old;
			version++;
		}
		bsc__free(d);
		bsc__free(p);
		bsc__free(e);
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

/* list<str> of what a separator divides. */
static void put_list(struct bsc__bytes *out, struct bsc_str text, char separator)
{
	size_t at = out->len;
	uint32_t n = 0;
	bsc__put_u32(out, 0);
	for (size_t from = 0; from < text.len; n++) {
		const char *end = memchr(text.ptr + from, separator, text.len - from);
		size_t len = end ? (size_t)(end - text.ptr) - from : text.len - from;
		bsc__put_str(out, (struct bsc_str){text.ptr + from, len});
		from += len + 1;
	}
	if (!out->failed) {
		memcpy(out->ptr + at, &n, sizeof(n));
	}
}

void bsc__surroundings_put(struct bsc__bytes *out, uint64_t *known, bool has_path, uint64_t memory_bytes,
                           bool has_crash_file)
{
	pthread_mutex_lock(&lock);
	if (*known != version || !version) {
		size_t begin = bsc__frame_begin(out, BSC__SETUP, 0);
		bsc__put_str(out, bsc__str(directory));
		put_list(out, bsc__str(has_path ? path : NULL), '\n');
		bsc__put_u8(out, environment.ptr != NULL);
		if (environment.ptr) {
			put_list(out, environment, '\0');
		}
		bsc__put_u64(out, memory_bytes);
		bsc__put_u8(out, has_crash_file);
		bsc__frame_end(out, begin);
		*known = version;
	}
	pthread_mutex_unlock(&lock);
}
