/* source: a class opened by name and options. Knows the executor's vtable and
 * the declared schema; not partitions, batches or engines. May include base and
 * nanoarrow.
 *
 * Locks: the registry's mutex (source.c), a leaf. */
#ifndef BSC_SOURCE_H
#define BSC_SOURCE_H

#include "base/base.h"

/* What the bridge's own options ask for. */
struct bsc__settings {
	struct bsc_str module; /* python_module, python_class: borrowed from the options */
	struct bsc_str cls;
	bool validate_full; /* bascule_validation = 'full' */
	enum bsc_schema_mode schema_mode;
	int64_t retries;
	int64_t cache_ttl_ms;
	char *python; /* owned; what run.python is */
	struct bsc_run_settings run;
};

/* Reads the settings out of `options` (borrowed). BSC_INVALID for an unknown
 * bascule_* name, one given twice, or a value that it can't have. out: may be released also
 * after a failure. */
int bsc__settings_read(const struct bsc_options *options, struct bsc__settings *out,
                       struct bsc_error *err) BSC_MUST_CHECK;

void bsc__settings_release(struct bsc__settings *settings);

/* True for python_module, python_class and every bascule_*. */
bool bsc__setting_is(struct bsc_str name);

/* A copy of the user's own options, without the settings. */
int bsc__options_user(const struct bsc_options *options, struct bsc_options **out,
                      struct bsc_error *err) BSC_MUST_CHECK;

/* Same names and values in the same order. */
bool bsc__options_equal(const struct bsc_options *a, const struct bsc_options *b);

/* Checks what infer_schema gave: a struct of at least one column that nanoarrow
 * can parse, nested no deeper than BSC__SCHEMA_DEPTH_MAX. */
#define BSC__SCHEMA_DEPTH_MAX 64
int bsc__schema_check(const struct ArrowSchema *schema, const char *label, struct bsc_error *err) BSC_MUST_CHECK;

/* Why a type can't be read, in `text`, or NULL: it can. field: it and what is below it are
 * whole, and what is below can be read. */
#define BSC__REASON_CAP 512
const char *bsc__type_unreadable(const struct ArrowSchema *field, char text[BSC__REASON_CAP]);

/* Gives fields of a checked schema that have no name, which Arrow allows, the empty one,
 * so that no one behind here meets NULL. schema: replaced by a copy where need be. */
int bsc__schema_set_names(struct ArrowSchema *schema, struct bsc_error *err) BSC_MUST_CHECK;

/* A source, for scan: references beside bsc_source_close. */
struct bsc_source {
	const struct bsc_executor *executor;
	void *cls;
	void *instance;
	char *label;
	struct bsc_options *options; /* the user's own */
	uint64_t scope;
	bool validate_full;
	enum bsc_schema_mode schema_mode;
	int64_t retries; /* of a partition of which nothing was handed over */
	struct ArrowSchema schema;
	/* The registry's mutex guards these. */
	bool counted; /* statistics are known */
	struct bsc_statistics statistics;
	int64_t refs;
	struct bsc_source *next;
};

void bsc__source_ref(struct bsc_source *source);

/* By statistics that somebody asked for and that are exact; else -1. */
int64_t bsc__source_exact_rows(const struct bsc_source *source);

#endif
