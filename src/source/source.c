/* A source: one class object, one set of options, one instance. */
#include "source/source.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* Sources open now, for binds that ask for the same one again. */
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct bsc_source *registry; /* guarded by registry_lock */

/* How often bsc_cache_clear was called. */
static _Atomic uint64_t cache_epoch;

void bsc_cache_clear(void)
{
	atomic_fetch_add(&cache_epoch, 1);
}

static bool same(const struct bsc_source *a, const struct bsc_source *b)
{
	return a->executor == b->executor && a->cls == b->cls && a->scope == b->scope &&
	       a->validate_full == b->validate_full && a->schema_mode == b->schema_mode && a->retries == b->retries &&
	       bsc__options_equal(a->options, b->options);
}

/* The open source that equals `probe`, with a reference for the caller. */
static struct bsc_source *registry_find(const struct bsc_source *probe)
{
	struct bsc_source *found = NULL;
	pthread_mutex_lock(&registry_lock);
	for (struct bsc_source *s = registry; s && !found; s = s->next) {
		if (same(s, probe)) {
			s->refs++;
			found = s;
		}
	}
	pthread_mutex_unlock(&registry_lock);
	return found;
}

static void registry_add(struct bsc_source *source)
{
	pthread_mutex_lock(&registry_lock);
	source->next = registry;
	registry = source;
	pthread_mutex_unlock(&registry_lock);
}

void bsc__source_ref(struct bsc_source *source)
{
	pthread_mutex_lock(&registry_lock);
	source->refs++;
	pthread_mutex_unlock(&registry_lock);
}

/* Releases what a source holds, in reverse order of opening; accepts one that
 * was opened in part. */
static void source_release(struct bsc_source *source)
{
	if (source->instance) {
		source->executor->close(source->instance);
	}
	if (source->schema.release) {
		source->schema.release(&source->schema);
	}
	if (source->cls) {
		source->executor->class_release(source->executor->state, source->cls);
	}
	bsc_options_free(source->options);
	bsc__free(source->label);
	bsc__free(source);
}

void bsc_source_close(struct bsc_source *source)
{
	if (!source) {
		return;
	}
	pthread_mutex_lock(&registry_lock);
	bool last = --source->refs == 0;
	for (struct bsc_source **link = &registry; last && *link; link = &(*link)->next) {
		if (*link == source) {
			*link = source->next;
			break;
		}
	}
	pthread_mutex_unlock(&registry_lock);
	if (last) {
		source_release(source);
	}
}

/* Finds the parts of the class's name: `text`, or the settings, or both at once
 * (then they contradict). `joined` holds "module:class", for the caller to free. */
static int locate(struct bsc_str text, const struct bsc__settings *settings, struct bsc_locator *out, char **joined,
                  struct bsc_error *err)
{
	*joined = NULL;
	if (text.len && (settings->module.len || settings->cls.len)) {
		return bsc__fail(err, BSC_INVALID,
		                 "the class is named twice, by '%.*s' and by python_module or python_class: name it once",
		                 BSC__ARG(text));
	}
	if (!text.len && !settings->cls.len) {
		return bsc__fail(
		    err, BSC_INVALID,
		    "no class was named: give 'pkg.mod:Class', 'path/to/file.py:Class', a short name, or the options "
		    "python_module and python_class%s",
		    settings->module.len ? " (python_class is missing)" : "");
	}
	if (!text.len && !settings->module.len) {
		text = settings->cls;
	}
	struct bsc_str whole = text;
	if (!text.len) {
		struct bsc_str module = settings->module, cls = settings->cls;
		*joined = bsc__alloc(module.len + cls.len + 1);
		if (!*joined) {
			return bsc__fail_nomem(err, "opening a source");
		}
		/* Byte for byte: a NUL is for bsc_locator_parse to refuse, not to end at. */
		memcpy(*joined, module.ptr, module.len);
		(*joined)[module.len] = ':';
		memcpy(*joined + module.len + 1, cls.ptr, cls.len);
		whole = (struct bsc_str){*joined, module.len + cls.len + 1};
	}
	return bsc_locator_parse(whole, out, err);
}

static char *make_label(const struct bsc_locator *locator)
{
	size_t cap = locator->module.len + locator->name.len + 2;
	char *label = bsc__alloc(cap);
	if (label) {
		snprintf(label, cap, "%.*s%s%.*s", BSC__ARG(locator->module), locator->module.len ? ":" : "",
		         BSC__ARG(locator->name));
	}
	return label;
}

/* Chooses the executor and finds the class. own: the host's, or NULL. */
static int resolve(struct bsc_source *source, const struct bsc_executor *own, const struct bsc_locator *locator,
                   const struct bsc_run_settings *run, const struct bsc_poll *poll, struct bsc_error *err)
{
	if (!own && run->choice == BSC_EXECUTOR_INPROCESS) {
		return bsc__fail(
		    err, BSC_INVALID,
		    "%s: bascule_executor = 'inprocess' needs a host that is a Python process, and this one has no "
		    "Python: leave it out, or say 'process'",
		    source->label);
	}
	const struct bsc_executor *process = bsc_process_executor();
	bool own_first = own && run->choice != BSC_EXECUTOR_PROCESS;
	source->executor = own_first ? own : process;
	int rc = source->executor->resolve(source->executor->state, locator, run, poll, &source->cls, err);
	if (rc == BSC_OK && own_first && run->choice == BSC_EXECUTOR_DEFAULT && own->wants_process &&
	    own->wants_process(own->state, source->cls)) {
		own->class_release(own->state, source->cls);
		source->cls = NULL;
		source->executor = process;
		rc = process->resolve(process->state, locator, run, poll, &source->cls, err);
	}
	return rc;
}

int bsc_source_open(const struct bsc_executor *executor, struct bsc_str text, struct bsc_options *options,
                    uint64_t scope, const struct bsc_poll *poll, struct bsc_source **out, struct bsc_error *err)
{
	struct bsc__settings settings;
	struct bsc_locator locator;
	char *joined = NULL;
	*out = NULL;

	bsc__keep_over_forks(&registry_lock);
	struct bsc_source *source = bsc__calloc(1, sizeof(*source));
	if (!source) {
		return bsc__fail_nomem(err, "opening a source");
	}
	source->scope = scope;
	source->refs = 1;

	int rc = bsc__settings_read(options, &settings, err);
	if (rc == BSC_OK) {
		source->validate_full = settings.validate_full;
		source->schema_mode = settings.schema_mode;
		source->retries = settings.retries;
		rc = locate(text, &settings, &locator, &joined, err);
	}
	if (rc == BSC_OK) {
		rc = bsc__options_user(options, &source->options, err);
	}
	if (rc == BSC_OK && !(source->label = make_label(&locator))) {
		rc = bsc__fail_nomem(err, "opening a source");
	}
	if (rc == BSC_OK) {
		rc = resolve(source, executor, &locator, &settings.run, poll, err);
	}
	if (rc != BSC_OK) {
		goto out;
	}
	struct bsc_source *open = scope ? registry_find(source) : NULL;
	if (open) {
		source_release(source);
		source = open;
		goto out;
	}
	/* No lock is held here, and no thread waits for another's: two binds of one
	 * source at the same moment each open their own. */
	struct bsc_opening opening = {source->label, source->options, source->schema_mode, settings.cache_ttl_ms,
	                              atomic_load(&cache_epoch)};
	rc = source->executor->open(source->executor->state, source->cls, &opening, poll, &source->instance,
	                            &source->schema, err);
	if (rc == BSC_OK) {
		rc = bsc__schema_check(&source->schema, source->label, err);
	}
	if (rc == BSC_OK) {
		rc = bsc__schema_set_names(&source->schema, err);
	}
	if (rc == BSC_OK) {
		registry_add(source);
	}
out:
	bsc__free(joined);
	bsc__settings_release(&settings);
	if (rc != BSC_OK) {
		source_release(source);
		return rc;
	}
	bsc_options_free(options);
	*out = source;
	return BSC_OK;
}

const struct ArrowSchema *bsc_source_schema(const struct bsc_source *source)
{
	return &source->schema;
}

const char *bsc_source_label(const struct bsc_source *source)
{
	return source->label;
}

int bsc_source_statistics(struct bsc_source *source, const struct bsc_poll *poll, struct bsc_statistics *out,
                          struct bsc_error *err)
{
	const struct bsc_executor *executor = source->executor;
	pthread_mutex_lock(&registry_lock);
	bool counted = source->counted;
	*out = source->statistics;
	pthread_mutex_unlock(&registry_lock);
	if (counted) {
		return BSC_OK;
	}
	*out = (struct bsc_statistics){-1, -1, false};
	/* No lock is held: two threads may both ask, and get one answer each. */
	int rc = executor->statistics ? executor->statistics(source->instance, poll, out, err) : BSC_OK;
	if (rc == BSC_OK) {
		pthread_mutex_lock(&registry_lock);
		source->statistics = *out;
		source->counted = true;
		pthread_mutex_unlock(&registry_lock);
	}
	return rc;
}

int64_t bsc__source_exact_rows(const struct bsc_source *source)
{
	pthread_mutex_lock(&registry_lock);
	bool exact = source->counted && source->statistics.exact;
	int64_t n_rows = source->statistics.n_rows;
	pthread_mutex_unlock(&registry_lock);
	return exact ? n_rows : -1;
}

int bsc_source_claim(struct bsc_source *source, struct bsc_str filters, const struct bsc_poll *poll, bool *exact,
                     size_t n, struct bsc_error *err)
{
	for (size_t i = 0; i < n; i++) {
		exact[i] = false;
	}
	return n && source->executor->claim ? source->executor->claim(source->instance, filters, poll, exact, n, err)
	                                    : BSC_OK;
}

int bsc_source_offset(struct bsc_source *source, enum bsc_offset_question question, const struct bsc_offsets *offsets,
                      const struct bsc_poll *poll, char **answer_out, struct bsc_error *err)
{
	static const struct bsc_offsets none;
	*answer_out = NULL;
	if (!source->executor->offset) {
		return bsc__fail(err, BSC_INVALID, "%s can't be read as a stream: the executor '%s' knows no offsets",
		                 source->label, source->executor->name);
	}
	return source->executor->offset(source->instance, question, offsets ? offsets : &none, poll, answer_out, err);
}
