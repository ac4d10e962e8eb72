"""Bars on the terminal: what is done, how much of it, how fast, and how long it still takes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from llmasos.display import display
from llmasos.language import translated
from llmasos.shell.ask import ask
from llmasos.shell.model_lines import progress_text, size_text

if TYPE_CHECKING:
    import rich.progress

    from llmasos.api.models import ModelProgress
    from llmasos.client import AsyncClient

T = TypeVar("T")
Work = Callable[["AsyncClient", Callable[["ModelProgress"], None]], Coroutine[Any, Any, T]]


def bars(*, transient: bool = True) -> rich.progress.Progress:
    """Return bars on standard error; each task has a field `amount` in words.

    Args:
        transient: Whether they are taken away at the end.
    """
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    from llmasos.shell.render import make_console

    class RateColumn(ProgressColumn):
        """How much is done in a second."""

        def render(self, task: Task) -> Text:
            if not task.speed or task.finished:
                return Text("")
            bytes_ = task.fields.get("unit") == "bytes"
            return Text(f"{size_text(int(task.speed))}/s" if bytes_ else f"{task.speed:,.1f}/s")

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[amount]}", markup=False),
        RateColumn(),
        TimeRemainingColumn(),
    )
    redirect = sys.stdout.isatty()
    return Progress(
        *columns, console=make_console(stderr=True), transient=transient, redirect_stdout=redirect
    )


def watched(work: Work[T]) -> T:
    """Return what comes of work, with a bar on a terminal while it lasts."""
    if not sys.stderr.isatty():
        return ask(lambda client: work(client, lambda step: None))
    with bars() as bar:
        task = bar.add_task(translated("Asking"), total=None, amount="")

        def tell(step: ModelProgress) -> None:
            what = display(translated(step.what))
            if bar.tasks[0].description != what:
                bar.reset(task, description=what, total=step.total or None, amount="")
            amount = display(translated(progress_text(step)))
            bar.update(task, completed=step.done, total=step.total or None, amount=amount, unit=step.unit)

        return ask(lambda client: work(client, tell))
