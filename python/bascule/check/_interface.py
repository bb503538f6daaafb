"""The contract as a table: what a class must have, and what it may have."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["method", "attribute", "keyword", "offset", "spec"]


class Part(NamedTuple):
    """One part of the contract.

    Args:
        kind: a method or attribute of the class, a keyword of its methods (an offset: of plan_partitions alone), or a key
            of a partition spec.
        signature: how it is written.
        does: what it is for, in one sentence without a full stop.
        here: this version of the bridge takes it.
    """

    name: str
    kind: Kind
    signature: str
    does: str
    here: bool = True


REQUIRED = (
    Part("infer_schema", "method", "infer_schema(options)", "the columns: a pyarrow.Schema, or what exports one"),
    Part("plan_partitions", "method", "plan_partitions(options)", "a list of picklable dicts, one for each partition"),
    Part(
        "read_partition",
        "method",
        "read_partition(partition_spec, options)",
        "yields the rows of one partition: record batches, or anything that exports Arrow",
    ),
)

OPTIONAL = (
    Part(
        "columns", "keyword", "*, columns=None", "the names that the query reads, None for all: a hint, more is allowed"
    ),
    Part("filters", "keyword", "*, filters=()", "its predicates, joined by AND: a hint, more rows are allowed"),
    Part("limit", "keyword", "*, limit=None", "how many rows for which they are true are enough: a hint"),
    Part(
        "push_filters",
        "method",
        "push_filters(filters, options)",
        "returns those that reads do not apply exactly: engines may trust the others",
    ),
    Part("statistics", "method", "statistics(options)", "a bascule.Statistics of the table's size, for the optimizer"),
    Part(
        "bascule_bounds",
        "spec",
        '"bascule_bounds": {column: (min, max)}',
        "in a partition spec: it is not read where its rows can't be wanted",
    ),
    Part("bascule_rows", "spec", '"bascule_rows": n', "in a partition spec: its exact number of rows, counted unread"),
    Part(
        "required_filters",
        "attribute",
        "required_filters = [[column, …], …]",
        "refuses a query that restricts none of these sets of columns",
    ),
    Part(
        "cache_partitions",
        "attribute",
        "cache_partitions = True",
        "specs may be used again for the time of bascule_cache_ttl",
    ),
    Part(
        "OPTIONS",
        "attribute",
        "OPTIONS = (bascule.Option(…), …)",
        "options are checked, typed, defaulted and masked by it",
    ),
    Part("initial_offset", "method", "initial_offset(options)", "a dict: where a stream of it begins"),
    Part("latest_offset", "method", "latest_offset(options)", "a dict: where it ends now; may take *, start, end"),
    Part("start", "offset", "*, start, end", "of plan_partitions: the rows from start, before end; None for a table"),
    Part("portable", "offset", "*, portable=False", "of plan_partitions: specs are read elsewhere, when it is gone"),
    Part("commit_offset", "method", "commit_offset(offset, options)", "told what a stream has read and kept"),
    Part("executor", "attribute", 'executor = "process"', "reads in worker processes unless the user says otherwise"),
    Part("close", "method", "close()", "called once per instance, after its last read"),
    Part("begin_write", "method", "begin_write(schema, options, mode)", "begins to write", here=False),
    Part("write_partition", "method", "write_partition(batches, options, *, partition_id)", "writes rows", here=False),
    Part("commit_write", "method", "commit_write(messages, options)", "ends what was written", here=False),
    Part("abort_write", "method", "abort_write(messages, options)", "undoes what was written", here=False),
)


def interface() -> str:
    """The interface for custom sources, as text."""
    width = max(len(part.signature) for part in (*REQUIRED, *OPTIONAL))
    return "\n".join(
        [
            "A source is a class that is made without arguments and has three methods. Subclassing",
            "bascule.ArrowBatchDataSource is optional. Options are strings in a dict whose look-up ignores case.",
            "",
            *(f"  {part.signature:{width}}  {part.does}" for part in REQUIRED),
            "",
            "It takes part in more by having more:",
            "",
            *(f"  {part.signature:{width}}  {part.does}" for part in OPTIONAL if part.here),
            "",
            "Names of the contract that this version does not use yet:",
            "",
            *(f"  {part.signature:{width}}  {part.does}" for part in OPTIONAL if not part.here),
        ]
    )
