/* prints: what workers print, to the host's stderr, the source's name before each line.
 *
 * It is written by the pool's thread alone, which never waits for stderr: while stderr takes nothing,
 * prints are left in the workers' pipes, and who prints more waits for it there.
 *
 * Lock: one mutex over what is to be written, behind a worker's; a leaf, never held while writing. */
#ifndef BSC_PRINTS_H
#define BSC_PRINTS_H

#include "process/pool.h"

/* How much of a line waits for its end. */
#define BSC__PRINTS_REST_BYTES (64u << 10)

/* Prints what it has printed since, as far as stderr takes it. The pool's thread, without locks. */
void bsc__prints_take(struct bsc__worker *worker);
/* It has ended: what is left of its prints is kept for the next flush. What finds no room is lost. */
void bsc__prints_take_last(struct bsc__worker *worker);
/* Keeps the beginning of a line that has waited for its end long enough for the next flush. Returns in how many ms
 * there is one; INT64_MAX: there is none. */
int64_t bsc__prints_take_late(struct bsc__worker *worker, int64_t now);
/* Prints from now on are this source's. */
void bsc__prints_label(struct bsc__worker *worker, const char *label);

/* Writes what was kept, as far as stderr takes it. False: it is full. The pool's thread, without locks. */
bool bsc__prints_flush(void);
/* Is there anything kept? await: waits, without locks, until there is not. */
bool bsc__prints_left(void);
void bsc__prints_await(int timeout_ms);

/* What a worker prints before it can say HELLO is why it can't: the last of it, what was before is printed. */
struct bsc__told {
	char text[2048];
	size_t len;
};
/* Reads it. By whoever starts the worker. */
void bsc__prints_listen(struct bsc__worker *worker, struct bsc__told *told);
/* It is no reason: it is a print as others. */
void bsc__prints_told(struct bsc__worker *worker, const struct bsc__told *told);

/* In a child made by fork. */
void bsc__prints_forked(void);

#endif
