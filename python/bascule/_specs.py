"""Partition specs as bytes, from the worker that planned them to the one that reads them."""

from __future__ import annotations

import pickle
from typing import Any

from bascule.errors import BasculeError, ContractError

#: What a spec may have, so that a request which holds it is within what can be sent.
MAX_BYTES = (64 << 20) - (4 << 20)


def dump(spec: dict[str, Any]) -> bytes:
    """A spec's pickle.

    Raises:
        ContractError: it can't be pickled.
    """
    try:
        try:
            data = pickle.dumps(spec, protocol=5)
        except Exception:
            # It may hold objects of classes that came by value themselves.
            import cloudpickle

            data = cloudpickle.dumps(spec, protocol=5)
    except Exception as e:
        raise ContractError(
            f"returned a spec that can't be pickled ({type(e).__name__}: {e}): a spec is a dict of plain values"
        ) from None
    if len(data) > MAX_BYTES:
        raise ContractError(
            f"returned a spec of {len(data):,} bytes, more than {MAX_BYTES:,}: a spec says what to read, not what was read"
        )
    return data


def load(data: bytes) -> dict[str, Any]:
    """The spec again.

    Raises:
        BasculeError: what it is of can't be imported here.
    """
    try:
        return pickle.loads(data)  # type: ignore[no-any-return]
    except Exception as e:
        raise BasculeError(
            f"its partition spec can't be unpickled in the process that is to read it ({type(e).__name__}: {e}): a "
            "spec is a dict of plain values"
        ) from e
