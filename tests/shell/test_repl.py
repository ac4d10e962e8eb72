"""The shell on a screen whose lines are given: what becomes of a line, and of what goes wrong."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from llmasos.errors import KernelError, LLMasOSError
from llmasos.shell import commands
from llmasos.shell.command import Command
from llmasos.shell.repl import SessionOptions, Shell
from llmasos.shell.screen import Line
from llmasos.shell.screen.fake import FakeScreen

Run = Callable[[Shell, str], Awaitable[None]]


@pytest.fixture(autouse=True)
def no_kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def refuse(self: Shell) -> None:
        raise KernelError("No kernel.", hint="There is none in this test.")

    monkeypatch.setattr(Shell, "_connect", refuse)
    monkeypatch.setenv("LLMASOS_CONFIG_DIR", str(tmp_path / "config"))


@pytest.fixture
def played(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Return what has the shell carry out lines, with a command `/try`, and returns what was written."""

    def play(*lines: str | Line, run: Run | None = None) -> str:
        if run is not None:
            monkeypatch.setitem(commands.COMMANDS, "/try", Command("/try", "try it", run))
        assert asyncio.run(Shell(tmp_path, SessionOptions(), FakeScreen(lines)).run()) == 0
        out, err = capsys.readouterr()
        return out + err

    return play


def test_lines_are_carried_out_in_their_order(played: Callable[..., str]) -> None:
    done: list[str] = []

    async def note(shell: Shell, rest: str) -> None:
        done.append(rest)

    shown = played("/try one", "", "/try two\nlines", "/quit", "/try three", run=note)
    assert done == ["one", "two\nlines"]
    assert "> /try one\n> /try two\n. lines\n> /quit" in shown


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (LLMasOSError("It is full.", hint="Make room."), "It is full.\nMake room."),
        (KernelError("It has gone.", hint="Go on."), "It has gone.\nGo on."),
        (ValueError("oops \x1b[2J"), "The shell failed at this: ValueError: oops \\x1b[2J"),
    ],
)
def test_what_goes_wrong_is_told_and_the_shell_goes_on(
    played: Callable[..., str], error: Exception, told: str
) -> None:
    async def fail(shell: Shell, rest: str) -> None:
        raise error

    shown = played("/try", "/nonsense", run=fail)
    assert told in shown and "There is no command /nonsense." in shown
    assert "Traceback" not in shown


def test_an_errand_that_fails_is_told(played: Callable[..., str]) -> None:
    async def fail() -> None:
        raise OSError("no disk")

    async def begin(shell: Shell, rest: str) -> None:
        shell.errand(fail())
        await asyncio.sleep(0)

    assert "The shell failed at this: OSError: no disk" in played("/try", "/help", run=begin)


def test_what_runs_can_be_stopped(played: Callable[..., str]) -> None:
    async def wait(shell: Shell, rest: str) -> None:
        screen: Any = shell.screen
        asyncio.get_running_loop().call_soon(screen.stop)
        await asyncio.Event().wait()

    assert "Stopped." in played("/try", run=wait)


def test_without_a_kernel_a_request_is_refused(played: Callable[..., str]) -> None:
    assert "No kernel.\nThere is none in this test." in played("do something")


def test_a_command_that_is_nearly_one_is_named(played: Callable[..., str]) -> None:
    assert "Did you mean /history? /help lists them." in played("/histroy")
    assert "\n/help lists them." in played("/zzz")


def test_where_nothing_was_folded_nothing_is_opened(played: Callable[..., str]) -> None:
    assert "Nothing was folded yet." in played("/open")
    assert "Nothing of that number is folded." in played("/open 7")


@pytest.mark.parametrize(
    ("answer", "agreed", "next_line"),
    [("y", True, None), ("n", False, None), ("", False, None), ("Show the diff", False, "Show the diff")],
)
def test_what_is_no_answer_is_what_is_wanted_next(
    tmp_path: Path, answer: str, agreed: bool, next_line: str | None
) -> None:
    screen = FakeScreen(answers=[answer])
    shell = Shell(tmp_path, SessionOptions(), screen)
    assert asyncio.run(shell.agreed("Merge them? [y/N] ")) is agreed
    assert [line.text for line in screen.lines] == ([next_line] if next_line else [])


def test_who_leaves_reads_last_how_to_follow(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = FakeScreen(["/try"])

    async def left() -> None:
        await asyncio.sleep(0)

    async def turn(shell: Shell, rest: str) -> None:
        session: Any = SimpleNamespace(id="s-1")
        try:
            with shell.shown(cast(Any, None), session):
                await asyncio.Event().wait()
        finally:
            print("what was said so far")

    monkeypatch.setattr(screen, "left", left)
    monkeypatch.setitem(commands.COMMANDS, "/try", Command("/try", "try it", turn))
    assert asyncio.run(Shell(tmp_path, SessionOptions(), screen).run()) == 0
    assert capsys.readouterr().out.endswith("what was said so far\nThe turn goes on: llmasos --resume s-1\n")
