"""Each check fails for a class that fails it, with the words that its author reads; and for no sound class."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pyarrow as pa
import pytest

from bascule import Option
from bascule.check import CHECKS, Checkup, Limits, run
from check import broken
from conformance.cases import CASES

ELSEWHERE = (
    "read_partition may run on another instance, in another process, where infer_schema and plan_partitions were never "
    "called: what these set on self is not there. Put what a read needs into the spec, or make it in read_partition"
)
TESTS = Path(__file__).parents[1]
THREADS = "An engine reads partitions from several threads at once, on one instance: keep what belongs to one read"

#: class, check, what is read there. Each class fails that check alone, or those named behind it as well.
FAILURES = [
    (broken.NoRead, "methods", "has no method read_partition. Its 'read_partitions' may be meant. Define it"),
    (broken.NoOptions, "signatures", "NoOptions.infer_schema takes () after self: write (self, options)", "schema"),
    (
        broken.ColumnsByPosition,
        "signatures",
        "ColumnsByPosition.read_partition takes 'columns' by position, but is called as (self, partition_spec, options): "
        "write `*, columns=None` behind the others, or leave it out",
    ),
    (
        broken.NeedsLimit,
        "signatures",
        "NeedsLimit.plan_partitions needs 'limit', but may be called without: write `limit=None`",
    ),
    (broken.OptionsAreAList, "options", "OptionsAreAList.OPTIONS is a list, expected a tuple of bascule.Option"),
    (broken.OptionsAreNames, "options", "OptionsAreNames.OPTIONS[0] is a str, expected a bascule.Option"),
    (broken.OptionTwice, "options", "declares 'region' twice (names ignore case): keep one of each"),
    (
        broken.DefaultIsRefused,
        "options",
        "the default of 'pages' is 'many', which it would refuse: expected an integer",
    ),
    (broken.NeedsArguments, "made", "NeedsArguments.__init__ needs url: a source is made without arguments"),
    (broken.InitRaises, "made", "InitRaises: __init__ raised RuntimeError: no init today"),
    (broken.Abstract, "made", "Abstract is abstract: define more"),
    (broken.SchemaIsADict, "schema", "infer_schema returned a dict, expected a pyarrow.Schema"),
    (broken.NoColumns, "schema", "infer_schema returned no columns: a table has at least one"),
    (
        broken.SchemaChanges,
        "schema_again",
        "infer_schema returned another schema on a second call: column 1 is 'b' large_string, before it was 'b' string",
    ),
    (
        broken.SchemaOfTheInstance,
        "schema_again",
        "infer_schema returned another schema from a second instance: column 0 is 'a",
        "batches",
    ),
    (broken.PlanIsNone, "plan", "plan_partitions returned None, expected a list of dicts"),
    (broken.PlanRaises, "plan", "plan_partitions raised ConnectionError: can't reach the server"),
    (
        broken.SpecHoldsALock,
        "specs_pickle",
        "the spec of partition 0 can't be pickled, because of 'lock', a lock: cannot pickle '_thread.lock' object. A spec "
        "goes to other processes: put in what finds the data, not what reads it",
    ),
    (
        broken.SpecForgets,
        "specs_pickle",
        "the spec of partition 0 is another after pickling: 'p' was Forgetful(5), then Forgetful(0)",
    ),
    (
        broken.WrongType,
        "batches",
        "partition 0 of 2, batch 1: column 'a' is int32, but infer_schema said int64. Cast it in read_partition",
    ),
    (broken.NotUtf8, "batches", "partition 0 of 2, batch 0: column 'b' holds text that is not UTF-8"),
    (broken.ReadRaises, "batches", "partition 1 of 2: read_partition raised OSError: the disk is on fire"),
    (
        broken.MakesAllFirst,
        "memory",
        "partition 0: of 48.8 MiB in 24 batches, 48.8 MiB were held when it yielded the first batch: it makes all before it "
        "yields. Yield each batch when it is made",
    ),
    (broken.KeepsAll, "memory", "48.8 MiB were held at its end: it keeps what it has yielded"),
    (broken.KeepsAllInPython, "memory", "were held when it yielded the first batch"),
    (
        broken.ReadsOnce,
        "read_again",
        "read again, partition 0: 0 rows, the first time 4. A partition may be read again, in full, on another machine: "
        "begin anew in each read_partition, keep no position in the instance",
    ),
    (broken.CountsReads, "read_again", "read again, partition 0, row 1: column 'a' is 2, the first time it was 0"),
    (
        broken.PlanTurns,
        "plan_again",
        "plan_partitions returned other partitions on a second call: partition 0: 'p' was 0, then 1. Return the same "
        "partitions in the same order",
    ),
    (broken.PlanGrows, "plan_again", "on a second call: 3 partitions, before 1"),
    (broken.PlanAtRandom, "plan_again", "Cut the table at the same places each time"),
    (broken.RemembersTheSchema, "elsewhere", "object has no attribute 'found'"),
    (broken.RemembersTheSchema, "elsewhere", ELSEWHERE),
    (
        broken.RemembersThePlan,
        "elsewhere",
        f"read by a fresh instance, partition 0: 0 rows, the first time 4\n{ELSEWHERE}",
    ),
    (broken.OnePosition, "threads", THREADS),
    (broken.OneThread, "threads", "read_partition raised RuntimeError: made in another thread"),
    (
        broken.DropsNulls,
        "columns",
        "read with columns=['b'], partition 0: 2 rows, the first time 4\nA read of some columns gives the rows of a read of all",
    ),
    (
        broken.PlansForItsColumns,
        "columns",
        "planned with columns=None, read with columns=['b', 'a'], partition 0: 2 rows, the first time 4\nAn engine may read fewer",
    ),
    (broken.ChangesOptions, "unchanged", "plan_partitions changed its options: 'page' came"),
    (broken.FillsDefaultsIn, "unchanged", "infer_schema changed its options: 'page' came"),
    (
        broken.ChangesWhatIsInASpec,
        "unchanged",
        "partition 0: read_partition changed what is in its spec: 'pages' was [1, 2], then [1, 2, 3]",
    ),
    (broken.EndsBadly, "ended_early", "partition 0: read_partition, ended early, raised KeyError: 'cursor'"),
    (
        broken.ClosesWhatIsNotThere,
        "close",
        "close, of an instance that was asked for its schema alone (as each bind of a query is), raised AttributeError",
    ),
    (broken.ClosesBadly, "close", "close, after a read, raised OSError: gone already"),
    (broken.Shouts, "secrets", "the value of option 'pin' is in an error: check.broken:Shouts: plan_partitions raised"),
    (
        broken.Prints,
        "secrets",
        "the value of option 'password' is in its output: logging in with ***\nLeave it out there",
    ),
    (broken.Logs, "secrets", "the value of option 'pin' is in the log 'acme' (INFO): logging in with ***"),
    (broken.Logs, "secrets", "the value of option 'pin' is in a warning (UserWarning): login *** is old"),
]

WARNINGS = [
    (broken.TakesColums, "signatures", "takes 'colums', which the bridge never gives: did you mean 'columns'?"),
    (broken.Statistic, "names", "Statistic.statistic is nothing to the bridge: did you mean 'statistics'?"),
    (broken.SameName, "schema", "infer_schema returned 'a' more than once"),
    (
        broken.Shuffles,
        "read_again",
        "read again, partition 0, row 0: column 'a' is 3, the first time it was 1. The rows are the same in another order",
    ),
    (broken.PlanOfASnapshot, "plan_again", "'snapshot' was 0, then 2. The rows are the same, so that is sound where"),
    (broken.ForgetsColumns, "columns_used", "read_partition yielded all 2 columns when it was asked for 'a'"),
    (broken.ChangesASpec, "unchanged", "partition 0: read_partition changed its spec: 'p' went"),
    (broken.MakesAllFirst, "memory", "48.8 MiB were held when it yielded the first batch"),
]

pytestmark = pytest.mark.filterwarnings("ignore:login None is old")


def ids_of(report, status):
    return [result.id for result in report.results if result.status == status]


def reasons_of(report, id):
    return "\n".join(next(result.reasons for result in report.results if result.id == id))


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: f"{case[1]}-{case[0].__name__}")
def test_a_class_that_breaks_the_contract_fails(case):
    cls, id, words, *others = case
    report = run(cls, limits=Limits(memory_bytes=32 << 20))
    assert words in reasons_of(report, id)
    assert f"check.broken:{cls.__name__}" in reasons_of(report, id)
    assert ids_of(report, "failed") == sorted([id, *others], key=list(CHECKS).index)
    assert not report.ok


@pytest.mark.parametrize("case", WARNINGS, ids=lambda case: f"{case[1]}-{case[0].__name__}")
def test_what_is_allowed_but_rarely_meant_is_a_warning(case, monkeypatch):
    cls, id, words = case
    for name in ("numbers", "turns"):
        if hasattr(cls, name):
            monkeypatch.setattr(cls, name, type(getattr(cls, name))(*{"numbers": (), "turns": ([1, -1],)}[name]))
    report = run(cls)
    assert words in reasons_of(report, id)
    assert id in ids_of(report, "warning")
    assert ids_of(report, "failed") == []


def test_every_check_has_a_class_that_fails_it_or_warns():
    elsewhere = {
        "statistics",
        "partition_facts",
        "required_filters",
        "fresh_plan",
        "filters",
        "claims",
        "limit",
        "stream",
    }  # test_pushdown.py, test_streaming.py
    found = {id for _, id, *_ in (*FAILURES, *WARNINGS)}
    assert found | elsewhere | {"found", "importable", "batch_size"} == set(CHECKS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.source.__name__)
def test_a_sound_class_fails_nothing(case):
    report = run(case.source, case.options, Limits(partitions=8))
    assert (ids_of(report, "failed"), ids_of(report, "warning")) == ([], [])


SOUND = [
    broken.Streams,
    broken.NotANumber,
    broken.LocksItself,
    broken.Secretive,
    broken.Odd,
    broken.OneArray,
    broken.Endless,
]


@pytest.mark.parametrize("cls", SOUND)
def test_what_is_only_unusual_fails_nothing(cls):
    report = run(cls, limits=Limits(memory_bytes=32 << 20, max_seconds=0.4))
    assert (ids_of(report, "failed"), ids_of(report, "warning")) == ([], [])


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("check.broken:Goood", "module 'check.broken' has no class 'Goood'; did you mean 'Good'?"),
        ("no.such.module:Orders", "there is no module 'no.such.module'"),
        ("not/there.py:Orders", "file 'not/there.py' can't be read"),
        ("not_a_source", "no source has the short name 'not_a_source'"),
        ("check.broken:AB", "'AB' is a Schema, not a class"),
    ],
)
def test_a_class_that_is_not_found_is_told(source, words):
    report = run(source)
    assert words in reasons_of(report, "found")
    assert (ids_of(report, "failed"), report.count("skipped")) == (["found"], len(CHECKS) - 1)
    assert reasons_of(report, "secrets") == "it needs 'found', which failed"


def test_options_of_no_kind_at_all_are_told_and_the_usage_is_shown():
    class Odd(broken.Good):
        OPTIONS = 5

    with Checkup(Odd) as checkup:
        assert "OPTIONS is an int, expected a tuple of bascule.Option" in checkup.result("options").reasons[0]
        assert not checkup.subject.is_secret("region")


def test_what_a_module_raises_is_told(tmp_path):
    (tmp_path / "orders.py").write_text("raise SystemExit('not today')\n")
    report = run(f"{tmp_path}/orders.py:Orders")
    assert "raised SystemExit: not today" in reasons_of(report, "found")


def test_options_that_do_not_fit_are_told():
    report = run(broken.Declares, {"regoin": "eu"})
    assert "unknown option 'regoin': did you mean 'region'?" in reasons_of(report, "options")
    report = run(broken.Declares, {"pages": "@env:BASCULE_TEST_NOT_SET"})
    assert "the environment variable BASCULE_TEST_NOT_SET is not set" in reasons_of(report, "options")


def test_a_setting_of_the_bridge_is_obeyed_and_a_wrong_one_told():
    report = run(broken.WrongType, {"bascule_schema_mode": "evolve"})
    assert report.ok
    report = run(broken.Good, {"bascule_shema_mode": "evolve"})
    assert "unknown setting 'bascule_shema_mode'" in reasons_of(report, "batches")


def test_a_class_that_only_this_process_knows_is_noted():
    class Local(broken.Good):
        pass

    with Checkup(Local) as checkup:
        result = checkup.result("importable")
    assert result.status == "ok"
    assert "goes to a worker process by cloudpickle" in result.notes[-1]


def test_a_batch_beyond_the_limit_is_a_warning():
    report = run(broken.Streams, limits=Limits(memory_bytes=1 << 20))
    assert "partition 0, batch 0 holds 2.03 MiB, more than 1 MiB" in reasons_of(report, "batch_size")


def test_one_batch_for_each_partition_is_a_note():
    with Checkup(broken.WrongType, {"bascule_schema_mode": "evolve"}) as checkup:
        assert "each partition came as one batch" not in str(checkup.result("memory").notes)
    with Checkup(broken.Slow, limits=Limits(partitions=2)) as checkup:
        result = checkup.result("memory")
    assert result.status == "ok"
    assert "each partition came as one batch" in result.notes[0]


def test_the_limits_are_kept_and_told():
    reads = []

    class Counts(broken.Good):
        def read_partition(self, partition_spec, options):
            reads.append(partition_spec["p"])
            yield from super().read_partition(partition_spec, options)

    with Checkup(Counts, limits=Limits(partitions=1, batches=1)) as checkup:
        result = checkup.result("batches")
        assert result.notes == (
            "2 rows in 1 batch of 1 partition",
            "not all was read: 1 of 2 partitions, 1 batch of each partition",
        )
        assert reads == [0]
        assert checkup.result("read_again").status == "ok"
        assert reads == [0, 0]


def test_no_more_is_read_when_the_time_is_used_up():
    report = run(broken.Slow, limits=Limits(max_seconds=0.05))
    assert report.ok
    notes = next(result.notes for result in report.results if result.id == "batches")
    assert "of 50 partitions, then the time for the first read was used up" in notes[1]
    assert reasons_of(report, "threads") == "the 0.05 s are used up: give more, or read fewer partitions"


def test_many_columns_are_sampled():
    class Wide(broken.Good):
        def infer_schema(self, options):
            return pa.schema([(f"c{i}", pa.int64()) for i in range(1000)])

        def read_partition(self, partition_spec, options, *, columns=None):
            asked = self.infer_schema(options).names if columns is None else columns
            yield pa.record_batch([[int(name[1:])] for name in asked], names=asked)

    with Checkup(Wide) as checkup:
        result = checkup.result("columns")
    assert (result.status, result.notes) == ("ok", ("tried were 8 columns of 1,000, and all in reverse",))


def test_each_instance_is_closed():
    open_now = []

    class Closes(broken.Good):
        def __init__(self):
            open_now.append(self)

        def close(self):
            open_now.remove(self)

    assert run(Closes).ok
    assert open_now == []
    assert not [name for name in sys.modules if name.startswith("bascule_checked_")]


def test_no_secret_is_in_a_result():
    class Leaks(broken.Good):
        OPTIONS = (Option("pin", secret=True),)

        def infer_schema(self, options):
            raise ConnectionError(f"{dict(options)} {options['pin']}")

    report = run(Leaks, {"pin": "canary-4711"})
    assert "infer_schema raised ConnectionError" in reasons_of(report, "schema")
    assert "canary" not in repr(report)


def test_no_engine_and_no_heavy_library_is_imported():
    code = """
        import sys
        from bascule.check import run
        assert run("testsources:Numbers").ok
        print(sorted({"duckdb", "_duckdb", "polars", "rich", "click", "pytest"} & set(sys.modules)))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True, cwd=TESTS
    )
    assert done.stdout == "[]\n"
