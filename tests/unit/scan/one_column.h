/* One batch of one column, and what validation says of it. */
#ifndef BSC_TESTS_ONE_COLUMN_H
#define BSC_TESTS_ONE_COLUMN_H

#include "mock_executor.h"
#include "scan/internal.h"

static const struct bsc__place place = {"acme:Orders", 3, 8, 5};

/* One batch of one column "x" and what validate says of it. */
struct fixture {
	struct ArrowSchema declared;
	struct ArrowArray array;
	struct ArrowArray *x;
	int64_t asked[4];
	struct bsc_error err;
};

static inline int set_up(void **state)
{
	*state = bsc__calloc(1, sizeof(struct fixture));
	return 0;
}

static inline void release(struct fixture *f)
{
	if (f->array.release) {
		f->array.release(&f->array);
	}
	if (f->declared.release) {
		f->declared.release(&f->declared);
	}
}

static inline int tear_down(void **state)
{
	release(*state);
	bsc__free(*state);
	return 0;
}

/* A fresh batch of `n` rows from 100 that the test may break. column: moved. */
static inline void batch_of_rows(struct fixture *f, struct ArrowSchema column, int64_t n)
{
	release(f);
	mock_struct_init(&f->declared, "", 1);
	mock_set_child(&f->declared, 0, &column);
	mock_array_init(&f->array, &f->declared, 100, n);
	mock_shell(&f->array);
	f->x = f->array.children[0];
}

static inline void batch_of(struct fixture *f, struct ArrowSchema column)
{
	batch_of_rows(f, column, 10);
}

static inline void batch(struct fixture *f, const char *format)
{
	struct ArrowSchema column;
	mock_field_init(&column, "x", format);
	batch_of(f, column);
}

static inline struct ArrowSchema nested(const char *format, const char *child_format)
{
	struct ArrowSchema column, child;
	mock_struct_init(&column, "x", 1);
	assert_int_equal(ArrowSchemaSetFormat(&column, format), NANOARROW_OK);
	mock_field_init(&child, "item", child_format);
	mock_set_child(&column, 0, &child);
	return column;
}

static inline int validate(struct fixture *f, bool full)
{
	struct bsc__match match;
	struct bsc__validate v;
	struct ArrowSchema schema;
	f->asked[0] = 0;
	assert_ok(bsc__match_init(&match, &f->declared, f->asked, 1, &f->err), &f->err);
	assert_ok(bsc_schema_copy(&f->declared, &schema, &f->err), &f->err);
	assert_ok(bsc__match_schema(&match, &schema, &place, &f->err), &f->err);
	assert_ok(bsc__validate_init(&v, &match, full, &f->err), &f->err);
	int rc = bsc__validate_batch(&v, &match, &f->array, &place, &f->err);
	bsc__validate_release(&v);
	bsc__match_release(&match);
	return rc;
}

static inline void accepts(struct fixture *f, bool full)
{
	assert_ok(validate(f, full), &f->err);
}

static inline void refuses(struct fixture *f, bool full, const char *message)
{
	assert_fails(validate(f, full), BSC_MALFORMED, &f->err, message);
	assert_non_null(strstr(f->err.message, "acme:Orders, partition 3 of 8, batch 5: "));
}

/* Whatever the level: what layout finds, full finds as well. */
static inline void both_refuse(struct fixture *f, const char *message)
{
	refuses(f, false, message);
	refuses(f, true, message);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
