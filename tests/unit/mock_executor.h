/* An executor in plain C: a class whose partitions, batches, faults and schema
 * the test writes down, and which counts what was opened and closed.
 *
 * Threads: as a real executor's, any thread may call it; a test changes its
 * fields only while no cursor runs. */
#ifndef UNIT_MOCK_EXECUTOR_H
#define UNIT_MOCK_EXECUTOR_H

#include <stdatomic.h>

#include "check.h"
#include "nanoarrow/nanoarrow.h"

/* ---- schemas and arrays ---- */

/* format: the C Data Interface's own ("i", "u", "tsu:UTC"). */
struct mock_column {
	const char *name;
	const char *format;
	bool required; /* not nullable */
};

void mock_field_init(struct ArrowSchema *out, const char *name, const char *format);
void mock_schema_init(struct ArrowSchema *out, const struct mock_column *columns, int64_t n);

/* A struct field of `n` children, to be filled by the caller. */
void mock_struct_init(struct ArrowSchema *out, const char *name, int64_t n);
/* Replaces a child that mock_struct_init left. field: moved. */
void mock_set_child(struct ArrowSchema *parent, int64_t i, struct ArrowSchema *field);
/* values: the value type's format; the column itself is of int32 indices. */
void mock_dictionary_init(struct ArrowSchema *out, const char *name, const char *values);
void mock_set_extension(struct ArrowSchema *field, const char *name);

/* `n` rows numbered from `first`: numbers hold the row, text is mock_text(row),
 * a list holds one item, a dictionary has MOCK_DICTIONARY values. */
#define MOCK_DICTIONARY 3
void mock_array_init(struct ArrowArray *out, const struct ArrowSchema *schema, int64_t first, int64_t n);
/* Longer than a string view holds inline. */
const char *mock_text(int64_t row, char text[40]);

/* Puts copies of the structs of `array`, its children and dictionaries in its
 * place, which a test may break at will: the release still sees the originals.
 * Children must not be moved out of it. */
void mock_shell(struct ArrowArray *array);

/* ---- the executor ---- */

enum mock_call { MOCK_RESOLVE, MOCK_OPEN, MOCK_OFFSET, MOCK_PLAN, MOCK_READ_OPEN, MOCK_READ_NEXT, MOCK_CALLS };

struct mock_batch {
	int64_t n_rows;                   /* < 0: read_next gives no array this time */
	const struct ArrowSchema *schema; /* NULL: as declared */
	bool same_schema;                 /* says so with release == NULL */
	bool schema_alone;                /* gives its schema even without an array */
	bool forever;                     /* is given again and again */
	void (*damage)(struct ArrowArray *array);
};

struct mock_partition {
	const struct mock_batch *batches;
	int64_t n_batches;
};

#define MOCK_PARTITIONS_MAX 512

/* What a plan, and each read_next, says that it took. */
#define MOCK_PLAN_NS 1000
#define MOCK_NEXT_NS 10

struct mock {
	struct bsc_executor executor; /* state is this mock */
	const struct ArrowSchema *schema;
	const struct mock_partition *partitions;
	int64_t n_partitions;
	void (*damage_schema)(struct ArrowSchema *schema);
	/* What a plan says beside: */
	int64_t n_pruned;
	int64_t n_specs;     /* of the last request; -1: it had none */
	bool portable;       /* so is it */
	char offsets[64];    /* of it: start, ".." and end */
	const int64_t *rows; /* of each partition; NULL: nothing */
	const char *pushed;

	struct {
		int status;
		int64_t after; /* calls that still succeed */
		const char *text;
	} fault[MOCK_CALLS];
	bool waits[MOCK_CALLS]; /* open, plan, read_next: until their poll says stop */

	_Atomic int64_t calls[MOCK_CALLS]; /* all, failed ones too */
	/* What was handed over and what came back. */
	_Atomic int64_t classes, classes_released;
	_Atomic int64_t instances, instances_closed;
	_Atomic int64_t plans, plans_freed;
	_Atomic int64_t readers, readers_closed;
	_Atomic int64_t arrays, arrays_released;
	/* Something was closed before what stands on it. */
	_Atomic int64_t order_errors;
	_Atomic int64_t reads_of[MOCK_PARTITIONS_MAX]; /* read_open per partition */

	/* What the last calls said. */
	enum bsc_locator_kind kind;
	char module[128], name[128], label[256];
	char options[256]; /* "a=1;b=2;" as open saw them */
	enum bsc_schema_mode schema_mode;
	char columns[256]; /* "a,b," as plan saw them; "*" for all */
	uint32_t n_filters;
	int64_t limit; /* -1: none */
};

/* schema, partitions: borrowed as long as the mock. */
void mock_init(struct mock *mock, const struct ArrowSchema *schema, const struct mock_partition *partitions, int64_t n);

/* All that was opened was closed, once and in order. */
void mock_assert_all_closed(struct mock *mock);

struct bsc_source *mock_source(struct mock *mock);

/* A poll's question that says stop at the (*left + 1)th time. left: an int. */
int mock_stop_after(void *left);

#endif
