/* Runs the twins; and calls with a mistake in them, which the loop must see.
 *
 *   fault_twins          runs them all
 *   fault_twins --list   prints each public function that has a twin */
#include "world.h"

#include <stdio.h>
#include <unistd.h>

static const struct {
	const struct twin *twins;
	const size_t *n;
} lists[] = {
    {twins_filter, &n_twins_filter},   {twins_options, &n_twins_options}, {twins_process, &n_twins_process},
    {twins_workers, &n_twins_workers}, {twins_source, &n_twins_source},   {twins_scan, &n_twins_scan},
};

/* ---- the loop itself ---- */

static void *forgotten; /* reachable, and freed below: the sanitizer is not to see it */

static int forgets_a_block(struct world *w, struct bsc_error *err)
{
	(void)w;
	void *first = bsc__alloc(1);
	void *second = first ? bsc__alloc(1) : NULL;
	if (!second) {
		forgotten = first;
		return bsc__fail_nomem(err, "testing");
	}
	bsc__free(first);
	bsc__free(second);
	return BSC_OK;
}

static int keeps_its_output(struct world *w, struct bsc_error *err)
{
	void *block = bsc__alloc(1);
	if (!block) {
		return bsc__fail_nomem(err, "testing");
	}
	bsc__free(block);
	w->out.plan = NULL;
	return BSC_OK;
}

static int blames_the_class(struct world *w, struct bsc_error *err)
{
	(void)w;
	void *block = bsc__alloc(1);
	bsc__free(block);
	return block ? BSC_OK : bsc__fail(err, BSC_SOURCE, "the class is broken");
}

static int says_nothing(struct world *w, struct bsc_error *err)
{
	(void)w;
	(void)err;
	void *block = bsc__alloc(1);
	bsc__free(block);
	return block ? BSC_OK : BSC_NOMEM;
}

static int swallows_it(struct world *w, struct bsc_error *err)
{
	(void)w;
	(void)err;
	bsc__free(bsc__alloc(1));
	return BSC_OK;
}

static int fails_for_ever(struct world *w, struct bsc_error *err)
{
	static bool failed;
	(void)w;
	void *block = failed ? NULL : bsc__alloc(1);
	bsc__free(block);
	failed = !block;
	return block ? BSC_OK : bsc__fail_nomem(err, "testing");
}

static int allocates_nothing(struct world *w, struct bsc_error *err)
{
	(void)w;
	(void)err;
	return BSC_OK;
}

static void test_the_loop_sees_what_a_call_does_wrong(void **state)
{
	static const struct {
		struct twin twin;
		const char *what;
	} mistakes[] = {
	    {{"", "", true, .call = forgets_a_block}, "allocation 2 failed: leaked 1 blocks"},
	    {{"", "", true, sizeof(void *), .call = keeps_its_output}, "left its output as it was"},
	    {{"", "", true, .call = blames_the_class}, "gave status 3, not BSC_NOMEM (the class is broken)"},
	    {{"", "", true, .call = says_nothing}, "left status -1 in the error"},
	    {{"", "", true, .call = swallows_it}, "gave status 0, not BSC_NOMEM"},
	    {{"", "", true, .call = fails_for_ever}, "a second try failed"},
	    {{"", "", true, .call = allocates_nothing}, "it allocates nothing"},
	    {{"", "", false, .call = keeps_its_output}, "it allocates, but"},
	};
	(void)state;
	for (size_t i = 0; i < LENGTH(mistakes); i++) {
		const char *what = twin_run(&mistakes[i].twin, true);
		if (!what || !strstr(what, mistakes[i].what)) {
			fail_msg("wanted '%s', got '%s'", mistakes[i].what, what ? what : "nothing");
		}
	}
	bsc__free(forgotten);
}

/* ---- the twins ---- */

static void run(void **state)
{
	const struct twin *twin = *state;
	for (int err = 0; err < 2; err++) {
		const char *what = twin_run(twin, err);
		if (what) {
			fail_msg("%s (%s)%s: %s", twin->function, twin->situation, err ? "" : ", no error to write to", what);
		}
	}
}

int main(int argc, char **argv)
{
	struct CMUnitTest tests[128] = {cmocka_unit_test(test_the_loop_sees_what_a_call_does_wrong)};
	char names[LENGTH(tests)][96];
	size_t n = 1;
	for (size_t i = 0; i < LENGTH(lists); i++) {
		for (size_t k = 0; k < *lists[i].n && n < LENGTH(tests); k++, n++) {
			const struct twin *twin = &lists[i].twins[k];
			snprintf(names[n], sizeof(names[n]), "%s: %s", twin->function, twin->situation);
			tests[n] = (struct CMUnitTest){names[n], run, NULL, NULL, (void *)twin};
		}
	}
	if (argc > 1 && strcmp(argv[1], "--list") == 0) {
		for (size_t i = 1; i < n; i++) {
			printf("%.*s\n", (int)strcspn(names[i], ":"), names[i]);
		}
		return 0;
	}
	int failed = _cmocka_run_group_tests("twins", tests, n, NULL, NULL);
	if (failed) {
		/* What they left would fill pages with a report of leaks. */
		fflush(NULL);
		_exit(1);
	}
	return 0;
}
