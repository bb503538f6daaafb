"""Measures, and writes docs/benchmarks.md.

python -m bench                     all cases, a few minutes; writes the page
python -m bench --only memory       one case again, into the results that are there
python -m bench --quick             a tenth of the work, writes nothing
python -m bench --page              the page again from bench/results.json
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
from typing import Any

from bench import lines, page, texts
from bench.cases import CASES
from bench.machine import REPOSITORY, machine, versions
from bench.measure import SkippedError, fresh, say

RESULTS = REPOSITORY / "bench" / "results.json"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures, and writes docs/benchmarks.md.")
    parser.add_argument("--only", action="append", choices=list(CASES), metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--quick", action="store_true", help="a tenth of the work; writes nothing")
    parser.add_argument("--page", action="store_true", help="measure nothing, write the page from the results")
    args = parser.parse_args()
    if not args.page:
        results = _measure(args.only or list(CASES), args.quick)
        if args.quick:
            return
        RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
    page.write(json.loads(RESULTS.read_text("utf-8")), REPOSITORY / "docs")


def _measure(names: list[str], quick: bool) -> dict[str, Any]:
    """The results of these cases, within those of an earlier run where the machine is the same."""
    ran_on: dict[str, Any] = {"machine": machine(), "versions": versions()}
    cases: dict[str, Any] = {}
    if not quick and len(names) < len(CASES) and RESULTS.exists():
        # Each case keeps the machine that it was measured on: a ratio is good on its own.
        earlier = json.loads(RESULTS.read_text("utf-8"))
        of_all = {key: earlier[key] for key in ran_on}
        cases = {name: {**of_all, **case} for name, case in earlier["cases"].items()}
    for name in names:
        say(f"{name} ...")
        # In a process of its own: no case finds the memory and caches of another.
        try:
            case = dataclasses.asdict(fresh(CASES[name], quick))
        except SkippedError as e:
            say(f"  skipped: {e}")
            continue
        cases[name] = {"date": datetime.datetime.now(datetime.UTC).date().isoformat(), **ran_on, **case}
        for figure in case["figures"]:
            say("  " + texts.plain(figure, case["sides"]))
            if figure["name"].startswith("noise") and not (
                figure["value"]["low"] > 0.9 and figure["value"]["high"] < 1.1
            ):
                say("  the machine is busy: don't publish this run")
    return {
        **ran_on,
        "lines_of_c": lines.count_files(REPOSITORY / "engines" / "duckdb"),
        "cases": {name: cases[name] for name in CASES if name in cases},
    }


if __name__ == "__main__":
    main()
