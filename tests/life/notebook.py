"""A notebook: cells that run in a kernel, as the fixture ``kernel`` starts it."""

from __future__ import annotations

import textwrap
import time
from typing import Any

#: Far beyond what an interrupt may take, far below the minute that an interrupted source would.
PROMPT_S = 15


def run_cell(client: Any, code: str, when_ready: Any = None) -> tuple[str, dict[str, Any] | None]:
    """What a cell prints, and its error."""
    sent = client.execute(textwrap.dedent(code))
    printed, error = "", None
    while True:
        message = client.get_iopub_msg(timeout=PROMPT_S)
        if message["parent_header"].get("msg_id") != sent:
            continue
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            printed += content["text"]
            if when_ready and "READY" in printed:
                time.sleep(0.2)
                when_ready()
                when_ready = None
        elif kind == "error":
            error = content
        elif kind == "status" and content["execution_state"] == "idle":
            return printed, error
