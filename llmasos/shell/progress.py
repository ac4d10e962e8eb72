"""A bar on the terminal while the kernel does something."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from llmasos.display import display
from llmasos.shell.ask import ask
from llmasos.shell.model_lines import progress_text

if TYPE_CHECKING:
    from llmasos.api.models import ModelProgress
    from llmasos.client import AsyncClient

T = TypeVar("T")
Work = Callable[["AsyncClient", Callable[["ModelProgress"], None]], Coroutine[Any, Any, T]]


def watched(work: Work[T]) -> T:
    """Return what comes of work, with a bar on a terminal while it lasts."""
    if not sys.stderr.isatty():
        return ask(lambda client: work(client, lambda step: None))
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from llmasos.shell.render import make_console

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[amount]}", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=make_console(stderr=True), transient=True) as bar:
        task = bar.add_task("Asking", total=None, amount="")

        def tell(step: ModelProgress) -> None:
            what = display(step.what)
            if bar.tasks[0].description != what:
                bar.reset(task, description=what, total=step.total or None, amount="")
            bar.update(
                task, completed=step.done, total=step.total or None, amount=display(progress_text(step))
            )

        return ask(lambda client: work(client, tell))
