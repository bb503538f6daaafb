"""Does a class implement the contract? Needs no engine.

:func:`run` reads a class as engines do, several times, and says in words what it got wrong. The
same checks are the command ``bascule check`` and, for the tests of a package that offers sources,
``bascule.testing``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType

from bascule.check import _facts, _manners, _pushdown, _reading, _shape, _streaming
from bascule.check._base import Broken, Check, Findings, Limits, Result, Skip, Status, hushed
from bascule.check._interface import interface
from bascule.check._subject import CORE_ERRORS, Subject
from bascule.check._usage import Example, usage
from bascule.options import is_secret_name

__all__ = ["CHECKS", "Check", "Checkup", "Example", "Limits", "Report", "Result", "interface", "run", "usage"]

CHECKS: dict[str, Check] = {
    check.id: check for module in (_shape, _reading, _facts, _pushdown, _streaming, _manners) for check in module.CHECKS
}
"""All checks by their id, in the order in which they are told."""


@dataclass(frozen=True)
class Report:
    """What the checks found of one class, by ``label``: ``pkg.mod:Class``."""

    label: str
    results: tuple[Result, ...]

    @property
    def ok(self) -> bool:
        """True if none failed."""
        return not any(result.status == "failed" for result in self.results)

    def count(self, status: Status) -> int:
        return sum(result.status == status for result in self.results)


class Checkup:
    """The checks of one class, each run when it is asked for, and once.

    Args:
        source: what ``python('…')`` takes, or the class itself.
        options: what the class is given, strings by name; the bridge's settings may be among them.
        limits: how far it is read.

    Example:
        >>> class Empty:
        ...     def infer_schema(self, options):
        ...         return None
        ...     def plan_partitions(self, options):
        ...         return []
        ...     def read_partition(self, partition_spec, options):
        ...         return []
        >>> with Checkup(Empty) as checkup:
        ...     result = checkup.result("schema")
        >>> result.status, result.reasons[0].partition(": ")[2]
        ('failed', 'infer_schema returned None, expected a pyarrow.Schema')
    """

    def __init__(
        self, source: str | type, options: Mapping[str, str] | None = None, limits: Limits | None = None
    ) -> None:
        self.subject: Subject = Subject(source, options or {}, limits or Limits())
        self._results: dict[str, Result] = {}

    def result(self, id: str) -> Result:
        """What one check finds; those that it needs run before."""
        if id not in self._results:
            self._results[id] = self._run(CHECKS[id])
        return self._results[id]

    @property
    def label(self) -> str:
        """``pkg.mod:Class``, for messages."""
        return self.subject.label

    def usage(self) -> list[Example]:
        """How this class is read in each engine, with its options."""
        known = self.result("found").status == "ok"
        return usage(self.label, self.subject.given, self.subject.is_secret if known else is_secret_name)

    def results(self) -> Iterator[Result]:
        """What all find, one after the other."""
        return map(self.result, CHECKS)

    def _run(self, check: Check) -> Result:
        for need in check.needs:
            before = self.result(need)
            if before.status == "failed":
                return Result(check.id, check.proves, "skipped", (f"it needs '{need}', which failed",))
            if before.status == "skipped":
                return Result(check.id, check.proves, "skipped", before.reasons)
        findings = Findings()
        try:
            with hushed():
                check.run(self.subject, findings)
        except Skip as e:
            return Result(check.id, check.proves, "skipped", (str(e),), tuple(findings.notes))
        except Broken as e:
            findings.failures.append(str(e))
        except CORE_ERRORS as e:
            findings.failures.append(self.subject.shown(str(e)))
        reasons = (*findings.failures, *findings.warnings)
        status: Status = "failed" if findings.failures else "warning" if findings.warnings else "ok"
        return Result(check.id, check.proves, status, reasons, tuple(findings.notes))

    def close(self) -> None:
        """Closes the instances of the class."""
        with hushed():
            self.subject.close()

    def __enter__(self) -> Checkup:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def run(source: str | type, options: Mapping[str, str] | None = None, limits: Limits | None = None) -> Report:
    """Runs all checks of a class; the arguments are those of :class:`Checkup`."""
    with Checkup(source, options, limits) as checkup:
        return Report(checkup.label, tuple(checkup.results()))
