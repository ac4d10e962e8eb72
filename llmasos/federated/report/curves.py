"""The curves of a run as a picture, drawn by matplotlib in memory."""

from __future__ import annotations

from typing import Any

from llmasos.federated.folder import RunFolder
from llmasos.federated.report.panels import Panel, marks, panels
from llmasos.federated.report.story import Story, story_of

FILE = "curves.png"

# Two colours that are told apart with any kind of colour vision (Okabe and Ito 2008).
_FEDERATED, _CENTRAL, _QUIET = "#0072b2", "#d55e00", "#6b7078"
_SIGNS = {"rejected": ("x", 0.04), "failed": ("o", 0.09)}


def draw_curves(folder: RunFolder) -> bool:
    """Draw loss and accuracy over the rounds into `results/curves.png`.

    Returns:
        Whether there was something to draw.

    Raises:
        FederatedError: There is no plan.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    story = story_of(folder)
    shown = panels(story)
    if not shown:
        return False
    with rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        # A figure without pyplot is drawn by Agg and needs no display.
        figure = Figure(figsize=(4.6 * len(shown), 3.4), layout="constrained")
        for axes, panel in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
            _draw(axes, panel, story)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        lines = {
            label: line
            for axes in figure.axes
            for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=6, frameon=False)
        folder.results.mkdir(exist_ok=True)
        unfinished = folder.results / f"{FILE}.part"
        figure.savefig(unfinished, format="png", dpi=150, metadata={"Software": None})
    unfinished.replace(folder.results / FILE)
    return True


def _draw(axes: Any, panel: Panel, story: Story) -> None:
    axes.set_title(panel.title, loc="left", fontweight="bold")
    axes.set_xlabel("Round")
    axes.grid(axis="y", color="#e4e1da", linewidth=0.8)
    axes.set_axisbelow(True)
    if any(value is not None for _, value in panel.train):
        axes.plot(
            *_lists(panel.train), color=_FEDERATED, linewidth=1, linestyle="--", label="on training rows"
        )
    dots = "." if len(panel.held) <= 40 else ""
    axes.plot(*_lists(panel.held), color=_FEDERATED, linewidth=1.8, marker=dots, label="on held-out rows")
    if panel.central is not None:
        axes.axhline(panel.central, color=_CENTRAL, linewidth=1.4, linestyle="-.", label="trained centrally")
    if panel.target is not None:
        axes.axhline(panel.target, color=_QUIET, linewidth=1, linestyle=":", label="target")
    for kind, rounds in marks(story).items():
        sign, height = _SIGNS[kind]
        if rounds:
            axes.plot(
                list(rounds),
                [height] * len(rounds),
                sign,
                color="#23262b",
                markersize=5,
                fillstyle="none",
                transform=axes.get_xaxis_transform(),
                label=f"client {kind}",
            )
    axes.margins(y=0.2 if story.refusals else 0.08)


def _lists(points: tuple[tuple[int, float | None], ...]) -> tuple[list[int], list[float]]:
    missing = float("nan")
    return [at for at, _ in points], [missing if value is None else value for _, value in points]
