#include "mock_executor.h"
#include "source/source.h"

#include <pthread.h>

static const struct mock_column columns[] = {{"id", "l", true}, {"name", "u", false}};

struct fixture {
	struct mock mock;
	struct ArrowSchema schema;
};

static int set_up(void **state)
{
	struct fixture *f = bsc__calloc(1, sizeof(*f));
	mock_schema_init(&f->schema, columns, LENGTH(columns));
	mock_init(&f->mock, &f->schema, NULL, 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	mock_assert_all_closed(&f->mock);
	f->schema.release(&f->schema);
	bsc__free(f);
	return 0;
}

/* Options out of "name=value" texts; NULL for none. */
static struct bsc_options *options_of(const char *const *texts, size_t n)
{
	struct bsc_options *options = NULL;
	struct bsc_error err;
	assert_ok(bsc_options_new(&options, &err), &err);
	for (size_t i = 0; i < n; i++) {
		const char *equals = strchr(texts[i], '=');
		struct bsc_str name = {texts[i], (size_t)(equals - texts[i])};
		assert_ok(bsc_options_add(options, name, bsc__str(equals + 1), &err), &err);
	}
	return options;
}

#define OPTIONS(...) options_of((const char *const[]){__VA_ARGS__}, LENGTH(((const char *const[]){__VA_ARGS__})))

static struct bsc_source *open_scoped(struct fixture *f, const char *text, struct bsc_options *options, uint64_t scope)
{
	struct bsc_source *source = NULL;
	struct bsc_error err;
	assert_ok(bsc_source_open(&f->mock.executor, bsc__str(text), options, scope, NULL, &source, &err), &err);
	return source;
}

/* The options stay the caller's, so they are freed here. */
static void refuses(struct fixture *f, const char *text, struct bsc_options *options, int status, const char *message)
{
	struct bsc_source *source = (struct bsc_source *)f;
	struct bsc_error err;
	size_t n = bsc_options_count(options);
	assert_fails(bsc_source_open(&f->mock.executor, bsc__str(text), options, 7, NULL, &source, &err), status, &err,
	             message);
	assert_null(source);
	assert_int_equal(bsc_options_count(options), n);
	bsc_options_free(options);
	mock_assert_all_closed(&f->mock);
}

/* ---- naming the class ---- */

static void test_source_is_named_by_its_text(void **state)
{
	struct fixture *f = *state;
	struct bsc_source *source = open_scoped(f, "pkg.mod:Orders", NULL, 0);
	assert_int_equal(f->mock.kind, BSC_LOCATOR_MODULE);
	assert_string_equal(f->mock.module, "pkg.mod");
	assert_string_equal(f->mock.name, "Orders");
	assert_string_equal(bsc_source_label(source), "pkg.mod:Orders");
	assert_string_equal(f->mock.label, "pkg.mod:Orders");
	assert_int_equal(bsc_source_schema(source)->n_children, 2);
	bsc_source_close(source);
}

static void test_short_name_is_its_own_label(void **state)
{
	struct fixture *f = *state;
	struct bsc_source *source = open_scoped(f, "orders", NULL, 0);
	assert_int_equal(f->mock.kind, BSC_LOCATOR_NAME);
	assert_string_equal(bsc_source_label(source), "orders");
	bsc_source_close(source);
}

static void test_python_class_alone_takes_all_three_forms(void **state)
{
	struct fixture *f = *state;
	struct bsc_source *source = open_scoped(f, "", OPTIONS("python_class=a/b.py:Orders"), 0);
	assert_int_equal(f->mock.kind, BSC_LOCATOR_FILE);
	assert_string_equal(f->mock.module, "a/b.py");
	bsc_source_close(source);
	source = open_scoped(f, "", OPTIONS("Python_Class=pkg:Orders"), 0);
	assert_int_equal(f->mock.kind, BSC_LOCATOR_MODULE);
	bsc_source_close(source);
	source = open_scoped(f, "", OPTIONS("python_class=orders"), 0);
	assert_int_equal(f->mock.kind, BSC_LOCATOR_NAME);
	assert_string_equal(f->mock.name, "orders");
	bsc_source_close(source);
}

static void test_python_module_and_class_name_it_together(void **state)
{
	struct fixture *f = *state;
	struct bsc_source *source = open_scoped(f, "", OPTIONS("python_class=Orders", "python_module=pkg.mod"), 0);
	assert_int_equal(f->mock.kind, BSC_LOCATOR_MODULE);
	assert_string_equal(f->mock.module, "pkg.mod");
	assert_string_equal(bsc_source_label(source), "pkg.mod:Orders");
	bsc_source_close(source);
	source = open_scoped(f, "", OPTIONS("python_module=dir/orders.py", "python_class=Orders"), 0);
	assert_int_equal(f->mock.kind, BSC_LOCATOR_FILE);
	bsc_source_close(source);
}

static void test_source_without_a_class_is_refused(void **state)
{
	struct fixture *f = *state;
	refuses(f, "", NULL, BSC_INVALID, "no class was named");
	refuses(f, "", OPTIONS("region=eu"), BSC_INVALID, "no class was named");
	refuses(f, "", OPTIONS("python_module=pkg"), BSC_INVALID, "python_class is missing");
	assert_int_equal(f->mock.calls[MOCK_RESOLVE], 0);
}

static void test_class_named_twice_is_a_contradiction(void **state)
{
	struct fixture *f = *state;
	refuses(f, "pkg:Orders", OPTIONS("python_class=Orders"), BSC_INVALID, "named twice, by 'pkg:Orders'");
	refuses(f, "pkg:Orders", OPTIONS("python_module=pkg"), BSC_INVALID, "named twice");
	refuses(f, "orders", OPTIONS("python_module=pkg", "python_class=Orders"), BSC_INVALID, "named twice");
}

static void test_bad_locator_is_refused_before_anything_runs(void **state)
{
	struct fixture *f = *state;
	refuses(f, "my-pkg:Orders", NULL, BSC_INVALID, "no module name");
	refuses(f, "", OPTIONS("python_module=a:b", "python_class=C"), BSC_INVALID, "no module name");
	refuses(f, "", OPTIONS("python_module=a", "python_class=b:C"), BSC_INVALID, "no module name");
	assert_int_equal(f->mock.calls[MOCK_RESOLVE], 0);
}

static void test_nul_in_a_name_setting_is_refused(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *name;
		struct bsc_str value;
	} given[] = {{"python_module", {"pkg\0evil", 8}}, {"python_class", {"Orders\0x", 8}}};
	for (size_t bad = 0; bad < LENGTH(given); bad++) {
		struct bsc_options *options = bad ? OPTIONS("python_module=pkg") : OPTIONS("python_class=Orders");
		struct bsc_error err;
		assert_ok(bsc_options_add(options, bsc__str(given[bad].name), given[bad].value, &err), &err);
		refuses(f, "", options, BSC_INVALID, "NUL");
	}
}

static void test_bad_setting_is_refused_before_anything_runs(void **state)
{
	struct fixture *f = *state;
	refuses(f, "pkg:Orders", OPTIONS("bascule_nonsense=1"), BSC_INVALID, "unknown setting");
	refuses(f, "pkg:Orders", OPTIONS("bascule_validation=loud"), BSC_INVALID, "not among its choices");
	assert_int_equal(f->mock.calls[MOCK_RESOLVE], 0);
}

static void test_class_sees_its_options_without_the_settings(void **state)
{
	struct fixture *f = *state;
	struct bsc_source *source =
	    open_scoped(f, "", OPTIONS("Region=eu", "python_class=pkg:Orders", "bascule_validation=full", "n=2"), 0);
	assert_string_equal(f->mock.options, "Region=eu;n=2;");
	assert_int_equal(f->mock.schema_mode, BSC_SCHEMA_STRICT);
	bsc_source_close(source);
}

static void test_executor_is_told_the_schema_mode(void **state)
{
	struct fixture *f = *state;
	struct bsc_source *source = open_scoped(f, "pkg:Orders", OPTIONS("bascule_schema_mode=Evolve"), 0);
	assert_int_equal(f->mock.schema_mode, BSC_SCHEMA_EVOLVE);
	bsc_source_close(source);
	refuses(f, "pkg:Orders", OPTIONS("bascule_schema_mode=loose"), BSC_INVALID,
	        "bascule_schema_mode = 'loose' is not among its choices: 'strict'");
}

/* ---- the registry ---- */

static void test_same_class_options_and_scope_give_the_same_source(void **state)
{
	struct fixture *f = *state;
	struct bsc_source *a = open_scoped(f, "pkg:Orders", OPTIONS("region=eu"), 7);
	struct bsc_source *b = open_scoped(f, "pkg:Orders", OPTIONS("region=eu"), 7);
	assert_ptr_equal(a, b);
	assert_int_equal(f->mock.calls[MOCK_OPEN], 1);
	bsc_source_close(a);
	assert_int_equal(f->mock.instances_closed, 0);
	bsc_source_close(b);
	assert_int_equal(f->mock.instances_closed, 1);
}

static void test_two_names_of_one_class_object_are_one_source(void **state)
{
	struct fixture *f = *state;
	struct bsc_source *a = open_scoped(f, "pkg.mod:Orders", NULL, 7);
	struct bsc_source *b = open_scoped(f, "", OPTIONS("python_module=pkg", "python_class=Orders"), 7);
	assert_ptr_equal(a, b);
	bsc_source_close(b);
	bsc_source_close(a);
}

static void test_scope_zero_is_never_shared(void **state)
{
	struct fixture *f = *state;
	struct bsc_source *a = open_scoped(f, "pkg:Orders", NULL, 0);
	struct bsc_source *b = open_scoped(f, "pkg:Orders", NULL, 0);
	struct bsc_source *c = open_scoped(f, "pkg:Orders", NULL, 7);
	assert_ptr_not_equal(a, b);
	assert_ptr_not_equal(a, c);
	assert_int_equal(f->mock.calls[MOCK_OPEN], 3);
	bsc_source_close(a);
	bsc_source_close(b);
	bsc_source_close(c);
}

static void test_what_differs_is_another_source(void **state)
{
	struct fixture *f = *state;
	struct bsc_source *sources[] = {
	    open_scoped(f, "pkg:Orders", OPTIONS("region=eu"), 7),
	    open_scoped(f, "pkg:Orders", OPTIONS("region=eu"), 8),
	    open_scoped(f, "pkg:Other", OPTIONS("region=eu"), 7),
	    open_scoped(f, "pkg:Orders", OPTIONS("region=us"), 7),
	    open_scoped(f, "pkg:Orders", OPTIONS("REGION=eu"), 7),
	    open_scoped(f, "pkg:Orders", OPTIONS("region=eu", "n=1"), 7),
	    open_scoped(f, "pkg:Orders", NULL, 7),
	    open_scoped(f, "pkg:Orders", OPTIONS("region=eu", "bascule_validation=full"), 7),
	    open_scoped(f, "pkg:Orders", OPTIONS("region=eu", "bascule_schema_mode=evolve"), 7),
	};
	for (size_t i = 0; i < LENGTH(sources); i++) {
		for (size_t k = 0; k < i; k++) {
			assert_ptr_not_equal(sources[i], sources[k]);
		}
	}
	assert_int_equal(f->mock.instances, LENGTH(sources));
	for (size_t i = 0; i < LENGTH(sources); i++) {
		bsc_source_close(sources[i]);
	}
}

static void test_another_executor_is_another_source(void **state)
{
	struct fixture *f = *state;
	struct mock second;
	mock_init(&second, &f->schema, NULL, 0);
	struct bsc_source *a = open_scoped(f, "pkg:Orders", NULL, 7), *b = NULL;
	struct bsc_error err;
	assert_ok(bsc_source_open(&second.executor, bsc__str("pkg:Orders"), NULL, 7, NULL, &b, &err), &err);
	assert_ptr_not_equal(a, b);
	bsc_source_close(a);
	bsc_source_close(b);
	mock_assert_all_closed(&second);
}

static void test_closed_source_is_opened_anew(void **state)
{
	struct fixture *f = *state;
	bsc_source_close(open_scoped(f, "pkg:Orders", NULL, 7));
	bsc_source_close(open_scoped(f, "pkg:Orders", NULL, 7));
	assert_int_equal(f->mock.calls[MOCK_OPEN], 2);
	assert_int_equal(f->mock.instances_closed, 2);
}

static void test_failed_source_is_not_found_again(void **state)
{
	struct fixture *f = *state;
	f->mock.fault[MOCK_OPEN].status = BSC_SOURCE;
	f->mock.fault[MOCK_OPEN].text = "no network";
	refuses(f, "pkg:Orders", NULL, BSC_SOURCE, "no network");
	f->mock.fault[MOCK_OPEN].status = BSC_OK;
	bsc_source_close(open_scoped(f, "pkg:Orders", NULL, 7));
}

static void test_source_that_a_plan_holds_is_still_shared(void **state)
{
	struct fixture *f = *state;
	struct bsc_source *a = open_scoped(f, "pkg:Orders", NULL, 7);
	struct bsc_plan *plan = NULL;
	struct bsc_error err;
	assert_ok(bsc_plan_new(a, NULL, NULL, &plan, &err), &err);
	bsc_source_close(a);
	struct bsc_source *b = open_scoped(f, "pkg:Orders", NULL, 7);
	assert_ptr_equal(a, b);
	bsc_plan_free(plan);
	assert_int_equal(f->mock.instances_closed, 0);
	bsc_source_close(b);
}

static void test_closing_no_source_does_nothing(void **state)
{
	(void)state;
	bsc_source_close(NULL);
}

#define N_THREADS 4

static void *open_and_close(void *arg)
{
	struct fixture *f = arg;
	struct bsc_error err;
	for (intptr_t i = 0; i < 200; i++) {
		struct bsc_source *source = NULL;
		if (bsc_source_open(&f->mock.executor, bsc__str("pkg:Orders"), NULL, 1 + (uint64_t)i % 2, NULL, &source,
		                    &err)) {
			return (void *)1;
		}
		bsc_source_close(source);
	}
	return NULL;
}

static void test_threads_open_and_close_one_source_at_once(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[N_THREADS];
	for (int i = 0; i < N_THREADS; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, open_and_close, f), 0);
	}
	for (int i = 0; i < N_THREADS; i++) {
		void *failed = NULL;
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
}

/* ---- failures ---- */

static void test_failed_resolve_leaks_nothing_and_leaves_the_options(void **state)
{
	struct fixture *f = *state;
	f->mock.fault[MOCK_RESOLVE].status = BSC_NOT_FOUND;
	f->mock.fault[MOCK_RESOLVE].text = "no module named pkg";
	refuses(f, "pkg:Orders", OPTIONS("region=eu"), BSC_NOT_FOUND, "no module named pkg");
	refuses(f, "", OPTIONS("python_module=pkg", "python_class=Orders"), BSC_NOT_FOUND, "no module named pkg");
	assert_int_equal(f->mock.classes, 0);
}

static void test_failed_open_leaks_nothing_and_leaves_the_options(void **state)
{
	struct fixture *f = *state;
	f->mock.fault[MOCK_OPEN].status = BSC_SOURCE;
	f->mock.fault[MOCK_OPEN].text = "KeyError: 'region'";
	refuses(f, "pkg:Orders", OPTIONS("region=eu"), BSC_SOURCE, "KeyError");
	assert_int_equal(f->mock.instances_closed, 0);
	assert_int_equal(f->mock.classes_released, 1);
}

static void damage_schema(struct ArrowSchema *schema)
{
	ArrowSchemaRelease(schema->children[1]);
	schema->children[1]->release = NULL;
}

static void test_poll_ends_a_class_that_opens_for_ever(void **state)
{
	struct fixture *f = *state;
	struct bsc_source *source = NULL;
	struct bsc_error err;
	int left = 2;
	const struct bsc_poll poll = {mock_stop_after, &left};
	f->mock.waits[MOCK_OPEN] = true;
	assert_fails(bsc_source_open(&f->mock.executor, bsc__str("a:C"), NULL, 0, &poll, &source, &err), BSC_CANCELLED,
	             &err, "stopped in the middle");
	assert_null(source);
	assert_int_equal(left, -1);
}

static void test_bad_schema_closes_the_instance_and_leaves_the_options(void **state)
{
	struct fixture *f = *state;
	f->mock.damage_schema = damage_schema;
	refuses(f, "pkg:Orders", OPTIONS("region=eu"), BSC_SOURCE, "pkg:Orders.infer_schema");
	assert_int_equal(f->mock.instances_closed, 1);
	f->mock.damage_schema = NULL;
	struct ArrowSchema type;
	mock_field_init(&type, "", "i");
	f->mock.schema = &type;
	refuses(f, "pkg:Orders", OPTIONS("region=eu"), BSC_SOURCE, "not a schema of columns");
	assert_int_equal(f->mock.instances_closed, 2);
	type.release(&type);
}

static void test_failure_needs_no_error_to_write_to(void **state)
{
	struct fixture *f = *state;
	struct bsc_source *source = NULL;
	assert_int_equal(bsc_source_open(&f->mock.executor, bsc__str("a:b:c"), NULL, 0, NULL, &source, NULL), BSC_INVALID);
	assert_int_equal(bsc_source_open(&f->mock.executor, bsc__str(""), NULL, 0, NULL, &source, NULL), BSC_INVALID);
	f->mock.damage_schema = damage_schema;
	assert_int_equal(bsc_source_open(&f->mock.executor, bsc__str("a:C"), NULL, 0, NULL, &source, NULL), BSC_SOURCE);
	assert_null(source);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_source_is_named_by_its_text),
	    TEST(test_short_name_is_its_own_label),
	    TEST(test_python_class_alone_takes_all_three_forms),
	    TEST(test_python_module_and_class_name_it_together),
	    TEST(test_source_without_a_class_is_refused),
	    TEST(test_class_named_twice_is_a_contradiction),
	    TEST(test_bad_locator_is_refused_before_anything_runs),
	    TEST(test_nul_in_a_name_setting_is_refused),
	    TEST(test_bad_setting_is_refused_before_anything_runs),
	    TEST(test_class_sees_its_options_without_the_settings),
	    TEST(test_executor_is_told_the_schema_mode),
	    TEST(test_same_class_options_and_scope_give_the_same_source),
	    TEST(test_two_names_of_one_class_object_are_one_source),
	    TEST(test_scope_zero_is_never_shared),
	    TEST(test_what_differs_is_another_source),
	    TEST(test_another_executor_is_another_source),
	    TEST(test_closed_source_is_opened_anew),
	    TEST(test_failed_source_is_not_found_again),
	    TEST(test_source_that_a_plan_holds_is_still_shared),
	    TEST(test_closing_no_source_does_nothing),
	    TEST(test_threads_open_and_close_one_source_at_once),
	    TEST(test_failed_resolve_leaks_nothing_and_leaves_the_options),
	    TEST(test_failed_open_leaks_nothing_and_leaves_the_options),
	    TEST(test_poll_ends_a_class_that_opens_for_ever),
	    TEST(test_bad_schema_closes_the_instance_and_leaves_the_options),
	    TEST(test_failure_needs_no_error_to_write_to),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
