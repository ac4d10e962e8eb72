"""A recording has what the terminal showed, as text and as a picture."""

import sys
from pathlib import Path
from xml.etree import ElementTree

from scripts.recording import Terminal, appearances, picture, text

PROGRAM = """
import sys
print('\\x1b[1;32mgrün & <fett>\\x1b[0m 你好')
name = input('> ')
print('\\x1b[31mHello,', name)
print('\\x1b[0msure?', end=' ', flush=True)
sys.stdin.read()
"""


def played(folder: Path) -> Terminal:
    terminal = Terminal([sys.executable, "-c", PROGRAM], folder, {"LANG": "C.UTF-8"})
    terminal.wait_for("你好")
    terminal.enter("Ada")
    terminal.wait_for("sure?")
    terminal.end()
    return terminal


def test_the_lines_are_those_of_the_terminal(tmp_path: Path) -> None:
    lines = played(tmp_path).lines()
    assert [text(line) for line in lines[:4]] == ["grün & <fett> 你好", "> Ada", "Hello, Ada", "sure?"]


def test_lines_appear_in_their_order(tmp_path: Path) -> None:
    terminal = played(tmp_path)
    lines = terminal.lines()
    times = appearances(terminal.states, lines)
    assert len(times) == len(lines) and times == sorted(times) and times[0] < times[2]


def test_the_picture_says_the_same_in_colours(tmp_path: Path) -> None:
    lines = played(tmp_path).lines()
    drawn = ElementTree.fromstring(picture(lines, [0.0] * len(lines)))
    words = {"".join(each.itertext()): each.attrib for each in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {"grün & <fett>", "你好", "> Ada"} <= set(words)
    assert words["grün & <fett>"]["font-weight"] == "bold"
    assert words["Hello, Ada"]["fill"] != words["> Ada"]["fill"]
