"""The curves of a run as SVG inside a page: its colours are the page's, in the dark and on paper."""

from __future__ import annotations

import html
import math

from llmasos.display import display
from llmasos.federated.report.panels import Panel, Point, marks, panels
from llmasos.federated.report.story import Story

_WIDTH, _HEIGHT = 460, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 12, 34
_DOTS = 40
_NAMED = 5
_TICKS = 5
_FINEST = 1e-12
_ROWS = {"rejected": 8, "failed": 22}


def charts(story: Story) -> str:
    """Return the plots of a run as figures, with a legend; nothing when no round has figures."""
    shown = panels(story)
    drawn = "".join(
        f"<figure><figcaption>{panel.title}</figcaption>{_chart(panel, story)}</figure>" for panel in shown
    )
    return f'<div class="charts">{drawn}</div>{_legend(shown, story)}' if shown else ""


def ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Return a few round numbers, from `low` or below to `high` or above.

    Args:
        whole: Whether they are integers.
    """
    rough = max((high - low) / _TICKS or abs(high) / 2 or 1.0, _FINEST)
    power = 10.0 ** math.floor(math.log10(rough))
    steps = [size * power for size in (1, 2, 2.5, 5, 10)]
    if whole:
        steps = [1.0, *(step for step in steps if step.is_integer())]
    step = next((one for one in steps if one >= rough * (1 - 1e-9)), steps[-1])
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [place * step for place in range(first, max(last, first + 1) + 1)]


class _Scale:
    """Where rounds and values are in a plot."""

    def __init__(self, panel: Panel, room: bool) -> None:
        values = panel.values
        self.ticks = ticks(min(values), max(values))
        self._low, self._high = self.ticks[0], self.ticks[-1]
        self.first, self.last = panel.held[0][0], panel.held[-1][0]
        # The marks of clients lie below the lowest line.
        self.floor = _HEIGHT - _BOTTOM - (30 if room else 0)

    def x(self, number: int) -> float:
        """Return a round's place."""
        share = (number - self.first) / (self.last - self.first) if self.last > self.first else 0.5
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        """Return a value's place."""
        return round(self.floor - (value - self._low) / (self._high - self._low) * (self.floor - _TOP), 1)


def _chart(panel: Panel, story: Story) -> str:
    scale = _Scale(panel, bool(story.refusals))
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = [f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>']
    for value in scale.ticks:
        y = scale.y(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 7}" y="{y + 4}" text-anchor="end">{value:.6g}</text>')
    for number in _rounds(scale.first, scale.last):
        parts.append(f'<text x="{scale.x(number)}" y="{bottom + 16}" text-anchor="middle">{number}</text>')
    parts.append(f'<text x="{(_LEFT + right) / 2}" y="{_HEIGHT - 3}" text-anchor="middle">round</text>')
    for level, name in ((panel.target, "target"), (panel.central, "central")):
        if level is not None:
            y = scale.y(level)
            parts.append(f'<line class="{name}" x1="{_LEFT}" x2="{right}" y1="{y}" y2="{y}"/>')
    parts += _lines(panel.train, "train", scale) + _lines(panel.held, "held", scale)
    if len(panel.held) <= _DOTS:
        parts += [
            f'<circle class="dot" cx="{scale.x(at)}" cy="{scale.y(value)}" r="2.4">'
            f"<title>round {at}: {value:.4f}</title></circle>"
            for at, value in panel.held
            if value is not None
        ]
    for kind, rounds in marks(story).items():
        for number, names in rounds.items():
            if scale.first <= number <= scale.last:
                where = f'transform="translate({scale.x(number)} {bottom - _ROWS[kind]})"'
                parts.append(f"<g {where}>{_sign(kind)}<title>{_named(kind, number, names)}</title></g>")
    label = f"{panel.title} over {len(story.rounds)} rounds"
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _lines(points: tuple[Point, ...], name: str, scale: _Scale) -> list[str]:
    pieces: list[list[str]] = [[]]
    for at, value in points:
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append(f"{scale.x(at)},{scale.y(value)}")
    return [f'<polyline class="{name}" points="{" ".join(piece)}"/>' for piece in pieces if len(piece) > 1]


def _rounds(first: int, last: int) -> list[int]:
    """Return the rounds that are numbered: some, with the first and the last."""
    chosen = [int(value) for value in ticks(first, last, whole=True)]
    apart = (chosen[1] - chosen[0]) * 0.4
    between = [number for number in chosen if first + apart <= number <= last - apart]
    return sorted({first, *between, last})


def _sign(kind: str) -> str:
    if kind == "rejected":
        return '<path class="mark" d="M-4-4 4 4M-4 4 4-4"/>'
    return '<circle class="mark" r="4"/>'


def _named(kind: str, number: int, names: list[str]) -> str:
    shown = ", ".join(html.escape(display(name)) for name in names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"round {number}, {kind}: {shown}{more}"


def _legend(shown: tuple[Panel, ...], story: Story) -> str:
    found = marks(story)
    there = {
        "held": ("on held-out rows", True),
        "train": ("on training rows", any(v is not None for one in shown for _, v in one.train)),
        "central": ("trained centrally", any(one.central is not None for one in shown)),
        "target": ("target", any(one.target is not None for one in shown)),
    }
    keys = [
        f'<li><svg viewBox="0 0 28 10"><line class="{name}" x1="0" x2="28" y1="5" y2="5"/></svg>{text}</li>'
        for name, (text, is_there) in there.items()
        if is_there
    ]
    keys += [
        f'<li><svg viewBox="-5 -5 10 10" class="sign">{_sign(kind)}</svg>client {kind}</li>'
        for kind, rounds in found.items()
        if rounds
    ]
    return f'<ul class="legend">{"".join(keys)}</ul>'
