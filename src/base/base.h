/* base: error text, allocation, small strings, the clock, locks around forks. Includes
 * bascule.h only; every other room stands on it. */
#ifndef BSC_BASE_H
#define BSC_BASE_H

#include <pthread.h>
#include <stdarg.h>

#include "bascule.h"

/* Writes `status` and a formatted message to `err` (which may be NULL), cut at
 * BSC_ERROR_CAP on a UTF-8 boundary, user info in URLs masked. Returns `status`, so that a failing
 * function can end with `return bsc__fail(...)`. */
int bsc__fail(struct bsc_error *err, enum bsc_status status, const char *fmt, ...) BSC_PRINTF(3, 4);

/* As bsc__fail, for a text of any length that is whole: of a longer one it keeps head and tail,
 * because the end of a traceback says most. */
int bsc__fail_tail(struct bsc_error *err, enum bsc_status status, struct bsc_str text);

/* The monotonic clock. */
int64_t bsc__now_ns(void);
int64_t bsc__now_ms(void);

/* Microseconds since 1970, UTC. */
int64_t bsc__wall_us(void);

/* The calling thread, by the system's number. */
int64_t bsc__thread_id(void);

/* From now on a fork waits for a lock, and parent and child both have it free: else a child made while another thread
 * holds it would wait for ever. lock: static, a leaf. Any number of times. */
void bsc__keep_over_forks(pthread_mutex_t *lock);

/* malloc, calloc and realloc of the core: the one place where allocation can be
 * made to fail (tests/unit). Overflow of n * size gives NULL. */
void *bsc__alloc(size_t size);
void *bsc__calloc(size_t n, size_t size);
void *bsc__resize(void *ptr, size_t n, size_t size);
void bsc__free(void *ptr);

/* Copies `s` and NUL-terminates it; NULL when out of memory. */
char *bsc__strndup(struct bsc_str s);

int bsc__fail_nomem(struct bsc_error *err, const char *what);

static inline struct bsc_str bsc__str(const char *text)
{
	struct bsc_str s = {text, 0};
	while (text && text[s.len]) {
		s.len++;
	}
	return s;
}

/* Equal bytes; `_nocase` folds ASCII letters, as SQL identifiers do here. */
bool bsc__str_equal(struct bsc_str a, struct bsc_str b);
bool bsc__str_equal_nocase(struct bsc_str a, struct bsc_str b);

/* Length of the valid UTF-8 prefix (RFC 3629: no surrogates, shortest form). */
size_t bsc__utf8_valid(const char *text, size_t len);

/* The bytes of a field's metadata, whose end is said by the lengths in it alone: -1 where one is negative, or it
 * doesn't end within `max` of them. */
int64_t bsc__metadata_length(const char *metadata, uint64_t max);

/* What of a field's own, its children aside, must be there before it is read, and isn't:
 * "has a schema without a format"; NULL: it is whole. field: may be NULL. */
const char *bsc__field_broken(const struct ArrowSchema *field);

/* The argument pair of a "%.*s" for a bsc_str. */
#define BSC__ARG(s) (int)((s).len > INT32_MAX ? INT32_MAX : (s).len), ((s).ptr ? (s).ptr : "")

#endif
