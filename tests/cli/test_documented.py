"""docs/cli.md shows what the commands print."""

from __future__ import annotations

import os
import re
import subprocess

from cli.running import COMMAND, TESTS, environment

PAGE = (TESTS.parent / "docs" / "cli.md").read_text("utf-8")


def test_the_pages_commands_print_what_it_shows(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "orders.py").write_text(code)
    program = tmp_path / "bin" / "bascule"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    program.chmod(0o755)
    env = environment(PATH=f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    commands = [part.partition("\n") for block in blocks for part in re.split(r"^\$ ", block, flags=re.M) if part]
    assert len(commands) == 6
    for command, _, shown in commands:
        done = subprocess.run(command, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
        assert done.stdout == shown, command
