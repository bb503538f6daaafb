"""The checks of ``bascule check`` as a pytest suite, for the tests of a package that offers sources.

.. code-block:: python

    from bascule.testing import SourceSuite


    class TestOrders(SourceSuite):
        source = "acme.sources:Orders"  # or the class itself
        options = {"region": "eu"}

One test for each check, by its id: ``test_batches``, ``test_threads``. A failure's message is what the
check says, a warning is a :class:`CheckWarning`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from bascule.check import CHECKS, Check, Checkup, Limits
from bascule.errors import BasculeError

try:
    import pytest
except ModuleNotFoundError as _e:
    raise BasculeError("bascule.testing needs pytest, which is not installed: pip install pytest") from _e

__all__ = ["CheckWarning", "Limits", "SourceSuite"]


class CheckWarning(UserWarning):
    """What a check warns of: allowed, but rarely meant."""


class SourceSuite:
    """The checks of one class. Subclass it under a name that begins with ``Test``.

    Attributes:
        source: what ``python('…')`` takes, or the class itself.
        options: what the class is given, strings by name.
        limits: how far it is read.
    """

    source: ClassVar[str | type]
    options: ClassVar[Mapping[str, str]] = {}
    limits: ClassVar[Limits] = Limits()

    _checkup: ClassVar[Checkup]

    @classmethod
    def setup_class(cls) -> None:
        """Begins a checkup for the tests of one class."""
        if not hasattr(cls, "source"):
            raise BasculeError(
                f"{cls.__qualname__} names no source: write source = 'pkg.mod:Class', or the class itself"
            )
        cls._checkup = Checkup(cls.source, cls.options, cls.limits)

    @classmethod
    def teardown_class(cls) -> None:
        """Closes it."""
        cls._checkup.close()


def _test(check: Check) -> Callable[[Any], None]:
    def test(self: Any) -> None:
        __tracebackhide__ = True
        result = self._checkup.result(check.id)
        if result.status == "skipped":
            pytest.skip(result.reasons[0])
        if result.status == "failed":
            pytest.fail(f"{check.id}: {check.proves}\n" + "\n".join(result.reasons), pytrace=False)
        for reason in result.reasons:
            warnings.warn(f"{check.id}: {reason}", CheckWarning, stacklevel=1)

    test.__name__ = f"test_{check.id}"
    test.__qualname__ = f"SourceSuite.{test.__name__}"
    test.__doc__ = check.proves
    return test


for _check in CHECKS.values():
    setattr(SourceSuite, f"test_{_check.id}", _test(_check))
