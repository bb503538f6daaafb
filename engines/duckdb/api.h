/* The C API v2 as this adapter uses it: its function table, errors, strings. */
#ifndef BSC_DUCKDB_API_H
#define BSC_DUCKDB_API_H

#include <string.h>

#include "bascule.h"

#define DUCKDB_V2_API_ALLOW_UNSTABLE 1
#include "duckdb_extension_v2.h"
#include "duckdb_static_extension.h"

/* Rows of DuckDB's chunks; the importer cuts a batch into such. */
#define CHUNK_ROWS 2048

/* Each duckdb_v2_* name is a member of it. Filled before anything else of DuckDB's is called: by name (static.c),
 * or by the DuckDB that loads us (extension.c). */
DUCKDB_EXTENSION_EXTERN

/* Once the table is filled: is it of the one version that this adapter works with? */
bool api_is_duckdbs(void);

/* Reports a failure of the core, or of this adapter, in DuckDB's terms. `text`: any bytes, see whole_text. */
void fail_with(duckdb_v2_error_info_handle *err, const struct bsc_error *error);
void fail_text(duckdb_v2_error_info_handle *err, DUCKDB_V2_ERROR code, const char *text);

/* DuckDB takes any bytes for text, and fails when they are read that are none. What was cut to a
 * length goes through this: a character's bytes that are left of it become '?'. In place; `text`. */
char *whole_text(char *text);

/* Ends a function that has a `code` and one way out. */
#define TRY(call)                                                                                                      \
	do {                                                                                                               \
		code = (call);                                                                                                 \
		if (code != DUCKDB_V2_ERROR_NONE) {                                                                            \
			goto out;                                                                                                  \
		}                                                                                                              \
	} while (0)

/* A number that a macro stands for, as text. */
#define BSC_TEXT_OF(x) #x
#define BSC_TEXT(x) BSC_TEXT_OF(x)

static inline duckdb_v2_str str_of(const char *text)
{
	return (duckdb_v2_str){text, strlen(text)};
}

#endif
