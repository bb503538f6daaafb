"""What a worker process does for its host: requests, one after the other, on its main thread."""

from __future__ import annotations

import dataclasses
import faulthandler
import logging
import os
import resource
import signal
import struct
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from bascule import _fresh, _identity, _instance, _native, _offsets, _specs
from bascule._hints import Hints
from bascule._instance import Found, Instance, Plan
from bascule._wire import Frame, Reader, Status, text, texts
from bascule.errors import BasculeError, MismatchError, OptionError, SourceNotFoundError, describe

#: Kind of a class in OPEN, beside ``enum bsc_locator_kind``.
_PICKLED = 3
#: What faulthandler writes to.
_CRASH_FILE = 4
#: Specs of one frame, in bytes, if it is not one alone.
_SPECS_BYTES = 1 << 20

_log = logging.getLogger("bascule")

#: Sends a request's answer: what is left to do once it can't be interrupted any more.
_Answer = Callable[[], None]


def serve(fd: int) -> None:
    """Serves the host at the other end of socket ``fd``, until it is gone or has enough. Ends the process."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    worker = _Worker(_native.Serving(fd))
    signal.signal(signal.SIGINT, worker.interrupt)
    _fresh.begin()
    try:
        worker.run()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        # Nothing that a class left behind keeps the process: no thread, no exit handler.
        os._exit(0)


class _Open:
    """An instance as it is open here."""

    def __init__(self, found: Found, instance: Instance, identity: str) -> None:
        self.found = found
        self.instance = instance
        self.identity = identity
        self.schema: object = None  # once it was asked


class _Worker:
    def __init__(self, serving: _native.Serving) -> None:
        self._serving = serving
        self._open: dict[int, _Open] = {}
        self._plans: dict[int, list[dict[str, Any]]] = {}
        self._last_hints = Hints()
        self._busy = self._interrupted = False
        self._directory = ""
        self._environment: dict[bytes, bytes] = {}  # the host's
        self._own_path: list[str] | None = None  # what the interpreter itself brings
        self._memory = 0  # its limit in bytes; 0: none
        # Of the request in hand, for messages: what is being done to what, and what to mask.
        self._attempt = ""
        self._instance: Instance | None = None
        self._requests: dict[int, Callable[[int, Reader], _Answer]] = {
            Frame.PREPARE: self._prepare,
            Frame.OPEN: self._open_instance,
            Frame.PLAN: self._plan,
            Frame.READ: self._read,
            Frame.STATISTICS: self._statistics,
            Frame.CLAIM: self._claim,
            Frame.OFFSET: self._offset,
        }

    def interrupt(self, signum: int, frame: FrameType | None) -> None:
        """SIGINT: the host does not want the request any more. Between two of them it comes too late."""
        if self._busy:
            self._interrupted = True
            raise KeyboardInterrupt

    def run(self) -> None:
        """Does requests until there are no more, and closes what is open."""
        while (received := self._serving.receive()) is not None:
            kind, number, payload = received
            if kind in self._requests:
                self._request(self._requests[kind], number, payload)
            elif kind == Frame.SETUP:
                self._set_up(Reader(payload))
            elif kind == Frame.CLOSE:
                self._close(number)
                self._serving.answer(Frame.CLOSED, number, b"")
            elif kind == Frame.FREE:
                self._plans.pop(number, None)
            else:
                _log.warning("bascule: the host sent a frame of type %d, which this worker doesn't know", kind)
                break
        for number in list(self._open):
            self._close(number)

    def _request(self, do: Callable[[int, Reader], _Answer], number: int, payload: bytes) -> None:
        self._attempt, self._instance, self._interrupted = "the host's request", None, False
        self._go_back()
        try:
            try:
                self._busy = True
                answer = do(number, Reader(payload))
            finally:
                self._busy = False
            answer()
        except BaseException as e:
            secrets: list[str] = self._instance.secrets if self._instance else []
            self._serving.fail(number, self._status(e), self._described(e, secrets))
        self._instance = None

    def _described(self, error: BaseException, secrets: list[str]) -> str:
        words = describe(error, self._attempt, secrets)
        if self._memory and isinstance(error, MemoryError):
            first, end, rest = words.partition("\n")
            words = f"{first} (its worker process has bascule_worker_memory = {self._memory:,} bytes){end}{rest}"
        return words

    def _status(self, error: BaseException) -> int:
        """As an executor in C says it; ``_status`` is of errors that began as one."""
        if self._interrupted or isinstance(error, KeyboardInterrupt):
            return Status.CANCELLED
        known = getattr(error, "_status", None)
        if isinstance(known, int):
            return known
        for kind, status in (
            (SourceNotFoundError, Status.NOT_FOUND),
            (OptionError, Status.INVALID),
            (MismatchError, Status.MISMATCH),
            (MemoryError, Status.NOMEM),
        ):
            if isinstance(error, kind):
                return status
        return Status.SOURCE

    # ---- what has no answer ----

    def _set_up(self, reader: Reader) -> None:
        directory, path = (
            os.fsdecode(reader.data()),
            [os.fsdecode(reader.data()) for _ in range(reader.numbers("I")[0])],
        )
        environment = None
        if reader.numbers("B")[0]:
            environment = [reader.data() for _ in range(reader.numbers("I")[0])]
        memory, has_crash_file = reader.numbers("QB")
        if has_crash_file:
            os.set_inheritable(_CRASH_FILE, False)
            faulthandler.enable(file=_CRASH_FILE)
        self._directory = directory
        self._go_back()
        # Without -P, `python -m` put the directory there in which the worker was started.
        if self._own_path is None:
            self._own_path = list(sys.path if sys.flags.safe_path else sys.path[1:])
        path = path or [str(directory)]
        sys.path[:] = path + [entry for entry in self._own_path if entry not in path]
        if environment is not None:
            self._follow({name: value for name, _, value in (entry.partition(b"=") for entry in environment)})
        if memory:
            _, most = resource.getrlimit(resource.RLIMIT_DATA)
            limit = memory if most == resource.RLIM_INFINITY else min(memory, most)
            resource.setrlimit(resource.RLIMIT_DATA, (limit, most))
            self._memory = limit

    def _follow(self, environment: dict[bytes, bytes]) -> None:
        """Changes of the host's environment are ours; what was set here stays."""
        for name in self._environment.keys() - environment.keys():
            os.environb.pop(name, None)
        for name, value in environment.items():
            if self._environment.get(name) != value:
                os.environb[name] = value
        self._environment = environment

    def _go_back(self) -> None:
        """What a class changed for the whole process is the next one's no more: directory, and who is interrupted."""
        try:
            if self._directory and os.getcwd() != self._directory:  # noqa: PTH109
                os.chdir(self._directory)
        except OSError as e:
            _log.warning("bascule: a worker process can't work in the directory %s: %s", self._directory, e.strerror)
        if signal.getsignal(signal.SIGINT) != self.interrupt:
            signal.signal(signal.SIGINT, self.interrupt)

    def _close(self, number: int) -> None:
        closed = self._open.pop(number, None)
        if closed is not None:
            closed.instance.close()
            _instance.release(closed.found)

    # ---- requests ----

    def _prepare(self, number: int, reader: Reader) -> _Answer:
        path = reader.text()
        self._attempt = f"finding {path}"
        from bascule import _environment

        interpreter = _environment.interpreter_for(path)
        return lambda: self._serving.answer(Frame.PREPARED, number, text(interpreter or ""))

    def _open_instance(self, number: int, reader: Reader) -> _Answer:
        key, infer, evolve = reader.numbers("QBB")
        label = reader.text()
        (kind,) = reader.numbers("B")
        module, name = reader.data(), reader.text()
        pairs = [(reader.text(), reader.text()) for _ in range(reader.numbers("I")[0])]
        ttl_ms, epoch = reader.numbers("QQ")
        wanted = reader.text()
        if key not in self._open:
            cache = (ttl_ms / 1000, epoch)
            self._open[key] = self._made(label, kind, module, name, pairs, bool(evolve), bool(infer), wanted, cache)
        opened = self._open[key]
        self._instance = opened.instance
        if infer:
            self._infer(opened)
        self._attempt = f"{label}: infer_schema"  # the schema is exported
        has_statistics = opened.instance.has_statistics()
        return lambda: self._serving.opened(number, opened.schema if infer else None, opened.identity, has_statistics)

    def _made(
        self,
        label: str,
        kind: int,
        module: bytes,
        name: str,
        pairs: list[tuple[str, str]],
        evolve: bool,
        infer: bool,
        wanted: str,
        cache: tuple[float, int],
    ) -> _Open:
        _fresh.refresh()
        if kind == _PICKLED:
            self._attempt = f"finding {label}"
            found = _instance.keep(_identity.shipped(module))
        else:
            where = module.decode("utf-8", "replace")
            self._attempt = f"finding {where[:200]}{':' if where else ''}{name[:200]}"
            found = _instance.resolve(kind, where, name)
        _fresh.note()
        self._attempt = label
        opened = None
        try:
            identity = "" if kind == _PICKLED else _fresh.identity(found.cls)
            if wanted and identity != wanted:
                raise BasculeError(
                    "its file was changed after the query began, and a worker process that joins it now has the new one: "
                    "run the query again"
                )
            opened = _Open(found, Instance(found, label, pairs, evolve, *cache), identity)
            self._instance = opened.instance
            try:
                opened.instance.make()
            finally:
                self._attempt = f"{label}: {opened.instance.step}" if opened.instance.step else label
            if infer:
                self._infer(opened)
        except BaseException:
            if opened is not None:
                opened.instance.close()
            _instance.release(found)
            raise
        return opened

    def _infer(self, opened: _Open) -> None:
        if not opened.instance.inferred:
            self._attempt = f"{opened.instance.label}: infer_schema"
            opened.schema = opened.instance.infer()

    def _opened(self, key: int) -> _Open:
        opened = self._open.get(key)
        if opened is None:
            raise BasculeError(f"instance {key} is not open in this worker process")
        self._instance = opened.instance
        return opened

    def _hints(self, reader: Reader) -> Hints:
        """What a query asks for: the same again for each of its partitions."""
        hints = Hints(reader.columns(), reader.data(), reader.optional("q"))
        if hints != self._last_hints:
            self._last_hints = hints
        return self._last_hints

    def _statistics(self, number: int, reader: Reader) -> _Answer:
        (key,) = reader.numbers("Q")
        opened = self._opened(key)
        self._infer(opened)
        self._attempt = f"{opened.instance.label}: statistics"
        found = opened.instance.statistics()
        payload = struct.pack("<BqqB", found is not None, *(found or (-1, -1, False)))
        return lambda: self._serving.answer(Frame.COUNTED, number, payload)

    def _claim(self, number: int, reader: Reader) -> _Answer:
        (key,) = reader.numbers("Q")
        opened = self._opened(key)
        self._infer(opened)
        self._attempt = f"{opened.instance.label}: push_filters"
        claimed = opened.instance.claim(reader.data())
        payload = struct.pack("<I", len(claimed)) + bytes(claimed)
        return lambda: self._serving.answer(Frame.CLAIMED, number, payload)

    def _offset(self, number: int, reader: Reader) -> _Answer:
        key, question = reader.numbers("QB")
        opened = self._opened(key)
        self._infer(opened)
        method = _offsets.METHODS[_offsets.Question(question)]
        self._attempt = f"{opened.instance.label}: {method}"
        offset = opened.instance.offset(method, reader.text(), reader.text())
        return lambda: self._serving.answer(Frame.LOCATED, number, text(offset))

    def _plan(self, number: int, reader: Reader) -> _Answer:
        key, kept = reader.numbers("QQ")
        asked, start, end, (portable,) = self._hints(reader), reader.text(), reader.text(), reader.numbers("B")
        hints = dataclasses.replace(asked, start=start, end=end, portable=bool(portable))
        opened = self._opened(key)
        self._infer(opened)  # the plan may stand on what it found
        self._attempt = f"{opened.instance.label}: plan_partitions"
        begun = time.perf_counter_ns()
        plan = opened.instance.plan(hints)
        self._serving.spent(time.perf_counter_ns() - begun)
        pickles = [_specs.dump(spec) for spec in plan.specs]
        # They may hold what ends with them: a session, a lock.
        self._plans[kept] = plan.specs
        return lambda: self._planned(number, plan, pickles)

    def _planned(self, number: int, plan: Plan, pickles: list[bytes]) -> None:
        rows = plan.rows or [-1] * len(pickles)
        together: list[bytes] = []
        n_bytes = first = 0

        def send() -> None:
            counts = rows[first : first + len(together)]
            payload = texts(together) + struct.pack(f"<{len(counts)}q", *counts)
            self._serving.answer(Frame.SPECS, number, payload)

        for i, pickle in enumerate(pickles):
            if together and n_bytes + len(pickle) > _SPECS_BYTES:
                send()
                together, n_bytes, first = [], 0, i
            together.append(pickle)
            n_bytes += len(pickle)
        if together:
            send()
        payload = struct.pack("<qqB", len(pickles), plan.n_pruned, plan.rows is not None) + text(plan.pushed)
        self._serving.answer(Frame.PLANNED, number, payload)

    def _read(self, number: int, reader: Reader) -> _Answer:
        key, partition, n_partitions, window = reader.numbers("QqqQ")
        hints = self._hints(reader)
        opened = self._opened(key)
        instance = opened.instance
        if instance.evolve:
            self._infer(opened)
        self._attempt = f"{instance.label}, partition {partition} of {n_partitions}: read_partition"
        begun = time.perf_counter_ns()
        items = instance.read(_specs.load(reader.data()), hints)
        self._serving.spent(time.perf_counter_ns() - begun)
        try:
            self._serving.stream(number, window, items, hints.columns)
        finally:
            instance.end(items)
        return lambda: self._serving.answer(Frame.END, number, b"")
