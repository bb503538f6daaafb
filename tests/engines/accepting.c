/* An extension that accepts predicates, as Bascule would if it could: accepting(n) has a column x of 0 .. n-1. Of the
 * predicates that are offered it accepts x = constant, keeps it with the bind data, and makes only those rows. */
#include <stdlib.h>
#include <string.h>

#define DUCKDB_V2_API_ALLOW_UNSTABLE 1
#define DUCKDB_EXTENSION_NAME accepting
#include "duckdb_extension_v2.h"

DUCKDB_EXTENSION_EXTERN

enum { CHUNK_ROWS = 2048, WANTED_MAX = 8 };

struct binding {
	int64_t n;
	int64_t wanted[WANTED_MAX]; /* x is each of them */
	size_t n_wanted;
};

static duckdb_v2_str str_of(const char *text)
{
	return (duckdb_v2_str){text, strlen(text)};
}

static bool good(DUCKDB_V2_ERROR code)
{
	return code == DUCKDB_V2_ERROR_NONE;
}

static void fail_memory(duckdb_v2_error_info_handle *err)
{
	duckdb_v2_str text = str_of("accepting: out of memory");
	(void)duckdb_v2_error_info_set_code(*err, DUCKDB_V2_ERROR_RESOURCE_OUT_OF_MEMORY);
	(void)duckdb_v2_error_info_set_text(*err, &text);
}

/* ---- bind ---- */

/* As the contract has it: what was accepted belongs to what a scan is. */
static bool bindings_equal(void *a, void *b)
{
	const struct binding *left = a, *right = b;
	return left->n == right->n && left->n_wanted == right->n_wanted &&
	       memcmp(left->wanted, right->wanted, left->n_wanted * sizeof(*left->wanted)) == 0;
}

static void bind(duckdb_v2_function_bind_info_handle info, duckdb_v2_table_function_bind_info_handle result,
                 duckdb_v2_context_handle context, duckdb_v2_error_info_handle *err)
{
	duckdb_v2_factory_handle factory;
	duckdb_v2_logical_type_handle type = NULL;
	duckdb_v2_value_handle value = NULL;
	duckdb_v2_identifier_t name = str_of("x");
	struct binding *binding = calloc(1, sizeof(*binding));
	duckdb_v2_opaque data = {binding, free, bindings_equal};
	if (!binding) {
		fail_memory(err);
		return;
	}
	if (good(duckdb_v2_function_bind_get_arg_value(info, 0, &value, err)) &&
	    good(duckdb_v2_value_get_bigint(value, &binding->n, err)) &&
	    good(duckdb_v2_context_get_factory(context, &factory, err)) &&
	    good(duckdb_v2_factory_create_type_from_id(factory, DUCKDB_V2_LOGICAL_TYPE_ID_BIGINT, NULL, NULL, 0, &type,
	                                               err)) &&
	    good(duckdb_v2_table_function_bind_add_result_column(result, &name, type, err)) &&
	    good(duckdb_v2_function_bind_set_bind_data(info, &data, err))) {
		binding = NULL;
	}
	free(binding);
	(void)duckdb_v2_logical_type_destroy(&type);
	(void)duckdb_v2_value_destroy(&value);
}

/* ---- filter pushdown ---- */

/* x = constant, either way round? */
static bool take_equal(duckdb_v2_expression_handle expression, int64_t *out)
{
	DUCKDB_V2_EXPRESSION_TYPE type, sides[2];
	duckdb_v2_expression_handle children[2] = {NULL, NULL};
	duckdb_v2_value_handle value = NULL;
	idx_t n = 0;
	if (!good(duckdb_v2_expression_get_type(expression, &type, NULL)) ||
	    type != DUCKDB_V2_EXPRESSION_TYPE_COMPARE_EQUAL ||
	    !good(duckdb_v2_expression_get_child_count(expression, &n, NULL)) || n != 2) {
		return false;
	}
	for (idx_t i = 0; i < 2; i++) {
		if (!good(duckdb_v2_expression_get_child(expression, i, &children[i], NULL)) ||
		    !good(duckdb_v2_expression_get_type(children[i], &sides[i], NULL))) {
			return false;
		}
	}
	int constant = sides[0] == DUCKDB_V2_EXPRESSION_TYPE_VALUE_CONSTANT ? 0 : 1;
	/* The only column is x. */
	bool taken = sides[constant] == DUCKDB_V2_EXPRESSION_TYPE_VALUE_CONSTANT &&
	             sides[1 - constant] == DUCKDB_V2_EXPRESSION_TYPE_BOUND_COLUMN_REF &&
	             good(duckdb_v2_expression_constant_get_value(children[constant], &value, NULL)) &&
	             good(duckdb_v2_value_get_bigint(value, out, NULL));
	(void)duckdb_v2_value_destroy(&value);
	return taken;
}

static void filter_pushdown(duckdb_v2_table_function_filter_pushdown_info_handle info, duckdb_v2_context_handle context,
                            duckdb_v2_error_info_handle *err)
{
	(void)context;
	void *data = NULL;
	idx_t n = 0;
	if (!good(duckdb_v2_table_function_filter_pushdown_get_bind_data(info, &data, err)) ||
	    !good(duckdb_v2_table_function_filter_pushdown_get_filter_count(info, &n, err))) {
		return;
	}
	struct binding *binding = data;
	for (idx_t i = 0; i < n && binding->n_wanted < WANTED_MAX; i++) {
		duckdb_v2_expression_handle expression = NULL;
		int64_t wanted;
		if (good(duckdb_v2_table_function_filter_pushdown_get_filter(info, i, &expression, err)) &&
		    take_equal(expression, &wanted) && good(duckdb_v2_table_function_filter_pushdown_accept(info, i, err))) {
			binding->wanted[binding->n_wanted++] = wanted;
		}
	}
}

/* ---- scan ---- */

static void init_global(duckdb_v2_table_function_init_global_info_handle info, duckdb_v2_context_handle context,
                        duckdb_v2_error_info_handle *err)
{
	(void)context;
	int64_t *next = calloc(1, sizeof(*next));
	duckdb_v2_opaque data = {next, free, NULL};
	if (!next) {
		fail_memory(err);
	} else if (!good(duckdb_v2_table_function_init_global_set_max_threads(info, 1, err)) ||
	           !good(duckdb_v2_table_function_init_global_set_global_state(info, &data, err))) {
		free(next);
	}
}

static void exec(duckdb_v2_table_function_exec_info_handle info, duckdb_v2_context_handle context,
                 duckdb_v2_error_info_handle *err)
{
	(void)context;
	void *bound = NULL, *state = NULL, *data = NULL;
	duckdb_v2_data_chunk_handle chunk;
	duckdb_v2_vector_handle vector;
	if (!good(duckdb_v2_table_function_exec_get_bind_data(info, &bound, err)) ||
	    !good(duckdb_v2_table_function_exec_get_global_state(info, &state, err)) ||
	    !good(duckdb_v2_table_function_exec_get_output_chunk(info, &chunk, err)) ||
	    !good(duckdb_v2_data_chunk_get_vector(chunk, 0, &vector, err)) ||
	    !good(duckdb_v2_vector_get_data_mutable(vector, &data, err))) {
		return;
	}
	const struct binding *binding = bound;
	int64_t *next = state, *values = data;
	idx_t n = 0;
	for (; n < CHUNK_ROWS && *next < binding->n; ++*next) {
		bool wanted = true;
		for (size_t i = 0; i < binding->n_wanted; i++) {
			wanted = wanted && *next == binding->wanted[i];
		}
		if (wanted) {
			values[n++] = *next;
		}
	}
	(void)duckdb_v2_vector_set_size(vector, n, err);
}

/* ---- registration ---- */

DUCKDB_EXTENSION_ENTRYPOINT(duckdb_v2_extension_handle extension, duckdb_v2_context_handle context,
                            duckdb_v2_error_info_handle *err)
{
	duckdb_v2_factory_handle factory;
	duckdb_v2_table_function_handle function = NULL;
	duckdb_v2_function_signature_handle signature;
	duckdb_v2_logical_type_handle type = NULL;
	duckdb_v2_identifier_t name = str_of("accepting"), parameter = str_of("n");
	bool done = good(duckdb_v2_context_get_factory(context, &factory, err)) &&
	            good(duckdb_v2_factory_create_type_from_id(factory, DUCKDB_V2_LOGICAL_TYPE_ID_BIGINT, NULL, NULL, 0,
	                                                       &type, err)) &&
	            good(duckdb_v2_table_function_create(factory, &function, err)) &&
	            good(duckdb_v2_table_function_set_name(function, &name, err)) &&
	            good(duckdb_v2_table_function_get_signature(function, &signature, err)) &&
	            good(duckdb_v2_function_signature_add_parameter(signature, &parameter, type, NULL,
	                                                            DUCKDB_V2_FUNCTION_PARAMETER_KIND_STANDARD, err)) &&
	            good(duckdb_v2_table_function_set_bind_callback(function, bind, err)) &&
	            good(duckdb_v2_table_function_set_filter_pushdown_callback(function, filter_pushdown, err)) &&
	            good(duckdb_v2_table_function_set_init_global_callback(function, init_global, err)) &&
	            good(duckdb_v2_table_function_set_exec_callback(function, exec, err)) &&
	            good(duckdb_v2_extension_register_table_function(extension, function, err));
	(void)done; /* err says the rest */
	(void)duckdb_v2_table_function_destroy(&function);
	(void)duckdb_v2_logical_type_destroy(&type);
}
