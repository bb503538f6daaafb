/* DuckDB's version; errors. */
#include "api.h"

#include <stdio.h>

duckdb_ext_api_v2 duckdb_ext_api;

bool api_is_duckdbs(void)
{
	duckdb_v2_str version = {0}, ours = str_of("v" BSC_DUCKDB_VERSION);
	return duckdb_v2_library_version(&version, NULL) == DUCKDB_V2_ERROR_NONE && version.len == ours.len &&
	       memcmp(version.ptr, ours.ptr, ours.len) == 0;
}

static DUCKDB_V2_ERROR code_of(int status)
{
	switch (status) {
	case BSC_CANCELLED:
		return DUCKDB_V2_ERROR_RUNTIME_INTERRUPT;
	case BSC_NOMEM:
		return DUCKDB_V2_ERROR_RESOURCE_OUT_OF_MEMORY;
	case BSC_SOURCE:
	case BSC_WORKER:
	case BSC_SHUTDOWN:
		return DUCKDB_V2_ERROR_IO_GENERAL;
	default:
		return DUCKDB_V2_ERROR_INPUT_INVALID;
	}
}

char *whole_text(char *text)
{
	for (unsigned char *at = (unsigned char *)text; *at;) {
		int n = *at < 0x80 ? 1 : *at >= 0xF0 ? 4 : *at >= 0xE0 ? 3 : *at >= 0xC0 ? 2 : 0, have = 1;
		while (have < n && (at[have] & 0xC0) == 0x80) {
			have++;
		}
		if (have == n) {
			at += n;
		} else {
			*at++ = '?';
		}
	}
	return text;
}

void fail_text(duckdb_v2_error_info_handle *err, DUCKDB_V2_ERROR code, const char *text)
{
	char whole[BSC_ERROR_CAP];
	snprintf(whole, sizeof(whole), "%s", text);
	duckdb_v2_str message = str_of(whole_text(whole));
	(void)duckdb_v2_error_info_set_code(*err, code);
	(void)duckdb_v2_error_info_set_text(*err, &message);
}

void fail_with(duckdb_v2_error_info_handle *err, const struct bsc_error *error)
{
	fail_text(err, code_of(error->status), error->message);
}
