/* Settings: options of which the bridge reads some itself, up to the class that they
 * name. What is accepted is compared with a plain reading of the rules. */
#include "source/source.h"
#include "fuzz.h"

#include <string.h>
#include <strings.h>

static const char *const known[] = {"python_module", "python_class", "bascule_schema_mode", "bascule_validation"};

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

static bool accepted(const struct rules *rules)
{
	for (size_t i = 0; i < N_KNOWN; i++) {
		if (rules->given[i] > 1) {
			return false;
		}
	}
	return !rules->unknown && one_of(rules, 2, "strict", "evolve") && one_of(rules, 3, "layout", "full");
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
		CHECK(accepted(rules) && (text.len ? !named : rules->value[1].len > 0));
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
		struct bsc_str name = which % 8 < N_KNOWN ? bsc__str(known[which % 8]) : take_text(&in, 64);
		struct bsc_str value = take_text(&in, 64);
		if (bsc_options_add(options, name, value, NULL) == BSC_OK) {
			read_rule(&rules, name, value);
		}
	}
	int rc = bsc__settings_read(options, &settings, &err);
	CHECK((rc == BSC_OK) == accepted(&rules));
	if (rc == BSC_OK) {
		CHECK(bsc__str_equal(settings.module, rules.value[0]) && bsc__str_equal(settings.cls, rules.value[1]));
		CHECK((settings.schema_mode == BSC_SCHEMA_EVOLVE) == (rules.given[2] && is(rules.value[2], "evolve")));
		CHECK(settings.validate_full == (rules.given[3] && is(rules.value[3], "full")));
	} else {
		check_error(rc, &err);
		CHECK(rc == BSC_INVALID);
	}
	open_source(text, options, &rules);
	bsc_options_free(options);
	return 0;
}
