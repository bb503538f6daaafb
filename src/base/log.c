/* Messages that are no error of a call. */
#include "base/base.h"

#include <stdatomic.h>
#include <stdio.h>

static void to_stderr(const char *text)
{
	fprintf(stderr, "bascule: %s\n", text);
}

/* Set by one thread while others may log. */
static void (*_Atomic sink)(const char *text) = to_stderr;

void bsc_log_set_sink(void (*new_sink)(const char *text))
{
	atomic_store(&sink, new_sink ? new_sink : to_stderr);
}

void bsc_log_warning(const char *text)
{
	atomic_load (&sink)(text);
}
