#include "schemas.h"

#include <stdio.h>
#include <string.h>

static int64_t live;

int64_t schemas_live(void)
{
	return live;
}

static void child_release(struct ArrowSchema *schema)
{
	schema->release = NULL;
}

static void root_release(struct ArrowSchema *schema)
{
	live--;
	schema->release = NULL;
	arena_free(schema->private_data);
}

/* Formats without children. */
static const char *const leaves[] = {
    "n",       "b",   "c",   "C",   "s",   "S",   "i",   "I",     "l",       "L",        "e",        "f",
    "g",       "z",   "u",   "Z",   "U",   "vu",  "vz",  "tdD",   "tdm",     "tts",      "ttn",      "tss:",
    "tsu:UTC", "tDn", "tiM", "tiD", "tin", "w:1", "w:7", "d:9,2", "d:38,10", "d:9,2,32", "d:9,2,64", "d:76,0,256",
};
/* Indices of dictionaries. */
static const char *const indices[] = {"c", "C", "s", "S", "i", "I", "l", "L"};
static const char *const run_ends[] = {"s", "i", "l"};

/* That nobody should write. */
static const char *const odd[] = {"",       "+",        "+w:",    "+w:-1",   "+w:4294967297",  "w:0",
                                  "w:-1",   "+s+s",     "+us:",   "+ud:0,0", "+us:0,",         "+ud:128",
                                  "+us:-1", "tss",      "d:9,2,", "d:9,2,7", "d:4294967297,2", "+vs",
                                  "+vl ",   "tsu:\x80", "l "};

#define PICK(in, texts) (texts)[take_below(in, sizeof(texts) / sizeof((texts)[0]))]

static struct ArrowSchema *node(struct arena *arena, const char *name, const char *format, int64_t n_children)
{
	struct ArrowSchema *schema = arena_take(arena, sizeof(*schema));
	schema->name = arena_text(arena, bsc__str(name));
	schema->format = arena_text(arena, bsc__str(format));
	schema->flags = ARROW_FLAG_NULLABLE;
	schema->release = child_release;
	schema->n_children = n_children;
	schema->children = arena_take(arena, (size_t)n_children * sizeof(*schema->children));
	return schema;
}

static struct ArrowSchema *any_type(struct arena *arena, struct input *in, const char *name, int depth);

static struct ArrowSchema *union_type(struct arena *arena, struct input *in, const char *name, int depth)
{
	/* The ids: 0, 1, ..; or others, some of them twice. */
	bool dense = take(in) & 1, odd = take_below(in, 4) == 0;
	int64_t n = 1 + take_below(in, 3);
	/* As many as there may be, and more. */
	if (take(in) == 255) {
		n = 126 + take_below(in, 6);
		depth = SCHEMA_DEPTH;
	}
	char format[1024] = "";
	int used = snprintf(format, sizeof(format), "+u%c:", dense ? 'd' : 's');
	for (int64_t i = 0; i < n; i++) {
		int id = odd ? (int)take_below(in, 128) : (int)(i % 128);
		used += snprintf(format + used, sizeof(format) - (size_t)used, "%s%d", i ? "," : "", id);
	}
	struct ArrowSchema *schema = node(arena, name, format, n);
	for (int64_t i = 0; i < n; i++) {
		schema->children[i] = any_type(arena, in, "u", depth + 1);
	}
	return schema;
}

static struct ArrowSchema *map_type(struct arena *arena, struct input *in, const char *name, int depth)
{
	struct ArrowSchema *schema = node(arena, name, "+m", 1);
	struct ArrowSchema *entries = schema->children[0] = node(arena, "entries", "+s", 2);
	entries->flags = 0;
	entries->children[0] = any_type(arena, in, "key", depth + 2);
	entries->children[0]->flags = 0;
	entries->children[1] = any_type(arena, in, "value", depth + 2);
	return schema;
}

static struct ArrowSchema *any_type(struct arena *arena, struct input *in, const char *name, int depth)
{
	bool leaf = depth >= SCHEMA_DEPTH || arena->n > BLOCKS_MAX / 8;
	uint32_t what = leaf ? 0 : take_below(in, 12);
	struct ArrowSchema *schema;
	char format[32];
	switch (what) {
	case 1:
		schema = node(arena, name, PICK(in, indices), 0);
		schema->dictionary = any_type(arena, in, "", depth + 1);
		return schema;
	case 2:
	case 3: {
		static const char *const lists[] = {"+l", "+L", "+vl", "+vL"};
		schema = node(arena, name, PICK(in, lists), 1);
		schema->children[0] = any_type(arena, in, "item", depth + 1);
		return schema;
	}
	case 4:
		snprintf(format, sizeof(format), "+w:%u", take_below(in, 4));
		schema = node(arena, name, format, 1);
		schema->children[0] = any_type(arena, in, "item", depth + 1);
		return schema;
	case 5:
	case 6:
		schema = node(arena, name, "+s", take_below(in, 4));
		for (int64_t i = 0; i < schema->n_children; i++) {
			schema->children[i] = any_type(arena, in, "f", depth + 1);
			schema->children[i]->flags = take(in) & 1 ? 0 : ARROW_FLAG_NULLABLE;
		}
		return schema;
	case 7:
		return map_type(arena, in, name, depth);
	case 8:
		return union_type(arena, in, name, depth);
	case 9:
		schema = node(arena, name, "+r", 2);
		schema->children[0] = node(arena, "run_ends", PICK(in, run_ends), 0);
		schema->children[0]->flags = 0;
		schema->children[1] = any_type(arena, in, "values", depth + 1);
		return schema;
	default:
		return node(arena, name, PICK(in, leaves), 0);
	}
}

/* ---- damage ---- */

/* Framed as the C Data Interface wants it. */
static const char *metadata_of_bytes(struct arena *arena, struct input *in)
{
	int32_t n = (int32_t)take_below(in, 3);
	struct bsc_str texts[4];
	size_t size = sizeof(n);
	for (int32_t i = 0; i < 2 * n; i++) {
		texts[i] = i == 0 && take(in) & 1 ? bsc__str("ARROW:extension:name") : take_text(in, 40);
		size += sizeof(int32_t) + texts[i].len;
	}
	char *metadata = arena_take(arena, size), *at = metadata;
	memcpy(at, &n, sizeof(n));
	at += sizeof(n);
	for (int32_t i = 0; i < 2 * n; i++) {
		int32_t len = (int32_t)texts[i].len;
		memcpy(at, &len, sizeof(len));
		at += sizeof(len);
		if (len) {
			memcpy(at, texts[i].ptr, texts[i].len);
		}
		at += len;
	}
	return metadata;
}

static void set_children(struct arena *arena, struct ArrowSchema *schema, int64_t n)
{
	struct ArrowSchema **children = arena_take(arena, (size_t)n * sizeof(*children));
	for (int64_t i = 0; i < n; i++) {
		children[i] = i < schema->n_children ? schema->children[i] : NULL;
	}
	schema->children = children;
	schema->n_children = n;
}

static void damage(struct arena *arena, struct input *in, struct ArrowSchema *schema)
{
	switch (arena->n > BLOCKS_MAX / 2 ? 0 : take_below(in, 24)) {
	case 1:
		schema->format = arena_text(arena, take(in) & 1 ? bsc__str(PICK(in, odd)) : take_text(in, 40));
		break;
	case 2:
		schema->format = NULL;
		break;
	case 3:
		schema->name = NULL;
		break;
	case 4:
		schema->name = arena_text(arena, take_text(in, 255));
		break;
	case 5:
		schema->flags = take_hostile(in);
		break;
	case 6:
		schema->metadata = metadata_of_bytes(arena, in);
		break;
	case 7:
		schema->release = NULL;
		break;
	case 8:
		set_children(arena, schema, schema->n_children + 1);
		break;
	case 9:
		set_children(arena, schema, schema->n_children > 0 ? schema->n_children - 1 : 0);
		break;
	case 10:
		schema->children = NULL;
		break;
	case 11:
		schema->n_children = -1 - take(in);
		break;
	case 12:
		schema->dictionary = node(arena, "d", PICK(in, leaves), 0);
		break;
	case 13: { /* one digit of a number, or a sign */
		size_t len = strlen(schema->format ? schema->format : "");
		char *format = arena_text(arena, (struct bsc_str){schema->format, len});
		if (len) {
			format[take_below(in, (uint32_t)len)] = (char)take(in);
		}
		schema->format = format;
		break;
	}
	case 14: /* deeper than any schema may be */
		for (int i = take_below(in, 80); i > 0; i--) {
			struct ArrowSchema *below = node(arena, schema->name ? schema->name : "", "i", 0);
			struct ArrowSchema copy = *below;
			*below = *schema;
			*schema = copy;
			schema->format = "+l";
			schema->n_children = 0;
			set_children(arena, schema, 1);
			schema->children[0] = below;
		}
		break;
	default:
		break;
	}
}

static void damage_all(struct arena *arena, struct input *in, struct ArrowSchema *schema, int depth)
{
	for (int64_t i = 0; depth < SCHEMA_DEPTH + 2 && i < schema->n_children && schema->children; i++) {
		if (schema->children[i]) {
			damage_all(arena, in, schema->children[i], depth + 1);
		}
	}
	if (schema->dictionary && depth < SCHEMA_DEPTH + 2) {
		damage_all(arena, in, schema->dictionary, depth + 1);
	}
	damage(arena, in, schema);
}

/* ---- the root ---- */

static void publish(struct arena *arena, const struct ArrowSchema *root, struct ArrowSchema *out)
{
	*out = *root;
	/* A root is released for good by its owner, so a damaged one has no release
	 * to call: then its memory is given back where it would be. */
	out->release = root_release;
	out->private_data = arena;
	live++;
}

void schema_of_bytes(struct input *in, bool damaged, struct ArrowSchema *out)
{
	struct arena *arena = arena_new();
	struct ArrowSchema *root = node(arena, "", "+s", 1 + take_below(in, 4));
	root->flags = 0;
	for (int64_t i = 0; i < root->n_children; i++) {
		/* Some names twice. */
		const char name[] = {(char)('a' + take_below(in, 6)), '\0'};
		root->children[i] = any_type(arena, in, name, 1);
		root->children[i]->flags = take(in) & 1 ? ARROW_FLAG_NULLABLE : 0;
	}
	if (damaged) {
		damage_all(arena, in, root, 0);
	}
	publish(arena, root, out);
}

static struct ArrowSchema *copy_of(struct arena *arena, const struct ArrowSchema *schema)
{
	struct ArrowSchema *copy = node(arena, schema->name ? schema->name : "", schema->format, schema->n_children);
	copy->flags = schema->flags;
	for (int64_t i = 0; i < schema->n_children; i++) {
		copy->children[i] = copy_of(arena, schema->children[i]);
	}
	copy->dictionary = schema->dictionary ? copy_of(arena, schema->dictionary) : NULL;
	return copy;
}

void schema_turned(struct input *in, const struct ArrowSchema *schema, struct ArrowSchema *out)
{
	struct arena *arena = arena_new();
	struct ArrowSchema *root = copy_of(arena, schema);
	int64_t n = root->n_children;
	for (int64_t i = 0; i < n / 2; i++) {
		struct ArrowSchema *child = root->children[i];
		root->children[i] = root->children[n - 1 - i];
		root->children[n - 1 - i] = child;
	}
	if (take_below(in, 8) == 7) {
		struct ArrowSchema *column = root->children[take_below(in, (uint32_t)n)];
		column->format = arena_text(arena, bsc__str(PICK(in, leaves)));
		column->n_children = 0;
		column->dictionary = NULL;
	}
	publish(arena, root, out);
}
