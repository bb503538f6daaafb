/* Error text: one fixed buffer, always UTF-8. */
#include "base/base.h"

#include <stdio.h>
#include <string.h>

/* Steps back from `end` over the bytes of a character that was cut. */
static size_t utf8_floor(const char *text, size_t end)
{
	size_t start = end;
	while (start > 0 && end - start < 4 && ((unsigned char)text[start - 1] & 0xC0) == 0x80) {
		start--;
	}
	if (start == 0) {
		return end;
	}
	unsigned char lead = (unsigned char)text[start - 1];
	size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
	return end - (start - 1) < want ? start - 1 : end;
}

/* Puts *** in the place of the user info of each URL: a password, mostly. */
static void mask_user_info(char *text, size_t cap)
{
	static const char mask[] = "***";
	for (char *at = text; (at = strstr(at, "://"));) {
		char *info = at += 3, *end = info + strcspn(info, "/?# \t\n'\"");
		while (end > info && *end != '@') {
			end--;
		}
		size_t at_most = cap - (size_t)(info - text), len = sizeof(mask) - 1, rest = strlen(end);
		if (*end == '@' && at_most > len) {
			rest = rest < at_most - len ? rest : at_most - len - 1;
			memmove(info + len, end, rest);
			memcpy(info, mask, len);
			info[len + rest] = '\0';
		}
	}
}

/* Makes what was written fit to be read: no secrets, valid UTF-8. */
static void clean(struct bsc_error *err)
{
	mask_user_info(err->message, sizeof(err->message));
	/* "%.200s" counts bytes, and names come from outside. */
	size_t len = strlen(err->message), at = 0;
	while ((at += bsc__utf8_valid(err->message + at, len - at)) < len) {
		err->message[at] = '?';
	}
}

int bsc__fail_tail(struct bsc_error *err, enum bsc_status status, struct bsc_str text)
{
	static const char cut[] = "\n    [...]\n";
	if (!err) {
		return status;
	}
	size_t cap = sizeof(err->message), head = text.len, tail = 0, n_cut = 0;
	if (text.len >= cap) {
		n_cut = sizeof(cut) - 1;
		head = utf8_floor(text.ptr, cap / 4);
		tail = cap - 1 - head - n_cut;
		while (tail > 0 && ((unsigned char)text.ptr[text.len - tail] & 0xC0) == 0x80) {
			tail--;
		}
	}
	memcpy(err->message, text.ptr, head);
	memcpy(err->message + head, cut, n_cut);
	memcpy(err->message + head + n_cut, text.ptr + text.len - tail, tail);
	size_t end = head + n_cut + tail;
	for (size_t i = 0; i < end; i++) {
		err->message[i] = err->message[i] ? err->message[i] : '?';
	}
	err->message[end] = '\0';
	err->status = status;
	clean(err);
	return status;
}

int bsc__fail(struct bsc_error *err, enum bsc_status status, const char *fmt, ...)
{
	if (!err) {
		return status;
	}
	static const char cut[] = " [cut]";
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(err->message, sizeof(err->message), fmt, args);
	va_end(args);
	err->status = status;
	if (n < 0) {
		err->message[0] = '\0';
	} else if ((size_t)n >= sizeof(err->message)) {
		size_t end = utf8_floor(err->message, sizeof(err->message) - sizeof(cut));
		memcpy(err->message + end, cut, sizeof(cut));
	}
	clean(err);
	return status;
}

int bsc__fail_nomem(struct bsc_error *err, const char *what)
{
	return bsc__fail(err, BSC_NOMEM, "out of memory while %s", what);
}
