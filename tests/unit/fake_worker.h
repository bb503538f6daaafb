/* fake_worker: a worker process without Python, that does right or wrong as a test wants.
 *
 * The host starts `<bascule_python> -P -m bascule.worker`: a test names itself as the interpreter, and its main begins
 * with FAKE_WORKER. What the worker does wrong is the module's name in the locator ("dies_in_read:Table"; "good:Table"
 * does nothing wrong) or, before it knows one, the environment variable FAKE_WORKER.
 *
 * Its table has columns n: int64 and t: text, of mock_array_init. Options: partitions, batches and rows (of each
 * batch); n counts from 0 in each partition, and begins at its number times FAKE_STRIDE. */
#ifndef UNIT_FAKE_WORKER_H
#define UNIT_FAKE_WORKER_H

#include "check.h"

#define FAKE_STRIDE 1000000

/* At the beginning of main. */
#define FAKE_WORKER(argc, argv)                                                                                        \
	if ((argc) > 1 && strcmp((argv)[1], "-P") == 0) {                                                                  \
		return fake_worker();                                                                                          \
	}

int fake_worker(void);

/* The path of this executable. */
const char *fake_python(void);

/* A source of it. pairs: names and values of options, then NULL. Returns the status. */
int fake_open(const char *text, const char *const *pairs, struct bsc_source **out, struct bsc_error *err);

/* Checks a batch of it that has all columns: each row's text is its number's. Returns the rows; -1: it is wrong. */
int64_t fake_check(const struct ArrowArray *batch);

/* Plans, opens a scan, reads all of it on n_threads. *rows: those that were right. Returns the first failure. */
int fake_read(struct bsc_source *source, int n_threads, int64_t *rows, struct bsc_error *err);

/* Opens, reads and closes. */
int fake_query(const char *text, const char *const *pairs, int64_t *rows, struct bsc_error *err);

/* How many descriptors, mappings and children this process has. */
struct fake_usage {
	int64_t descriptors, mappings, children;
};
struct fake_usage fake_usage(void);
/* Waits, not for long, until it has no more than that: what ended is cleared away by a thread. False: it has. */
bool fake_settles(const struct fake_usage *usage);
void fake_kill_children(void);

/* Runs a query in n threads at once, each with its struct bsc_error for `arg`; fails where one says that it failed. */
void fake_at_once(int n, void *(*query)(void *arg));

#endif
