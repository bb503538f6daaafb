/* What every unit test includes: cmocka with the headers that it wants before
 * it, and three words that the tests share. */
#ifndef UNIT_CHECK_H
#define UNIT_CHECK_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/base.h"

/* Fails with the message that the call left behind. */
#define assert_ok(call, err)                                                                                           \
	do {                                                                                                               \
		int rc_ = (call);                                                                                              \
		if (rc_ != BSC_OK) {                                                                                           \
			fail_msg("status %d: %s", rc_, (err)->message);                                                            \
		}                                                                                                              \
	} while (0)

/* The call failed with `status`, and its message holds `text`. */
#define assert_fails(call, want, err, text)                                                                            \
	do {                                                                                                               \
		(err)->message[0] = '\0';                                                                                      \
		int rc_ = (call);                                                                                              \
		if (rc_ != (want) || (err)->status != (want) || !strstr((err)->message, (text))) {                             \
			fail_msg("wanted status %d and '%s', got %d: %s", (want), (text), rc_, (err)->message);                    \
		}                                                                                                              \
	} while (0)

#define assert_str(str, text) assert_true(bsc__str_equal((str), bsc__str(text)))

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#endif
