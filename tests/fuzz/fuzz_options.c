/* Options: a list that is kept beside the core's must stay equal to it. */
#include "source/source.h"
#include "fuzz.h"

#include <string.h>
#include <strings.h>

#define MODEL_MAX 64

struct model {
	struct bsc_str names[MODEL_MAX], values[MODEL_MAX];
	size_t n;
};

static bool folds_to(struct bsc_str a, struct bsc_str b)
{
	return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

static bool may_be_added(const struct model *model, struct bsc_str name)
{
	return name.len > 0 && name.len <= BSC_OPTION_NAME_MAX && !memchr(name.ptr, 0, name.len) && model->n < MODEL_MAX;
}

static struct bsc_str copied(struct arena *arena, struct bsc_str text, size_t repeat)
{
	char *copy = arena_take(arena, text.len * repeat);
	for (size_t i = 0; i < repeat && text.len; i++) {
		memcpy(copy + i * text.len, text.ptr, text.len);
	}
	return (struct bsc_str){copy, text.len * repeat};
}

static void check_equal(const struct bsc_options *options, const struct model *model)
{
	CHECK(bsc_options_count(options) == model->n);
	for (size_t i = 0; i < model->n; i++) {
		struct bsc_str name = bsc_options_name(options, i), value = bsc_options_value(options, i);
		CHECK(bsc__str_equal(name, model->names[i]) && name.ptr[name.len] == '\0');
		CHECK(bsc__str_equal(value, model->values[i]) && value.ptr[value.len] == '\0');
	}
}

static void add(struct bsc_options *options, struct model *model, struct bsc_str name, struct bsc_str value,
                bool is_default)
{
	struct bsc_error err;
	int rc = (is_default ? bsc_options_add_default : bsc_options_add)(options, name, value, &err);
	bool given = false;
	for (size_t i = 0; i < model->n; i++) {
		given = given || folds_to(model->names[i], name);
	}
	if (is_default && given) {
		CHECK(rc == BSC_OK);
	} else if (may_be_added(model, name)) {
		CHECK(rc == BSC_OK);
		model->names[model->n] = name;
		model->values[model->n++] = value;
	} else {
		check_error(rc, &err);
		CHECK(rc == BSC_INVALID);
	}
}

/* The user's own are those that are no setting, in their order. */
static void check_user(const struct bsc_options *options, const struct model *model)
{
	struct bsc_options *user = NULL, *again = NULL;
	struct model own = {.n = 0};
	for (size_t i = 0; i < model->n; i++) {
		if (!bsc__setting_is(model->names[i])) {
			own.names[own.n] = model->names[i];
			own.values[own.n++] = model->values[i];
		}
	}
	CHECK(bsc__options_user(options, &user, NULL) == BSC_OK);
	check_equal(user, &own);
	CHECK(bsc__options_user(user, &again, NULL) == BSC_OK);
	CHECK(bsc__options_equal(user, again));
	CHECK(bsc__options_equal(options, user) == (own.n == model->n));
	bsc_options_free(again);
	bsc_options_free(user);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct arena *arena = arena_new();
	struct bsc_options *options;
	struct model model = {.n = 0};
	CHECK(bsc_options_new(&options, NULL) == BSC_OK);
	while (in.left && model.n < MODEL_MAX) {
		uint8_t how = take(&in);
		struct bsc_str name = copied(arena, take_text(&in, 64), how & 2 ? 1 + take(&in) : 1);
		struct bsc_str value = copied(arena, take_text(&in, 255), 1);
		add(options, &model, name, value, how & 1);
	}
	check_equal(options, &model);
	check_user(options, &model);
	bsc_options_free(options);
	arena_free(arena);
	return 0;
}
