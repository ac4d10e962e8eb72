"""How far something is, as a bar with its rate and the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.cells import cell_len

from llmasos.display import display
from llmasos.events import Progress
from llmasos.language import translated
from llmasos.shell.words import clock_time, fit

_CELLS = 24
_PARTS = " ▏▎▍▌▋▊▉█"


class Bar:
    """A bar for one thing that is under way.

    Args:
        clock: Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._what = ""
        self._began = 0.0
        self._from = 0.0
        self._step = Progress(what="")

    def update(self, step: Progress) -> None:
        """Take how far it is."""
        if step.what != self._what or step.done < self._step.done:
            self._what, self._began, self._from = step.what, self._clock(), step.done
            if step.unit == "s":
                # It has lasted that long already.
                self._began -= step.done
        self._step = step

    def line(self, columns: int) -> str:
        """Return it in one line, no wider than a number of cells."""
        step = self._step
        what = display(translated(step.what))
        if step.total <= 0:
            seconds = self._clock() - self._began
            return fit(what + (f" {clock_time(seconds)}" if seconds >= 1 else ""), columns)
        share = min(1.0, max(0.0, step.done / step.total))
        facts = [f"{100 * share:3.0f}%", _amount(step), *self._pace(share)]
        tail = " · ".join(fact for fact in facts if fact)
        width = cell_len(tail)
        cells = min(_CELLS, columns - width - 3 - 12)
        if cells < 8:
            return fit(f"{what} {tail}", columns)
        return f"{fit(what, columns - cells - width - 3)} {_drawn(share, cells)} {tail}"

    def _pace(self, share: float) -> list[str]:
        seconds = self._clock() - self._began
        done = self._step.done - self._from
        if seconds < 1 or done <= 0:
            return []
        rate = done / seconds
        pace = f"{rate / 1e6:,.1f} MB/s" if self._step.unit == "bytes" else ""
        left = (self._step.total - self._step.done) / rate
        return [pace, translated(f"{clock_time(left)} left") if share < 1 else ""]


def _drawn(share: float, cells: int) -> str:
    eighths = round(share * cells * 8)
    full, part = divmod(eighths, 8)
    return ("█" * full + (_PARTS[part] if part else "")).ljust(cells, "░")


def _amount(step: Progress) -> str:
    if step.unit == "bytes":
        return translated(f"{step.done / 1e6:,.0f} of {step.total / 1e6:,.0f} MB")
    return f"{translated(f'{step.done:g} of {step.total:g}')} {display(translated(step.unit))}".rstrip()
