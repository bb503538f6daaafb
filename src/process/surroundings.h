/* surroundings: what of the host a worker sees, besides its interpreter: the working
 * directory, where it imports from, the environment. They change while the host runs; a worker is told
 * before its next request.
 *
 * Lock: one mutex; a leaf. */
#ifndef BSC_SURROUNDINGS_H
#define BSC_SURROUNDINGS_H

#include "base/bytes.h"

/* As they are now. path: one entry a line; NULL: the interpreter's own. environment: NAME=value, a NUL after each but
 * the last; NULL: the one that workers were started with. All borrowed. */
int bsc__surroundings_set(const char *directory, const char *path, struct bsc_str environment,
                          struct bsc_error *err) BSC_MUST_CHECK;

/* Puts SETUP, if they are not those of `*version`, which becomes the current one. has_path: the worker runs the host's
 * own interpreter. */
void bsc__surroundings_put(struct bsc__bytes *out, uint64_t *version, bool has_path, uint64_t memory_bytes,
                           bool has_crash_file);

#endif
