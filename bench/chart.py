"""The chart of docs/benchmarks.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.texts import limit, met, number, share

INK, FAINT, GRID = "#24292f", "#6e7781", "#e6e8eb"
MET, MISSED, OTHER = "#0969da", "#d1570a", "#8c959f"


def write(results: dict[str, Any], path: Path) -> None:
    """Draws the ratios, the budgets and the growth with columns; the format is that of ``path``'s name."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    # Reproducible: the same results give the same file.
    plt.rcParams.update(
        {
            "svg.hashsalt": "bascule",
            "font.family": "DejaVu Sans",
            "font.size": 9.5,
            "text.color": INK,
            "axes.labelcolor": FAINT,
        }
    )
    ratios, budgets, growths = _sort(results)
    counts = [len(ratios), len(budgets), len(growths)]
    figure, axes = plt.subplots(
        3,
        1,
        figsize=(9.6, 0.34 * sum(counts) + 3.1),
        height_ratios=[n + 0.6 for n in counts],
        layout=ConstrainedLayoutEngine(hspace=0.06, h_pad=0.08),
    )
    _draw_ratios(axes[0], ratios)
    _draw_budgets(axes[1], budgets)
    _draw_growths(axes[2], growths)
    metadata = {"Date": None} if path.suffix == ".svg" else None
    figure.savefig(path, metadata=metadata, facecolor="white", dpi=130)
    plt.close(figure)


def _sort(results: dict[str, Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """(label, figure) of each panel."""
    short = {"large-batches": "64 Ki-row batches", "small-batches": "2,048-row batches", "memory": "memory"}
    ratios: list[Any] = []
    budgets: list[Any] = []
    growths: list[Any] = []
    for name, case in results["cases"].items():
        for figure in case["figures"]:
            label = f"{short[name]}: {figure['name']}" if name in short else figure["name"]
            if figure["unit"] == "x growth":
                growths.append((figure["name"].split(":")[0], figure))
            elif figure["unit"] == "x" and figure["name"].startswith("noise"):
                ratios.insert(0, ("noise: the Table against itself", figure))
            elif figure["unit"] == "x" and figure["target"] is not None and not figure.get("at_least"):
                ratios.append((label, figure))
            elif figure["target"] is not None:
                budgets.append((label.split(":")[0] if name == "partitions" else label, figure))
    return ratios, budgets, growths


def _panel(ax: Any, title: str, labels: list[str]) -> None:
    ax.set_title(title, loc="left", fontsize=10.5, fontweight="bold", color=INK, pad=8)
    ax.set_yticks(range(len(labels)), labels, color=INK)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.tick_params(length=0, colors=FAINT)
    ax.tick_params(axis="y", colors=INK)
    ax.grid(axis="x", color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)
    for side in ("top", "right", "left", "bottom"):
        ax.spines[side].set_visible(False)


def _colour(figure: Any) -> str:
    return {None: OTHER, True: MET, False: MISSED}[met(figure)]


def _dot(ax: Any, y: float, spread: Any, colour: str) -> None:
    ax.plot(
        [spread["low"], spread["high"]],
        [y, y],
        color=colour,
        alpha=0.35,
        linewidth=4,
        solid_capstyle="round",
        clip_on=True,
    )
    ax.plot([spread["median"]], [y], "o", color=colour, markersize=7, markeredgecolor="white")


def _margin_text(ax: Any, y: float, text: str, colour: str) -> None:
    ax.annotate(
        text,
        (1.0, y),
        xycoords=("axes fraction", "data"),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        color=colour,
    )


def _draw_ratios(ax: Any, ratios: list[Any]) -> None:
    _panel(
        ax,
        "Time of python(...) over time of an in-memory pyarrow Table, or what is named",
        [label for label, _ in ratios],
    )
    highest = 1.0
    for y, (_, figure) in enumerate(ratios):
        value, target, colour = figure["value"], figure["target"], _colour(figure)
        _dot(ax, y, value, colour)
        highest = max(highest, value["high"], target or 1)
        text = f"{value['median']:.2f}"
        if target is not None:
            ax.plot([target, target], [y - 0.38, y + 0.38], color=INK, linewidth=2)
            text += f"  (target {target:.2f})"
        _margin_text(ax, y, text, colour if target is not None else FAINT)
    lowest = min([0.9, *(figure["value"]["low"] for _, figure in ratios)])
    ax.set_xlim(lowest - 0.02, highest + 0.04)
    ax.axvline(1, color=FAINT, linewidth=1, linestyle=(0, (4, 3)), zorder=0.9)
    ax.set_xlabel("less is better; 1 is the Table; dot: median, band: lowest to highest, black line: target")


def _draw_budgets(ax: Any, budgets: list[Any]) -> None:

    _panel(ax, "Share of what it may cost", [label for label, _ in budgets])
    lowest, highest = 0.0, 1.15
    for y, (_, figure) in enumerate(budgets):
        value, colour = figure["value"], _colour(figure)
        used = {key: share(figure, value[key]) or 0.0 for key in ("median", "low", "high")}
        most = max(used["low"], used["high"])
        _dot(ax, y, used, colour)
        highest = max(highest, used["median"] + 0.1, min(most + 0.05, 1.6))
        lowest = min(lowest, max(min(used["low"], used["high"]), -0.2))
        _margin_text(ax, y, f"{number(value['median'], figure['unit'])} of {limit(figure)}", colour)
    ax.set_xlim(lowest - 0.03, highest)
    ax.axvline(1, color=INK, linewidth=2)
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
    ax.set_xlabel("less is better; black line: target")


def _draw_growths(ax: Any, growths: list[Any]) -> None:
    _panel(ax, "Growth of the time from 500 to 5,000 columns", [label for label, _ in growths])
    highest = 11.0
    for y, (_, figure) in enumerate(growths):
        _dot(ax, y - 0.16, figure["ours"], MET)
        _dot(ax, y + 0.16, figure["theirs"], OTHER)
        highest = max(highest, figure["ours"]["high"], figure["theirs"]["high"])
        text = f"{figure['ours']['median']:.1f}x  (Table {figure['theirs']['median']:.1f}x)"
        _margin_text(ax, y, text, INK)
    ax.set_xlim(0, highest * 1.04)
    ax.axvline(10, color=INK, linewidth=2, zorder=0.9)
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:.0f}x")
    ax.set_xlabel("blue: python(...), grey: Table; black line: ten times")
