/* Names of classes: what is accepted is put together again from its parts. */
#include "fuzz.h"

#include <string.h>

static bool within(struct bsc_str part, struct bsc_str text)
{
	return part.ptr >= text.ptr && part.ptr + part.len <= text.ptr + text.len;
}

static bool is_plain(struct bsc_str part, const char *more)
{
	for (size_t i = 0; i < part.len; i++) {
		unsigned char c = (unsigned char)part.ptr[i];
		bool word = (c | 0x20) - 'a' < 26u || c - '0' < 10u || c == '_' || c >= 0x80;
		if (c == 0 || (!word && !strchr(more, c))) {
			return false;
		}
	}
	return part.len > 0;
}

/* Words, one dot between two of them. */
static bool is_path(struct bsc_str part)
{
	for (size_t i = 0; i < part.len; i++) {
		if (part.ptr[i] == '.' && (i == 0 || i + 1 == part.len || part.ptr[i - 1] == '.')) {
			return false;
		}
	}
	return is_plain(part, ".");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of the exact size: `data` may have bytes behind it. */
	struct arena *arena = arena_new();
	char *bytes = arena_take(arena, size);
	if (size) {
		memcpy(bytes, data, size);
	}
	struct bsc_str text = {bytes, size};
	struct bsc_locator locator;
	struct bsc_error err;
	memset(&locator, 0xAA, sizeof(locator));
	int rc = bsc_locator_parse(text, &locator, &err);
	bool bare = bsc_locator_is_bare(text);
	if (rc != BSC_OK) {
		check_error(rc, &err);
		CHECK(rc == BSC_INVALID);
		CHECK(!locator.module.ptr && !locator.module.len && !locator.name.ptr && !locator.name.len);
	} else if (locator.kind == BSC_LOCATOR_NAME) {
		CHECK(locator.name.ptr == text.ptr && locator.name.len == text.len && locator.module.len == 0);
		CHECK(!memchr(text.ptr, ':', text.len) && !memchr(text.ptr, 0, text.len) && !bare);
	} else {
		CHECK(within(locator.module, text) && within(locator.name, text));
		CHECK(locator.module.ptr == text.ptr && locator.module.len + 1 + locator.name.len == text.len);
		CHECK(text.ptr[locator.module.len] == ':');
		CHECK(is_path(locator.name));
		bool file = locator.module.len >= 3 && memcmp(locator.module.ptr + locator.module.len - 3, ".py", 3) == 0;
		CHECK(file == (locator.kind == BSC_LOCATOR_FILE));
		CHECK(file || is_path(locator.module));
		/* Bare, but for the dots of an attribute path. */
		CHECK(file || bare || memchr(locator.name.ptr, '.', locator.name.len));
	}
	CHECK(!bare || is_plain(text, ".:"));
	arena_free(arena);
	return 0;
}
