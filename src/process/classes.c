/* Classes by name, interpreter and settings. */
#include "process/classes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process/surroundings.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct bsc__class *classes; /* guarded by lock, as are refs and next */

static void class_free(struct bsc__class *cls)
{
	bsc__free((char *)(uintptr_t)cls->module.ptr);
	bsc__free((char *)(uintptr_t)cls->name.ptr);
	bsc__free((char *)(uintptr_t)cls->pickle.ptr);
	bsc__pool_key_release(&cls->key);
	bsc__free(cls);
}

/* ---- which interpreter, from where ---- */

static char *copy(const char *text)
{
	return bsc__strndup(bsc__str(text));
}

/* The interpreter of a virtual environment, or NULL. */
static char *of_environment(const char *folder)
{
	static const char inside[] = "/bin/python";
	size_t cap = strlen(folder) + sizeof(inside);
	char *python = bsc__alloc(cap);
	if (python) {
		snprintf(python, cap, "%s%s", folder, inside);
	}
	return python;
}

/* asked, else $BASCULE_PYTHON, the host's own, $VIRTUAL_ENV's, python3. */
static int find_python(const char *asked, char **hosts, char **out, struct bsc_error *err)
{
	const char *variable = getenv("BASCULE_PYTHON"), *environment = getenv("VIRTUAL_ENV");
	if (asked) {
		*out = copy(asked);
	} else if (variable && *variable) {
		*out = copy(variable);
	} else if (*hosts) {
		*out = *hosts;
		*hosts = NULL;
	} else if (environment && *environment) {
		*out = of_environment(environment);
	} else {
		*out = copy("python3");
	}
	return *out ? BSC_OK : bsc__fail_nomem(err, "looking for an interpreter");
}

/* Where a file is, without links on the way; malloc'ed. */
static char *realpath_of_folder(const char *file)
{
	char folder[4096];
	const char *slash = strrchr(file, '/');
	size_t len = slash ? (size_t)(slash - file) : 0;
	if (!slash || len >= sizeof(folder)) {
		return NULL;
	}
	memcpy(folder, file, len);
	folder[len] = '\0';
	return realpath(len ? folder : "/", NULL);
}

/* Is it the host's interpreter, by this or another name of it in the same folder? Then it may import what the host
 * does. An environment's is a link, as are those of others: the folder tells them apart. */
static bool is_same(const char *a, const char *b)
{
	struct stat x, y;
	char *real_a = realpath_of_folder(a), *real_b = realpath_of_folder(b);
	bool same = real_a && real_b && strcmp(real_a, real_b) == 0 && stat(a, &x) == 0 && stat(b, &y) == 0 &&
	            x.st_dev == y.st_dev && x.st_ino == y.st_ino;
	free(real_a);
	free(real_b);
	return same;
}

static int find_key(const struct bsc_run_settings *run, struct bsc__pool_key *key, struct bsc_error *err)
{
	const struct bsc_process_host *host = bsc__process_host();
	char *python = NULL, *path = NULL, directory[4096]; /* PATH_MAX of Linux */
	struct bsc_str environment = {NULL, 0};
	*key = (struct bsc__pool_key){.memory_bytes = run->worker_memory_bytes};
	if (host->interpreter) {
		host->interpreter(&python, &path, &environment);
	}
	char *hosts = python ? copy(python) : NULL;
	int rc = find_python(run->python, &hosts, &key->python, err);
	if (rc == BSC_OK) {
		key->has_path = python && path && is_same(python, key->python);
		rc = bsc__surroundings_set(getcwd(directory, sizeof(directory)) ? directory : "", path, environment, err);
	}
	bsc__free(hosts);
	free(python);
	free(path);
	free((char *)(uintptr_t)environment.ptr);
	if (rc != BSC_OK) {
		bsc__pool_key_release(key);
	}
	return rc;
}

/* ---- files ---- */

/* The file of a locator, NUL-terminated; ~ is the home directory, as Python has it. */
static bool file_path(struct bsc_str module, char *path, size_t cap)
{
	const char *home = module.len > 1 && memcmp(module.ptr, "~/", 2) == 0 ? getenv("HOME") : NULL;
	size_t skip = home ? 1 : 0;
	struct bsc_str rest = {module.ptr + skip, module.len - skip};
	int n = snprintf(path, cap, "%s%.*s", home ? home : "", BSC__ARG(rest));
	return n > 0 && (size_t)n < cap;
}

/* Tells an edited file from what it was. 0: there is none. */
static uint64_t file_identity(const char *path)
{
	struct stat s;
	if (stat(path, &s) != 0) {
		return 0;
	}
	uint64_t mixed = (uint64_t)s.st_mtim.tv_sec * 1000000000u + (uint64_t)s.st_mtim.tv_nsec;
	mixed = mixed * 31 + (uint64_t)s.st_size;
	mixed = mixed * 31 + (uint64_t)s.st_ino;
	return mixed ? mixed : 1;
}

/* Does it begin a block of inline script metadata? What exactly is for Python to say. */
static bool may_have_metadata(const char *path)
{
	enum { HEAD = 64 << 10 };
	bool found = false;
	FILE *file = fopen(path, "re");
	char *head = file ? bsc__alloc(HEAD + 1) : NULL;
	if (head) {
		size_t n = fread(head, 1, HEAD, file);
		head[n] = '\0';
		found = strstr(head, "# /// script") != NULL;
	}
	bsc__free(head);
	if (file) {
		(void)fclose(file);
	}
	return found;
}

/* ---- the table ---- */

static bool same(const struct bsc__class *a, const struct bsc__class *b)
{
	return a->kind == b->kind && a->identity == b->identity && bsc__str_equal(a->module, b->module) &&
	       bsc__str_equal(a->name, b->name) && bsc__pool_key_equal(&a->key, &b->key) &&
	       a->run.n_workers == b->run.n_workers && a->run.timeout_ms == b->run.timeout_ms &&
	       a->run.readahead_bytes == b->run.readahead_bytes;
}

/* The one that is there already, or the new one, which is then in the table. made: moved. */
static struct bsc__class *intern(struct bsc__class *made)
{
	struct bsc__class *found = NULL;
	pthread_mutex_lock(&lock);
	for (struct bsc__class *c = classes; c && !found; c = c->next) {
		found = same(c, made) ? c : NULL;
	}
	if (!found) {
		made->next = classes;
		classes = made;
		found = made;
		made = NULL;
	}
	found->refs++;
	pthread_mutex_unlock(&lock);
	if (made) {
		class_free(made);
	}
	return found;
}

struct bsc__class *bsc__class_ref(struct bsc__class *cls)
{
	pthread_mutex_lock(&lock);
	cls->refs++;
	pthread_mutex_unlock(&lock);
	return cls;
}

void bsc__class_release(struct bsc__class *cls)
{
	pthread_mutex_lock(&lock);
	bool last = --cls->refs == 0;
	for (struct bsc__class **link = &classes; last && *link; link = &(*link)->next) {
		if (*link == cls) {
			*link = cls->next;
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	if (last) {
		class_free(cls);
	}
}

static int copy_str(struct bsc_str from, struct bsc_str *to, struct bsc_error *err)
{
	char *text = bsc__strndup(from);
	if (!text) {
		return bsc__fail_nomem(err, "looking for a class");
	}
	*to = (struct bsc_str){text, from.len};
	return BSC_OK;
}

/* How the class reaches workers, and what tells it from another of its name. */
static int find_identity(struct bsc__class *cls, const struct bsc_locator *locator, const struct bsc_run_settings *run,
                         const struct bsc_poll *poll, bsc__prepare_fn prepare, struct bsc_error *err)
{
	const struct bsc_process_host *host = bsc__process_host();
	char path[4096];
	int rc = BSC_OK;
	if (locator->kind == BSC_LOCATOR_FILE && file_path(locator->module, path, sizeof(path))) {
		cls->identity = file_identity(path);
		if (may_have_metadata(path)) {
			char *python = NULL;
			rc = prepare(&cls->key, locator->module, run, poll, &python, err);
			if (python) {
				bsc__free(cls->key.python);
				cls->key.python = python;
				cls->key.has_path = false; /* it has its own */
			}
		}
	} else if (host->ship && locator->kind == BSC_LOCATOR_MODULE) {
		char *pickle = NULL;
		size_t len = 0;
		rc = host->ship(locator, poll, &pickle, &len, &cls->identity, err);
		if (rc == BSC_OK && pickle) {
			rc = copy_str((struct bsc_str){pickle, len}, &cls->pickle, err);
		}
		free(pickle);
	}
	return rc;
}

int bsc__class_find(const struct bsc_locator *locator, const struct bsc_run_settings *run, const struct bsc_poll *poll,
                    bsc__prepare_fn prepare, struct bsc__class **out, struct bsc_error *err)
{
	*out = NULL;
	bsc__keep_over_forks(&lock);
	struct bsc__class *made = bsc__calloc(1, sizeof(*made));
	if (!made) {
		return bsc__fail_nomem(err, "looking for a class");
	}
	made->kind = locator->kind;
	made->run = *run;
	made->run.python = NULL;
	int rc = find_key(run, &made->key, err);
	if (rc == BSC_OK) {
		rc = copy_str(locator->module, &made->module, err);
	}
	if (rc == BSC_OK) {
		rc = copy_str(locator->name, &made->name, err);
	}
	if (rc == BSC_OK) {
		rc = find_identity(made, locator, run, poll, prepare, err);
	}
	if (rc != BSC_OK) {
		class_free(made);
		return rc;
	}
	*out = intern(made);
	return BSC_OK;
}
