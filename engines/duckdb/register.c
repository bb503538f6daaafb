/* What DuckDB is told of us, for each database that it opens: the table function,
 * the replacement scan, the settings. */
#include "register.h"

#include "call.h"
#include "scan.h"
#include "scans.h"

/* Their executor is set before DuckDB can call. */
static struct call_function python_function = {.name = "python"};
static struct call_function jdbc_function = {
    .name = "jdbc",
    .source = "jdbc",
    .warning = "the table function jdbc(...) is deprecated, write python('jdbc', ...) instead: the same options, the "
               "same rows",
};

/* ---- FROM 'pkg.mod:Class' ---- */

/* A table name that the catalog does not know, and that reads as a class. */
static void replacement(duckdb_v2_replacement_scan_info_handle info, duckdb_v2_context_handle context,
                        duckdb_v2_error_info_handle *err)
{
	duckdb_v2_qname_handle name = NULL, function = NULL;
	duckdb_v2_identifier_t part, python = str_of("python");
	duckdb_v2_factory_handle factory;
	duckdb_v2_value_handle argument = NULL;
	idx_t n_parts = 0;
	if (duckdb_v2_replacement_scan_get_name(info, &name, err) == DUCKDB_V2_ERROR_NONE &&
	    duckdb_v2_qname_get_part_count(name, &n_parts, err) == DUCKDB_V2_ERROR_NONE && n_parts == 1 &&
	    duckdb_v2_qname_get_part(name, 0, &part, err) == DUCKDB_V2_ERROR_NONE &&
	    bsc_locator_is_bare((struct bsc_str){part.ptr, part.len}) &&
	    duckdb_v2_context_get_factory(context, &factory, err) == DUCKDB_V2_ERROR_NONE &&
	    duckdb_v2_qname_create(&python, 1, &function, err) == DUCKDB_V2_ERROR_NONE &&
	    duckdb_v2_value_create_varchar(factory, &part, &argument, err) == DUCKDB_V2_ERROR_NONE &&
	    duckdb_v2_replacement_scan_set_function_name(info, function, err) == DUCKDB_V2_ERROR_NONE) {
		(void)duckdb_v2_replacement_scan_add_argument(info, argument, err);
	}
	(void)duckdb_v2_value_destroy(&argument);
	(void)duckdb_v2_qname_destroy(&function);
	(void)duckdb_v2_qname_destroy(&name);
}

/* ---- the table function, the settings ---- */

static DUCKDB_V2_ERROR register_function(const struct duckdb_v2_extension_input *input,
                                         duckdb_v2_factory_handle factory, struct call_function *called,
                                         const char *says, const char *shows)
{
	duckdb_v2_error_info_handle *err = input->err;
	duckdb_v2_table_function_handle function = NULL;
	duckdb_v2_function_signature_handle signature;
	duckdb_v2_function_docs_handle docs;
	duckdb_v2_logical_type_handle any = NULL;
	duckdb_v2_opaque user_data = {called, NULL, NULL};
	duckdb_v2_identifier_t name = str_of(called->name), args = str_of("source"), kwargs = str_of("options");
	duckdb_v2_str description = str_of(says), title = str_of(""), example = str_of(shows);
	DUCKDB_V2_ERROR code;
	TRY(duckdb_v2_factory_create_type_from_id(factory, DUCKDB_V2_LOGICAL_TYPE_ID_ANY, NULL, NULL, 0, &any, err));
	TRY(duckdb_v2_table_function_create(factory, &function, err));
	TRY(duckdb_v2_table_function_set_name(function, &name, err));
	TRY(duckdb_v2_table_function_get_signature(function, &signature, err));
	TRY(duckdb_v2_function_signature_add_parameter(signature, &args, any, NULL,
	                                               DUCKDB_V2_FUNCTION_PARAMETER_KIND_POSITIONAL_VARIADIC, err));
	TRY(duckdb_v2_function_signature_add_parameter(signature, &kwargs, any, NULL,
	                                               DUCKDB_V2_FUNCTION_PARAMETER_KIND_NAMED_VARIADIC, err));
	TRY(duckdb_v2_table_function_get_docs(function, &docs, err));
	TRY(duckdb_v2_function_docs_set_description(docs, &description, err));
	TRY(duckdb_v2_function_docs_add_example(docs, &title, &example, err));
	TRY(duckdb_v2_table_function_set_user_data(function, &user_data, err));
	TRY(scan_set_callbacks(function, err));
	TRY(duckdb_v2_extension_register_table_function(input->extension, function, err));
out:
	(void)duckdb_v2_table_function_destroy(&function);
	(void)duckdb_v2_logical_type_destroy(&any);
	return code;
}

static DUCKDB_V2_ERROR register_replacement(const struct duckdb_v2_extension_input *input,
                                            duckdb_v2_factory_handle factory)
{
	duckdb_v2_replacement_scan_handle scan = NULL;
	DUCKDB_V2_ERROR code;
	TRY(duckdb_v2_replacement_scan_create(factory, &scan, input->err));
	TRY(duckdb_v2_replacement_scan_set_callback(scan, replacement, input->err));
	TRY(duckdb_v2_extension_register_replacement_scan(input->extension, scan, input->err));
out:
	(void)duckdb_v2_replacement_scan_destroy(&scan);
	return code;
}

static DUCKDB_V2_ERROR register_setting(const struct duckdb_v2_extension_input *input, duckdb_v2_factory_handle factory,
                                        const char *name, DUCKDB_V2_LOGICAL_TYPE_ID type_id, const char *description)
{
	duckdb_v2_error_info_handle *err = input->err;
	duckdb_v2_custom_option_handle option = NULL;
	duckdb_v2_logical_type_handle type = NULL;
	duckdb_v2_value_handle initial = NULL;
	duckdb_v2_identifier_t id = str_of(name);
	duckdb_v2_str text = str_of(description), empty = {NULL, 0};
	DUCKDB_V2_ERROR code;
	TRY(duckdb_v2_factory_create_type_from_id(factory, type_id, NULL, NULL, 0, &type, err));
	if (type_id == DUCKDB_V2_LOGICAL_TYPE_ID_VARCHAR) {
		TRY(duckdb_v2_value_create_varchar(factory, &empty, &initial, err));
	} else {
		TRY(duckdb_v2_value_create_ubigint(factory, 0, &initial, err));
	}
	TRY(duckdb_v2_custom_option_create(factory, &option, err));
	TRY(duckdb_v2_custom_option_set_name(option, &id, err));
	TRY(duckdb_v2_custom_option_set_type(option, type, err));
	TRY(duckdb_v2_custom_option_set_default_value(option, initial, err));
	TRY(duckdb_v2_custom_option_set_description(option, &text, err));
	TRY(duckdb_v2_extension_register_custom_option(input->extension, option, err));
out:
	(void)duckdb_v2_custom_option_destroy(&option);
	(void)duckdb_v2_value_destroy(&initial);
	(void)duckdb_v2_logical_type_destroy(&type);
	return code;
}

static DUCKDB_V2_ERROR register_all(const struct duckdb_v2_extension_input *input, duckdb_v2_factory_handle factory)
{
	DUCKDB_V2_ERROR code;
	TRY(register_function(
	    input, factory, &python_function,
	    "Reads a Python class as a table. The positional arguments name the class, the named ones are "
	    "its options. They choose code to import and run.",
	    "FROM python('acme.sources:Orders', region := 'eu')"));
	TRY(register_function(input, factory, &jdbc_function,
	                      "Deprecated: python('jdbc', ...), which reads a database's table or query.",
	                      "FROM jdbc(url := 'postgresql://localhost/shop', dbtable := 'orders')"));
	TRY(scans_register(input, factory));
	TRY(register_replacement(input, factory));
	for (const char *const *name = bsc_setting_names(); *name; name++) {
		if (strncmp(*name, "bascule_", 8) == 0) {
			TRY(register_setting(input, factory, *name, DUCKDB_V2_LOGICAL_TYPE_ID_VARCHAR,
			                     "A setting of python(...); an option of the same name goes before it"));
		}
	}
	TRY(register_setting(input, factory, "bascule_connection_id", DUCKDB_V2_LOGICAL_TYPE_ID_UBIGINT,
	                     "Tells connections apart; written by Bascule"));
out:
	return code;
}

/* ---- all of it ---- */

void register_adapter(const struct duckdb_v2_extension_input *input, const struct bsc_executor *opener)
{
	duckdb_v2_factory_handle factory;
	python_function.executor = jdbc_function.executor = opener;
	if (duckdb_v2_context_get_factory(input->context, &factory, input->err) == DUCKDB_V2_ERROR_NONE) {
		(void)register_all(input, factory);
	}
}
