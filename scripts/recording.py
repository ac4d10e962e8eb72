"""`python -m scripts.recording` plays a session in a real terminal, for README and as an SVG.

The model is the embedded one, so replies are its own; requests and files are those below. Run it again
when the shell looks different. Nothing of what it writes is changed by hand.
"""

from __future__ import annotations

import argparse
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import east_asian_width
from xml.sax.saxutils import escape

import pexpect
import pyte
from pyte.screens import Char

from llmasos import paths

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "session.svg"
MARKS = re.compile(r"(<!-- recording -->\n).*?(<!-- /recording -->)", re.DOTALL)

REGIONS = ("north", "east", "south", "west")
SALES = [
    f"2026-{1 + day // 28:02}-{1 + day % 28:02},{REGIONS[day % 4]},{100 + day * 37 % 91}.{day % 10}0"
    for day in range(240)
]
FILES = {
    "sales.csv": "\n".join(["day,region,amount", *SALES, ""]),
    "notes.txt": "会议记录\n我们讨论了新产品的发布计划，发布日期定在十二月一日。\n请在周五前提交报告。\n",
}
LAUNCH = "from llmasos.shell.entry import main; main()"
PROMPT = re.compile(r"^\s*[>❯›]\s*$")
# The status names the model once the kernel has answered.
READY = "qwen2.5"
# What is typed, and what then is said at last.
SESSION = [
    ("which region sold most in sales.csv?", "tokens in"),
    ("把 notes.txt 翻译成英文，保存为 notes.en.txt", "Write these changes"),
    ("y", "takes it back"),
    ("/undo", "Restored"),
    ("/ledger", "vouches"),
]
COLUMNS, ROWS, SECONDS, QUIET = 100, 40, 300.0, 0.4

WIDTH, HEIGHT, MARGIN = 8.4, 18, 16
LONGEST_PAUSE = 1.5
COLOURS = {
    **{"default": "#d4d4d4", "black": "#5c6370", "red": "#e06c75", "green": "#98c379", "brown": "#e5c07b"},
    **{"blue": "#61afef", "magenta": "#c678dd", "cyan": "#56b6c2", "white": "#d4d4d4"},
    **{"brightblack": "#7f848e", "brightred": "#e06c75", "brightgreen": "#98c379", "brightbrown": "#e5c07b"},
    **{
        "brightblue": "#61afef",
        "brightmagenta": "#c678dd",
        "brightcyan": "#56b6c2",
        "brightwhite": "#ffffff",
    },
}
GROUND = "#1e1e1e"

Line = tuple[Char, ...]


class _Screen(pyte.HistoryScreen):
    """A screen that tells where its cursor is when it is asked, as terminals do."""

    child: pexpect.spawn[bytes]

    def write_process_input(self, data: str) -> None:
        self.child.send(data)


@dataclass
class Terminal:
    """A program in a terminal, and every state that its screen had.

    Args:
        command: The program with its arguments.
        folder: Where it runs.
        env: Its environment.
    """

    command: list[str]
    folder: Path
    env: dict[str, str]
    states: list[tuple[float, list[Line]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._screen = _Screen(COLUMNS, ROWS, history=10_000)
        self._stream = pyte.ByteStream(self._screen)
        self._screen.child = self._child = pexpect.spawn(
            self.command[0],
            self.command[1:],
            cwd=str(self.folder),
            env={**self.env, "COLUMNS": str(COLUMNS), "LINES": str(ROWS)},
            dimensions=(ROWS, COLUMNS),
        )

    def lines(self) -> list[Line]:
        """Return every line, those that have scrolled off first, without an empty end."""
        shown = [self._screen.buffer[row] for row in range(ROWS)]
        found = [tuple(row[n] for n in range(COLUMNS)) for row in [*self._screen.history.top, *shown]]
        while found and (not text(found[-1]) or PROMPT.search(text(found[-1]))):
            found.pop()
        return found

    def count(self, words: str) -> int:
        """Return how many lines have these words."""
        return sum(words in text(line) for line in self.lines())

    def wait_for(self, words: str, count: int = 1) -> None:
        """Read until so many lines have these words, and nothing more comes."""
        end = time.monotonic() + SECONDS
        while self._read(QUIET) or self.count(words) < count:
            if time.monotonic() > end or not self._child.isalive():
                sys.exit("\n".join([*map(text, self.lines()), f"The terminal does not say {words!r}."]))

    def enter(self, line: str) -> None:
        """Type a line and send it."""
        self._child.send(line + "\r")

    def end(self) -> None:
        """Leave with Ctrl-D, and read what is still said."""
        self._child.send("\x04")
        while self._read(SECONDS):
            pass
        self._child.close()

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._child.child_fd], [], [], seconds)
        try:
            data = os.read(self._child.child_fd, 65536) if ready else b""
        except OSError:
            return False
        self._stream.feed(data)
        if data:
            self.states.append((time.monotonic(), self.lines()))
        return bool(data)


def text(line: Line) -> str:
    """Return a line as text; the second cell of a wide character is empty."""
    return "".join(char.data for char in line).rstrip()


def appearances(states: list[tuple[float, list[Line]]], lines: list[Line]) -> list[float]:
    """Return when each of the last state's lines came to be as it is, in seconds, with long pauses cut."""
    times, began, shown = [], 0.0, 0.0
    first: list[float | None] = [None] * len(lines)
    for at, state in states:
        shown += min(at - began, LONGEST_PAUSE) if began else 0.0
        began = at
        for number, line in enumerate(lines):
            there = number < len(state) and state[number] == line
            first[number] = (first[number] if first[number] is not None else shown) if there else None
    latest = 0.0
    for each in first:
        latest = max(latest, each or 0.0)
        times.append(latest)
    return times


def picture(lines: list[Line], times: list[float]) -> str:
    """Return the lines as an SVG in which each appears at its time, or at once where motion is not wanted."""
    width, height = COLUMNS * WIDTH + 2 * MARGIN, len(lines) * HEIGHT + 2 * MARGIN
    drawn = [
        f'<g class="line" style="animation-delay:{at:.2f}s">{"".join(_runs(line, MARGIN + row * HEIGHT))}</g>'
        for row, (line, at) in enumerate(zip(lines, times, strict=True))
        if text(line)
    ]
    style = (
        'text{font:14px ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;white-space:pre}'
        ".line{animation:appear 1ms both}@keyframes appear{from{visibility:hidden}}"
        "@media(prefers-reduced-motion){.line{animation:none}}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">'
        f"<title>A session of LLMasOS</title><style>{style}</style>"
        f'<rect width="100%" height="100%" rx="8" fill="{GROUND}"/>\n' + "\n".join(drawn) + "\n</svg>\n"
    )


def _runs(line: Line, top: float) -> Iterator[str]:
    """Yield runs of cells of one look, each at the place of its first cell."""
    start = 0
    while start < len(line):
        end = start + 1
        while end < len(line) and _look(line[end]) == _look(line[start]):
            end += 1
        said = "".join(char.data for char in line[start:end])
        colour, ground, bold, _ = _look(line[start])
        left, cells = MARGIN + start * WIDTH, end - start
        if ground != GROUND:
            yield (
                f'<rect x="{left:.1f}" y="{top:g}" width="{cells * WIDTH:.1f}" height="{HEIGHT}" '
                f'fill="{ground}"/>'
            )
        if said.strip():
            weight = ' font-weight="bold"' if bold else ""
            kept = said.rstrip()
            long = (cells - (len(said) - len(kept))) * WIDTH
            yield (
                f'<text x="{left:.1f}" y="{top + HEIGHT * 0.75:g}" fill="{colour}"{weight} '
                f'textLength="{long:.1f}" lengthAdjust="spacingAndGlyphs">{escape(kept)}</text>'
            )
        start = end


def _look(char: Char) -> tuple[str, str, bool, bool]:
    front, back = _colour(char.fg), GROUND if char.bg == "default" else _colour(char.bg)
    if char.reverse:
        front, back = back, front
    # The second cell of a wide character is empty.
    return front, back, char.bold, not char.data or east_asian_width(char.data[0]) in "WF"


def _colour(name: str) -> str:
    return COLOURS.get(name, f"#{name}")


def play(folder: Path, env: dict[str, str]) -> Terminal:
    """Play the session, and return the terminal that has it."""
    llmasos = [sys.executable, "-c", LAUNCH]
    for name, content in FILES.items():
        (folder / name).write_text(content)
    # What is slow only once is not what a session looks like.
    subprocess.run([*llmasos, "models", "load"], env=env, check=True, stdout=subprocess.DEVNULL)
    try:
        terminal = Terminal(llmasos, folder, env)
        terminal.wait_for(READY)
        for line, then in SESSION:
            before = terminal.count(then)
            terminal.enter(line)
            terminal.wait_for(then, before + 1)
        terminal.end()
    finally:
        subprocess.run([*llmasos, "stop"], env=env, check=True, stdout=subprocess.DEVNULL)
    return terminal


def main() -> None:
    """Record, and write README and picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path("/home/ada"), help="a folder to make and remove")
    home: Path = parser.parse_args().home
    try:
        (home / "reports").mkdir(parents=True)
    except OSError as error:
        sys.exit(f"{home} cannot be made ({error.strerror}); name another with --home.")
    with tempfile.TemporaryDirectory(prefix="llmasos-") as place:
        # Models that are on this machine already are not fetched again.
        cache = str(paths.cache_dir())
        env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "xterm-256color", "HOME": str(home)}
        env |= {"PYTHONPATH": str(ROOT), "LLMASOS_CACHE_DIR": cache, "LLMASOS_RUNTIME_DIR": place}
        try:
            terminal = play(home / "reports", env)
        finally:
            shutil.rmtree(home)
    lines = terminal.lines()
    said = "\n".join(text(line) for line in lines)
    README.write_text(MARKS.sub(lambda mark: f"{mark[1]}```text\n{said}\n```\n{mark[2]}", README.read_text()))
    PICTURE.write_text(picture(lines, appearances(terminal.states, lines)))


if __name__ == "__main__":
    main()
