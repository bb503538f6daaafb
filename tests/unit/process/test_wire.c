#include "check.h"

#include <stdlib.h>

#include "nanoarrow/nanoarrow.h"
#include "process/wire.h"

static struct bsc_error err;

static void test_a_frame_is_a_header_and_its_payload(void **state)
{
	(void)state;
	struct bsc__bytes out;
	bsc__bytes_init(&out, 1024);
	size_t first = bsc__frame_begin(&out, BSC__END, 7);
	bsc__frame_end(&out, first);
	size_t second = bsc__frame_begin(&out, BSC__PLANNED, UINT64_MAX);
	bsc__put_i64(&out, 12);
	bsc__frame_end(&out, second);
	assert_false(out.failed);
	struct bsc__view in = {out.ptr, out.len, false};
	assert_int_equal(bsc__get_u32(&in), 0);
	assert_int_equal(bsc__get_u16(&in), BSC__END);
	assert_int_equal(bsc__get_u16(&in), 0);
	assert_int_equal(bsc__get_u64(&in), 7);
	assert_int_equal(bsc__get_u32(&in), 8);
	assert_int_equal(bsc__get_u16(&in), BSC__PLANNED);
	assert_int_equal(bsc__get_u16(&in), 0);
	assert_true(bsc__get_u64(&in) == UINT64_MAX);
	assert_int_equal(bsc__get_i64(&in), 12);
	assert_int_equal(in.left, 0);
	bsc__bytes_release(&out);
}

static void test_a_payload_that_is_too_long_fails(void **state)
{
	(void)state;
	struct bsc__bytes out;
	bsc__bytes_init(&out, 2 * (size_t)BSC__PAYLOAD_MAX);
	size_t begin = bsc__frame_begin(&out, BSC__SPECS, 1);
	assert_non_null(bsc__bytes_extend(&out, BSC__PAYLOAD_MAX));
	bsc__frame_end(&out, begin);
	assert_false(out.failed);
	bsc__bytes_clear(&out);
	begin = bsc__frame_begin(&out, BSC__SPECS, 1);
	assert_non_null(bsc__bytes_extend(&out, (size_t)BSC__PAYLOAD_MAX + 1));
	bsc__frame_end(&out, begin);
	assert_true(out.failed);
	bsc__frame_end(&out, begin);
	bsc__bytes_release(&out);
}

/* ---- schemas ---- */

/* id int64 not null, "" of struct with metadata, a dictionary, a union. */
static void make_schema(struct ArrowSchema *schema)
{
	ArrowSchemaInit(schema);
	assert_int_equal(ArrowSchemaSetTypeStruct(schema, 4), 0);
	struct ArrowSchema **child = schema->children;
	assert_int_equal(ArrowSchemaSetType(child[0], NANOARROW_TYPE_INT64), 0);
	assert_int_equal(ArrowSchemaSetName(child[0], "größe"), 0);
	child[0]->flags = 0;
	assert_int_equal(ArrowSchemaSetTypeStruct(child[1], 1), 0);
	assert_int_equal(ArrowSchemaSetType(child[1]->children[0], NANOARROW_TYPE_STRING_VIEW), 0);
	assert_int_equal(ArrowSchemaSetName(child[1], ""), 0);
	struct ArrowBuffer metadata;
	assert_int_equal(ArrowMetadataBuilderInit(&metadata, NULL), 0);
	assert_int_equal(ArrowMetadataBuilderAppend(&metadata, ArrowCharView("ARROW:extension:name"), ArrowCharView("a.b")),
	                 0);
	assert_int_equal(ArrowMetadataBuilderAppend(&metadata, ArrowCharView(""), ArrowCharView("")), 0);
	assert_int_equal(ArrowSchemaSetMetadata(child[1]->children[0], (char *)metadata.data), 0);
	ArrowBufferReset(&metadata);
	assert_int_equal(ArrowSchemaSetType(child[2], NANOARROW_TYPE_INT8), 0);
	assert_int_equal(ArrowSchemaAllocateDictionary(child[2]), 0);
	ArrowSchemaInit(child[2]->dictionary);
	assert_int_equal(ArrowSchemaSetType(child[2]->dictionary, NANOARROW_TYPE_STRING), 0);
	child[2]->flags |= ARROW_FLAG_DICTIONARY_ORDERED;
	assert_int_equal(ArrowSchemaSetTypeUnion(child[3], NANOARROW_TYPE_DENSE_UNION, 2), 0);
	assert_int_equal(ArrowSchemaSetType(child[3]->children[0], NANOARROW_TYPE_INT32), 0);
	assert_int_equal(ArrowSchemaSetType(child[3]->children[1], NANOARROW_TYPE_BOOL), 0);
}

static void assert_same(const struct ArrowSchema *a, const struct ArrowSchema *b)
{
	assert_string_equal(a->format, b->format);
	assert_string_equal(a->name ? a->name : "", b->name);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(!a->metadata, !b->metadata);
	if (a->metadata) {
		assert_memory_equal(a->metadata, b->metadata, (size_t)ArrowMetadataSizeOf(a->metadata));
	}
	assert_int_equal(a->n_children, b->n_children);
	for (int64_t i = 0; i < a->n_children; i++) {
		assert_same(a->children[i], b->children[i]);
	}
	assert_int_equal(!a->dictionary, !b->dictionary);
	if (a->dictionary) {
		assert_same(a->dictionary, b->dictionary);
	}
}

static void test_a_schema_comes_through_whole(void **state)
{
	(void)state;
	struct ArrowSchema schema, back;
	struct bsc__bytes out;
	make_schema(&schema);
	bsc__bytes_init(&out, 4096);
	bsc__put_schema(&out, &schema);
	assert_false(out.failed);
	bsc__put_u8(&out, 42);
	struct bsc__view in = {out.ptr, out.len, false};
	assert_ok(bsc__get_schema(&in, &back, &err), &err);
	assert_int_equal(bsc__get_u8(&in), 42);
	assert_int_equal(in.left, 0);
	assert_same(&schema, &back);
	schema.release(&schema);
	back.release(&back);
	bsc__bytes_release(&out);
}

static void test_a_schema_that_is_cut_short_is_malformed(void **state)
{
	(void)state;
	struct ArrowSchema schema, back;
	struct bsc__bytes out;
	make_schema(&schema);
	bsc__bytes_init(&out, 4096);
	bsc__put_schema(&out, &schema);
	for (size_t n = 0; n < out.len; n++) {
		/* Its own block, so that a byte too many is seen. */
		uint8_t *bytes = malloc(n ? n : 1);
		assert_non_null(bytes);
		memcpy(bytes, out.ptr, n);
		struct bsc__view in = {bytes, n, false};
		assert_fails(bsc__get_schema(&in, &back, &err), BSC_MALFORMED, &err, "no schema");
		assert_null(back.release);
		free(bytes);
	}
	schema.release(&schema);
	bsc__bytes_release(&out);
}

/* Each byte, turned: an error, or a schema that can be written again. */
static void test_damaged_schemas_are_errors_or_schemas(void **state)
{
	(void)state;
	struct ArrowSchema schema, back;
	struct bsc__bytes out, again;
	make_schema(&schema);
	bsc__bytes_init(&out, 4096);
	bsc__bytes_init(&again, 8192);
	bsc__put_schema(&out, &schema);
	for (size_t i = 0; i < out.len; i++) {
		for (int with = 1; with < 256; with <<= 1) {
			out.ptr[i] ^= (uint8_t)with;
			struct bsc__view in = {out.ptr, out.len, false};
			if (bsc__get_schema(&in, &back, &err) == BSC_OK) {
				bsc__bytes_clear(&again);
				bsc__put_schema(&again, &back);
				assert_false(again.failed);
				back.release(&back);
			}
			out.ptr[i] ^= (uint8_t)with;
		}
	}
	schema.release(&schema);
	bsc__bytes_release(&out);
	bsc__bytes_release(&again);
}

static void put_head(struct bsc__bytes *out, const char *format, struct bsc_str name, struct bsc_str metadata)
{
	bsc__put_str(out, bsc__str(format));
	bsc__put_str(out, name);
	bsc__put_u8(out, metadata.ptr != NULL);
	if (metadata.ptr) {
		bsc__put_str(out, metadata);
	}
	bsc__put_i64(out, 2);
}

static void assert_get_fails(const struct bsc__bytes *out)
{
	struct ArrowSchema back;
	struct bsc__view in = {out->ptr, out->len, false};
	assert_fails(bsc__get_schema(&in, &back, &err), BSC_MALFORMED, &err, "no schema");
	assert_null(back.release);
}

static void test_metadata_ends_where_its_lengths_say(void **state)
{
	(void)state;
	const int32_t blobs[][4] = {{-1, 0, 0, 0},        {1, -1, 0, 0},        {1, 0, -1, 0}, {1, 0, 5, 0},
	                            {1, INT32_MAX, 0, 0}, {INT32_MAX, 0, 0, 0}, {2, 0, 0, 0},  {1, 0, 0, 0}};
	for (size_t i = 0; i < LENGTH(blobs); i++) {
		struct bsc__bytes out;
		bsc__bytes_init(&out, 4096);
		/* The last is good but for a number behind its end. */
		put_head(&out, "i", bsc__str("a"), (struct bsc_str){(const char *)blobs[i], sizeof(blobs[i])});
		bsc__put_u32(&out, 0);
		bsc__put_u8(&out, 0);
		assert_get_fails(&out);
		bsc__bytes_release(&out);
	}
	struct bsc__bytes out;
	bsc__bytes_init(&out, 4096);
	put_head(&out, "i", bsc__str("a"), (struct bsc_str){"\0\0", 2});
	bsc__put_u32(&out, 0);
	bsc__put_u8(&out, 0);
	assert_get_fails(&out);
	bsc__bytes_release(&out);
}

static void test_a_nul_in_a_name_is_malformed(void **state)
{
	(void)state;
	struct bsc__bytes out;
	bsc__bytes_init(&out, 4096);
	put_head(&out, "i", (struct bsc_str){"a\0b", 3}, (struct bsc_str){NULL, 0});
	bsc__put_u32(&out, 0);
	bsc__put_u8(&out, 0);
	assert_get_fails(&out);
	bsc__bytes_release(&out);
}

static void test_a_count_without_fields_takes_no_memory(void **state)
{
	(void)state;
	const uint32_t counts[] = {1, BSC__WIRE_FIELDS_MAX, UINT32_MAX};
	for (size_t i = 0; i < LENGTH(counts); i++) {
		struct bsc__bytes out;
		bsc__bytes_init(&out, 4096);
		put_head(&out, "+s", bsc__str(""), (struct bsc_str){NULL, 0});
		bsc__put_u32(&out, counts[i]);
		assert_get_fails(&out);
		bsc__bytes_release(&out);
	}
}

static void nest(struct bsc__bytes *out, int depth, bool dictionaries)
{
	for (int i = 0; i < depth; i++) {
		put_head(out, "+l", bsc__str(""), (struct bsc_str){NULL, 0});
		bsc__put_u32(out, dictionaries ? 0 : 1);
		if (dictionaries) {
			bsc__put_u8(out, 1);
		}
	}
	put_head(out, "i", bsc__str(""), (struct bsc_str){NULL, 0});
	bsc__put_u32(out, 0);
	for (int i = 0; i <= (dictionaries ? 0 : depth); i++) {
		bsc__put_u8(out, 0);
	}
}

static void test_depth_is_limited(void **state)
{
	(void)state;
	for (int dictionaries = 0; dictionaries < 2; dictionaries++) {
		struct bsc__bytes out, again;
		struct ArrowSchema back;
		bsc__bytes_init(&out, 65536);
		bsc__bytes_init(&again, 65536);
		nest(&out, BSC__WIRE_DEPTH_MAX, dictionaries);
		struct bsc__view in = {out.ptr, out.len, false};
		assert_ok(bsc__get_schema(&in, &back, &err), &err);
		assert_int_equal(in.left, 0);
		bsc__put_schema(&again, &back);
		assert_false(again.failed);
		assert_memory_equal(again.ptr, out.ptr, out.len);
		back.release(&back);
		bsc__bytes_clear(&out);
		nest(&out, BSC__WIRE_DEPTH_MAX + 1, dictionaries);
		assert_get_fails(&out);
		bsc__bytes_release(&out);
		bsc__bytes_release(&again);
	}
}

static void test_a_broken_schema_is_not_written(void **state)
{
	(void)state;
	struct ArrowSchema schema;
	struct bsc__bytes out;
	bsc__bytes_init(&out, 4096);
	make_schema(&schema);
	struct ArrowSchema *child = schema.children[0], kept = *child;
	child->format = NULL;
	bsc__put_schema(&out, &schema);
	assert_true(out.failed);
	*child = kept;
	child->release = NULL;
	bsc__bytes_clear(&out);
	bsc__put_schema(&out, &schema);
	assert_true(out.failed);
	*child = kept;
	child->n_children = 1;
	assert_string_equal(bsc__schema_broken(&schema), "has a schema without its list of fields");
	*child = kept;
	const int32_t negative[] = {1, -1};
	child->metadata = (const char *)negative;
	assert_non_null(bsc__schema_broken(&schema));
	*child = kept;
	assert_null(bsc__schema_broken(&schema));
	schema.release(&schema);
	bsc__bytes_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_frame_is_a_header_and_its_payload),
	    cmocka_unit_test(test_a_payload_that_is_too_long_fails),
	    cmocka_unit_test(test_a_schema_comes_through_whole),
	    cmocka_unit_test(test_a_schema_that_is_cut_short_is_malformed),
	    cmocka_unit_test(test_damaged_schemas_are_errors_or_schemas),
	    cmocka_unit_test(test_metadata_ends_where_its_lengths_say),
	    cmocka_unit_test(test_a_nul_in_a_name_is_malformed),
	    cmocka_unit_test(test_a_count_without_fields_takes_no_memory),
	    cmocka_unit_test(test_depth_is_limited),
	    cmocka_unit_test(test_a_broken_schema_is_not_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
