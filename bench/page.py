"""Writes docs/benchmarks.md and its chart from the results."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from bench import chart
from bench.texts import limit, met, quantity, spread

_HEAD = """\
# Benchmarks

Written by `python -m bench` from [bench/results.json](../bench/results.json).

DuckDB reads a Python class by `python(...)`, in its own process. What does that cost? The other side is DuckDB over the
same Arrow batches as an in-memory `pyarrow.Table`: the best that DuckDB does with Arrow data from Python. The class
yields batches that were made before, so what is measured is the bridge, not the making of data.
The last cases are of classes that run in worker processes (`bascule_executor = 'process'`); their tables say what stands
on the other side.

![Each figure with its target](benchmarks.svg)
"""

_READING = """\
## How to read it

- A ratio is the time of `python(...)` over the time of the Table. 1.00 is the same; less is better.
- The two sides run in turn, A B A B, in one process on one connection, after one warm-up of each. A ratio is the median
  of the ratios of neighbours, and in brackets are the lowest and the highest. Differences are made the same way. For the
  first row each side has processes of its own, in turn, and no warm-up.
- Where a target is *at least*, more is better, and the ratio is how many times as fast.
- Only ratios and differences are claims. The times beside them are medians on this machine, each
  side's own: there to judge the ratios by, not to be divided.
- One line is the Table against itself. A ratio that is nearer to 1 than that line's brackets says nothing.
- Each query's answer is checked, each time, and so is the number of batches that the class yielded in this process:
  none where it runs in others.
- The first two cases yield one batch again and again, and the Table is made of that batch too: on both sides its data
  may stay in the processor's caches.
"""

_NOT_MEASURED = """\
## What was not measured

- Classes that make their data: reading files or sockets, building batches. It is your code's time, and it comes on top.
- More than two threads, other processors, other systems, free-threaded Python.
- Strings of many distinct values, nested types, dictionaries, nulls.
- Several queries at once.
"""

_REPRODUCE = """\
## How to reproduce it

```
make bench                              # all cases, a few minutes; writes this page
.venv/bin/python -m bench --quick       # a tenth of the work, writes nothing
.venv/bin/python -m bench --only memory # one case: large-batches, small-batches, validation, partitions, first-row, columns, memory, databases, commands,
                                        # workers, transport, peer, process-latency, process-repeats
```

Leave the machine alone meanwhile: both cores are used.
"""


def write(results: dict[str, Any], docs: Path) -> None:
    """Writes both files into ``docs``."""
    (docs / "benchmarks.md").write_text(markdown(results), "utf-8")
    chart.write(results, docs / "benchmarks.svg")


def markdown(results: dict[str, Any]) -> str:
    dates = sorted({case["date"] for case in results["cases"].values()})
    parts = [
        _HEAD,
        _prose(f"{_ran_on(results)} Date: {' to '.join(dict.fromkeys((dates[0], dates[-1])))}."),
        "## Figures\n",
        *(_case(case, results) for case in results["cases"].values()),
        _READING,
        _lines(results["lines_of_c"]),
        _NOT_MEASURED,
        _REPRODUCE,
    ]
    return "\n".join(parts)


def _ran_on(measured: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in measured["versions"].items())
    return (
        "Machine: {cpu}, {cores} cores, {memory}, {system}.".format(**measured["machine"]) + f" Versions: {versions}."
    )


def _case(case: dict[str, Any], results: dict[str, Any]) -> str:
    sides = case.get("sides", ("python(...)", "Table"))
    rows = [
        f"| | measured (lowest..highest) | target, at most | | {' | '.join(_code(side) for side in sides)} |",
        "|---|---:|---:|---|---:|---:|",
    ]
    for figure in case["figures"]:
        unit = figure["side_unit"]
        verdict = {True: "met", False: "**missed**", None: ""}[met(figure)]
        target = "" if figure["target"] is None else limit(figure)
        each = [quantity(figure[key]["median"], unit) if figure[key] else "" for key in ("ours", "theirs")]
        rows.append(f"| {figure['name']} | {spread(figure)} | {target} | {verdict} | {each[0]} | {each[1]} |")
    setup = f"{case['setup'][0].upper()}{case['setup'][1:]}."
    if "machine" in case and _ran_on(case) != _ran_on(results):
        setup += f" {_ran_on(case)} Date: {case['date']}."
    setup = _prose(setup)
    return "\n".join([f"### {case['title']}\n", setup, *rows, *_growth_remark(case["figures"])]) + "\n"


def _code(side: str) -> str:
    return f"`{side}`" if "(" in side else side


def _growth_remark(figures: list[dict[str, Any]]) -> list[str]:
    """What of the growth with the columns is DuckDB's own."""
    growth = {figure["name"].split(":")[0]: figure for figure in figures if figure["unit"] == "x growth"}
    time = {figure["name"].split(":")[0]: figure for figure in figures if figure["unit"] == "x"}
    listed, named = (next((name for name in growth if word in name), None) for word in ("DESCRIBE", "EXPLAIN"))
    if listed is None or named is None:
        return []
    names = [listed, next(name for name in growth if name.startswith("all columns"))]
    told = " and ".join(f"{growth[name]['theirs']['median']:.1f} times ({name})" for name in names)
    text = (
        "Ten times the columns should take about ten times as long where all of them are used. What of it is DuckDB's own "
        f"shows on the Table, which has no class and no bridge: it takes {told}. Bascule binds all columns in each of these "
        f"queries. One that names a single column is planned in {time[named]['ours']['median']:.1f} ms at the most columns, "
        f"{growth[named]['value']['median']:.1f} times the time for a tenth of them, and that includes Bascule's whole bind. "
        f"DESCRIBE takes {time[listed]['ours']['median']:.0f} ms: the difference is DuckDB listing the columns."
    )
    return ["", _prose(text).rstrip("\n")]


def _prose(text: str) -> str:
    return textwrap.fill(text, 120, break_on_hyphens=False) + "\n"


def _lines(files: dict[str, list[int]]) -> str:
    rows = ["| file | lines of C | lines in all |", "|---|---:|---:|"]
    rows += [f"| engines/duckdb/{name} | {code} | {total} |" for name, (total, code) in files.items()]
    total, code = (sum(counts[i] for counts in files.values()) for i in (0, 1))
    return (
        "## Size of the adapter\n\n"
        f"Between `bascule.h` and DuckDB are {code} lines of C, without blank lines and comments, {total} with them.\n\n"
        + "\n".join([*rows, f"| together | {code} | {total} |"])
        + "\n"
    )
