/* classes: what the process executor knows of a class before a worker has seen it: its
 * name, the interpreter, what the user asks of workers. Interned, so that the same
 * class has the same address as long as someone holds it.
 *
 * Lock: one mutex over the table; a leaf. */
#ifndef BSC_CLASSES_H
#define BSC_CLASSES_H

#include "process/pool.h"

struct bsc__class {
	enum bsc_locator_kind kind;
	struct bsc_str module, name; /* owned */
	struct bsc_str pickle;       /* owned; empty: it is found by name */
	uint64_t identity;           /* the host's, or of the file: another class of that name has another */
	struct bsc__pool_key key;
	struct bsc_run_settings run; /* python NULL: it is in the key */
	int64_t refs;
	struct bsc__class *next;
};

/* Asks a worker of `key` for the interpreter of a file that has metadata; *python_out NULL: its own. */
typedef int (*bsc__prepare_fn)(const struct bsc__pool_key *key, struct bsc_str file, const struct bsc_run_settings *run,
                               const struct bsc_poll *poll, char **python_out, struct bsc_error *err);

/* run: n_workers is set. out: with a reference. */
int bsc__class_find(const struct bsc_locator *locator, const struct bsc_run_settings *run, const struct bsc_poll *poll,
                    bsc__prepare_fn prepare, struct bsc__class **out, struct bsc_error *err) BSC_MUST_CHECK;
struct bsc__class *bsc__class_ref(struct bsc__class *cls);
void bsc__class_release(struct bsc__class *cls);

#endif
