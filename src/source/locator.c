/* Where a class is found: takes one string apart.
 *
 *   pkg.mod:Class       the last colon parts them; dots in the class are an
 *                       attribute path (Outer.Inner)
 *   dir/orders.py:Cls   ".py" before the colon means a file
 *   orders              no colon: an entry point's name
 */
#include "source/source.h"

#include <string.h>

#define LOCATOR_MAX 4096

static bool is_word(char c)
{
	unsigned char u = (unsigned char)c;
	return (u >= 'a' && u <= 'z') || (u >= 'A' && u <= 'Z') || (u >= '0' && u <= '9') || u == '_' || u >= 0x80;
}

/* Words parted by single dots. */
static bool is_dotted(struct bsc_str s)
{
	bool word = false;
	for (size_t i = 0; i < s.len; i++) {
		if (is_word(s.ptr[i])) {
			word = true;
		} else if (s.ptr[i] == '.' && word) {
			word = false;
		} else {
			return false;
		}
	}
	return word;
}

static bool ends_with(struct bsc_str s, const char *tail)
{
	size_t n = strlen(tail);
	return s.len >= n && memcmp(s.ptr + s.len - n, tail, n) == 0;
}

static const char forms[] = "write 'pkg.mod:Class', 'path/to/file.py:Class' or the short name of an installed source";

int bsc_locator_parse(struct bsc_str text, struct bsc_locator *out, struct bsc_error *err)
{
	*out = (struct bsc_locator){0};
	if (text.len == 0) {
		return bsc__fail(err, BSC_INVALID, "no class was named: %s", forms);
	}
	if (text.len > LOCATOR_MAX) {
		return bsc__fail(err, BSC_INVALID, "the name of the class is %zu bytes long, at most %d are allowed: %s",
		                 text.len, LOCATOR_MAX, forms);
	}
	if (memchr(text.ptr, '\0', text.len)) {
		return bsc__fail(err, BSC_INVALID, "the name of the class holds a NUL character: %s", forms);
	}
	for (size_t i = 0; i + 3 <= text.len; i++) {
		/* Not taken apart: a part could be a password, and would be shown. */
		if (memcmp(text.ptr + i, "://", 3) == 0) {
			return bsc__fail(err, BSC_INVALID,
			                 "'%.*s' is a URL, but the class is named here: %s. A URL is an option: url := '...'",
			                 BSC__ARG(text), forms);
		}
	}
	struct bsc_locator locator = {BSC_LOCATOR_NAME, {0}, text};
	for (size_t i = text.len; i-- > 0;) {
		if (text.ptr[i] == ':') {
			locator.module = (struct bsc_str){text.ptr, i};
			locator.name = (struct bsc_str){text.ptr + i + 1, text.len - i - 1};
			locator.kind = ends_with(locator.module, ".py") ? BSC_LOCATOR_FILE : BSC_LOCATOR_MODULE;
			break;
		}
	}
	if (locator.kind == BSC_LOCATOR_NAME) {
		if (ends_with(text, ".py")) {
			return bsc__fail(err, BSC_INVALID, "'%.*s' names a file but no class in it: write '%.*s:Class'",
			                 BSC__ARG(text), BSC__ARG(text));
		}
	} else {
		if (!is_dotted(locator.name)) {
			return bsc__fail(err, BSC_INVALID, "'%.*s' is no class name (in '%.*s'): %s", BSC__ARG(locator.name),
			                 BSC__ARG(text), forms);
		}
		if (locator.kind == BSC_LOCATOR_MODULE && !is_dotted(locator.module)) {
			return bsc__fail(err, BSC_INVALID, "'%.*s' is no module name (in '%.*s'): %s", BSC__ARG(locator.module),
			                 BSC__ARG(text), forms);
		}
	}
	*out = locator;
	return BSC_OK;
}

bool bsc_locator_is_bare(struct bsc_str text)
{
	size_t colon = text.len;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == ':') {
			if (colon != text.len) {
				return false;
			}
			colon = i;
		} else if (!is_word(text.ptr[i]) && !(text.ptr[i] == '.' && colon == text.len)) {
			return false;
		}
	}
	return colon > 0 && colon + 1 < text.len;
}
