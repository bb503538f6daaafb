#include "check.h"

static void parses(const char *text, enum bsc_locator_kind kind, const char *module, const char *name)
{
	struct bsc_locator locator;
	struct bsc_error err;
	assert_ok(bsc_locator_parse(bsc__str(text), &locator, &err), &err);
	assert_int_equal(locator.kind, kind);
	assert_str(locator.module, module);
	assert_str(locator.name, name);
}

static void refuses(struct bsc_str text, const char *message)
{
	struct bsc_locator locator;
	memset(&locator, 0xAA, sizeof(locator));
	struct bsc_error err;
	assert_fails(bsc_locator_parse(text, &locator, &err), BSC_INVALID, &err, message);
	struct bsc_locator zero = {0};
	assert_int_equal(locator.kind, zero.kind);
	assert_null(locator.module.ptr);
	assert_null(locator.name.ptr);
	assert_int_equal(bsc_locator_parse(text, &locator, NULL), BSC_INVALID);
}

static void test_locator_parts_module_and_class(void **state)
{
	(void)state;
	parses("mod:Class", BSC_LOCATOR_MODULE, "mod", "Class");
	parses("pkg.sub.mod:Class", BSC_LOCATOR_MODULE, "pkg.sub.mod", "Class");
	parses("a:b", BSC_LOCATOR_MODULE, "a", "b");
	parses("m\xC3\xB6"
	       "d:Kl\xC3\xA4sse",
	       BSC_LOCATOR_MODULE,
	       "m\xC3\xB6"
	       "d",
	       "Kl\xC3\xA4sse");
}

static void test_locator_takes_an_attribute_path_as_class(void **state)
{
	(void)state;
	parses("pkg.mod:Outer.Inner", BSC_LOCATOR_MODULE, "pkg.mod", "Outer.Inner");
	parses("a.py:Outer.Inner", BSC_LOCATOR_FILE, "a.py", "Outer.Inner");
}

static void test_locator_with_py_before_the_colon_is_a_file(void **state)
{
	(void)state;
	parses("orders.py:Orders", BSC_LOCATOR_FILE, "orders.py", "Orders");
	parses("/srv/my data/orders.py:Orders", BSC_LOCATOR_FILE, "/srv/my data/orders.py", "Orders");
	parses("../x-y/orders.py:Orders", BSC_LOCATOR_FILE, "../x-y/orders.py", "Orders");
}

static void test_locator_refuses_a_url_and_shows_no_password(void **state)
{
	(void)state;
	refuses(bsc__str("postgresql://ann:canary@h/db"), "'postgresql://***@h/db' is a URL, but the class is named here");
	refuses(bsc__str("https://ann:canary@host/x.py:Orders"), "'https://***@host/x.py:Orders' is a URL");
}

static void test_locator_takes_the_last_colon(void **state)
{
	(void)state;
	parses("C:\\data\\orders.py:Orders", BSC_LOCATOR_FILE, "C:\\data\\orders.py", "Orders");
	parses("a:b.py:C", BSC_LOCATOR_FILE, "a:b.py", "C");
	refuses(bsc__str("a:b:C"), "'a:b' is no module name");
}

static void test_locator_without_a_colon_is_a_short_name(void **state)
{
	(void)state;
	parses("orders", BSC_LOCATOR_NAME, "", "orders");
	parses("acme-orders.v2", BSC_LOCATOR_NAME, "", "acme-orders.v2");
}

static void test_locator_refuses_an_empty_text(void **state)
{
	(void)state;
	refuses(bsc__str(""), "no class was named");
	refuses((struct bsc_str){NULL, 0}, "no class was named");
}

static void test_locator_refuses_a_file_without_a_class(void **state)
{
	(void)state;
	refuses(bsc__str("path/orders.py"), "write 'path/orders.py:Class'");
	refuses(bsc__str("path/orders.py:"), "'' is no class name");
}

static void test_locator_refuses_what_is_no_class_name(void **state)
{
	(void)state;
	refuses(bsc__str("mod:"), "'' is no class name");
	refuses(bsc__str("mod:my class"), "'my class' is no class name");
	refuses(bsc__str("mod:A..B"), "'A..B' is no class name");
	refuses(bsc__str("mod:.A"), "'.A' is no class name");
	refuses(bsc__str("mod:A."), "'A.' is no class name");
	refuses(bsc__str("mod:A()"), "'A()' is no class name");
	refuses(bsc__str("a.py:A-B"), "'A-B' is no class name");
}

static void test_locator_refuses_what_is_no_module_name(void **state)
{
	(void)state;
	refuses(bsc__str(":Class"), "'' is no module name");
	refuses(bsc__str(".mod:Class"), "'.mod' is no module name");
	refuses(bsc__str("pkg..mod:Class"), "'pkg..mod' is no module name");
	refuses(bsc__str("pkg.mod.:Class"), "'pkg.mod.' is no module name");
	refuses(bsc__str("my-pkg:Class"), "'my-pkg' is no module name");
	refuses(bsc__str("dir/mod:Class"), "'dir/mod' is no module name");
	refuses(bsc__str("file.txt/x:Class"), "is no module name");
	refuses(bsc__str("orders.PY/:Class"), "is no module name");
}

static void test_locator_refuses_a_nul(void **state)
{
	(void)state;
	refuses((struct bsc_str){"mod\0:Class", 10}, "NUL");
	refuses((struct bsc_str){"mod:Class\0", 10}, "NUL");
}

static void test_locator_refuses_a_text_beyond_its_limit(void **state)
{
	(void)state;
	char text[4098];
	memset(text, 'a', sizeof(text));
	text[2] = ':';
	struct bsc_locator locator;
	struct bsc_error err;
	assert_ok(bsc_locator_parse((struct bsc_str){text, 4096}, &locator, &err), &err);
	assert_int_equal(locator.name.len, 4093);
	refuses((struct bsc_str){text, 4097}, "4097 bytes long, at most 4096");
}

static void test_locator_reads_no_byte_beyond_its_length(void **state)
{
	(void)state;
	/* On the heap, so that the address sanitizer sees one byte too far. */
	char *text = bsc__alloc(9);
	memcpy(text, "mod:Class", 9);
	struct bsc_locator locator;
	struct bsc_error err;
	assert_ok(bsc_locator_parse((struct bsc_str){text, 9}, &locator, &err), &err);
	assert_str(locator.name, "Class");
	assert_true(bsc_locator_is_bare((struct bsc_str){text, 9}));
	bsc__free(text);
}

static void test_bare_locator_is_module_and_class_of_word_characters(void **state)
{
	(void)state;
	assert_true(bsc_locator_is_bare(bsc__str("mod:Class")));
	assert_true(bsc_locator_is_bare(bsc__str("pkg.mod:Class_2")));
	assert_true(bsc_locator_is_bare(bsc__str("p\xC3\xA4"
	                                         "k:Class")));
}

static void test_bare_locator_is_nothing_that_may_name_a_file(void **state)
{
	(void)state;
	static const char *const no[] = {
	    "",          ":",       "orders",   ":Class",   "mod:",  "a:b:C",    "mod:Outer.Inner",
	    "dir/m:C",   "m:C/",    "s3://b/k", "m :C",     "m: C",  "my-mod:C", "m:C-1",
	    "C:\\a.csv", "m:C?x=1", "m:*",      "data.csv", "'m':C", "m:C\n",
	};
	for (size_t i = 0; i < LENGTH(no); i++) {
		if (bsc_locator_is_bare(bsc__str(no[i]))) {
			fail_msg("'%s' counts as bare", no[i]);
		}
	}
	assert_false(bsc_locator_is_bare((struct bsc_str){"m\0:C", 4}));
	assert_false(bsc_locator_is_bare((struct bsc_str){NULL, 0}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_locator_parts_module_and_class),
	    cmocka_unit_test(test_locator_takes_an_attribute_path_as_class),
	    cmocka_unit_test(test_locator_with_py_before_the_colon_is_a_file),
	    cmocka_unit_test(test_locator_refuses_a_url_and_shows_no_password),
	    cmocka_unit_test(test_locator_takes_the_last_colon),
	    cmocka_unit_test(test_locator_without_a_colon_is_a_short_name),
	    cmocka_unit_test(test_locator_refuses_an_empty_text),
	    cmocka_unit_test(test_locator_refuses_a_file_without_a_class),
	    cmocka_unit_test(test_locator_refuses_what_is_no_class_name),
	    cmocka_unit_test(test_locator_refuses_what_is_no_module_name),
	    cmocka_unit_test(test_locator_refuses_a_nul),
	    cmocka_unit_test(test_locator_refuses_a_text_beyond_its_limit),
	    cmocka_unit_test(test_locator_reads_no_byte_beyond_its_length),
	    cmocka_unit_test(test_bare_locator_is_module_and_class_of_word_characters),
	    cmocka_unit_test(test_bare_locator_is_nothing_that_may_name_a_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
