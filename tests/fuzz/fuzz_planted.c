/* A target with a mistake, to see that the tests see it. */
#include "fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CHECK(size < 2 || memcmp(data, "BU", 2) != 0);
	return 0;
}
