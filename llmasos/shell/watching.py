"""Watching a federated training: how far it is, its curves, its clients, and what they send."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from llmasos.amounts import NAMED, size, some
from llmasos.display import display
from llmasos.language import translated
from llmasos.shell.curves import plot
from llmasos.shell.words import clock_time, count, fit

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from llmasos.api.federated import RunInfo, RunStep

STATES = {
    "planned": "planned",
    "running": "under way",
    "completed": "all rounds are done",
    "target": "the target is reached",
    "stopped": "stopped",
    "failed": "failed",
    "interrupted": "interrupted",
}
_LINES = 4
_WIDEST = 46


class View:
    """What is known of a training while it is watched.

    Args:
        info: The training when the watching began.
    """

    def __init__(self, info: RunInfo) -> None:
        self.info = info
        self.round = 0
        self.accuracies: list[float] = []
        self.losses: list[float] = []
        self.seconds: list[float] = []
        self.joined: dict[str, int] = {}
        self.down: dict[str, str] = {}
        self.rejected: Counter[str] = Counter()
        self.bytes_down = self.bytes_up = 0
        self.epsilon: float | None = None
        self.state = self.reason = ""

    def add(self, step: RunStep) -> None:
        """Take what happened next."""
        match step.type:
            case "run_started":
                self.state = self.reason = ""
            case "client_joined":
                self.joined[step.client] = step.samples
            case "client_failed":
                self.down[step.client] = step.reason
            case "update_rejected":
                self.rejected[step.client] += 1
            case "round_ended":
                self.round = step.round
                self.accuracies += [step.accuracy] if step.accuracy is not None else []
                self.losses += [step.loss] if step.loss is not None else []
                self.seconds.append(step.seconds)
                self.down = {one.client: one.reason for one in step.failed}
                self.bytes_down += step.bytes_down
                self.bytes_up += step.bytes_up
                self.epsilon = step.epsilon
            case "run_ended":
                self.state, self.reason = step.state, step.reason

    @property
    def left(self) -> float:
        """Seconds that the other rounds take, if they take as long as those so far."""
        rounds = self.info.rounds - self.round
        return rounds * sum(self.seconds) / len(self.seconds) if self.seconds and not self.state else 0.0

    def lines(self) -> list[str]:
        """Return what is known of the clients, and what they sent."""
        down = f", {len(self.down)} down: {_named(self.down)}" if self.down else ""
        up = len(self.joined) - len(self.down.keys() & self.joined.keys())
        found = [f"clients   {up} up{down}"]
        if self.rejected:
            often = [f"{name} ({times}×)" for name, times in self.rejected.most_common()]
            found.append(f"rejected  {some(often)}")
        found.append(f"bytes     {size(self.bytes_down)} to clients, {size(self.bytes_up)} from them")
        if self.epsilon is not None:
            found.append(f"privacy   epsilon {self.epsilon:.3g} spent")
        return found

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        info, width = self.info, options.max_width
        head = f"{info.id}  {info.name}: {info.recipe}, {info.strategy}"
        yield Text(fit(display(head), width), style="bold", no_wrap=True)
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            translated(f"round {self.round} of {info.rounds}"),
            ProgressBar(total=max(1, info.rounds), completed=self.round, width=max(10, min(40, width - 40))),
            translated(f"{clock_time(self.left)} left") if self.left else "",
        )
        yield bar
        columns = max(10, min(_WIDEST, width // 2 - 2))
        curves = Table.grid(padding=(0, 2))
        drawn = [
            Text(
                "\n".join([f"{translated(name)} {figures[-1]:.4f}", *plot(figures, columns, _LINES)]),
                no_wrap=True,
            )
            for name, figures in (("accuracy", self.accuracies), ("loss", self.losses))
            if figures
        ]
        if drawn:
            curves.add_row(*drawn)
            yield curves
        for line in self.lines():
            yield Text(fit(translated(line), width), no_wrap=True)


def round_text(step: RunStep, rounds: int) -> str:
    """Return how a round went, in a line."""
    asked = len(step.participants) + len(step.failed) + len(step.rejected)
    figures = [
        f"accuracy {step.accuracy:.4f}" if step.accuracy is not None else "",
        f"loss {step.loss:.4f}" if step.loss is not None else "",
        f"{len(step.participants)} of {count(asked, 'client')}",
        *(f"down: {one.client} ({one.reason})" for one in step.failed[:NAMED]),
        *(f"rejected: {one.client} ({one.reason})" for one in step.rejected[:NAMED]),
    ]
    return f"round {step.round} of {rounds}: {', '.join(filter(None, figures))}"


def end_text(info: RunInfo) -> str:
    """Return what came of a training, in a sentence."""
    accuracy = f", accuracy {info.accuracy:.4f}" if info.accuracy is not None else ""
    reason = f": {display(info.reason)}" if info.reason and info.state == "failed" else ""
    return f"{info.id}: {STATES[info.state]}{reason}; {info.round} of {info.rounds} rounds{accuracy}."


def info_line(info: RunInfo) -> str:
    """Return a training in a line: id, state, rounds, accuracy, strategy, name."""
    accuracy = f"{info.accuracy:.4f}" if info.accuracy is not None else "-"
    rounds = f"{info.round}/{info.rounds}"
    return f"{info.id}  {info.state:<11} {rounds:>9}  {accuracy:>6}  {info.strategy:<12} {display(info.name)}"


def info_lines(info: RunInfo) -> list[str]:
    """Return all that is known of a training."""
    reason = f", {display(info.reason)}" if info.reason else ""
    moments = (("started", info.started), ("ended", info.ended))
    return [
        f"run       {info.id}, {STATES[info.state]}{reason}",
        f"name      {display(info.name)}",
        f"model     {info.recipe}, {info.strategy}, on the {info.backend} backend",
        f"data      {some(info.data)}, {count(info.clients, 'client')}",
        f"rounds    {info.round} of {info.rounds}"
        + (f", until the accuracy is {info.target:.4g}" if info.target else ""),
        f"accuracy  {f'{info.accuracy:.4f}' if info.accuracy is not None else '-'}",
        f"loss      {f'{info.loss:.4f}' if info.loss is not None else '-'}",
        *(f"{name:<9} {at.astimezone():%Y-%m-%d %H:%M:%S}" for name, at in moments if at),
    ]


def _named(reasons: dict[str, str]) -> str:
    return some([f"{name} ({reason})" for name, reason in reasons.items()])
