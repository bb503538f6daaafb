"""Checks that read: through the core's scan, as every engine does, so that its messages are theirs."""

from __future__ import annotations

import contextlib
import gc
import pickle
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from bascule._hints import takes
from bascule._instance import items_of
from bascule._native import Partition, Plan, Scan
from bascule.check._base import Broken, Check, Findings, Skip, check, counted, size
from bascule.check._rows import KEPT_BYTES, KEPT_ROWS, Difference, Rows
from bascule.check._shape import specs_differ
from bascule.check._subject import Subject

_Part = TypeVar("_Part")

_FIRST_SHARE = 1 / 3  # of the time, for the first read
_READ_AHEAD = 16 << 20  # what a sound source may hold beside the batches in hand
_NOISE = 64 << 20  # of a process's memory: allocators keep what was freed
_THREADS = 4
_MEET_SECONDS = 1.0  # how long a thread waits for the others to have a partition open
_SOME_COLUMNS = 8
_SOME_PARTITIONS = 2  # read once for each of these columns


@dataclass
class Read:
    """The first read of a partition.

    Args:
        largest: the bytes of its largest batch, and which it is.
        n_bytes: of all batches.
        first_held, held: bytes allocated since its begin, at the first batch and at most.
    """

    rows: Rows
    n_batches: int = 0
    largest: tuple[int, int] = (0, 0)
    n_bytes: int = 0
    first_held: int = 0
    held: int = 0


@dataclass
class FirstRead:
    """What the first read gave: kept for the checks that follow.

    Args:
        stopped: why it did not go to the end, in words; "" where it did.
    """

    plan: Plan
    scan: Scan
    reads: list[Read] = field(default_factory=list)
    stopped: str = ""

    @property
    def rows(self) -> list[Rows]:
        return [read.rows for read in self.reads]

    def note(self, findings: Findings) -> None:
        """Says how far rows can be compared."""
        if any(rows.kept_rows < rows.n_rows for rows in self.rows):
            findings.notes.append(
                f"compared are the first {sum(rows.kept_rows for rows in self.rows):,} rows, and how many there are"
            )


def first_read(subject: Subject) -> FirstRead:
    """Reads what the limits allow, once."""
    if subject.first_read is None:
        subject.first_read = _first_read(subject)
    return subject.first_read


def _first_read(subject: Subject) -> FirstRead:
    subject.spent()  # time begins
    gc.collect()  # so that what is freed later is not taken for the class's
    plan = subject.core.plan()
    found = FirstRead(plan, plan.scan())
    n = plan.partition_count
    wanted = n if subject.limits.partitions is None else min(n, subject.limits.partitions)
    if wanted < n:
        found.stopped = f"{wanted:,} of {counted(n, 'partition')}"
    kept = (0, 0)
    for i in range(wanted):
        read = _read(subject, found.scan.partition(i), i, kept)
        found.reads.append(read)
        kept = kept[0] + read.rows.kept_bytes, kept[1] + read.rows.kept_rows
        if subject.spent(_FIRST_SHARE):
            if i + 1 < wanted or not read.rows.complete:
                found.stopped = f"{i + 1:,} of {counted(n, 'partition')}, then the time for the first read was used up"
            break
    if subject.limits.batches is not None and not all(rows.complete for rows in found.rows):
        found.stopped += f"{', ' if found.stopped else ''}{counted(subject.limits.batches, 'batch')} of each partition"
    return found


def _read(subject: Subject, partition: Partition, i: int, kept: tuple[int, int]) -> Read:
    """Reads one partition; ``kept``: bytes and rows that are kept of those before."""
    read = Read(Rows(i))
    rows = read.rows
    base, anonymous = pa.total_allocated_bytes(), _anonymous_bytes()
    keeps = True
    batches = subject.batches(partition)
    for batch in batches:
        pool = pa.total_allocated_bytes() - base
        process = _anonymous_bytes() - anonymous - rows.kept_bytes - _NOISE
        read.held = max(read.held, pool, process)
        if not read.n_batches:
            read.first_held = read.held
        read.n_bytes += batch.nbytes
        read.largest = max(read.largest, (batch.nbytes, -read.n_batches))
        read.n_batches += 1
        rows.n_rows += batch.num_rows
        keeps = keeps and kept[0] + rows.kept_bytes + batch.nbytes <= KEPT_BYTES
        keeps = keeps and kept[1] + rows.n_rows <= KEPT_ROWS
        if keeps and batch.num_rows:
            rows.keep(batch)
        del batch
        if read.n_batches == subject.limits.batches or subject.spent(_FIRST_SHARE):
            batches.close()  # type: ignore[attr-defined]
            return read
    rows.complete = True
    return read


def _anonymous_bytes() -> int:
    """The process's memory without files that are mapped; 0 where the system does not tell."""
    try:
        with Path("/proc/self/status").open("rb") as status:
            for line in status:
                if line.startswith(b"RssAnon:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


@check("batches", "Every batch has the columns and types of infer_schema, and is sound Arrow data.", ("plan",))
def batches(subject: Subject, findings: Findings) -> None:
    found = first_read(subject)
    n_rows, n_batches = sum(rows.n_rows for rows in found.rows), sum(read.n_batches for read in found.reads)
    findings.notes.append(
        f"{counted(n_rows, 'row')} in {counted(n_batches, 'batch')} of {counted(len(found.reads), 'partition')}"
    )
    if found.stopped:
        findings.notes.append(f"not all was read: {found.stopped}")


def _reads(subject: Subject) -> list[Read]:
    """The partitions that have batches."""
    reads = [read for read in first_read(subject).reads if read.n_batches]
    if not reads:
        raise Skip("no batch was read")
    return reads


@check("batch_size", "No batch is too large to be held in memory by every thread.", ("batches",))
def batch_size(subject: Subject, findings: Findings) -> None:
    read = max(_reads(subject), key=lambda read: read.largest)
    n_bytes, number = read.largest[0], -read.largest[1]
    where = f"partition {read.rows.partition}, batch {number}"
    if n_bytes > subject.limits.memory_bytes:
        findings.warnings.append(
            f"{subject.label}, {where} holds {size(n_bytes)}, more than {size(subject.limits.memory_bytes)}: each "
            "thread of an engine holds one. Yield smaller ones; 64 Ki rows are good"
        )
    findings.notes.append(f"the largest holds {size(n_bytes)} ({where})")


@check("memory", "Memory is bounded by batches: a partition is not held as a whole while it is read.", ("batches",))
def memory(subject: Subject, findings: Findings) -> None:
    reads = [read for read in _reads(subject) if read.n_batches > 1]
    if subject.limits.batches == 1:
        raise Skip("one batch of each partition shows nothing")
    if not reads:
        findings.notes.append(
            "each partition came as one batch, so a thread's memory is that of the largest partition: yield several "
            "where partitions grow"
        )
        return
    whole = [read for read in reads if 2 * read.held >= read.n_bytes and read.held > _READ_AHEAD + 2 * read.largest[0]]
    if not whole:
        worst = max(reads, key=lambda read: read.held)
        small = max(read.n_bytes for read in reads) < 2 * _READ_AHEAD
        findings.notes.append(
            f"at most {size(max(worst.held, 0))} were held, of a partition of {size(worst.n_bytes)}"
            + (f": less than {size(2 * _READ_AHEAD)} show little, try with more data" if small else "")
        )
        return
    worst = max(whole, key=lambda read: read.held)
    how = (
        "when it yielded the first batch: it makes all before it yields. Yield each batch when it is made"
        if 2 * worst.first_held >= worst.held
        else "at its end: it keeps what it has yielded. Drop a batch when it was yielded"
    )
    text = (
        f"{subject.label}, partition {worst.rows.partition}: of {size(worst.n_bytes)} in "
        f"{counted(worst.n_batches, 'batch')}, {size(worst.held)} were held {how}"
    )
    (findings.failures if worst.held > subject.limits.memory_bytes else findings.warnings).append(text)


# ---- the same rows again ----


def _compare(subject: Subject, findings: Findings, plan: Plan, what: str) -> None:
    """Reads what was read first once more."""
    first, scan = first_read(subject), plan.scan()
    if plan.partition_count != first.plan.partition_count:
        raise Broken(
            f"{subject.label}: {what} {counted(plan.partition_count, 'partition')}, the first time "
            f"{first.plan.partition_count:,}"
        )
    for rows in _in_time(subject, findings, first.rows, "partition"):
        _tell(subject, findings, rows.compare(subject.batches(scan.partition(rows.partition))), what)


def _in_time(subject: Subject, findings: Findings, parts: Sequence[_Part], what: str) -> Iterator[_Part]:
    """The parts, as long as there is time; says so where it ends."""
    for i, part in enumerate(parts):
        if subject.spent():
            why = f"the {subject.limits.max_seconds:g} s are used up"
            if i == 0:
                raise Skip(f"{why}: give more, or read fewer partitions")
            findings.notes.append(f"stopped after {i} of {counted(len(parts), what)}: {why}")
            return
        yield part


@contextlib.contextmanager
def _advised(advice: str) -> Iterator[None]:
    """A failure within says what to do, too."""
    try:
        yield
    except Broken as e:
        raise Broken(f"{e}{advice}") from None


def _tell(subject: Subject, findings: Findings, difference: Difference | None, what: str) -> None:
    """Adds what differs, once for each kind."""
    if difference is None:
        return
    text = f"{subject.label}: {what} {subject.shown(difference.text)}"
    if not difference.order:
        raise Broken(text)
    if not findings.warnings:
        findings.warnings.append(
            f"{text}. The rows are the same in another order: where a query needs an order, its result changes. Sort them"
        )


@check("read_again", "A second read of a partition gives the same rows, in the same order.", ("batches",))
def read_again(subject: Subject, findings: Findings) -> None:
    _reads(subject)
    found = first_read(subject)
    with _advised(
        ". A partition may be read again, in full, on another machine: begin anew in each read_partition, keep no position "
        "in the instance"
    ):
        _compare(subject, findings, found.plan, "read again,")
    found.note(findings)


@check(
    "plan_again", "plan_partitions returns the same on a second call, in the same order.", ("specs_pickle", "batches")
)
def plan_again(subject: Subject, findings: Findings) -> None:
    first = subject.specs
    for _ in range(2):  # so that one that alternates is seen
        with subject.attempt("plan_partitions, called again,"):
            again = subject.instance.plan(demand=False).specs
        if (difference := specs_differ(first, again)) is not None:
            break
    else:
        return
    text = subject.shown(f"{subject.label}: plan_partitions returned other partitions on a second call: {difference}")
    if len(first) != len(again) or Counter(map(pickle.dumps, first)) == Counter(map(pickle.dumps, again)):
        raise Broken(f"{text}. Return the same partitions in the same order (sort what a server or a set lists)")
    with _advised(f". Before: {text}. Cut the table at the same places each time"):
        _compare(subject, findings, subject.core.plan(), "read by a second plan,")
    findings.warnings.append(
        f"{text}. The rows are the same, so that is sound where a spec holds a snapshot's id or a signed URL"
    )


@check(
    "elsewhere",
    "A fresh instance reads a partition from its pickled spec alone, as a worker process does.",
    ("plan_again", "read_again"),
)
def elsewhere(subject: Subject, findings: Findings) -> None:
    _reads(subject)
    plan = subject.open(_in_a_worker(subject)).plan()
    with _advised(
        "\nread_partition may run on another instance, in another process, where infer_schema and plan_partitions were never "
        "called: what these set on self is not there. Put what a read needs into the spec, or make it in read_partition"
    ):
        _compare(subject, findings, plan, "read by a fresh instance,")
    first_read(subject).note(findings)


def _in_a_worker(subject: Subject) -> type:
    """A class of the same schema and partitions that reads each with an instance that knows nothing else."""
    cls, schema, specs = subject.cls, subject.schema, pickle.dumps(subject.specs)

    class Worker:
        OPTIONS = getattr(cls, "OPTIONS", ())

        def infer_schema(self, options: Any) -> Any:
            return schema

        def plan_partitions(self, options: Any) -> Any:
            return pickle.loads(specs)

        def read_partition(self, partition_spec: Any, options: Any) -> Iterator[Any]:
            made = cls()
            try:
                yield from items_of(made.read_partition(partition_spec, options))
            finally:
                if callable(close := getattr(made, "close", None)):
                    with contextlib.suppress(Exception):  # another check's
                        close()

    return Worker


@check("threads", "Partitions can be read at once from several threads.", ("read_again",))
def threads(subject: Subject, findings: Findings) -> None:
    rows = [read.rows for read in _reads(subject)]
    if len(rows) == 1:
        rows *= 2
    meets = True
    groups = [rows[start : start + _THREADS] for start in range(0, len(rows), _THREADS)]
    for some in _in_time(subject, findings, groups, "group"):
        meet = threading.Barrier(len(some) if meets else 1)
        with _advised(
            "\nAn engine reads partitions from several threads at once, on one instance: keep what belongs to one read (a "
            "connection, a cursor, a position) in read_partition's own variables"
        ):
            for found in _read_together(subject, some, meet):
                if isinstance(found, Exception):
                    raise found
                _tell(subject, findings, found, "read from several threads at once,")
        meets = not meet.broken
    first_read(subject).note(findings)


def _read_together(subject: Subject, some: list[Rows], meet: threading.Barrier) -> list[Difference | Exception | None]:
    """Reads these partitions at once, each in a thread of its own, and compares."""
    scan = first_read(subject).scan
    found: list[Difference | Exception | None] = []

    def read(rows: Rows) -> None:
        try:
            found.append(rows.compare(_together(subject.batches(scan.partition(rows.partition)), meet)))
        except Exception as e:
            found.append(e)

    running = [threading.Thread(target=read, args=(rows,), daemon=True) for rows in some]
    with _switching_often():
        for thread in running:
            thread.start()
        try:
            for thread in running:
                thread.join()
        except BaseException:
            scan.cancel()
            raise
    return found


def _together(batches: Iterator[pa.RecordBatch], meet: threading.Barrier) -> Iterator[pa.RecordBatch]:
    """The batches; after the first, waits until each thread has one."""
    for i, batch in enumerate(batches):
        if i == 0:
            # A class may hold a lock between its batches: then the others can't come.
            with contextlib.suppress(threading.BrokenBarrierError):
                meet.wait(_MEET_SECONDS)
        yield batch


@contextlib.contextmanager
def _switching_often() -> Iterator[None]:
    """Python's threads take turns often: a race shows where it would rarely."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


# ---- columns ----


def _taking(subject: Subject, method: str) -> bool:
    return "columns" in takes(getattr(subject.cls, method))


@check(
    "columns",
    "Where `columns` is taken, a read of some columns gives the same rows as a read of all, planned for these or for all.",
    ("specs_pickle", "batches"),
)
def columns(subject: Subject, findings: Findings) -> None:
    if not _taking(subject, "read_partition") and not _taking(subject, "plan_partitions"):
        raise Skip("no method takes `columns`: the bridge reads all and drops those that a query does not need")
    _reads(subject)
    names = [name for name in subject.schema.names if subject.schema.names.count(name) == 1]
    step = max(1, -(-len(names) // _SOME_COLUMNS))
    some = names[::step]
    if len(some) < len(names):
        findings.notes.append(f"tried were {counted(len(some), 'column')} of {len(names):,}, and all in reverse")
    found = first_read(subject)
    for wanted in _in_time(subject, findings, [names[::-1], *([name] for name in some)], "selection"):
        plan = subject.core.plan(wanted)
        if plan.partition_count != found.plan.partition_count:
            findings.notes.append(f"not compared for columns={wanted!r:.80}: plan_partitions gave other partitions")
        else:
            advice = "A read of some columns gives the rows of a read of all, with these columns at least"
            _compare_columns(subject, findings, plan, wanted, f"read with columns={wanted!r:.80},", advice)
        if _taking(subject, "plan_partitions"):
            plan = subject.core.plan(wanted, specs=[found.plan.spec(i) for i in range(found.plan.partition_count)])
            what = f"planned with columns=None, read with columns={wanted!r:.80},"
            advice = "An engine may read fewer columns than it planned for: what a spec holds has to do for these too"
            _compare_columns(subject, findings, plan, wanted, what, advice)


def _compare_columns(
    subject: Subject, findings: Findings, plan: Plan, wanted: list[str], what: str, advice: str
) -> None:
    scan = plan.scan()
    for rows in first_read(subject).rows[:_SOME_PARTITIONS]:
        with _advised(f"\n{advice}"):
            difference = rows.compare(subject.batches(scan.partition(rows.partition)), wanted)
            _tell(subject, findings, difference, what)


CHECKS: tuple[Check, ...] = (
    batches, batch_size, memory, read_again, plan_again, elsewhere, threads, columns
)  # fmt: skip
