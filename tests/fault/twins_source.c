/* Sources and schemas. */
#include "world.h"

static void with_options(struct world *w, const char *const *pairs, size_t n)
{
	struct bsc_error err;
	world_flat(w);
	assert_ok(bsc_options_new(&w->options, &err), &err);
	for (size_t i = 0; i < n; i += 2) {
		assert_ok(bsc_options_add(w->options, bsc__str(pairs[i]), bsc__str(pairs[i + 1]), &err), &err);
	}
}

static void user_options(struct world *w)
{
	static const char *const pairs[] = {"region", "eu", "bascule_validation", "full", "n", "1"};
	with_options(w, pairs, LENGTH(pairs));
}

static void class_by_options(struct world *w)
{
	static const char *const pairs[] = {"python_module", "acme", "region", "eu", "python_class", "Orders"};
	with_options(w, pairs, LENGTH(pairs));
}

/* One is open already that equals the one to be opened. */
static void open_one(struct world *w)
{
	struct bsc_error err;
	user_options(w);
	assert_ok(bsc_source_open(&w->mock.executor, bsc__str("acme:Orders"), w->options, 7, NULL, &w->source, &err), &err);
	w->options = NULL;
	assert_ok(bsc_options_new(&w->options, &err), &err);
	assert_ok(bsc_options_add(w->options, bsc__str("bascule_validation"), bsc__str("full"), &err), &err);
	assert_ok(bsc_options_add(w->options, bsc__str("region"), bsc__str("eu"), &err), &err);
	assert_ok(bsc_options_add(w->options, bsc__str("n"), bsc__str("1"), &err), &err);
}

static int open_source(struct world *w, const char *text, uint64_t scope, struct bsc_error *err)
{
	int rc = bsc_source_open(&w->mock.executor, bsc__str(text), w->options, scope, NULL, &w->out.source, err);
	if (rc == BSC_OK) {
		w->options = NULL;
	}
	return rc;
}

static int call_open(struct world *w, struct bsc_error *err)
{
	return open_source(w, "acme:Orders", 0, err);
}

static int call_open_shared(struct world *w, struct bsc_error *err)
{
	return open_source(w, "acme:Orders", 7, err);
}

static int call_open_by_options(struct world *w, struct bsc_error *err)
{
	return open_source(w, "", 0, err);
}

static void options_are_ours(struct world *w)
{
	assert_int_equal(bsc_options_count(w->options), 3);
	assert_str(bsc_options_name(w->options, 1), "region");
}

static void all_options_are_ours(struct world *w)
{
	assert_int_equal(bsc_options_count(w->options), 3);
	assert_str(bsc_options_name(w->options, 0), "region");
	assert_str(bsc_options_value(w->options, 2), "1");
	assert_int_equal(w->mock.instances, w->mock.instances_closed);
	assert_int_equal(w->mock.classes, w->mock.classes_released);
}

static void nothing_to_give_back(struct world *w)
{
	assert_null(w->options);
	assert_int_equal(w->mock.instances, w->mock.instances_closed);
}

static void done_open(struct world *w)
{
	assert_string_equal(bsc_source_label(w->out.source), "acme:Orders");
	assert_int_equal(bsc_source_schema(w->out.source)->n_children, w->schema.n_children);
	bsc_source_close(w->out.source);
}

static void done_open_shared(struct world *w)
{
	assert_ptr_equal(w->out.source, w->source);
	assert_int_equal(w->mock.instances, 1);
	done_open(w);
}

static int call_schema(struct world *w, struct bsc_error *err)
{
	(void)err;
	assert_int_equal(bsc_source_schema(w->source)->n_children, 4);
	return BSC_OK;
}

static int call_label(struct world *w, struct bsc_error *err)
{
	(void)err;
	assert_string_equal(bsc_source_label(w->source), "acme:Orders");
	return BSC_OK;
}

static int call_close(struct world *w, struct bsc_error *err)
{
	(void)err;
	bsc_source_close(w->source);
	bsc_source_close(NULL);
	w->source = NULL;
	return BSC_OK;
}

static int call_copy(struct world *w, struct bsc_error *err)
{
	return bsc_schema_copy(&w->schema, &w->out.schema, err);
}

static void done_copy(struct world *w)
{
	assert_int_equal(w->out.schema.n_children, w->schema.n_children);
	w->out.schema.release(&w->out.schema);
}

static int call_describe(struct world *w, struct bsc_error *err)
{
	char text[64];
	(void)err;
	bsc_schema_describe(w->schema.children[0], text, sizeof(text));
	assert_string_equal(text, "list<item: struct<n: int64, t: string>>");
	return BSC_OK;
}

static int call_metadata(struct world *w, struct bsc_error *err)
{
	(void)err;
	assert_null(bsc_schema_metadata(w->schema.children[0], "key").ptr);
	return BSC_OK;
}

static int call_clear_cache(struct world *w, struct bsc_error *err)
{
	(void)w;
	(void)err;
	bsc_cache_clear();
	return BSC_OK;
}

static int call_statistics(struct world *w, struct bsc_error *err)
{
	struct bsc_statistics found;
	int rc = bsc_source_statistics(w->source, NULL, &found, err);
	assert_int_equal(found.n_rows, -1);
	return rc;
}

static int call_claim(struct world *w, struct bsc_error *err)
{
	bool exact = true;
	int rc = bsc_source_claim(w->source, bsc__str(""), NULL, &exact, 1, err);
	assert_false(exact);
	return rc;
}

static int call_offset(struct world *w, struct bsc_error *err)
{
	char *answer;
	const struct bsc_offsets offsets = {{"a", 1}, {"b", 1}};
	int rc = bsc_source_offset(w->source, BSC_OFFSET_LATEST, &offsets, NULL, &answer, err);
	if (rc == BSC_OK) {
		assert_string_equal(answer, "1: a..b");
		free(answer);
	}
	return rc;
}

#define POINTER sizeof(void *)

const struct twin twins_source[] = {
    {"bsc_source_open", "no options", true, POINTER, world_flat, call_open, nothing_to_give_back, .done = done_open},
    {"bsc_source_open", "options", true, POINTER, user_options, call_open, all_options_are_ours, .done = done_open},
    {"bsc_source_open", "class by options", true, POINTER, class_by_options, call_open_by_options, options_are_ours,
	 .done = done_open},
    {"bsc_source_open", "scoped, the first", true, POINTER, user_options, call_open_shared, all_options_are_ours,
	 .done = done_open},
    {"bsc_source_open", "scoped, open already", true, POINTER, open_one, call_open_shared, options_are_ours,
	 .done = done_open_shared},
    {"bsc_source_open", "nested schema", true, POINTER, world_nested, call_open, nothing_to_give_back,
	 .done = done_open},
    {"bsc_source_schema", "", false, .set_up = world_source, .call = call_schema},
    {"bsc_source_label", "", false, .set_up = world_source, .call = call_label},
    {"bsc_cache_clear", "", false, .call = call_clear_cache},
    {"bsc_source_statistics", "", false, .set_up = world_source, .call = call_statistics},
    {"bsc_source_claim", "", false, .set_up = world_source, .call = call_claim},
    {"bsc_source_offset", "", true, .set_up = world_source, .call = call_offset},
    {"bsc_source_close", "", false, .set_up = world_source, .call = call_close},
    {"bsc_schema_copy", "flat", true, sizeof(struct ArrowSchema), world_flat, call_copy, .done = done_copy},
    {"bsc_schema_copy", "nested", true, sizeof(struct ArrowSchema), world_nested, call_copy, .done = done_copy},
    {"bsc_schema_describe", "", false, .set_up = world_nested, .call = call_describe},
    {"bsc_schema_metadata", "", false, .set_up = world_nested, .call = call_metadata},
};
const size_t n_twins_source = LENGTH(twins_source);
