/* Bounded buffers, and bounded reading. */
#include "base/bytes.h"

#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "numbers are written as they lie in memory, which is to be little-endian"
#endif

void bsc__bytes_init(struct bsc__bytes *bytes, size_t max)
{
	*bytes = (struct bsc__bytes){.max = max};
}

void bsc__bytes_release(struct bsc__bytes *bytes)
{
	bsc__free(bytes->ptr);
	*bytes = (struct bsc__bytes){.max = bytes->max};
}

void bsc__bytes_clear(struct bsc__bytes *bytes)
{
	bytes->len = 0;
	bytes->failed = bytes->no_memory = false;
}

void *bsc__bytes_extend(struct bsc__bytes *bytes, size_t n)
{
	enum { FIRST = 256 };
	if (bytes->failed || n > bytes->max - bytes->len) {
		bytes->failed = true;
		return NULL;
	}
	if (n > bytes->cap - bytes->len) {
		size_t cap = bytes->cap ? bytes->cap : FIRST;
		while (cap < bytes->len + n) {
			cap = cap > bytes->max / 2 ? bytes->max : 2 * cap;
		}
		uint8_t *ptr = bsc__resize(bytes->ptr, cap, 1);
		if (!ptr) {
			bytes->failed = bytes->no_memory = true;
			return NULL;
		}
		bytes->ptr = ptr;
		bytes->cap = cap;
	}
	void *at = bytes->ptr + bytes->len;
	bytes->len += n;
	return at;
}

void bsc__put(struct bsc__bytes *bytes, const void *ptr, size_t n)
{
	void *at = n ? bsc__bytes_extend(bytes, n) : NULL;
	if (at) {
		memcpy(at, ptr, n);
	}
}

void bsc__put_u8(struct bsc__bytes *bytes, uint8_t value)
{
	bsc__put(bytes, &value, sizeof(value));
}

void bsc__put_u16(struct bsc__bytes *bytes, uint16_t value)
{
	bsc__put(bytes, &value, sizeof(value));
}

void bsc__put_u32(struct bsc__bytes *bytes, uint32_t value)
{
	bsc__put(bytes, &value, sizeof(value));
}

void bsc__put_u64(struct bsc__bytes *bytes, uint64_t value)
{
	bsc__put(bytes, &value, sizeof(value));
}

void bsc__put_i64(struct bsc__bytes *bytes, int64_t value)
{
	bsc__put(bytes, &value, sizeof(value));
}

void bsc__put_str(struct bsc__bytes *bytes, struct bsc_str text)
{
	if (text.len > UINT32_MAX) {
		bytes->failed = true;
		return;
	}
	bsc__put_u32(bytes, (uint32_t)text.len);
	bsc__put(bytes, text.ptr, text.len);
}

static void get(struct bsc__view *view, void *out, size_t n)
{
	if (view->failed || n > view->left) {
		view->failed = true;
		memset(out, 0, n);
		return;
	}
	memcpy(out, view->ptr, n);
	view->ptr += n;
	view->left -= n;
}

uint8_t bsc__get_u8(struct bsc__view *view)
{
	uint8_t value;
	get(view, &value, sizeof(value));
	return value;
}

uint16_t bsc__get_u16(struct bsc__view *view)
{
	uint16_t value;
	get(view, &value, sizeof(value));
	return value;
}

uint32_t bsc__get_u32(struct bsc__view *view)
{
	uint32_t value;
	get(view, &value, sizeof(value));
	return value;
}

uint64_t bsc__get_u64(struct bsc__view *view)
{
	uint64_t value;
	get(view, &value, sizeof(value));
	return value;
}

int64_t bsc__get_i64(struct bsc__view *view)
{
	int64_t value;
	get(view, &value, sizeof(value));
	return value;
}

struct bsc_str bsc__get_str(struct bsc__view *view, size_t max)
{
	size_t len = bsc__get_u32(view);
	if (view->failed || len > max || len > view->left) {
		view->failed = true;
		return (struct bsc_str){"", 0};
	}
	struct bsc_str text = {(const char *)view->ptr, len};
	view->ptr += len;
	view->left -= len;
	return text;
}
