/* A reader of arrays that knows the C Data Interface and nothing of the core or of
 * nanoarrow. It believes what it reads, as an engine does. */
#include "arrays.h"

#include <stdlib.h>
#include <string.h>

/* List views may overlap, so that a few rows hold millions of values. */
#define STEPS_MAX 50000

static int64_t steps;
static bool in_full;
static volatile uint8_t sink;

int64_t format_number(const char *format)
{
	return strtol(strchr(format, ':') + 1, NULL, 10);
}

int64_t format_width(const char *format)
{
	switch (format[0]) {
	case 'b':
		return 0;
	case 'c':
	case 'C':
		return 1;
	case 's':
	case 'S':
	case 'e':
		return 2;
	case 'i':
	case 'I':
	case 'f':
		return 4;
	case 'l':
	case 'L':
	case 'g':
		return 8;
	case 'w':
		return format_number(format);
	case 'd': {
		const char *comma = strchr(strchr(format, ',') + 1, ',');
		return comma ? strtol(comma + 1, NULL, 10) / 8 : 16;
	}
	case 't':
		if (format[1] == 'i') {
			return format[2] == 'M' ? 4 : format[2] == 'D' ? 8 : 16;
		}
		return (format[1] == 'd' && format[2] == 'D') || (format[1] == 't' && strchr("sm", format[2])) ? 4 : 8;
	default:
		return -1;
	}
}

int64_t format_union_child(const char *format, int8_t id)
{
	const char *at = strchr(format, ':') + 1;
	for (int64_t child = 0; *at; child++) {
		char *end;
		if (strtol(at, &end, 10) == id) {
			return child;
		}
		at = *end == ',' ? end + 1 : end;
	}
	return -1;
}

static void touch(const void *buffer, int64_t from, int64_t n)
{
	if (n > 0) {
		CHECK(buffer);
		/* The ends are enough: between them lies one block. */
		const uint8_t *bytes = buffer;
		sink = bytes[from];
		sink = bytes[from + n - 1];
	}
}

static int64_t number(const void *buffer, int64_t width, int64_t i)
{
	touch(buffer, i * width, width);
	return width == 8   ? ((const int64_t *)buffer)[i]
	       : width == 4 ? ((const int32_t *)buffer)[i]
	       : width == 2 ? ((const int16_t *)buffer)[i]
	                    : ((const int8_t *)buffer)[i];
}

static bool has_validity(const char *format)
{
	return format[0] != 'n' && strncmp(format, "+u", 2) != 0 && strcmp(format, "+r") != 0;
}

static bool is_null(const char *format, const struct ArrowArray *array, int64_t i)
{
	if (format[0] == 'n') {
		return true;
	}
	if (!has_validity(format) || array->null_count == 0 || !array->buffers[0]) {
		return false;
	}
	return !(((const uint8_t *)array->buffers[0])[i / 8] >> (i % 8) & 1);
}

static int64_t offset_width(const char *format)
{
	return strchr("UZ", format[0]) || (format[0] == '+' && strchr(format, 'L')) ? 8 : 4;
}

/* ---- the layout ---- */

static bool has_offsets(const char *format)
{
	return strchr("uzUZ", format[0]) || strcmp(format, "+l") == 0 || strcmp(format, "+L") == 0 ||
	       strcmp(format, "+m") == 0;
}

static void walk_layout(const struct ArrowSchema *field, const struct ArrowArray *array)
{
	const char *format = field->format;
	int64_t from = array->offset, n = array->length;
	CHECK(array->release && from >= 0 && n >= 0);
	if (n > 0 && has_validity(format) && array->null_count != 0 && array->buffers[0]) {
		touch(array->buffers[0], from / 8, (from + n - 1) / 8 - from / 8 + 1);
	}
	int64_t width = format_width(format);
	bool no_bytes = strcmp(format, "w:0") == 0;
	if (width >= 0 && n > 0 && !no_bytes) {
		touch(array->buffers[1], width ? from * width : from / 8,
		      width ? n * width : (from + n - 1) / 8 - from / 8 + 1);
	} else if (has_offsets(format) && n > 0) {
		int64_t first = number(array->buffers[1], offset_width(format), from);
		int64_t last = number(array->buffers[1], offset_width(format), from + n);
		CHECK(first >= 0 && last >= 0);
		if (format[0] == '+') {
			CHECK(last <= array->children[0]->length);
		} else {
			touch(array->buffers[2], 0, last);
		}
	} else if (strncmp(format, "+v", 2) == 0) {
		touch(array->buffers[1], from * offset_width(format), n * offset_width(format));
		touch(array->buffers[2], from * offset_width(format), n * offset_width(format));
	} else if (format[0] == 'v') {
		touch(array->buffers[1], from * 16, n * 16);
	} else if (strncmp(format, "+u", 2) == 0) {
		touch(array->buffers[0], from, n);
		if (format[2] == 'd') {
			touch(array->buffers[1], from * 4, n * 4);
		}
	}
	CHECK(array->n_children == field->n_children);
	for (int64_t i = 0; i < array->n_children; i++) {
		if (strcmp(format, "+s") == 0 || strncmp(format, "+us", 3) == 0) {
			CHECK(array->children[i]->length >= from + n);
		}
		if (strncmp(format, "+w", 2) == 0) {
			CHECK(array->children[i]->length >= (from + n) * format_number(format));
		}
		walk_layout(field->children[i], array->children[i]);
	}
	CHECK(!array->dictionary == !field->dictionary);
	if (field->dictionary) {
		walk_layout(field->dictionary, array->dictionary);
	}
}

/* ---- the values ---- */

static void walk_value(const struct ArrowSchema *field, const struct ArrowArray *array, int64_t row);

static void walk_items(const struct ArrowSchema *field, const struct ArrowArray *array, int64_t begin, int64_t end)
{
	CHECK(begin >= 0 && begin <= end && end <= array->length);
	for (int64_t i = begin; i < end && steps < STEPS_MAX; i++) {
		walk_value(field, array, i);
	}
}

static void walk_text(const char *format, const struct ArrowArray *array, int64_t at)
{
	int64_t begin, end;
	const char *data;
	if (format[0] != 'v') {
		begin = number(array->buffers[1], offset_width(format), at);
		end = number(array->buffers[1], offset_width(format), at + 1);
		data = array->buffers[2];
	} else {
		const int32_t *view = (const int32_t *)array->buffers[1] + 4 * at;
		begin = 0;
		data = (const char *)&view[1];
		end = view[0];
		CHECK(end >= 0);
		if (end > 12) {
			CHECK(view[2] >= 0 && view[2] < array->n_buffers - 3 && view[3] >= 0);
			begin = view[3];
			end += begin;
			data = array->buffers[2 + view[2]];
		}
	}
	CHECK(begin >= 0 && begin <= end);
	touch(data, begin, end - begin);
	if (in_full && end > begin && strchr("uU", format[format[0] == 'v'])) {
		CHECK(bsc__utf8_valid(data + begin, (size_t)(end - begin)) == (size_t)(end - begin));
	}
}

static void walk_run(const struct ArrowSchema *field, const struct ArrowArray *array, int64_t at)
{
	const struct ArrowArray *ends = array->children[0];
	int64_t run = 0, width = format_width(field->children[0]->format), last = 0;
	for (; run < ends->length; run++) {
		int64_t end = number(ends->buffers[1], width, ends->offset + run);
		CHECK(end > last);
		if (end > at) {
			break;
		}
		last = end;
	}
	CHECK(run < ends->length && run < array->children[1]->length);
	walk_value(field->children[1], array->children[1], run);
}

static void walk_nested(const struct ArrowSchema *field, const struct ArrowArray *array, int64_t at)
{
	const char *format = field->format;
	int64_t begin = at;
	if (has_offsets(format)) {
		walk_items(field->children[0], array->children[0], number(array->buffers[1], offset_width(format), at),
		           number(array->buffers[1], offset_width(format), at + 1));
	} else if (strncmp(format, "+v", 2) == 0) {
		begin = number(array->buffers[1], offset_width(format), at);
		int64_t size = number(array->buffers[2], offset_width(format), at);
		CHECK(begin >= 0 && size >= 0 && size <= array->children[0]->length);
		walk_items(field->children[0], array->children[0], begin, begin + size);
	} else if (strncmp(format, "+w", 2) == 0) {
		int64_t n = format_number(format);
		walk_items(field->children[0], array->children[0], at * n, at * n + n);
	} else if (strncmp(format, "+u", 2) == 0) {
		int64_t child = format_union_child(format, ((const int8_t *)array->buffers[0])[at]);
		CHECK(child >= 0);
		begin = format[2] == 'd' ? number(array->buffers[1], 4, at) : at;
		walk_items(field->children[child], array->children[child], begin, begin + 1);
	} else if (strcmp(format, "+r") == 0) {
		walk_run(field, array, at);
	} else {
		for (int64_t i = 0; i < field->n_children; i++) {
			walk_items(field->children[i], array->children[i], at, at + 1);
		}
	}
}

static void walk_value(const struct ArrowSchema *field, const struct ArrowArray *array, int64_t row)
{
	int64_t at = array->offset + row;
	const char *format = field->format;
	steps++;
	CHECK(row < array->length);
	if (is_null(format, array, at)) {
		return;
	}
	if (field->dictionary) {
		int64_t width = format_width(format), index = number(array->buffers[1], width, at);
		bool is_unsigned = format[0] < 'a';
		index = is_unsigned && width < 8 ? index & (((int64_t)1 << (8 * width)) - 1) : index;
		walk_items(field->dictionary, array->dictionary, index, index + 1);
	} else if (format[0] == '+') {
		walk_nested(field, array, at);
	} else if (strchr(in_full ? "uzUZv" : "uzUZ", format[0])) {
		walk_text(format, array, at);
	}
}

void walk_column(const struct ArrowSchema *field, const struct ArrowArray *array, bool full)
{
	walk_layout(field, array);
	steps = 0;
	in_full = full;
	for (int64_t i = 0; i < array->length && steps < STEPS_MAX; i++) {
		walk_value(field, array, i);
	}
}
