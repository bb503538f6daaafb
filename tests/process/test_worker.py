"""A worker process, as its host sees it: the protocol, the words of its errors, its end."""

from __future__ import annotations

import importlib
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import bascule
from bascule import _identity, _native
from bascule._offsets import Question
from bascule._wire import VERSION, Frame, Status, text
from process.client import TESTS, Client, Failed, spawned, wait_until

MakeClient = Callable[..., Client]


@pytest.fixture
def make() -> Iterator[MakeClient]:
    made: list[Client] = []

    def client(*args: object, **kwargs: object) -> Client:
        made.append(Client(*args, **kwargs))  # type: ignore[arg-type]
        return made[-1]

    yield client
    for each in made:
        each.process.kill()
        each.socket.close()
        each.process.communicate()


@pytest.fixture
def client(make: MakeClient) -> Client:
    return make()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def steps(log: Path) -> list[str]:
    return log.read_text().split("\n")[:-1] if log.exists() else []


def xs(batches: list[pa.RecordBatch]) -> list[int]:
    return [x for batch in batches for x in batch["x"].to_pylist()]


# ---- its start ----


def test_it_says_hello_first(client):
    kind, number, reader, _ = client.hello
    assert (kind, number) == (Frame.HELLO, client.process.pid)
    assert reader.numbers("I") == (VERSION,)
    assert reader.text() == bascule.__version__
    assert reader.text() == f"{sys.executable} ({sys.version.split()[0]})"


def test_hello_needs_no_setup_and_no_heavy_import():
    process, host, crash = spawned()
    os.close(crash)
    assert host.recv(1 << 16)[4] == Frame.HELLO
    host.close()
    assert process.wait(5) == 0
    process.communicate()
    heavy = ["pyarrow", "numpy", "duckdb", "polars", "pandas", "cloudpickle", "importlib.metadata"]
    code = f"import sys, bascule.worker, bascule._serving; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_a_person_is_told_what_it_is():
    done = subprocess.run([sys.executable, "-m", "bascule.worker"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "is started by programs that read Python sources in processes of their own" in done.stderr


def test_it_gets_the_hosts_path_and_directory(make, tmp_path):
    (tmp_path / "onlyhere.py").write_text("from process.sources import Where\n")
    path = [str(tmp_path), str(Path(__file__).parents[1]), *sys.path]
    client = make(path=path, directory=str(tmp_path))
    client.open(1, "onlyhere:Where")
    (batch,) = client.read(1, client.plan(1)[0])
    directory, *found = batch["text"].to_pylist()
    assert directory == str(tmp_path)
    assert found[: len(path)] == path
    assert str(Path.cwd()) not in found[len(path) :]


# ---- what it does ----


def test_a_source_is_opened_planned_and_read(client):
    assert client.open(1, "testsources:Numbers", partitions="2", batches="3", rows="4") == pa.schema(
        [("p", pa.int64()), ("k", pa.int64()), ("x", pa.float64()), ("s", pa.string())]
    )
    for p, spec in enumerate(client.plan(1)):
        batches = client.read(1, spec)
        assert [b.num_rows for b in batches] == [4, 4, 4]
        assert batches[1].to_pydict() == {
            "p": [p] * 4,
            "k": [4, 5, 6, 7],
            "x": [2.0, 2.5, 3.0, 3.5],
            "s": [f"{p}-4", f"{p}-5", None, f"{p}-7"],
        }


def test_a_stream_is_asked_for_offsets_and_read_between_them(client, tmp_path):
    (tmp_path / "length").write_text("10")
    client.open(1, "growingsources:Growing", length=str(tmp_path / "length"), partitions="1")
    assert client.offset(1, Question.INITIAL) == '{"n":0}'
    end = client.offset(1, Question.LATEST, '{"n":0}')
    assert end == '{"n":10}'
    (spec,) = client.plan(1, start='{"n":4}', end=end)
    assert [row for batch in client.read(1, spec) for row in batch.to_pydict()["n"]] == list(range(4, 10))
    assert client.offset(1, Question.COMMIT, end=end) == ""
    with pytest.raises(Failed, match="3 is not a valid Question"):
        client.offset(1, 3)


def test_only_asked_columns_are_sent(client):
    client.open(1, "testsources:Numbers")
    spec = client.plan(1, ["x", "k"])[0]
    for columns in (["x", "k"], []):
        for batch in client.batches(client.begin(1, spec, columns=columns)):
            assert batch.rows == 5
            assert [c is None for c in batch.columns] == [f.name not in columns for f in batch.schema]


def test_the_schema_is_sent_where_it_differs(client):
    client.open(1, "process.sources:Stream")
    number = client.begin(1, client.plan(1)[0])
    sent = []
    for batch in client.batches(number):
        sent.append((batch.schema.names, batch.whole().to_pydict()["a"]))
    assert sent == [(["a", "b"], [0]), (["a", "b"], [1]), (["a", "b"], [2]), (["b", "a"], [9])]


def test_of_wide_batches_only_the_first_is_exported_whole(client):
    client.open(1, "process.sources:Wide")
    number = client.begin(1, client.plan(1)[0], columns=["c7", "c3"])
    sent = [(len(batch.schema), batch.whole().to_pydict()) for batch in client.batches(number)]
    assert [n for n, _ in sent] == [1000, 2, 2]
    assert [columns for _, columns in sent] == [{"c3": [3], "c7": [7]}] * 3


def test_a_window_holds_it_back(client, log):
    client.open(1, "process.sources:Steps", log=str(log), n="10", rows="1000")
    spec = client.plan(1)[0]
    number = client.begin(1, spec, window=1)
    seen = list(client.batches(number, 1))
    size = seen[0].bytes
    assert size == 8000
    time.sleep(0.2)
    assert steps(log)[2:] == ["batch 0"]
    client.send(Frame.WINDOW, number + 7, struct.pack("<QQ", 1 << 40, 0))  # another one's
    client.send(Frame.WINDOW, number, struct.pack("<QQ", 2 * size + 200, 0))
    list(client.batches(number, 2))
    time.sleep(0.2)
    assert steps(log)[2:] == ["batch 0", "batch 1", "batch 2"]
    client.send(Frame.WINDOW, number, struct.pack("<QQ", 1 << 40, 0))
    assert len(list(client.batches(number))) == 7


def test_memory_is_used_again_once_released(client):
    client.open(1, "process.sources:Base", n="200", rows="100000")
    number = client.begin(1, client.plan(1)[0])
    for batch in client.batches(number):
        client.send(Frame.RELEASE, 0, struct.pack("<IQ", 1, batch.slot))
        client.send(Frame.RELEASE, 0, struct.pack("<IQQ", 3, 1 << 50, 0))  # nonsense: ignored
    assert sum(map(len, client.segments.values())) < 160 << 20


def test_memory_is_given_back_between_reads(client):
    client.open(1, "process.sources:Base", n="30", rows="1000000")
    spec = client.plan(1)[0]
    slots = [b.slot for b in client.batches(client.begin(1, spec))]
    held = sum(map(len, client.segments.values()))
    assert held > 200 << 20
    client.send(Frame.RELEASE, 0, struct.pack("<I", len(slots)) + struct.pack(f"<{len(slots)}Q", *slots))
    client.open(2, "process.sources:Base", n="1")
    client.read(2, spec)
    assert sum(map(len, client.segments.values())) <= 100 << 20


def test_stop_ends_a_read_in_its_middle(client, log):
    client.open(1, "process.sources:Steps", log=str(log), n="300", sleep="0.003")
    spec = client.plan(1)[0]
    number = client.begin(1, spec)
    list(client.batches(number, 2))
    client.send(Frame.STOP, number + 1)
    list(client.batches(number, 2))
    client.send(Frame.STOP, number)
    assert len(list(client.batches(number))) < 100
    assert steps(log)[-1] == "finally"
    client.send(Frame.STOP, number)  # too late
    assert xs(client.read(1, spec))[-1] == 299


def test_stop_ends_a_read_that_waits_for_its_window(client, log):
    client.open(1, "process.sources:Steps", log=str(log), n="5")
    number = client.begin(1, client.plan(1)[0], window=1)
    list(client.batches(number, 1))
    client.send(Frame.STOP, number)
    client.ended(number)
    assert steps(log)[-2:] == ["batch 0", "finally"]


def test_requests_may_be_sent_back_to_back(client, log):
    client.open(1, "process.sources:Steps", log=str(log), n="2")
    spec = client.plan(1, plan=5)[0]
    first = client.begin(1, spec, window=1)
    list(client.batches(first, 1))
    # In the middle of a read: kept, in order.
    client.send(Frame.FREE, 5)
    client.send(Frame.CLOSE, 1)
    second = client.begin(1, spec)
    client.send(Frame.STOP, second)
    time.sleep(0.1)
    assert "close" not in steps(log)
    assert "dropped" not in steps(log)
    client.send(Frame.WINDOW, first, struct.pack("<QQ", 1 << 40, 0))
    assert len(list(client.batches(first))) == 1
    client.answer(Frame.CLOSED, 1)
    with pytest.raises(Failed, match="instance 1 is not open"):
        client.ended(second)
    assert steps(log)[-4:] == ["read", "finally", "dropped", "close"]


def test_another_class_than_the_one_that_was_planned_is_not_opened(client, log):
    client.open_as(1, "process.sources:Steps", 0, b"process.sources", "Steps", log=str(log))
    assert client.identity.startswith(str(TESTS / "process" / "sources.py"))
    client.open_as(2, "process.sources:Steps", 0, b"process.sources", "Steps", identity=client.identity, log=str(log))
    with pytest.raises(Failed, match=r"process\.sources:Steps: its file was changed after the query began"):
        client.open_as(
            3, "process.sources:Steps", 0, b"process.sources", "Steps", identity=client.identity + "0", log=str(log)
        )


def test_the_specs_of_a_plan_live_until_it_is_freed(client, log):
    client.open(1, "process.sources:Steps", log=str(log))
    client.plan(1, plan=3)
    client.open(1, "process.sources:Steps")  # open already: only answered
    assert steps(log) == ["infer_schema", "plan_partitions"]
    client.send(Frame.FREE, 3)
    wait_until(lambda: steps(log)[-1] == "dropped")


def test_a_reading_worker_does_not_ask_for_the_schema(client, log):
    assert client.open(1, "process.sources:Steps", infer=False, log=str(log), n="1") is None
    client.read(1, b"\x80\x05}.")
    assert steps(log) == ["batch 0", "read", "finally"]
    client.plan(1)  # may stand on it
    assert steps(log)[-2:] == ["infer_schema", "plan_partitions"]


def test_a_reading_worker_that_converts_asks_for_the_schema(client):
    assert client.open(1, "process.sources:Converted", infer=False, evolve=True) is None
    (batch,) = client.read(1, b"\x80\x05}.", columns=["x"])
    assert batch.schema.field("x").type == pa.int64()


def test_many_specs_go_in_frames_of_some_size(client):
    client.open(1, "process.sources:HugeSpec", size="300000", n="10")
    assert len(client.plan(1)) == 10  # the client checks the frames
    client.open(2, "process.sources:HugeSpec", size="3000000", n="2")
    assert len(client.plan(2)) == 2
    client.open(3, "process.sources:HugeSpec", size="70000000", n="1")
    with pytest.raises(Failed, match=r"plan_partitions returned a spec of 70,000,\d+ bytes, more than 62,914,560"):
        client.plan(3)


def test_prepare_answers_which_interpreter(client):
    number = client.ask(Frame.PREPARE, text(str(Path(__file__))))
    assert client.answer(Frame.PREPARED, number).reader.text() == ""


# ---- errors ----


def in_process(name: str, options: dict[str, str]) -> str:
    try:
        scan = _native.Source(name, options).plan().scan()
        reader = pa.RecordBatchReader.from_stream(scan.partition(1))
        reader.read_all()
    except Exception as e:
        return str(e)
    raise AssertionError


CLASSES = (
    "InitRaises InitNeedsArguments SchemaRaises SchemaIsNone SchemaIsDict PlanRaises PlanIsNone PlanIsString PlanHasInt "
    "ReadRaises ReadIsNone ReadYieldsDict ReadExits NoMethods SecretInError"
)


@pytest.mark.parametrize("name", CLASSES.split())
def test_errors_are_worded_as_in_process(client, name):
    options = {"password": "hunter22"}
    with pytest.raises(Failed) as e:
        client.open(1, f"testsources:{name}", **options)
        spec = client.plan(1)[1]
        client.read(1, spec, at=(1, 2))
    expected = in_process(f"testsources:{name}", options)
    assert str(e.value) in expected
    assert e.value.status == Status.SOURCE
    assert "hunter22" not in str(e.value)


@pytest.mark.parametrize(
    ("name", "options", "status"),
    [
        ("nosuchmodule:X", {}, Status.NOT_FOUND),
        ("testsources:Nope", {}, Status.NOT_FOUND),
        ("no/such/file.py:X", {}, Status.NOT_FOUND),
        ("testsources:Numbers", {"a": "@env:BASCULE_NOT_SET"}, Status.INVALID),
    ],
)
def test_classes_and_options_are_refused_as_in_process(client, name, options, status):
    with pytest.raises(Failed) as e:
        client.open(1, name, **options)
    # The path of the modules is the worker's own, its interpreter the same.
    assert str(e.value) == in_process(name, options)
    assert e.value.status == status
    assert client.open(1, "testsources:Numbers") is not None


def test_a_stream_that_fails_is_worded_as_in_process(client):
    client.open(1, "process.sources:Stream", fails="1", password="hunter22")
    number = client.begin(1, client.plan(1)[0])
    with pytest.raises(
        Failed, match="partition 0 of 1: read_partition yielded an Arrow stream that failed in get_next"
    ) as e:
        list(client.batches(number))
    assert "the stream broke: password=***" in str(e.value)


def test_a_long_error_keeps_its_ends(client, tmp_path):
    file = tmp_path / "long.py"
    file.write_text(
        "from process.sources import Base\n"
        "class Long(Base):\n"
        "    def infer_schema(self, options):\n"
        "        raise RuntimeError('start ' + 'ä' * 20_000 + ' end')\n"
    )
    with pytest.raises(Failed) as e:
        client.open(1, f"{file}:Long")
    assert len(str(e.value).encode()) < 8192
    assert str(e.value).startswith(f"{file}:Long: infer_schema raised RuntimeError: start ä")
    assert str(e.value).endswith("ä end")


def test_a_spec_that_cant_be_pickled_is_named(client):
    client.open(1, "process.sources:Unpicklable")
    with pytest.raises(Failed, match="cannot pickle") as e:
        client.plan(1)
    assert str(e.value) == (
        "process.sources:Unpicklable: plan_partitions returned a spec that can't be pickled (TypeError: cannot pickle "
        "'_thread.lock' object): a spec is a dict of plain values"
    )


def test_a_spec_that_cant_be_unpickled_is_named(client):
    client.open(1, "process.sources:Base")
    with pytest.raises(Failed, match=r"partition 0 of 1: read_partition: its partition spec can't be unpickled"):
        client.read(1, b"\x80\x05cnosuchmodule\nX\n.")


def test_a_memory_limit_is_an_exception(make):
    client = make(memory=700 << 20)
    client.open(1, "process.sources:Hungry")
    with pytest.raises(Failed, match="read_partition raised MemoryError") as e:
        client.read(1, client.plan(1)[0])
    assert e.value.status == Status.NOMEM
    client.open(2, "process.sources:Base")
    assert xs(client.read(2, client.plan(2)[0])) == [0]


def test_what_it_prints_is_not_in_the_conversation(client):
    client.open(1, "process.sources:Prints")
    assert client.close() == "infer says hello\nso does write\nand so does stderr\n"


def test_a_crash_leaves_a_trace(client):
    client.open(1, "process.sources:Crashes")
    number = client.begin(1, client.plan(1)[0])
    with pytest.raises((EOFError, ConnectionResetError)):
        list(client.batches(number))
    assert client.process.wait(5) == -signal.SIGSEGV
    trace = os.pread(client.crash, 1 << 16, 0).decode()
    assert "Segmentation fault" in trace
    assert "in fall" in trace
    assert "in read_partition" in trace


@pytest.mark.parametrize(
    "garbage", [b"\xff" * 64, struct.pack("<IHHQ", 0, 99, 0, 1), struct.pack("<IHHQ", 0, Frame.END, 0, 1)]
)
def test_garbage_ends_it(client, garbage):
    client.socket.sendall(garbage)
    assert client.gone_within(2)


def test_a_request_that_is_cut_short_fails(client):
    number = client.ask(Frame.OPEN, b"\1\2\3")
    with pytest.raises(Failed):
        client.answer(Frame.OPENED, number)
    assert client.open(1, "testsources:Numbers") is not None


# ---- interrupts ----


@pytest.mark.parametrize("busy", ["sleeping", "waiting for its window", "in a stream"])
def test_an_interrupt_cancels_a_read(client, log, busy):
    if busy == "in a stream":
        client.open(1, "process.sources:Stream", n="1000000000")
        number = client.begin(1, client.plan(1)[0])
    else:
        client.open(1, "process.sources:Steps", log=str(log), n="2", sleep="60" if busy == "sleeping" else "0")
        number = client.begin(1, client.plan(1)[0], window=1)
    list(client.batches(number, 1))
    if busy == "sleeping":
        client.send(Frame.WINDOW, number, struct.pack("<QQ", 1 << 40, 0))
    time.sleep(0.1)
    began = time.monotonic()
    client.process.send_signal(signal.SIGINT)
    with pytest.raises(Failed, match="partition 0 of 1: read_partition") as e:
        list(client.batches(number))
    assert e.value.status == Status.CANCELLED
    assert time.monotonic() - began < 2
    if busy != "in a stream":
        assert steps(log)[-1] == "finally"
    client.open(2, "testsources:Numbers")
    assert len(client.plan(2)) == 3


def test_an_interrupt_between_requests_is_ignored(client):
    client.open(1, "testsources:Numbers")
    for _ in range(50):
        client.process.send_signal(signal.SIGINT)
        spec = client.plan(1)[0] if _ == 0 else spec  # noqa: F821
        time.sleep(0.002)
    assert len(client.read(1, spec)) == 2
    client.socket.close()
    assert client.process.wait(5) == 0


# ---- its end ----


def test_it_closes_what_is_open_and_exits_when_the_host_is_gone(client, log):
    client.open(1, "process.sources:Steps", log=str(log))
    client.open(2, "process.sources:Threads")
    client.socket.close()
    assert client.gone_within(2)
    assert client.process.returncode == 0
    assert steps(log) == ["infer_schema", "close"]


def test_it_quits(client, log):
    client.open(1, "process.sources:Steps", log=str(log), n="100000")
    number = client.begin(1, client.plan(1)[0])
    list(client.batches(number, 1))
    client.send(Frame.QUIT, 0)
    assert len(list(client.batches(number))) < 90000
    assert client.gone_within(2)
    assert client.process.returncode == 0
    assert steps(log)[-2:] == ["finally", "close"]


@pytest.mark.parametrize("how", ["python", "caught", "gil", "sleep"])
def test_it_ends_with_its_host_whatever_it_does(client, how):
    client.open(1, "process.sources:Stuck", how=how)
    number = client.begin(1, client.plan(1)[0])
    list(client.batches(number, 1))
    time.sleep(0.1)
    client.socket.close()
    assert client.gone_within(2)


def test_its_children_do_not_keep_the_socket(client):
    client.open(1, "process.sources:Forks")
    (batch,) = client.read(1, client.plan(1)[0])
    child = batch["x"][0].as_py()
    try:
        client.process.kill()
        with pytest.raises((EOFError, ConnectionResetError)):
            client.receive(timeout=2)
    finally:
        os.kill(child, signal.SIGKILL)


# ---- code that changes ----

SOURCE = """
import pyarrow as pa
from process.sources import Base
{imports}
class One(Base):
    def infer_schema(self, options):
        return pa.schema([({name}, pa.int64())])
"""


@pytest.mark.parametrize("how", ["module", "file"])
def test_changed_code_is_loaded_again(make, tmp_path, how):
    client = make(path=[str(tmp_path), str(Path(__file__).parents[1]), *sys.path])
    file, name = tmp_path / "changing.py", "changing:One" if how == "module" else f"{tmp_path}/changing.py:One"
    file.write_text(SOURCE.format(name="'a'", imports=""))
    assert client.open(1, name).names == ["a"]
    file.write_text(SOURCE.format(name="'a longer name'", imports=""))
    assert client.open(2, name).names == ["a longer name"]
    (tmp_path / "helper.py").write_text("NAME = 'first'\n")
    file.write_text(SOURCE.format(name="NAME", imports="from helper import NAME"))
    assert client.open(3, name).names == ["first"]
    (tmp_path / "helper.py").write_text("NAME = 'the second'\n")
    assert client.open(4, name).names == ["the second"]
    # What is open goes on as it is.
    assert client.open(1, name).names == ["a"]


def test_code_that_is_the_same_is_not_loaded_again(make, tmp_path):
    client = make(path=[str(tmp_path), str(Path(__file__).parents[1]), *sys.path])
    (tmp_path / "counted.py").write_text("print('loaded')\n" + SOURCE.format(name="'a'", imports=""))
    old = time.time() - 10
    os.utime(tmp_path / "counted.py", (old, old))
    for i in range(3):
        client.open(i, "counted:One")
    assert client.close() == "loaded\n"


# ---- classes by value ----


def test_a_class_goes_by_value_where_only_the_host_knows_it(client, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        "import pyarrow as pa\n"
        "from bascule import _identity\n"
        "NAMES = ['mine']\n"
        "class Spec:\n"
        "    pass\n"
        "class Mine:\n"
        "    def infer_schema(self, options):\n"
        "        return pa.schema([(n, pa.int64()) for n in NAMES])\n"
        "    def plan_partitions(self, options):\n"
        "        return [{'of my own': Spec()}]\n"
        "    def read_partition(self, partition_spec, options):\n"
        "        assert isinstance(partition_spec['of my own'], Spec)\n"
        "        yield pa.record_batch([[7]], names=NAMES)\n"
        "pickle, number = _identity.ship(0, '__main__', 'Mine')\n"
        "assert _identity.ship(0, '__main__', 'Mine') == (pickle, number)\n"
        "NAMES.append('changed')\n"
        "assert _identity.ship(0, '__main__', 'Mine')[1] != number\n"
        "sys.stdout.buffer.write(pickle)\n"
    )
    pickle = subprocess.check_output([sys.executable, program])
    assert client.open_as(1, "__main__:Mine", 3, pickle, "Mine").names == ["mine"]
    (batch,) = client.read(1, client.plan(1)[0])
    assert batch.to_pydict() == {"mine": [7]}
    client.open_as(2, "__main__:Mine", 3, pickle, "Mine", infer=False)


def test_a_class_that_can_be_imported_goes_by_name():
    importlib.import_module("bascule.sources.jdbc")  # one that is not imported is for the worker to import

    pickle, number = _identity.ship(0, "bascule.sources.jdbc", "JDBCArrowDataSource")
    assert pickle is None
    assert number > 0
    assert _identity.ship(0, "bascule.sources.jdbc", "JDBCArrowDataSource") == (None, number)
    assert _identity.ship(2, "", "jdbc") == (None, number)
    assert _identity.ship(0, "not.imported", "Class") == (None, 0)


def test_a_class_is_another_once_a_method_is(monkeypatch):
    import testsources

    _, number = _identity.ship(0, "testsources", "Good")
    monkeypatch.setattr(testsources.Good, "plan_partitions", lambda self, options: [])
    assert _identity.ship(0, "testsources", "Good")[1] != number


def test_a_module_that_no_finder_knows_goes_by_value(client, monkeypatch):
    from types import ModuleType

    module = ModuleType("made_up")
    exec(  # the way of a module that was typed in
        "import pyarrow as pa\n"
        "def names(): return ['a']\n"
        "class Typed:\n"
        "    def infer_schema(self, options): return pa.schema([(n, pa.int64()) for n in names()])\n"
        "    def plan_partitions(self, options): return []\n"
        "    def read_partition(self, partition_spec, options): yield\n",
        vars(module),
    )
    monkeypatch.setitem(sys.modules, "made_up", module)
    pickle, _ = _identity.ship(0, "made_up", "Typed")
    assert client.open_as(1, "made_up:Typed", 3, pickle, "Typed").names == ["a"]


def test_a_class_that_cant_go_says_why(monkeypatch):
    import threading
    from types import ModuleType

    module = ModuleType("made_up")
    vars(module)["lock"] = threading.Lock()
    exec("class Locked:\n    def infer_schema(self, options): return lock\n", vars(module))
    monkeypatch.setitem(sys.modules, "made_up", module)
    with pytest.raises(bascule.BasculeError) as e:
        _identity.ship(0, "made_up", "Locked")
    assert "the global 'lock', which infer_schema uses, (a lock) can't be pickled (TypeError: cannot pickle" in str(
        e.value
    )
    assert "bascule_executor = 'inprocess'" in str(e.value)
