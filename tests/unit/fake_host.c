/* The host's side of fake_worker: queries, and what they leave. */
#include "fake_worker.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mock_executor.h"

const char *fake_python(void)
{
	static char path[4096];
	if (!path[0]) {
		ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
		path[n > 0 ? n : 0] = '\0';
	}
	return path;
}

int fake_open(const char *text, const char *const *pairs, struct bsc_source **out, struct bsc_error *err)
{
	struct bsc_options *options = NULL;
	*out = NULL;
	int rc = bsc_options_new(&options, err);
	if (rc == BSC_OK) {
		rc = bsc_options_add(options, bsc__str("bascule_python"), bsc__str(fake_python()), err);
	}
	for (; rc == BSC_OK && pairs && *pairs; pairs += 2) {
		rc = bsc_options_add(options, bsc__str(pairs[0]), bsc__str(pairs[1]), err);
	}
	if (rc == BSC_OK) {
		rc = bsc_source_open(NULL, bsc__str(text), options, 0, NULL, out, err);
	}
	if (rc != BSC_OK) {
		bsc_options_free(options);
	}
	return rc;
}

int64_t fake_check(const struct ArrowArray *batch)
{
	const struct ArrowArray *n = batch->children[0], *t = batch->children[1];
	const int64_t *numbers = n->buffers[1];
	const int32_t *ends = t->buffers[1];
	for (int64_t i = 0; i < batch->length; i++) {
		char text[40];
		int64_t number = numbers[n->offset + i];
		int32_t begin = ends[t->offset + i], end = ends[t->offset + i + 1];
		mock_text(number, text);
		if ((size_t)(end - begin) != strlen(text) ||
		    memcmp((const char *)t->buffers[2] + begin, text, (size_t)(end - begin)) != 0) {
			return -1;
		}
	}
	return batch->length;
}

struct reading {
	struct bsc_scan *scan;
	int64_t rows;
	int status;
	struct bsc_error err;
	pthread_t thread;
};

static void *read_all(void *arg)
{
	struct reading *r = arg;
	struct bsc_cursor *cursor = NULL;
	struct ArrowArray batch = {0};
	r->status = bsc_cursor_open(r->scan, &cursor, &r->err);
	while (r->status == BSC_OK && (r->status = bsc_cursor_next(cursor, NULL, &batch, &r->err)) == BSC_OK &&
	       batch.release) {
		int64_t n = fake_check(&batch);
		batch.release(&batch);
		if (n < 0) {
			r->status = bsc__fail(&r->err, BSC_MALFORMED, "a batch has other values");
		}
		r->rows += n;
	}
	bsc_cursor_close(cursor);
	return NULL;
}

int fake_read(struct bsc_source *source, int n_threads, int64_t *rows, struct bsc_error *err)
{
	struct bsc_plan *plan = NULL;
	struct bsc_scan *scan = NULL;
	struct reading *readings = calloc((size_t)n_threads, sizeof(*readings));
	int n = 0;
	*rows = 0;
	if (!readings) {
		return bsc__fail_nomem(err, "testing");
	}
	int rc = bsc_plan_new(source, NULL, NULL, &plan, err);
	if (rc == BSC_OK) {
		rc = bsc_scan_open(plan, &scan, err);
	}
	for (; rc == BSC_OK && n < n_threads; n++) {
		readings[n].scan = scan;
		if (n_threads == 1) {
			read_all(&readings[n]);
		} else if (pthread_create(&readings[n].thread, NULL, read_all, &readings[n]) != 0) {
			abort();
		}
	}
	for (int i = 0; i < n; i++) {
		if (n_threads > 1) {
			pthread_join(readings[i].thread, NULL);
		}
		*rows += readings[i].rows;
		if (rc == BSC_OK && readings[i].status != BSC_OK) {
			rc = readings[i].status;
			*err = readings[i].err;
		}
	}
	free(readings);
	bsc_scan_close(scan);
	bsc_plan_free(plan);
	return rc;
}

int fake_query(const char *text, const char *const *pairs, int64_t *rows, struct bsc_error *err)
{
	struct bsc_source *source;
	*rows = 0;
	int rc = fake_open(text, pairs, &source, err);
	if (rc == BSC_OK) {
		rc = fake_read(source, 1, rows, err);
		bsc_source_close(source);
	}
	return rc;
}

static int64_t count_lines(const char *path, const char *word)
{
	char line[4096];
	int64_t n = 0;
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		n += strstr(line, word) != NULL;
	}
	if (file) {
		(void)fclose(file);
	}
	return n;
}

/* Sends each a signal; 0: none. Returns how many there are. */
static int64_t each_child(int signal)
{
	int64_t n = 0;
	DIR *folder = opendir("/proc/self/task");
	for (struct dirent *entry; folder && (entry = readdir(folder));) {
		char path[64];
		snprintf(path, sizeof(path), "/proc/self/task/%.20s/children", entry->d_name);
		FILE *file = fopen(path, "re");
		for (int pid; file && fscanf(file, "%d", &pid) == 1; n++) {
			(void)kill(pid, signal);
		}
		if (file) {
			(void)fclose(file);
		}
	}
	if (folder) {
		(void)closedir(folder);
	}
	return n;
}

struct fake_usage fake_usage(void)
{
	struct fake_usage usage = {.mappings = count_lines("/proc/self/maps", "memfd:bascule")};
	DIR *folder = opendir("/proc/self/fd");
	while (folder && readdir(folder)) {
		usage.descriptors++;
	}
	if (folder) {
		(void)closedir(folder);
	}
	usage.children = each_child(0);
	return usage;
}

bool fake_settles(const struct fake_usage *usage)
{
	for (int i = 0; i < 500; i++) {
		struct fake_usage now = fake_usage();
		if (now.descriptors <= usage->descriptors && now.mappings <= usage->mappings &&
		    now.children <= usage->children) {
			return true;
		}
		usleep(10000);
	}
	return false;
}

void fake_kill_children(void)
{
	(void)each_child(SIGKILL);
}

void fake_at_once(int n, void *(*query)(void *arg))
{
	enum { MOST = 32 };
	static struct bsc_error failures[MOST];
	pthread_t threads[MOST];
	assert_true(n <= MOST);
	for (int i = 0; i < n; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, query, &failures[i]), 0);
	}
	for (int i = 0; i < n; i++) {
		pthread_join(threads[i], NULL);
		if (failures[i].status != BSC_OK) {
			fail_msg("%s", failures[i].message);
		}
	}
}
