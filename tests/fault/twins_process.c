/* Shared memory, and arrays and schemas on their way through it. Not in bascule.h, but
 * each is where a process meets another one's bytes. */
#include "world.h"

#include <unistd.h>

#include "process/layout.h"
#include "process/os.h"
#include "process/wire.h"

static struct bsc__arena *arena;
static struct bsc__segments segments;
static struct bsc__layout layout;
static struct bsc__unlayout unlayout;
static struct bsc__bytes bytes;
static struct bsc__slot slot;
static struct ArrowArray batch;
static int released;
static int memory;
static void *memory_ptr;

static bool on_segment(void *ctx, uint64_t segment, uint64_t size, int fd)
{
	(void)ctx;
	struct bsc_error err;
	/* The host's affair: its own twin is below. */
	faults_pause();
	bool good = bsc__segments_add(&segments, segment, size, fd, &err) == BSC_OK;
	faults_resume();
	return good;
}

static void on_drop(void *ctx, uint64_t segment)
{
	(void)ctx;
	bsc__segments_drop(&segments, segment);
}

static void on_release(void *ctx, uint64_t number, uint64_t size)
{
	(void)ctx;
	(void)number;
	(void)size;
	released++;
}

static const struct bsc__arena_host host = {on_segment, on_drop, NULL};

static void nested(struct world *w)
{
	struct bsc_error err;
	world_nested(w);
	released = 0;
	bsc__bytes_init(&bytes, 1 << 20);
	assert_ok(bsc__arena_new(&host, &arena, &err), &err);
}

static void nested_layout(struct world *w)
{
	struct bsc_error err;
	nested(w);
	assert_ok(bsc__layout_init(&layout, &w->schema, &err), &err);
	assert_int_equal(ArrowArrayInitFromSchema(&batch, &w->schema, NULL), NANOARROW_OK);
	assert_int_equal(ArrowArrayStartAppending(&batch), NANOARROW_OK);
	assert_int_equal(ArrowArrayFinishBuildingDefault(&batch, NULL), NANOARROW_OK);
}

static void nested_batch(struct world *w)
{
	struct bsc_error err;
	nested_layout(w);
	assert_ok(bsc__layout_write(&layout, &batch, NULL, arena, &bytes, &slot, &err), &err);
	assert_ok(bsc__unlayout_init(&unlayout, &w->schema, &err), &err);
}

static void done(struct world *w)
{
	(void)w;
	if (batch.release) {
		batch.release(&batch);
	}
	bsc__layout_release(&layout);
	bsc__unlayout_release(&unlayout);
	bsc__arena_free(arena);
	bsc__segments_release(&segments);
	bsc__bytes_release(&bytes);
	arena = NULL;
}

static int call_take(struct world *w, struct bsc_error *err)
{
	(void)w;
	return bsc__arena_take(arena, 1000, &slot, err);
}

static void sealed_memory(struct world *w)
{
	struct bsc_error err;
	nested(w);
	assert_ok(bsc__os_memory_new(4096, &memory, &memory_ptr, &err), &err);
}

static int call_add(struct world *w, struct bsc_error *err)
{
	(void)w;
	return bsc__segments_add(&segments, 1, 4096, memory, err);
}

static void done_add(struct world *w)
{
	close(memory);
	bsc__os_memory_unmap(memory_ptr, 4096);
	done(w);
}

static int call_layout_init(struct world *w, struct bsc_error *err)
{
	return bsc__layout_init(&layout, &w->schema, err);
}

static int call_unlayout_init(struct world *w, struct bsc_error *err)
{
	return bsc__unlayout_init(&unlayout, &w->schema, err);
}

static int call_write(struct world *w, struct bsc_error *err)
{
	(void)w;
	return bsc__layout_write(&layout, &batch, NULL, arena, &bytes, &slot, err);
}

static int call_read(struct world *w, struct bsc_error *err)
{
	uint64_t size;
	struct bsc__view view = {bytes.ptr, bytes.len, false};
	const struct bsc__on_release calls = {on_release, NULL};
	return bsc__array_read(&unlayout, &view, &segments, slot.number, &calls, &w->out.array, &size, err);
}

static void failed_read(struct world *w)
{
	(void)w;
	assert_int_equal(released, 0);
}

static void done_read(struct world *w)
{
	w->out.array.release(&w->out.array);
	assert_int_equal(released, 1);
	done(w);
}

static void schema_bytes(struct world *w)
{
	nested(w);
	bsc__put_schema(&bytes, &w->schema);
	assert_false(bytes.failed);
}

static int call_get_schema(struct world *w, struct bsc_error *err)
{
	struct bsc__view view = {bytes.ptr, bytes.len, false};
	return bsc__get_schema(&view, &w->out.schema, err);
}

static void done_get_schema(struct world *w)
{
	w->out.schema.release(&w->out.schema);
	done(w);
}

const struct twin twins_process[] = {
    {"bsc__arena_take", "the first slot", true, .set_up = nested, .call = call_take, .done = done},
    {"bsc__segments_add", "the first segment", true, .set_up = sealed_memory, .call = call_add, .done = done_add},
    {"bsc__layout_init", "nested types", true, .set_up = nested, .call = call_layout_init, .done = done},
    {"bsc__layout_write", "nested types", true, .set_up = nested_layout, .call = call_write, .done = done},
    {"bsc__unlayout_init", "nested types", true, .set_up = nested, .call = call_unlayout_init, .done = done},
    {"bsc__array_read", "nested types", true, sizeof(struct ArrowArray), nested_batch, call_read, failed_read, NULL,
	 done_read},
    {"bsc__get_schema", "nested types", true, sizeof(struct ArrowSchema), schema_bytes, call_get_schema, NULL, NULL,
	 done_get_schema},
};
const size_t n_twins_process = LENGTH(twins_process);
