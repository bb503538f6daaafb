/* Settings: options of which the bridge reads some itself, up to the class that they
 * name. What is accepted is compared with a plain reading of the rules. */
#include "source/source.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const known[] = {"python_module",      "python_class",          "bascule_schema_mode",
                                    "bascule_validation", "bascule_executor",      "bascule_python",
                                    "bascule_workers",    "bascule_timeout",       "bascule_retries",
                                    "bascule_readahead",  "bascule_worker_memory", "bascule_cache_ttl"};

#define N_KNOWN (sizeof(known) / sizeof(known[0]))

static bool is(struct bsc_str text, const char *word)
{
	return text.len == strlen(word) && strncasecmp(text.ptr, word, text.len) == 0;
}

struct rules {
	size_t given[N_KNOWN];
	struct bsc_str value[N_KNOWN];
	bool unknown;
};

static bool one_of(const struct rules *rules, size_t i, const char *off, const char *on)
{
	return !rules->given[i] || is(rules->value[i], off) || is(rules->value[i], on);
}

/* A number from `least` to `most`: digits, and a point with more where `decimal`. */
static bool in_range(struct bsc_str value, bool decimal, double least, double most)
{
	char text[64];
	if (value.len == 0 || value.len >= sizeof(text)) {
		return false;
	}
	memcpy(text, value.ptr, value.len);
	text[value.len] = '\0';
	size_t digits = strspn(text, decimal ? "0123456789." : "0123456789");
	char *end;
	double number = strtod(text, &end);
	return text[0] >= '0' && text[0] <= '9' && digits == value.len && end == text + value.len && number >= least &&
	       number <= most;
}

static bool number_ok(const struct rules *rules, size_t i, bool decimal, double least, double most)
{
	return !rules->given[i] || in_range(rules->value[i], decimal, least, most);
}

static bool accepted(const struct rules *rules)
{
	for (size_t i = 0; i < N_KNOWN; i++) {
		if (rules->given[i] > 1) {
			return false;
		}
	}
	return !rules->unknown && one_of(rules, 2, "strict", "evolve") && one_of(rules, 3, "layout", "full") &&
	       one_of(rules, 4, "inprocess", "process") && number_ok(rules, 6, false, 1, 1024) &&
	       number_ok(rules, 7, true, 0, 366.0 * 86400) && number_ok(rules, 8, false, 0, 100) &&
	       number_ok(rules, 9, false, 0, 1099511627776.0) &&
	       number_ok(rules, 10, false, 67108864, 1125899906842624.0) && number_ok(rules, 11, true, 0, 366.0 * 86400);
}

/* Sizes may have units, whole numbers a point: what they come to is for the unit tests. */
static bool unsure(const struct rules *rules)
{
	for (size_t i = 6; i < N_KNOWN; i++) {
		struct bsc_str value = rules->value[i];
		if (value.len && (i >= 9 || memchr(value.ptr, '.', value.len)) && !in_range(value, false, 0, 1e300)) {
			return true;
		}
	}
	return false;
}

static void read_rule(struct rules *rules, struct bsc_str name, struct bsc_str value)
{
	for (size_t i = 0; i < N_KNOWN; i++) {
		if (is(name, known[i])) {
			rules->given[i]++;
			rules->value[i] = value;
			return;
		}
	}
	rules->unknown = rules->unknown || (name.len >= 8 && strncasecmp(name.ptr, "bascule_", 8) == 0);
}

static int resolve(void *state, const struct bsc_locator *locator, const struct bsc_run_settings *settings,
                   const struct bsc_poll *poll, void **class_out, struct bsc_error *err)
{
	(void)settings;
	(void)class_out;
	(void)poll;
	CHECK(locator->name.len > 0);
	*(bool *)state = true;
	return bsc__fail(err, BSC_NOT_FOUND, "no class '%.*s'", BSC__ARG(locator->name));
}

/* Opens a source by `text` and the options, up to the class that isn't there. */
static void open_source(struct bsc_str text, struct bsc_options *options, const struct rules *rules)
{
	bool resolved = false;
	const struct bsc_executor executor = {.name = "fuzz", .state = &resolved, .resolve = resolve};
	struct bsc_source *source = (struct bsc_source *)&executor;
	struct bsc_error err;
	size_t n = bsc_options_count(options);
	int rc = bsc_source_open(&executor, text, options, 0, NULL, &source, &err);
	check_error(rc, &err);
	CHECK(!source && bsc_options_count(options) == n);
	CHECK(rc == (resolved ? BSC_NOT_FOUND : BSC_INVALID));
	bool named = rules->value[0].len || rules->value[1].len;
	if (resolved) {
		CHECK((unsure(rules) || accepted(rules)) && (text.len ? !named : rules->value[1].len > 0));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct bsc_options *options;
	struct bsc__settings settings;
	struct bsc_error err;
	struct rules rules = {0};
	CHECK(bsc_options_new(&options, NULL) == BSC_OK);
	struct bsc_str text = take_text(&in, 64);
	while (in.left) {
		uint8_t which = take(&in);
		struct bsc_str name = which % 16 < N_KNOWN ? bsc__str(known[which % 16]) : take_text(&in, 64);
		struct bsc_str value = take_text(&in, 64);
		if (bsc_options_add(options, name, value, NULL) == BSC_OK) {
			read_rule(&rules, name, value);
		}
	}
	int rc = bsc__settings_read(options, &settings, &err);
	bool python_ok = !memchr(rules.value[5].ptr ? rules.value[5].ptr : "", '\0', rules.value[5].len);
	CHECK(unsure(&rules) || (rc == BSC_OK) == (accepted(&rules) && python_ok));
	if (rc == BSC_OK) {
		CHECK(bsc__str_equal(settings.module, rules.value[0]) && bsc__str_equal(settings.cls, rules.value[1]));
		CHECK((settings.schema_mode == BSC_SCHEMA_EVOLVE) == (rules.given[2] && is(rules.value[2], "evolve")));
		CHECK(settings.validate_full == (rules.given[3] && is(rules.value[3], "full")));
	} else {
		check_error(rc, &err);
		CHECK(rc == BSC_INVALID);
	}
	bsc__settings_release(&settings);
	/* Worker processes are not for here, nor a host without an interpreter. */
	if (!is(rules.value[4], "process")) {
		open_source(text, options, &rules);
	}
	bsc_options_free(options);
	return 0;
}
