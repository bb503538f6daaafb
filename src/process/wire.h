/* wire: what host and worker say to each other. Both ends include this.
 *
 * A frame is a header of 16 bytes and a payload:
 *
 *   u32 length of the payload, at most BSC__PAYLOAD_MAX
 *   u16 type, enum bsc__frame_type
 *   u16 zero
 *   u64 number: what the frame is about, see each type
 *
 * Numbers are little-endian; a *str* is a u32 length and its bytes; *list<x>* is
 * a u32 count and the items; *schema* is that of bsc__put_schema.
 *
 * The host asks, one thing at a time, and the worker answers: OPENED, PLANNED,
 * END, PREPARED, COUNTED, CLAIMED, LOCATED or FAILED, with the request's number. What has no answer may be
 * sent at any time: CLOSE, FREE, STOP, WINDOW, RELEASE, QUIT. docs/process.md
 * tells the whole; this header is the reference. */
#ifndef BSC_WIRE_H
#define BSC_WIRE_H

#include "base/bytes.h"

/* Of this protocol. Host and worker refuse another one. */
#define BSC__PROTOCOL_VERSION 3

#define BSC__FRAME_HEADER 16
#define BSC__PAYLOAD_MAX (64u << 20)

enum bsc__frame_type {
	/* ---- worker to host ---- */

	/* The first frame. number: the worker's process id.
	 * u32 protocol version, str version of bascule, str interpreter with its version */
	BSC__HELLO = 1,
	/* Answers OPEN. u8 has schema (1 where it was asked), [schema], str identity of the class as it was loaded,
	 * u8 the class has statistics */
	BSC__OPENED,
	/* Partition specs, before PLANNED, in order; number as PLAN's. list<str>: bytes that only
	 * a worker understands; i64 for each: its exact number of rows, -1 for unknown */
	BSC__SPECS,
	/* Answers PLAN, after all SPECS. i64 how many, i64 how many more were pruned, u8 rows are known of some,
	 * str the predicates that the class was told, for people */
	BSC__PLANNED,
	/* Shared memory, with its descriptor as ancillary data. number: of the segment, counted
	 * from 1 by the worker, never used again. u64 size in bytes */
	BSC__SEGMENT,
	/* A segment that holds no batch any more, and will hold none. number: the segment's */
	BSC__DROP,
	/* A batch of the READ that lasts. number: of its slot, for RELEASE; never used again.
	 * u8 has schema (the first batch, and where it differs from the one before), [schema],
	 * array (see bsc__array_read) */
	BSC__BATCH,
	/* Answers READ: its end, also after STOP. Empty. */
	BSC__END,
	/* Answers PREPARE. str interpreter; empty: the one that runs */
	BSC__PREPARED,
	/* Answers any request. u32 enum bsc_status, str message */
	BSC__FAILED,
	/* Answers CLOSE, once the instance is closed. number: the instance's */
	BSC__CLOSED,
	/* Answers STATISTICS. u8 known, i64 rows, i64 bytes (-1: unknown), u8 rows are exact */
	BSC__COUNTED,
	/* Answers CLAIM. u32 how many predicates, u8 for each: every read applies it exactly */
	BSC__CLAIMED,
	/* Before a BATCH, and before any answer; number: the request's. What was not told yet of it: u64 nanoseconds
	 * in the class, u64 the most bytes that lay read and not asked for, u32 how many counts of the
	 * class's own, each str name, u64 bits of a double */
	BSC__METRICS,
	/* Answers OFFSET. str the offset; empty: the question has no answer */
	BSC__LOCATED,

	/* ---- host to worker ---- */

	/* The first frame, and again when something has changed; number 0, no answer. str working directory,
	 * list<str> sys.path (empty: the interpreter's own), u8 environment given, [list<str> NAME=value: all of it];
	 * and for the first time, else 0: u64 memory limit in bytes, u8 descriptor of the crash file is valid */
	BSC__SETUP = 32,
	/* str path of a Python file: which interpreter runs it? */
	BSC__PREPARE,
	/* Makes an instance. u64 instance, u8 infer (its schema is wanted), u8 evolve, str label,
	 * u8 class kind (enum bsc_locator_kind, or BSC__CLASS_PICKLED), str module (or the pickle),
	 * str name, list<str name, str value> options, u64 milliseconds for which what the class says may be
	 * kept, u64 how often the host was told to forget that, str identity that it must have (empty: any) */
	BSC__OPEN,
	/* u64 instance, u64 plan, hints, str start, str end of a micro-batch (empty: it is none), u8 specs are read when
	 * the plan may be gone. Hints: u8 columns given, [list<str> columns], str filters (see filter/filter.h), u8 limit
	 * given, i64 limit */
	BSC__PLAN,
	/* u64 instance, i64 partition, i64 of how many, u64 window in bytes, hints as PLAN's, str spec */
	BSC__READ,
	/* The request with this number is not wanted any more. A READ answers END, soon. */
	BSC__STOP,
	/* number: the READ's. u64 bytes that its batches may have in all, from the first one on.
	 * The worker goes on reading while they have less. u64 bytes of those that the host has taken. */
	BSC__WINDOW,
	/* Batches that the host holds no more. list<u64> slots (u32 count, u64 each) */
	BSC__RELEASE,
	/* number: a plan, whose specs the worker kept. */
	BSC__FREE,
	/* number: an instance. */
	BSC__CLOSE,
	/* Close all instances and end. */
	BSC__QUIT,
	/* u64 instance */
	BSC__STATISTICS,
	/* u64 instance, str filters */
	BSC__CLAIM,
	/* u64 instance, u8 enum bsc_offset_question, str start, str end */
	BSC__OFFSET,
};

/* class kind in OPEN, beside enum bsc_locator_kind: module is a pickle of the class by value. */
#define BSC__CLASS_PICKLED 3

/* A frame as received. */
struct bsc__frame {
	enum bsc__frame_type type;
	uint64_t number;
	struct bsc__view payload; /* borrowed until the next one is received */
	int fd;                   /* SEGMENT's; -1: none. The receiver's to close. */
};

/* Begins a frame at the end of `out`, whose payload is what is put next. Returns
 * where it begins, for bsc__frame_end. */
size_t bsc__frame_begin(struct bsc__bytes *out, enum bsc__frame_type type, uint64_t number);
/* Sets its length. A payload that is too long sets out->failed. */
void bsc__frame_end(struct bsc__bytes *out, size_t begin);

/* ---- schemas ---- */

/* A schema: str format, str name, u8 has metadata, [str metadata, as in the C Data
 * Interface], i64 flags, u32 children, each a schema, u8 has dictionary, [schema].
 * A field without a name gets the empty one. schema: borrowed; one that is broken or
 * beyond the limits sets out->failed. */
void bsc__put_schema(struct bsc__bytes *out, const struct ArrowSchema *schema);

/* The most of depth and fields that a schema on the wire has. */
#define BSC__WIRE_DEPTH_MAX 64
#define BSC__WIRE_FIELDS_MAX (1 << 20)

/* What a schema lacks that its readers follow unasked (formats, lists of fields, lengths
 * in metadata; too deep), in words that follow a name; NULL: nothing. */
const char *bsc__schema_broken(const struct ArrowSchema *schema);
/* The same of a field that lies so deep in a schema, and all below it. */
const char *bsc__field_broken_at(const struct ArrowSchema *field, int depth);

/* out: out. BSC_MALFORMED where the bytes are no schema: whatever they are, what is
 * built is one. It may still be of types that Arrow doesn't have. */
int bsc__get_schema(struct bsc__view *view, struct ArrowSchema *out, struct bsc_error *err) BSC_MUST_CHECK;

#endif
