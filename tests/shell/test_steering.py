"""Lines for the running turn: said in their order, and kept where they come too late."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from llmasos.api import Attachment
from llmasos.client import AsyncSession
from llmasos.errors import IdleSessionError, KernelError
from llmasos.shell.repl import Shell
from llmasos.shell.screen import Line
from llmasos.shell.screen.fake import FakeScreen
from llmasos.shell.steering import Steering

pytestmark = pytest.mark.anyio


class Session:
    """A session whose turn takes so many lines."""

    def __init__(self, most: int, error: Exception | None = None) -> None:
        self.said: list[str] = []
        self._most = most
        self._error = error or IdleSessionError("No turn is running.", hint="")

    async def steer(self, text: str) -> None:
        if len(self.said) >= self._most:
            raise self._error
        self.said.append(text)


async def steered(session: Session, *lines: Line) -> list[str]:
    """Return the lines that wait afterwards."""
    screen = FakeScreen()
    shell: Any = SimpleNamespace(screen=screen, folder=Path("/nowhere"), changed=())
    steering = Steering(cast(Shell, shell), cast(AsyncSession, session))
    for line in lines:
        steering.take(line)
    await steering.end()
    return [line.text for line in screen.lines]


async def test_lines_are_said_in_their_order() -> None:
    session = Session(3)
    assert await steered(session, Line("one"), Line("two"), Line("three")) == []
    assert session.said == ["one", "two", "three"]


async def test_what_comes_too_late_waits_in_its_order(capsys: pytest.CaptureFixture[str]) -> None:
    session = Session(1)
    assert await steered(session, Line("one"), Line("two"), Line("three")) == ["two", "three"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("line", [Line("/diff"), Line("!ls"), Line("a", (Attachment(name="x", text="y"),))])
async def test_only_text_is_said(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    session = Session(9)
    assert await steered(session, line, Line("two")) == [line.text, "two"]
    assert session.said == [] and "Only text can be said" in capsys.readouterr().out


async def test_a_kernel_that_has_gone_is_told_and_nothing_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    session = Session(0, KernelError("It has gone.", hint="Go on."))
    assert await steered(session, Line("one")) == ["one"]
    assert "It has gone." in capsys.readouterr().err
