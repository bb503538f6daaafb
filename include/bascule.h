/* bascule.h: a Python class, read as a table.
 *
 * The only public C header. An engine adapter needs this file and its engine's
 * own; it knows nothing of Python. Data crosses as the structs of the Arrow C
 * Data Interface (https://arrow.apache.org/docs/format/CDataInterface.html).
 *
 * One scan, in the order of its calls:
 *
 *   bsc_source_open    a class by name and its options  -> schema   (bind)
 *   bsc_plan_new       the columns that the query reads -> partitions
 *   bsc_scan_open      one execution of a plan                      (init)
 *   bsc_cursor_open    one per engine thread: claims partitions
 *   bsc_cursor_next    the next record batch, buffers untouched     (pull)
 *   ..._close          cursors, then scan, plan, source; in any order
 *
 * Ownership. Handles are reference counted inside: a plan keeps its source
 * alive, a scan its plan, a cursor its scan, so they may be closed in any order.
 * In the comments an argument is *borrowed* (for the call only), *moved* (the
 * callee owns it, on success), or *out* (the caller owns the result). Outputs
 * are zeroed on failure, and moved arguments then stay the caller's.
 *
 * Threads. A source, a plan and a scan may be used from any thread at once. A
 * cursor belongs to one thread at a time. No function takes the host's locks;
 * with the in-process executor a call may wait for Python's GIL.
 *
 * Lock order: registry (source/source.c) only; no lock is held while an
 * executor, a host hook or a release callback runs.
 */
#ifndef BASCULE_H
#define BASCULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
	const char *format;
	const char *name;
	const char *metadata;
	int64_t flags;
	int64_t n_children;
	struct ArrowSchema **children;
	struct ArrowSchema *dictionary;
	void (*release)(struct ArrowSchema *);
	void *private_data;
};

struct ArrowArray {
	int64_t length;
	int64_t null_count;
	int64_t offset;
	int64_t n_buffers;
	int64_t n_children;
	const void **buffers;
	struct ArrowArray **children;
	struct ArrowArray *dictionary;
	void (*release)(struct ArrowArray *);
	void *private_data;
};
#endif

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE
struct ArrowArrayStream {
	int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
	int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
	const char *(*get_last_error)(struct ArrowArrayStream *);
	void (*release)(struct ArrowArrayStream *);
	void *private_data;
};
#endif

#if defined(__GNUC__)
#define BSC_MUST_CHECK __attribute__((warn_unused_result))
#define BSC_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define BSC_MUST_CHECK
#define BSC_PRINTF(fmt, args)
#endif

/* ---- errors ----------------------------------------------------------- */

enum bsc_status {
	BSC_OK = 0,
	BSC_INVALID,   /* an option, a setting or an argument can't be used */
	BSC_NOT_FOUND, /* no such module, class, file, short name */
	BSC_SOURCE,    /* the class raised, or broke its contract */
	BSC_MISMATCH,  /* a batch does not match the schema */
	BSC_MALFORMED, /* an Arrow struct breaks the C Data Interface */
	BSC_CANCELLED, /* the scan was cancelled, or the host interrupted it */
	BSC_SHUTDOWN,  /* the interpreter is closing, Python can't be entered */
	BSC_NOMEM,
	BSC_WORKER, /* a worker process can't be started, died, hung, or broke the protocol */
};

/* A message holds a Python traceback: whole up to this size, else its middle
 * frames are left out. */
#define BSC_ERROR_CAP 8192

/* What went wrong: what was attempted, on which source and partition, what
 * Python said, what to do next. UTF-8, NUL-terminated. Caller's memory; need
 * not be initialised before a call, and is written only on failure. */
struct bsc_error {
	int status; /* enum bsc_status */
	char message[BSC_ERROR_CAP];
};

/* A borrowed run of bytes, UTF-8, not NUL-terminated. */
struct bsc_str {
	const char *ptr;
	size_t len;
};

/* ---- messages that are no error of a call ----------------------------- */

/* Where they go: a host's log. NULL: to stderr, as before the first call. The
 * sink is called on any thread, with no lock held; text is UTF-8, borrowed. */
void bsc_log_set_sink(void (*sink)(const char *text));
void bsc_log_warning(const char *text);

/* ---- options ---------------------------------------------------------- */

/* The options of one source, in the order given: what the user wrote, and the
 * bridge's own settings (python_module, python_class, bascule_*) beside it. */
struct bsc_options;

/* Limits, checked by bsc_options_add. */
#define BSC_OPTION_NAME_MAX 1024
#define BSC_OPTION_VALUE_MAX (16 << 20)
#define BSC_OPTIONS_MAX 65536

int bsc_options_new(struct bsc_options **out, struct bsc_error *err) BSC_MUST_CHECK;

/* Appends one option; both strings are copied. BSC_INVALID for an empty or
 * over-long name, a NUL in the name, or too many options. The same name twice
 * is found when the source is opened: a setting's by the core, another's where
 * the class runs. */
int bsc_options_add(struct bsc_options *options, struct bsc_str name, struct bsc_str value,
                    struct bsc_error *err) BSC_MUST_CHECK;

/* As bsc_options_add, for a setting whose value is a default (an engine's SET):
 * ignored where the user gave the option. */
int bsc_options_add_default(struct bsc_options *options, struct bsc_str name, struct bsc_str value,
                            struct bsc_error *err) BSC_MUST_CHECK;

size_t bsc_options_count(const struct bsc_options *options);
/* Borrowed until the options are freed. i < count. */
struct bsc_str bsc_options_name(const struct bsc_options *options, size_t i);
struct bsc_str bsc_options_value(const struct bsc_options *options, size_t i);
void bsc_options_free(struct bsc_options *options);

/* The names of the bridge settings that this build knows, NULL-terminated, for
 * adapters that offer them as settings of the engine. */
const char *const *bsc_setting_names(void);

/* ---- where a class is found ------------------------------------------- */

enum bsc_locator_kind {
	BSC_LOCATOR_MODULE, /* pkg.mod:Class        module = pkg.mod */
	BSC_LOCATOR_FILE,   /* dir/orders.py:Orders module = dir/orders.py */
	BSC_LOCATOR_NAME,   /* orders               an entry point's name */
};

struct bsc_locator {
	enum bsc_locator_kind kind;
	struct bsc_str module; /* empty for BSC_LOCATOR_NAME */
	struct bsc_str name;   /* class, or short name */
};

/* Takes apart `text`, one of the three forms above. The parts borrow from it. */
int bsc_locator_parse(struct bsc_str text, struct bsc_locator *out, struct bsc_error *err) BSC_MUST_CHECK;

/* True if `text` is words, dots, one colon and a word, as in `pkg.mod:Class`: what
 * may stand quoted in a FROM clause. */
bool bsc_locator_is_bare(struct bsc_str text);

/* ---- predicates ------------------------------------------------------- */

/* What a query demands of rows, as the class meets it in bascule.filters, whose kinds
 * these are. Semantics: three-valued NULL; NaN equals itself and is the greatest value;
 * -0.0 equals 0.0; strings compare by their UTF-8 bytes. */
enum bsc_filter_kind {
	BSC_FILTER_AND = 1,
	BSC_FILTER_OR,
	BSC_FILTER_NOT,
	BSC_FILTER_EQUAL,
	BSC_FILTER_EQUAL_NULL_SAFE, /* IS NOT DISTINCT FROM */
	BSC_FILTER_GREATER,
	BSC_FILTER_GREATER_EQUAL,
	BSC_FILTER_LESS,
	BSC_FILTER_LESS_EQUAL,
	BSC_FILTER_IN, /* one literal or more */
	BSC_FILTER_IS_NULL,
	BSC_FILTER_IS_NOT_NULL,
	BSC_FILTER_STARTS_WITH, /* a string's bytes; the literal's format is "u" */
	BSC_FILTER_ENDS_WITH,
	BSC_FILTER_CONTAINS,
};

/* A typed value. All borrowed for the call that takes it.
 *
 * format  of the C Data Interface, of a scalar type
 * value   as an Arrow buffer has one value of that type: a little-endian number, one byte of 0
 *         or 1 for a boolean, a string's or binary's bytes */
struct bsc_literal {
	const char *format;
	bool valid; /* false: NULL, and no value */
	struct bsc_str value;
};

/* A tree of predicates over the columns of one schema. */
struct bsc_filter;

/* A predicate over one column: n literals, as many as the kind has. out: out. BSC_INVALID: such a
 * predicate there is none, or it is of more than 8 MiB. */
int bsc_filter_new(enum bsc_filter_kind kind, int64_t column, const struct bsc_literal *literals, size_t n,
                   struct bsc_filter **out, struct bsc_error *err) BSC_MUST_CHECK;

/* AND or OR of one child or more, NOT of one. The array is borrowed, the children are moved, on
 * success. BSC_INVALID: deeper than 64, or of more than 8 MiB. */
int bsc_filter_join(enum bsc_filter_kind kind, struct bsc_filter *const *children, size_t n, struct bsc_filter **out,
                    struct bsc_error *err) BSC_MUST_CHECK;

/* The predicates, joined by AND, that bascule.filters wrote as bytes; none: *out is NULL. bytes, schema: borrowed. */
int bsc_filter_read(struct bsc_str bytes, const struct ArrowSchema *schema, struct bsc_filter **out,
                    struct bsc_error *err) BSC_MUST_CHECK;

/* The same tree, literal for literal. */
bool bsc_filter_equal(const struct bsc_filter *a, const struct bsc_filter *b);

void bsc_filter_free(struct bsc_filter *filter);

/* ---- metrics: what a scan counts -------------------------------------- */

/* Where an executor tells what a plan or a reader costs; the core's, for their lifetime. Any thread. */
struct bsc_meter;

/* Time, in nanoseconds: in the class's own code; waiting for it, for a lock or for a worker. */
void bsc_meter_time(struct bsc_meter *meter, int64_t python_ns, int64_t waiting_ns);
/* Bytes that lay read and not yet asked for: the most is kept. */
void bsc_meter_ahead(struct bsc_meter *meter, int64_t bytes);
/* The process that the rows come from, where it is another. */
void bsc_meter_worker(struct bsc_meter *meter, int64_t pid);
/* What the class counts itself (bascule.report_metric): values of one name are added. Names beyond
 * BSC_METRICS_MAX of a scan, and longer than BSC_METRIC_NAME_MAX bytes, are not kept: false. */
#define BSC_METRICS_MAX 64
#define BSC_METRIC_NAME_MAX 128
bool bsc_meter_report(struct bsc_meter *meter, struct bsc_str name, double value);

/* ---- what runs the class: the executor -------------------------------- */

/* Offsets of a source that grows: JSON objects, UTF-8, that its class made. Empty: none. */
struct bsc_offsets {
	struct bsc_str start, end;
};

/* What a source that grows is asked, or told, beside its rows. */
enum bsc_offset_question {
	BSC_OFFSET_INITIAL, /* where does one begin who has read nothing? offsets: none */
	BSC_OFFSET_LATEST,  /* where does the micro-batch end that begins at start (none: all there is)? Not beyond end, or
	                       none */
	BSC_OFFSET_COMMIT,  /* all before end is read and kept. No answer */
};

/* What a query asks of one scan. All borrowed for the call. A zeroed one asks for everything. */
struct bsc_request {
	/* Columns to hand over, as indices into the schema, in the engine's order;
	 * may repeat. NULL: all of them. */
	const int64_t *columns;
	int64_t n_columns;
	/* Rows that the query drops anyway: hints, batches may hold others. NULL: none. */
	const struct bsc_filter *filter;
	/* Rows that the query wants at most, of those for which the filter is true: asked only where
	 * the class applies it exactly, or where there is none. A cursor hands over no more. */
	bool limited;
	int64_t limit;
	/* Partitions that bsc_plan_spec wrote, here or in another process, of a plan of the same class and options
	 * for the same columns and filter: the class is not asked for any. NULL: it is. */
	const struct bsc_str *specs;
	int64_t n_specs;
	/* Of a micro-batch: the rows from start, before end. Both or none. */
	struct bsc_offsets offsets;
	/* Partitions will be read by bsc_plan_spec elsewhere, when this plan may be gone: what lives with it alone, as a
	 * session does, can't hold them together. */
	bool portable;
};

/* The same, as an executor sees it: hints for the class. */
struct bsc_hints {
	const char *const *columns; /* names, each column once; NULL: all columns */
	int64_t n_columns;
	struct bsc_str filters; /* as bascule.filters reads them */
	bool limited;
	int64_t limit;
	const struct bsc_str *specs; /* as in bsc_request */
	int64_t n_specs;
	struct bsc_offsets offsets;
	bool portable;
};

/* What a class answered to a plan. Zeroed before the call. */
struct bsc_planned {
	int64_t n_partitions;
	int64_t n_pruned; /* more partitions, which hold no row that the query wants */
	int64_t *rows;    /* of each partition, exactly; -1: unknown. malloc'ed; NULL: of none */
	char *pushed;     /* what of the filter the class was told, for people. malloc'ed; NULL: nothing */
};

/* What a class says of its size. */
struct bsc_statistics {
	int64_t n_rows; /* -1: unknown */
	int64_t n_bytes;
	bool exact; /* n_rows is no estimate */
};

/* What becomes of batches whose columns are not those of infer_schema. */
enum bsc_schema_mode {
	BSC_SCHEMA_STRICT, /* an error */
	BSC_SCHEMA_EVOLVE, /* the executor converts where no value can change, else an error */
};

/* Whether the host wants to stop: non-zero is a cancel. NULL function: never.
 *
 * Asked between batches, and at least each 50 ms of a wait: on the thread of the
 * call that it was given to or, while that one runs the class, on another. It
 * must not block, and must take no lock that the caller holds. */
struct bsc_poll {
	int (*interrupted)(void *ctx);
	void *ctx;
};

/* Where a class runs. */
enum bsc_executor_choice {
	BSC_EXECUTOR_DEFAULT,   /* where the class says; else in the host, where that has Python */
	BSC_EXECUTOR_INPROCESS, /* in the host's own interpreter */
	BSC_EXECUTOR_PROCESS,   /* in worker processes */
};

/* What the user asks of an executor. */
struct bsc_run_settings {
	enum bsc_executor_choice choice;
	/* Of worker processes: */
	const char *python;          /* interpreter; NULL: the host's, $BASCULE_PYTHON, ... */
	int64_t n_workers;           /* for one scan at a time; 0: BSC_WORKERS_DEFAULT */
	int64_t timeout_ms;          /* of any wait for an answer; 0: none */
	int64_t readahead_bytes;     /* that a scan may have read before they are asked for */
	int64_t worker_memory_bytes; /* of a worker's own memory; 0: no limit */
};

#define BSC_WORKERS_DEFAULT 2
#define BSC_WORKERS_MAX 1024
#define BSC_READAHEAD_DEFAULT (64 << 20)

/* What an executor is told when it opens a source. All borrowed for the call. */
struct bsc_opening {
	const char *label;                 /* names the source in messages */
	const struct bsc_options *options; /* the user's own */
	enum bsc_schema_mode schema_mode;
	int64_t cache_ttl_ms; /* for which what the class says may be kept; 0: not at all */
	uint64_t cache_epoch; /* another one than before: what was kept is to be forgotten */
};

/* Runs a class: in this process, or in another. The core calls these functions
 * in the order written, from any thread, concurrently but for one reader's. An
 * executor fills the outputs only on success. It must outlive its sources.
 *
 * poll  borrowed for the call, may be NULL: once it says so, the call ends with
 *       BSC_CANCELLED as soon as what it waits for can be ended */
struct bsc_executor {
	const char *name;
	void *state; /* the first argument of resolve and open */

	/* Finds the class. The same class and settings give the same pointer as long as one
	 * reference lives: with the options it is the identity of a source. settings: borrowed for
	 * the call. */
	int (*resolve)(void *state, const struct bsc_locator *locator, const struct bsc_run_settings *settings,
	               const struct bsc_poll *poll, void **class_out, struct bsc_error *err);
	void (*class_release)(void *state, void *cls);
	/* Does the class ask for worker processes? NULL: none does. Asked only where the settings
	 * leave the choice. */
	bool (*wants_process)(void *state, void *cls);

	/* One instance, and its schema. class, opening: borrowed. schema: out. */
	int (*open)(void *state, void *cls, const struct bsc_opening *opening, const struct bsc_poll *poll,
	            void **instance_out, struct ArrowSchema *schema_out, struct bsc_error *err);
	/* After the last reader and plan of the instance. */
	void (*close)(void *instance);

	/* NULL: nothing is known. */
	int (*statistics)(void *instance, const struct bsc_poll *poll, struct bsc_statistics *out, struct bsc_error *err);
	/* Which of the predicates that are joined by AND does every read apply exactly? exact: one for each, false
	 * before the call. NULL: none. */
	int (*claim)(void *instance, struct bsc_str filters, const struct bsc_poll *poll, bool *exact, size_t n,
	             struct bsc_error *err);
	/* See bsc_source_offset. NULL: no class of it grows. */
	int (*offset)(void *instance, enum bsc_offset_question question, const struct bsc_offsets *offsets,
	              const struct bsc_poll *poll, char **answer_out, struct bsc_error *err);

	/* meter: outlives the plan. */
	int (*plan)(void *instance, const struct bsc_hints *hints, struct bsc_meter *meter, const struct bsc_poll *poll,
	            void **plan_out, struct bsc_planned *planned, struct bsc_error *err);
	void (*plan_free)(void *plan);
	/* A partition as bytes, malloc'ed, for a plan of another process. */
	int (*plan_spec)(void *plan, int64_t partition, char **spec_out, size_t *len_out, struct bsc_error *err);
	/* How many readers of a plan get on at the same time; more wait for each other. NULL: any number. */
	int64_t (*plan_readers)(void *plan);

	/* Does not wait: what takes time is read_next's. meter: outlives the reader. */
	int (*read_open)(void *plan, int64_t partition, struct bsc_meter *meter, void **reader_out, struct bsc_error *err);
	/* array: out; release == NULL: nothing this time, and if *ended no more at
	 * all. schema: out, or release == NULL where it is that of the batch before.
	 * All three are zeroed before the call. */
	int (*read_next)(void *reader, const struct bsc_poll *poll, struct ArrowArray *array, struct ArrowSchema *schema,
	                 bool *ended, struct bsc_error *err);
	void (*read_close)(void *reader);
};

/* ---- worker processes ------------------------------------------------- */

/* The executor that runs classes in worker processes, `python -m bascule.worker`. The
 * process's one; any thread. */
const struct bsc_executor *bsc_process_executor(void);

/* What a host that has an interpreter of its own adds; each may be NULL. Called on any thread. */
struct bsc_process_host {
	/* Its interpreter's path; sys.path, one entry a line; its environment, NAME=value with a NUL after each but the
	 * last. All out, malloc'ed, or NULL. */
	void (*interpreter)(char **python_out, char **path_out, struct bsc_str *environment_out);
	/* How a class reaches a worker: by name (*pickle_out NULL), or by value, malloc'ed. *identity_out:
	 * another number for another class of that name. */
	int (*ship)(const struct bsc_locator *locator, const struct bsc_poll *poll, char **pickle_out, size_t *len_out,
	            uint64_t *identity_out, struct bsc_error *err);
	/* Ctrl-C. Is this the thread whose it is? */
	bool (*is_main_thread)(void);
	/* How often it was pressed so far where only we can act on it. Counted while a thread waits. */
	unsigned (*interrupts)(void);
	/* A thread begins to wait for a worker, and ends: in pairs. interrupted: by Ctrl-C, which is
	 * thereby answered. */
	void *(*wait_begin)(void);
	void (*wait_end)(void *begun, bool interrupted);
};

/* host: borrowed for good. Before the first source is opened. */
void bsc_process_set_host(const struct bsc_process_host *host);

/* Ends all workers: those that are idle close their instances and exit; what still runs after
 * timeout_ms is killed. Sources that are open then fail, new ones start new workers. Any thread. */
void bsc_process_end_workers(int timeout_ms);

/* How many worker processes there are. For tests and monitoring. Any thread. */
int64_t bsc_process_worker_count(void);

/* ---- source ----------------------------------------------------------- */

struct bsc_source;

/* Opens a class as a source: finds it, makes one instance, asks its schema.
 *
 * executor  borrowed; must outlive the source: that of the host's own interpreter. NULL: the
 *           host has none. Where the class or the user asks for worker processes, those are used
 * text      one string that names the class (see bsc_locator), or empty: then
 *           the options python_module and python_class name it
 * options   moved, on success; NULL for none
 * scope     0, or what tells this host's connections apart: while a source of
 *           the same class object, options and scope is open, the call returns
 *           it again (its schema is not asked twice)
 * poll      borrowed for the call, may be NULL
 */
int bsc_source_open(const struct bsc_executor *executor, struct bsc_str text, struct bsc_options *options,
                    uint64_t scope, const struct bsc_poll *poll, struct bsc_source **out,
                    struct bsc_error *err) BSC_MUST_CHECK;

/* Borrowed until the source is closed: a struct ("+s") of at least one column. Every
 * field of it has a name, if an empty one. */
const struct ArrowSchema *bsc_source_schema(const struct bsc_source *source);

/* A deep copy of any schema, for the caller to release. schema: borrowed. */
int bsc_schema_copy(const struct ArrowSchema *schema, struct ArrowSchema *out, struct bsc_error *err) BSC_MUST_CHECK;

/* A field's type in words, "list<item: int64>", cut to `cap` bytes, for messages. */
void bsc_schema_describe(const struct ArrowSchema *field, char *text, size_t cap);

/* The value of a field's metadata under `key`, borrowed from the field; {NULL, 0}:
 * it has none. */
struct bsc_str bsc_schema_metadata(const struct ArrowSchema *field, const char *key);

/* What the class says of its size: asked once for a source. One that raises says nothing, which is logged;
 * BSC_CANCELLED and the like are errors. poll: borrowed for the call, may be NULL. */
int bsc_source_statistics(struct bsc_source *source, const struct bsc_poll *poll, struct bsc_statistics *out,
                          struct bsc_error *err) BSC_MUST_CHECK;

/* For engines that need not check again what a source applies: which of the predicates that `filters` joins by AND
 * does the class apply exactly, whatever else it is asked? filters: as bsc_filter_read takes them. exact: n of them. */
int bsc_source_claim(struct bsc_source *source, struct bsc_str filters, const struct bsc_poll *poll, bool *exact,
                     size_t n, struct bsc_error *err) BSC_MUST_CHECK;

/* For engines that read a source again and again, each time what came since: its offsets. offsets: borrowed; NULL for
 * none. *answer_out: a JSON object, its names in order, NUL-terminated, malloc'ed, out; NULL where the question has no
 * answer. BSC_SOURCE: the class has no such method. poll: borrowed for the call, may be NULL. */
int bsc_source_offset(struct bsc_source *source, enum bsc_offset_question question, const struct bsc_offsets *offsets,
                      const struct bsc_poll *poll, char **answer_out, struct bsc_error *err) BSC_MUST_CHECK;

/* Forgets what was kept of sources because of bascule_cache_ttl, in workers too, when the next one is opened.
 * Any thread. */
void bsc_cache_clear(void);

/* "pkg.mod:Class", for messages. Borrowed. */
const char *bsc_source_label(const struct bsc_source *source);

/* Drops the caller's reference. The last one closes the instance. */
void bsc_source_close(struct bsc_source *source);

/* ---- plan ------------------------------------------------------------- */

struct bsc_plan;

/* Asks the class for its partitions. request: borrowed; NULL for all columns.
 * poll: borrowed for the call, may be NULL. */
int bsc_plan_new(struct bsc_source *source, const struct bsc_request *request, const struct bsc_poll *poll,
                 struct bsc_plan **out, struct bsc_error *err) BSC_MUST_CHECK;

int64_t bsc_plan_partition_count(const struct bsc_plan *plan);

/* How many rows all partitions have, exactly; -1: not known, or the plan has a filter. */
int64_t bsc_plan_row_count(const struct bsc_plan *plan);

/* What of the request's filter the class was told, for people; "" for nothing. Borrowed. */
const char *bsc_plan_pushed(const struct bsc_plan *plan);

/* A partition as bytes that stand for it in any process where the class can be had (bsc_request.specs): for an engine
 * that plans on one machine and reads on others. malloc'ed, out. Not for secrets: a class puts into a spec what it
 * likes. */
int bsc_plan_spec(const struct bsc_plan *plan, int64_t partition, char **spec_out, size_t *len_out,
                  struct bsc_error *err) BSC_MUST_CHECK;

/* How many of its partitions can be read at the same time, 1 or more: a host with more cursors would have some of them
 * wait for others. */
int64_t bsc_plan_concurrency(const struct bsc_plan *plan);

/* The schema of the plan's batches: the request's columns in its order. Borrowed. */
const struct ArrowSchema *bsc_plan_schema(const struct bsc_plan *plan);

/* One more reference, to be dropped with bsc_plan_free. */
void bsc_plan_ref(struct bsc_plan *plan);
void bsc_plan_free(struct bsc_plan *plan);

/* ---- scan ------------------------------------------------------------- */

struct bsc_scan;

/* One execution of a plan. A plan may be executed any number of times. */
int bsc_scan_open(struct bsc_plan *plan, struct bsc_scan **out, struct bsc_error *err) BSC_MUST_CHECK;

/* Its number in bsc_scans_export and bsc_timeline_export. Any thread. */
int64_t bsc_scan_number(const struct bsc_scan *scan);

/* A fraction in [0, 1]: of the rows, where the partitions' are known or the source's statistics were asked for and are
 * exact, and no filter stands; else of the partitions, those read to their end. Any thread. */
double bsc_scan_progress(const struct bsc_scan *scan);

/* Every cursor's next call, and a call that waits, ends with BSC_CANCELLED.
 * Any thread, any number of times. */
void bsc_scan_cancel(struct bsc_scan *scan);

/* The same for a host that has all that it wants: the scan ended early, and was not cancelled. */
void bsc_scan_finish(struct bsc_scan *scan);

/* One more reference, to be dropped with bsc_scan_close. */
void bsc_scan_ref(struct bsc_scan *scan);
void bsc_scan_close(struct bsc_scan *scan);

/* ---- cursor ----------------------------------------------------------- */

struct bsc_cursor;

/* A cursor that claims the scan's partitions, one after the other, from a
 * counter that all of the scan's cursors share. */
int bsc_cursor_open(struct bsc_scan *scan, struct bsc_cursor **out, struct bsc_error *err) BSC_MUST_CHECK;

/* A cursor over one partition, 0 <= partition < count, for hosts that
 * schedule partitions themselves. */
int bsc_cursor_open_partition(struct bsc_scan *scan, int64_t partition, struct bsc_cursor **out,
                              struct bsc_error *err) BSC_MUST_CHECK;

/* The next batch that has rows, in the layout of bsc_plan_schema: a struct
 * array without an offset, checked and trimmed to the request.
 *
 * poll  borrowed for the call, may be NULL
 * out   out; release == NULL: no more batches, and none after it
 *
 * Checked, for the rows of `out` and at every depth: what the structs say of lengths,
 * buffers and children, null counts, offsets, list views, dictionary indices, unions and
 * run ends. Only with bascule_validation = 'full': string views, and that text is
 * UTF-8. Never: that a buffer is as long as its array says, which nobody can.
 *
 * The buffers are the ones that the class handed over; they live until `out`
 * (or the children moved out of it) is released, which may be on any thread
 * and after everything else is closed. After a failure the cursor is at its
 * end: further calls return the same failure. */
int bsc_cursor_next(struct bsc_cursor *cursor, const struct bsc_poll *poll, struct ArrowArray *out,
                    struct bsc_error *err) BSC_MUST_CHECK;

/* Partition of the last batch: never decreases for one cursor. -1 before. */
int64_t bsc_cursor_partition(const struct bsc_cursor *cursor);
void bsc_cursor_close(struct bsc_cursor *cursor);

/* ---- what scans did --------------------------------------------------- */

/* Forgets the scans that have ended. Any thread. */
void bsc_scans_forget(void);

/* The scans of this process, the newest first: those that run, and the last hundred. A struct array
 * of one row each, docs/metrics.md lists the columns. scan: that one alone, borrowed; NULL: all. schema, array: out.
 * Any thread. */
int bsc_scans_export(const struct bsc_scan *scan, struct ArrowSchema *schema, struct ArrowArray *array,
                     struct bsc_error *err) BSC_MUST_CHECK;

/* When the batches of one scan's partitions were pulled, and what that took: a struct array of spans of time, by
 * partition and time. partition, thread (the host's, by the system's number), worker (its pid; NULL: none), begun and
 * ended (seconds since the scan began), pulled_seconds, python_seconds and waiting_seconds of that, batches, rows,
 * bytes. scan: its number; without rows where that one isn't kept. schema, array: out. Any thread. */
int bsc_timeline_export(int64_t scan, struct ArrowSchema *schema, struct ArrowArray *array,
                        struct bsc_error *err) BSC_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
