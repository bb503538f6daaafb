"""The C core for Python, without any engine (python/bascule/_native/)."""

from collections.abc import Iterator, Mapping, Sequence

duckdb_version: str
"""The DuckDB version that the adapter in this build works with."""
setting_names: tuple[str, ...]
"""The bridge's settings: options that the core reads itself."""

class Source:
    """A class by name and its options, open: its schema is known.

    Args:
        name: ``pkg.mod:Class``, ``path/to/file.py:Class``, a short name, or "" where the options
            ``python_module`` and ``python_class`` name the class.
        options: strings by name, bridge settings among them.

    Raises:
        SourceNotFoundError, OptionError, BasculeError
    """

    def __new__(cls, name: str, options: Mapping[str, str] | None = None) -> Source: ...
    @property
    def label(self) -> str: ...
    def plan(
        self,
        columns: Sequence[str | int] | None = None,
        filters: bytes | None = None,
        limit: int | None = None,
        specs: list[bytes] = ...,
        start: str | None = None,
        end: str | None = None,
        portable: bool = False,
    ) -> Plan:
        """Asks the class for its partitions.

        Args:
            columns: names or numbers, in order; None: all.
            filters: hints, as ``bascule.filters._wire.dump`` writes them: batches may hold other rows.
            limit: the most rows that one partition hands over; asked of a class only where it applies all filters exactly.
            specs: partitions of another plan for the same columns and filters, by :meth:`Plan.spec`: the class isn't asked.
            start, end: offsets of a micro-batch, as :meth:`offset` gives them.
            portable: its specs are for other processes, where this plan's session is gone.
        """
    def claim(self, filters: bytes, n: int) -> list[bool]:
        """Which of the ``n`` predicates every read applies exactly (``push_filters``)."""
    def offset(self, question: int, start: str | None = None, end: str | None = None) -> str:
        """What ``bascule._offsets.Question`` says, as JSON; "" for the one without an answer.

        Args:
            start, end: of a micro-batch; None: of none.

        Raises:
            BasculeError: the class has no such method.
        """
    def statistics(self) -> tuple[int, int, bool]:
        """Rows and bytes, -1 for unknown, and whether the rows are exact."""
    def __arrow_c_schema__(self) -> object: ...

class Plan:
    """The partitions for one request."""

    @property
    def partition_count(self) -> int: ...
    @property
    def concurrency(self) -> int:
        """How many partitions can be read at the same time."""
    @property
    def row_count(self) -> int | None:
        """The exact number of rows of all partitions; None where it isn't known, or predicates were asked."""
    @property
    def pushed(self) -> str:
        """What of the predicates the class was told, for people."""
    def spec(self, i: int) -> bytes:
        """Partition ``i`` for another process, which plans with it: ``plan(specs=[...])``."""
    def scan(self) -> Scan:
        """One execution; a plan may be executed any number of times."""
    def __arrow_c_schema__(self) -> object: ...

class Scan:
    """One execution of a plan."""

    @property
    def number(self) -> int:
        """Its number in :func:`scans` and :func:`timeline`."""
    @property
    def progress(self) -> float:
        """What part is read, in [0, 1]: of the rows, where they are known, else of the partitions."""
    def partition(self, i: int) -> Partition:
        """Partition ``i``, unread; each stream taken of it reads it anew."""
    def metrics(self) -> tuple[object, object]:
        """What it did so far: its row of :func:`scans`."""
    def cancel(self) -> None:
        """Every read of this scan ends with an error."""
    def finish(self) -> None:
        """The same, for one that has all that it wants: the scan has ended early then, and wasn't cancelled."""

class Partition:
    """One partition: an Arrow stream of its batches, checked and trimmed to the plan's columns."""

    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

def parse_locator(text: str) -> tuple[int, str, str]:
    """What ``text`` names: kind (0 module, 1 file, 2 short name), module or path, class or short name.

    Raises:
        OptionError: it is none of the forms.
    """

def register_duckdb(library_path: str) -> None:
    """Registers the adapter with the DuckDB in ``library_path``, for databases opened from now on."""

def close_gate(timeout_ms: int = 10_000) -> int:
    """Lets no thread enter Python any more and waits for those inside. How many are left. Runs at exit."""

def clear_cache() -> None:
    """What was kept of sources is forgotten when the next one is opened, in workers too."""

def scans() -> tuple[object, object]:
    """The scans of this process, as ``__arrow_c_array__`` gives a record batch."""

def timeline(scan: int) -> tuple[object, object]:
    """When the batches of a scan were pulled, by its number: docs/metrics.md."""

def forget_scans() -> None:
    """Forgets the scans that have ended."""

def report_metric(name: str, value: float) -> bool:
    """Adds to a count of the scan that runs on this thread. False: there is none, or it has too many."""

class Serving:
    """The worker's end of the conversation with a host (src/process/wire.h), over a socket.

    Args:
        fd: the socket, which it owns from now on. The process ends one second after its other end is gone.
    """

    def __new__(cls, fd: int) -> Serving: ...
    def receive(self) -> tuple[int, int, bytes] | None:
        """Waits for the next request, SETUP, CLOSE or FREE: type, number, payload. None: there is no more to do."""
    def answer(self, type: int, number: int, payload: bytes) -> None:
        """Sends a frame. That the host is gone is no error: :meth:`receive` says it."""
    def opened(self, number: int, schema: object | None, identity: str, statistics: bool) -> None:
        """Sends OPENED. ``schema``: anything with ``__arrow_c_schema__``."""
    def spent(self, ns: int) -> None:
        """Time in the class, of the request that lasts."""
    def fail(self, number: int, status: int, text: str) -> None:
        """Sends FAILED, of a long text head and tail."""
    def stream(self, number: int, window: int, items: Iterator[object], columns: tuple[str, ...] | None) -> None:
        """Sends what ``items`` yields as batches of READ ``number``, to its end or until the host doesn't want more.

        Args:
            window: bytes that the host takes for a start.
            columns: those that are sent; None: all.

        Raises:
            MismatchError: what was yielded is no record batch, or breaks the C Data Interface.
            Whatever ``items`` raises.
        """
