"""What the tests of types share."""

from __future__ import annotations

import pyarrow as pa
import pytest

from arrays import Registered


@pytest.fixture(autouse=True)
def _registered():
    pa.register_extension_type(Registered())
    yield
    pa.unregister_extension_type("acme.registered")
