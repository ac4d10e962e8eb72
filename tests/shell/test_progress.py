"""Bars on a terminal."""

import pytest
from rich.console import Console

from llmasos.shell import render
from llmasos.shell.progress import bars


def test_a_bar_says_how_fast_and_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(width=120, record=True, force_terminal=True)
    monkeypatch.setattr(render, "make_console", lambda *, stderr: console)
    now = 0.0
    with bars(transient=False) as bar:
        bar.get_time = lambda: now
        task = bar.add_task("Fetching", total=100e6, amount="0 of 100 MB", unit="bytes")
        for now in (1.0, 2.0, 3.0):
            bar.update(task, completed=now * 10e6, amount=f"{now * 10:.0f} of 100 MB")
        bar.refresh()
    shown = console.export_text()
    assert "Fetching" in shown and "30 of 100 MB" in shown and "10 MB/s" in shown and "0:00:07" in shown


def test_other_things_have_a_rate_too(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(width=120, record=True, force_terminal=True)
    monkeypatch.setattr(render, "make_console", lambda *, stderr: console)
    now = 0.0
    with bars(transient=False) as bar:
        bar.get_time = lambda: now
        task = bar.add_task("Running", total=100, amount="")
        for now in (1.0, 2.0, 3.0):
            bar.update(task, completed=now * 2.5)
        bar.refresh()
    assert "2.5/s" in console.export_text()
