#include "arrays.h"

#include <stdlib.h>
#include <string.h>

/* Of a buffer of data: what offsets say beyond it is brought down to it. */
#define DATA_MAX 512
#define ELEMENTS_MAX 256

static int64_t live;

int64_t arrays_live(void)
{
	return live;
}

static void child_release(struct ArrowArray *array)
{
	array->release = NULL;
}

static void root_release(struct ArrowArray *array)
{
	live--;
	array->release = NULL;
	arena_free(array->private_data);
}

struct maker {
	struct arena *arena;
	struct input *in;
};

/* ---- buffers ---- */

static void fill(struct input *in, void *buffer, size_t n)
{
	uint8_t *bytes = buffer, how = (uint8_t)take_below(in, 4);
	for (size_t i = 0; i < n; i++) {
		bytes[i] = how == 0 ? 0 : how == 1 ? 'a' + (uint8_t)(i % 26) : how == 2 ? 0xFF : take(in);
	}
}

static void *filled(const struct maker *m, int64_t n)
{
	void *buffer = arena_take(m->arena, n > 0 ? (size_t)n : 0);
	fill(m->in, buffer, n > 0 ? (size_t)n : 0);
	return buffer;
}

static void put(void *numbers, int width, int64_t i, int64_t value)
{
	if (width == 8) {
		((int64_t *)numbers)[i] = value;
	} else if (width == 4) {
		((int32_t *)numbers)[i] = (int32_t)value;
	} else if (width == 2) {
		((int16_t *)numbers)[i] = (int16_t)value;
	} else {
		((int8_t *)numbers)[i] = (int8_t)value;
	}
}

static int64_t get(const void *numbers, int width, int64_t i)
{
	return width == 8   ? ((const int64_t *)numbers)[i]
	       : width == 4 ? ((const int32_t *)numbers)[i]
	       : width == 2 ? ((const int16_t *)numbers)[i]
	                    : ((const int8_t *)numbers)[i];
}

/* `n` numbers that rise by 0 to 3 from `first`; some of them replaced. */
static void *rising(const struct maker *m, int width, int64_t n, int64_t first, int64_t least)
{
	void *numbers = arena_take(m->arena, n > 0 ? (size_t)(n * width) : 0);
	int64_t value = first;
	for (int64_t i = 0; i < n; i++) {
		put(numbers, width, i, value);
		value += least + take_below(m->in, 4);
	}
	for (uint32_t wrong = n > 0 && take_below(m->in, 3) == 2 ? 1 + take_below(m->in, 4) : 0; wrong > 0; wrong--) {
		put(numbers, width, take_below(m->in, 255) % n, take_hostile(m->in));
	}
	return numbers;
}

/* ---- one array ---- */

static struct ArrowArray *make(const struct maker *m, const struct ArrowSchema *field, int64_t needed, int depth);

/* Offsets of a list or of text: so many that every row has an end. Where text
 * says that its data is longer than any here, it says less. */
static void *offsets(const struct maker *m, int width, int64_t rows, int64_t last_max)
{
	int64_t n = rows > 0 ? rows + 1 : 0;
	void *numbers = rising(m, width, n, 0, 0);
	if (n && get(numbers, width, rows) > last_max) {
		put(numbers, width, rows, last_max);
	}
	return numbers;
}

static void text_buffers(const struct maker *m, struct ArrowArray *array, int width, int64_t rows)
{
	const void *numbers = offsets(m, width, rows, DATA_MAX);
	array->buffers[1] = numbers;
	array->buffers[2] = filled(m, rows > 0 ? get(numbers, width, rows) : 0);
}

/* Views: length, four bytes of text, buffer, offset. */
static void view_buffers(const struct maker *m, struct ArrowArray *array, int64_t rows)
{
	int64_t n = array->n_buffers - 3;
	int64_t *sizes = arena_take(m->arena, (size_t)n * sizeof(*sizes));
	for (int64_t i = 0; i < n; i++) {
		sizes[i] = take_below(m->in, 64);
		array->buffers[2 + i] = filled(m, sizes[i]);
		if (take_below(m->in, 8) == 7) {
			sizes[i] = take(m->in) & 1 ? -1 - take(m->in) : INT64_MIN;
		}
		if (take_below(m->in, 8) == 7) {
			array->buffers[2 + i] = NULL;
		}
	}
	array->buffers[2 + n] = n || take(m->in) & 1 ? sizes : NULL;
	int32_t (*views)[4] = arena_take(m->arena, (size_t)rows * sizeof(*views));
	for (int64_t i = 0; i < rows; i++) {
		bool hostile = take_below(m->in, 8) == 7;
		views[i][0] = hostile ? (int32_t)take_hostile(m->in) : (int32_t)take_below(m->in, 32);
		views[i][2] = hostile ? (int32_t)take_hostile(m->in) : (int32_t)take_below(m->in, 3);
		views[i][3] = hostile ? (int32_t)take_hostile(m->in) : (int32_t)take_below(m->in, 48);
	}
	array->buffers[1] = views;
}

static int64_t list_buffers(const struct maker *m, const struct ArrowSchema *field, struct ArrowArray *array,
                            int64_t rows)
{
	bool view = field->format[1] == 'v';
	int width = strchr(field->format, 'L') ? 8 : 4;
	if (!view) {
		const void *numbers = offsets(m, width, rows, INT64_MAX);
		array->buffers[1] = numbers;
		return rows > 0 ? get(numbers, width, rows) : 0;
	}
	array->buffers[1] = rising(m, width, rows, 0, 0);
	array->buffers[2] = rising(m, width, rows, 0, 0);
	return 4 * rows;
}

static void validity(const struct maker *m, struct ArrowArray *array, int64_t rows)
{
	uint32_t how = take_below(m->in, 4);
	array->null_count = 0;
	if (how) {
		array->buffers[0] = filled(m, (rows + 7) / 8);
		array->null_count = how == 3 ? take_hostile(m->in) : -1;
	}
}

/* What is below: a child that `needed` rows are asked of. */
static void add_child(const struct maker *m, const struct ArrowSchema *field, struct ArrowArray *array, int64_t i,
                      int64_t needed, int depth)
{
	needed = needed < 0 ? 0 : needed > ELEMENTS_MAX ? ELEMENTS_MAX : needed;
	array->children[i] = make(m, field->children[i], needed, depth + 1);
}

static void nested(const struct maker *m, const struct ArrowSchema *field, struct ArrowArray *array, int64_t rows,
                   int depth)
{
	const char *format = field->format;
	int64_t needed = rows;
	if (format[1] == 'l' || format[1] == 'L' || format[1] == 'm' || format[1] == 'v') {
		needed = list_buffers(m, field, array, rows);
	} else if (format[1] == 'w') {
		needed = rows * format_number(format);
	} else if (format[1] == 'u') {
		int8_t *ids = arena_take(m->arena, (size_t)rows);
		for (int64_t i = 0; i < rows; i++) {
			uint8_t id = take(m->in);
			ids[i] = id & 0x80 ? (int8_t)take(m->in) : (int8_t)(id % (field->n_children ? field->n_children : 1));
		}
		array->buffers[0] = ids;
		if (format[2] == 'd') {
			array->buffers[1] = rising(m, 4, rows, 0, 0);
			needed = 2 * rows;
		}
	} else if (format[1] == 'r') {
		needed = take_below(m->in, 8);
	}
	for (int64_t i = 0; i < field->n_children; i++) {
		add_child(m, field, array, i, needed, depth);
	}
}

static void run_end_buffer(const struct maker *m, const struct ArrowSchema *field, struct ArrowArray *array,
                           int64_t rows)
{
	int width = (int)format_width(field->format);
	array->buffers[0] = NULL;
	array->buffers[1] = rising(m, width, rows, 1 + take_below(m->in, 32), 1);
	array->null_count = 0;
}

/* Breaks what the struct says of itself; see arrays.h. */
static void damage(const struct maker *m, struct ArrowArray *array, bool view)
{
	switch (take_below(m->in, 48)) {
	case 1:
		array->length = take(m->in) & 1 ? -1 - take(m->in) : INT64_MAX - take(m->in);
		break;
	case 2:
		array->offset = take(m->in) & 1 ? INT64_MIN + take(m->in) : INT64_MAX - take(m->in);
		break;
	case 4:
		array->null_count = take_hostile(m->in);
		break;
	case 5: { /* a list of buffers of another length */
		int64_t n = take_below(m->in, 6);
		/* Of views, the last is the sizes: then one more, which is missing. */
		n = view && n >= 3 ? array->n_buffers + 1 : n;
		const void **buffers = arena_take(m->arena, (size_t)n * sizeof(*buffers));
		for (int64_t i = 0; i < n && i < array->n_buffers; i++) {
			buffers[i] = array->buffers[i];
		}
		array->buffers = buffers;
		array->n_buffers = n;
		break;
	}
	case 6:
		array->n_buffers = -1 - take(m->in);
		break;
	case 7:
		array->buffers = NULL;
		break;
	case 8:
		if (array->n_buffers) {
			array->buffers[take_below(m->in, (uint32_t)array->n_buffers)] = NULL;
		}
		break;
	case 9:
		array->n_children = -1 - take(m->in);
		break;
	case 10:
		array->n_children -= array->n_children > 0;
		break;
	case 11:
		array->children = NULL;
		break;
	case 12:
		if (array->n_children) {
			array->children[take_below(m->in, (uint32_t)array->n_children)] = NULL;
		}
		break;
	case 13:
		array->release = NULL;
		break;
	case 14:
		array->dictionary = NULL;
		break;
	case 15: {
		struct ArrowArray *extra = arena_take(m->arena, sizeof(*extra));
		extra->release = child_release;
		array->dictionary = extra;
		break;
	}
	case 16: { /* one child more */
		int64_t n = array->n_children;
		struct ArrowArray **children = arena_take(m->arena, (size_t)(n + 1) * sizeof(*children));
		for (int64_t i = 0; i < n; i++) {
			children[i] = array->children[i];
		}
		children[n] = arena_take(m->arena, sizeof(**children));
		children[n]->release = child_release;
		array->children = children;
		array->n_children = n + 1;
		break;
	}
	default:
		break;
	}
}

static int64_t n_buffers_of(const char *format)
{
	if (format[0] == 'n' || strcmp(format, "+r") == 0) {
		return 0;
	}
	if (strcmp(format, "+s") == 0 || strncmp(format, "+w", 2) == 0 || strncmp(format, "+us", 3) == 0) {
		return 1;
	}
	return strchr("uzUZ", format[0]) || strncmp(format, "+v", 2) == 0 ? 3 : 2;
}

static struct ArrowArray *make(const struct maker *m, const struct ArrowSchema *field, int64_t needed, int depth)
{
	struct ArrowArray *array = arena_take(m->arena, sizeof(*array));
	const char *format = field->format;
	bool view = format[0] == 'v';
	bool run_ends = field->name && strcmp(field->name, "run_ends") == 0 && strchr("sil", format[0]);
	array->offset = take_below(m->in, 4) == 3 ? take_below(m->in, 16) : 0;
	uint32_t odd = take_below(m->in, 16);
	array->length = odd == 15 && needed ? needed - 1 : odd > 12 ? needed + take_below(m->in, 4) : needed;
	array->n_buffers = view ? 3 + take_below(m->in, 3) : n_buffers_of(format);
	array->n_children = field->n_children;
	array->buffers = arena_take(m->arena, (size_t)array->n_buffers * sizeof(*array->buffers));
	array->children = arena_take(m->arena, (size_t)array->n_children * sizeof(*array->children));
	array->release = child_release;
	int64_t rows = array->offset + array->length;
	if (format[0] != 'n' && format[0] != '+') {
		validity(m, array, rows);
	}
	if (view) {
		view_buffers(m, array, rows);
	} else if (run_ends) {
		run_end_buffer(m, field, array, rows);
	} else if (strchr("uzUZ", format[0])) {
		text_buffers(m, array, strchr("UZ", format[0]) ? 8 : 4, rows);
	} else if (format[0] == '+') {
		if (format[1] != 'u' && format[1] != 'r') {
			validity(m, array, rows);
		}
		nested(m, field, array, rows, depth);
	} else if (format[0] != 'n') {
		int64_t width = format_width(format);
		CHECK(width >= 0);
		array->buffers[1] = filled(m, width ? rows * width : (rows + 7) / 8);
	}
	if (field->dictionary) {
		array->dictionary = make(m, field->dictionary, take_below(m->in, 8), depth + 1);
	}
	damage(m, array, view);
	return array;
}

void array_of_bytes(struct input *in, const struct ArrowSchema *schema, struct ArrowArray *out)
{
	struct maker m = {arena_new(), in};
	struct ArrowArray *root = make(&m, schema, take_below(in, ROWS_BELOW), 0);
	*out = *root;
	out->release = root_release;
	out->private_data = m.arena;
	live++;
}
