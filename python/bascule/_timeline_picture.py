"""The picture of a timeline: one SVG for each scan, one lane for each thread or worker; and the page around them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from bascule._timeline_spans import Lane, ScanTimeline, Span, seconds, size, whole

__all__ = ["fragment", "page", "picture"]

#: Parts of a span as they are drawn, with what they are called; their colours are in _STYLE.
_PARTS = (
    ("waiting", "waiting for Python's lock", "waiting for the worker"),
    ("python", "in the class", "in the class"),
    ("bridge", "checking, copying", "checking, copying"),
    ("turn", "waiting for its turn", "waiting for its turn"),
    ("engine", "the engine's turn", "the engine's turn"),
)
_WIDTH, _LEFT, _RIGHT = 1120, 110, 20
_LANE, _BAR = 26, 18
_TICKS = 8
_SLOWEST = 10

_STYLE = """
.bsc-timeline { --ink: #1f2328; --faint: #6e7781; --line: #d8dee4; --ground: #ffffff; --waiting: #cf222e; --python: #0969da;
  --bridge: #8250df; --turn: #f2cc60; --engine: #d8dee4; --edge: #ffffff; color: var(--ink); background: var(--ground);
  font: 13px/1.5 system-ui, "DejaVu Sans", sans-serif; }
@media (prefers-color-scheme: dark) { .bsc-timeline { --ink: #e6edf3; --faint: #8d96a0; --line: #30363d; --ground: #0d1117;
  --waiting: #f85149; --python: #4493f8; --bridge: #ab7df8; --turn: #9e6a03; --engine: #373e47; --edge: #0d1117; } }
.bsc-timeline h2 { font-size: 15px; margin: 0 0 4px; } .bsc-timeline p { margin: 2px 0; }
.bsc-timeline .facts { color: var(--faint); } .bsc-timeline .words { margin: 6px 0; padding-left: 18px; }
.bsc-timeline table { border-collapse: collapse; margin: 6px 0 24px; } .bsc-timeline th { font-weight: 600; color: var(--faint); }
.bsc-timeline th, .bsc-timeline td { text-align: right; padding: 1px 12px 1px 0; font-variant-numeric: tabular-nums; }
.bsc-timeline svg { display: block; max-width: 100%; height: auto; }
.bsc-timeline text { fill: var(--ink); font: 12px system-ui, "DejaVu Sans", sans-serif; } .bsc-timeline .tick { fill: var(--faint); }
.bsc-timeline .number { fill: #ffffff; font-size: 11px; pointer-events: none; paint-order: stroke; stroke: rgba(0,0,0,.35); stroke-width: 2px; }
.bsc-timeline .grid { stroke: var(--line); stroke-width: 1; } .bsc-timeline .frame { fill: none; stroke: var(--edge); stroke-width: 1.5; }
.bsc-timeline .waiting { fill: var(--waiting); } .bsc-timeline .python { fill: var(--python); }
.bsc-timeline .bridge { fill: var(--bridge); } .bsc-timeline .turn { fill: var(--turn); } .bsc-timeline .engine { fill: var(--engine); }
"""


def page(scans: Sequence[ScanTimeline]) -> str:
    """A whole page, which loads nothing."""
    title = scans[0].title() if len(scans) == 1 else f"{len(scans)} scans"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f'<title>{escape(title)}</title></head><body class="bsc-timeline" style="margin: 0">\n{fragment(scans)}\n</body></html>\n'
    )


def fragment(scans: Sequence[ScanTimeline]) -> str:
    """What stands within a page, or a notebook's cell."""
    parts = "\n".join(_section(scan) for scan in scans)
    return f'<style>{_STYLE}</style><div class="bsc-timeline" style="padding: 16px 20px">\n{parts}\n</div>'


def _section(scan: ScanTimeline) -> str:
    facts = "".join(f'<p class="facts">{escape(fact)}</p>' for fact in scan.facts())
    words = "".join(f"<li>{escape(word)}</li>" for word in scan.words())
    return f'<h2>{escape(scan.title())}</h2>{facts}<ul class="words">{words}</ul>{picture(scan)}{_slowest(scan)}'


def _slowest(scan: ScanTimeline) -> str:
    """The partitions that took longest."""
    partitions = sorted(scan.partitions(), key=lambda span: -span.seconds)[:_SLOWEST]
    names = (
        "partition",
        "begun",
        "took",
        "waiting",
        "in the class",
        "checking",
        "its turn",
        "engine",
        "rows",
        "batches",
        "size",
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td>{escape(cell)}</td>"
            for cell in (
                str(span.partition),
                seconds(span.begun),
                seconds(span.seconds),
                *(seconds(getattr(span, part)) for part, *_ in _PARTS),
                f"{span.rows:,}",
                f"{span.batches:,}",
                size(span.bytes),
            )
        )
        + "</tr>"
        for span in partitions
    )
    more = (
        f'<p class="facts">the slowest of {len(scan.partitions()):,}</p>' if len(scan.partitions()) > _SLOWEST else ""
    )
    return f"<table><thead><tr>{''.join(f'<th>{name}</th>' for name in names)}</tr></thead><tbody>{rows}</tbody></table>{more}"


def picture(scan: ScanTimeline, whole: bool = False) -> str:
    """The SVG; ``whole``: with its own style, for a file of its own."""
    top, bottom = 30, 26
    height = top + _LANE * max(1, len(scan.lanes)) + bottom
    # A scan that nobody closed goes on after its last batch: that is not drawn.
    end = max((span.ended for lane in scan.lanes for span in lane.spans), default=0.0) or scan.seconds or 1.0
    scale = (_WIDTH - _LEFT - _RIGHT) / end
    body = [
        *_legend(scan),
        *_axis(end, scale, top, height - bottom),
        *(line for i, lane in enumerate(scan.lanes) for line in _lane(lane, scan, top + _LANE * i, scale)),
    ]
    style = f"<style>{_STYLE}</style>" if whole else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="bsc-timeline" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
        f'height="{height}" role="img"><title>{escape(scan.title())}</title>{style}{"".join(body)}</svg>'
    )


def _legend(scan: ScanTimeline) -> Iterator[str]:
    x = float(_LEFT)
    totals = {part: scan.total(part) for part, *_ in _PARTS}
    for part, in_process, by_worker in _PARTS:
        word = by_worker if scan.by_worker else in_process
        share = totals[part] / (sum(totals.values()) or 1)
        text = f"{word} {share:.0%}"
        yield f'<rect class="{part}" x="{x:.0f}" y="6" width="12" height="12" rx="2"/><text x="{x + 17:.0f}" y="16">{escape(text)}</text>'
        x += 40 + 6.6 * len(text)


def _axis(end: float, scale: float, top: int, bottom: int) -> Iterator[str]:
    step = 10 ** math.floor(math.log10(end / _TICKS))
    step *= next(factor for factor in (1, 2, 5, 10) if end / (step * factor) <= _TICKS)
    for i in range(int(end / step) + 1):
        x = _LEFT + i * step * scale
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'
        yield f'<text class="tick" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{seconds(i * step)}</text>'


def _lane(lane: Lane, scan: ScanTimeline, y: int, scale: float) -> Iterator[str]:
    yield f'<text x="{_LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(lane.name)}</text>'
    for number, spans in lane.by_partition().items():
        here, partition = whole(spans), scan.by_number[number]
        x, width = _LEFT + here.begun * scale, max(here.seconds * scale, 0.8)
        share = partition.turn / (partition.turn + partition.engine) if partition.turn else 0.0
        bars = "".join(_bars(_coarse(spans, 1 / scale), y + 4, scale, share))
        yield f"<g><title>{escape(_tip(partition, scan))}</title>{bars}"
        if width > 3:
            yield f'<rect class="frame" x="{x:.1f}" y="{y + 3.5}" width="{width:.1f}" height="{_BAR + 1}" rx="2"/>'
        if width > 8 * len(str(number)) + 6:
            yield f'<text class="number" x="{x + 4:.1f}" y="{y + 17}">{number}</text>'
        yield "</g>"


def _coarse(spans: Iterable[Span], least: float) -> Iterator[Span]:
    """Spans of which none is much shorter than a pixel."""
    held: Span | None = None
    for span in spans:
        if held is None:
            held = Span(**vars(span))
        elif held.seconds < least or span.begun - held.ended < least / 4:
            held.add(span)
        else:
            yield held
            held = Span(**vars(span))
        if held.seconds >= 2 * least:
            yield held
            held = None
    if held is not None:
        yield held


def _bars(spans: Iterable[Span], y: int, scale: float, share: float) -> Iterator[str]:
    """Each span's parts one after the other; ``share``: of the time between pulls that was spent waiting for its turn."""
    before: float | None = None
    for span in spans:
        x = _LEFT + span.begun * scale
        if before is not None and x > before:
            yield from _gap(before, y, x - before, share)
        for part, *_ in _PARTS[:3]:
            width = getattr(span, part) * scale
            if width > 0.05:
                yield _bar(part, x, y, width)
            x += width
        before = _LEFT + span.ended * scale
        if before - x > 0.05:
            yield from _gap(x, y, before - x, share)


def _gap(x: float, y: int, width: float, share: float) -> Iterator[str]:
    if share > 0:
        yield _bar("turn", x, y, width * share)
    if share < 1:
        yield _bar("engine", x + width * share, y, width * (1 - share))


def _bar(part: str, x: float, y: int, width: float) -> str:
    return f'<rect class="{part}" x="{x:.2f}" y="{y}" width="{width:.2f}" height="{_BAR}"/>'


def _tip(span: Span, scan: ScanTimeline) -> str:
    parts = (
        f"{by_worker if scan.by_worker else in_process}: {seconds(getattr(span, part))}"
        for part, in_process, by_worker in _PARTS
    )
    return "\n".join(
        [
            f"partition {span.partition}: {seconds(span.begun)} to {seconds(span.ended)}, {seconds(span.seconds)}",
            f"{span.rows:,} rows, {span.batches:,} batches, {size(span.bytes)}",
            *parts,
        ]
    )
