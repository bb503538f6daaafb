/* duckdb_adapter: the table function `python` for DuckDB.
 *
 * DuckDB's C API v2 <-> bascule.h, and nothing else. The C API v2 is unstable:
 * an adapter works with exactly the DuckDB version it was built for, and no other
 * room knows it.
 *
 * It comes in two objects: within _native, by the functions below (static.c), and as
 * bascule.duckdb_extension, which DuckDB itself loads (extension.c). */
#ifndef BSC_DUCKDB_ADAPTER_H
#define BSC_DUCKDB_ADAPTER_H

#include "bascule.h"

/* The DuckDB version that this build works with, "2.0.0". */
const char *duckdb_adapter_version(void);

/* Registers the adapter for every database that this process opens from now on.
 *
 * library_path  borrowed: the shared object that holds DuckDB, loaded already
 * opener        borrowed: the executor that opens sources, must outlive the process's databases
 *
 * Fails without a trace in DuckDB where the library is another version or lacks a
 * function; must not be called where another copy of the adapter is registered
 * (DuckDB then refuses to open any database). Calling it again is a no-op. */
int duckdb_adapter_register(const char *library_path, const struct bsc_executor *opener,
                            struct bsc_error *err) BSC_MUST_CHECK;

#endif
