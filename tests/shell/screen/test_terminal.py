"""The open prompt, driven by keys from a pipe."""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from io import StringIO
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input

from llmasos.shell.screen import Line
from llmasos.shell.screen.terminal import TerminalScreen

Work = Callable[[TerminalScreen, PipeInput], Awaitable[None]]


class Tty(StringIO):
    """Standard output that says that it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError("it has no descriptor")


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Work], str]:
    """Return what plays a piece of work at a screen, and returns what was written."""
    monkeypatch.setattr("termios.tcflush", lambda *_: None)

    def played(work: Work) -> str:
        tty = Tty()
        monkeypatch.setattr(sys, "stdout", tty)

        async def main() -> None:
            with create_pipe_input() as keys, create_app_session(input=keys):
                screen = TerminalScreen(tmp_path / "history")
                with screen.open():
                    await asyncio.wait_for(work(screen, keys), 20)

        asyncio.run(main())
        return tty.getvalue()

    return played


def test_a_line_is_sent(play: Callable[[Work], str]) -> None:
    async def work(screen: TerminalScreen, keys: PipeInput) -> None:
        keys.send_text("hello\r")
        assert await screen.next_line() == Line("hello")
        keys.send_text("one\ntwo\r")
        assert await screen.next_line() == Line("one\ntwo")

    play(work)


def test_what_is_printed_is_written_whole(play: Callable[[Work], str]) -> None:
    async def work(screen: TerminalScreen, keys: PipeInput) -> None:
        for n in range(3000):
            print("line", n)
        print("no end", end="")
        await asyncio.to_thread(print, " from a thread", end="")

    written = play(work)
    assert re.findall(r"line (\d+)\r\n", written) == [str(n) for n in range(3000)]
    assert "\r\nno end from a thread\r\n" in written


def test_an_answer_is_none_of_the_lines(play: Callable[[Work], str]) -> None:
    async def work(screen: TerminalScreen, keys: PipeInput) -> None:
        asking = asyncio.create_task(screen.ask("Sure?"))
        while not screen._asked:
            await asyncio.sleep(0)
        keys.send_text("yes\r")
        assert await asking == "yes"
        asking = asyncio.create_task(screen.ask("Which?", "this"))
        while not screen._asked:
            await asyncio.sleep(0.01)
        keys.send_text(" one\r")
        assert await asking == "this one"
        assert not screen.waiting

    play(work)


def test_what_is_typed_before_a_question_is_no_answer(play: Callable[[Work], str]) -> None:
    async def work(screen: TerminalScreen, keys: PipeInput) -> None:
        keys.send_text("y")
        while screen.input.text != "y":
            await asyncio.sleep(0)
        asking = asyncio.create_task(screen.ask("Sure?"))
        keys.send_text("es\r")
        assert await screen.next_line() == Line("yes")
        while not screen._asked:
            await asyncio.sleep(0.01)
        keys.send_text("\x03")
        assert await asking is None

    play(work)


def test_lines_wait_while_something_runs(play: Callable[[Work], str]) -> None:
    said: list[Line] = []
    stopped: list[bool] = []

    async def work(screen: TerminalScreen, keys: PipeInput) -> None:
        screen.steers(said.append)
        with screen.busy(lambda: stopped.append(True), lambda columns: "half a word"):
            keys.send_text("first\rsecond\r")
            while len(screen._lines) < 2:
                await asyncio.sleep(0)
            keys.send_text("\r")
            while not said:
                await asyncio.sleep(0)
            keys.send_text("\x03")
            while not stopped:
                await asyncio.sleep(0)
            while "half a word" not in screen._painter.beneath:
                await asyncio.sleep(0.01)
        # Who stops means all of it: what waited is in the line again.
        assert said == [Line("first")]
        assert screen.input.text == "second" and not screen.waiting
        keys.send_text("\r")
        assert await screen.next_line() == Line("second")

    assert "waits: " in play(work)


def test_backspace_takes_a_paste_out_whole(play: Callable[[Work], str]) -> None:
    async def work(screen: TerminalScreen, keys: PipeInput) -> None:
        keys.send_text("see \x1b[200~" + "line\r" * 30 + "\x1b[201~")
        while "30 lines]" not in screen.input.text:
            await asyncio.sleep(0)
        keys.send_text("\x7f")
        while screen.input.text != "see ":
            await asyncio.sleep(0)

    play(work)


def test_what_waits_when_somebody_leaves_is_counted(play: Callable[[Work], str]) -> None:
    async def work(screen: TerminalScreen, keys: PipeInput) -> None:
        with screen.busy(lambda: None):
            keys.send_text("one\rtwo\r\x04")
            await screen.left()
        assert screen.unsent() == 2

    play(work)


def test_who_leaves_sends_nothing_more(play: Callable[[Work], str]) -> None:
    async def work(screen: TerminalScreen, keys: PipeInput) -> None:
        keys.send_text("\x04")
        await screen.left()
        with pytest.raises(EOFError):
            await screen.next_line()

    play(work)
