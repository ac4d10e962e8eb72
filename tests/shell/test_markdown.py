"""Markdown in pieces: what is written early never changes, and nothing of a text is lost."""

from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from llmasos.shell.markdown import MarkdownStream


def console(width: int = 60) -> Console:
    return Console(file=StringIO(), width=width, force_terminal=True, color_system=None, highlight=False)


def written(text: str, size: int = 3, width: int = 60) -> str:
    stream = MarkdownStream(console(width))
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    return "".join(map(stream.feed, pieces)) + stream.end()


PAGE = """# Plan

Use **bold**, `code` and
a second line.

1. one
2. two
   - nested
3. three

| a | b |
|---|---|
| 1 | 2 |

```python
def f():
    return 1

f()
```

> said
"""


def test_a_page() -> None:
    assert [line.strip() for line in written(PAGE).splitlines() if line.strip()] == [
        "Plan",
        "Use bold, code and",
        "a second line.",
        *("1. one", "2. two", "• nested", "3. three"),
        *("a  b", "────", "1  2"),
        *("def f():", "return 1", "f()"),
        "▌ said",
    ]


@pytest.mark.parametrize("size", [1, 2, 7, 50, 10_000])
def test_the_pieces_make_no_difference(size: int) -> None:
    assert written(PAGE, size) == written(PAGE, 5)


@given(st.text(alphabet="ab *_`#\n-1.|<>[]()!", max_size=80), st.integers(1, 9))
def test_no_letter_is_lost(text: str, size: int) -> None:
    def letters(shown: str) -> str:
        return "".join(char for char in shown if char in "ab")

    # The word after a fence is its language, and is not shown.
    if "```" not in text:
        assert letters(written(text, size, width=200)) == letters(text)


@pytest.mark.parametrize(
    "text", ["<b>bold</b>", "<script>x</script>", "__init__.py", "[a]: http://x.example", "a_b_c", "&lt;"]
)
def test_what_a_browser_would_hide_is_seen(text: str) -> None:
    assert written(text).strip() == text.replace("&lt;", "<")


def test_a_link_shows_where_it_goes() -> None:
    assert written("[bank](https://evil.example)").strip() == "bank (https://evil.example)"
    assert "\x1b]8" not in written("[bank](https://evil.example)")


def test_long_code_comes_line_by_line() -> None:
    stream = MarkdownStream(console())
    assert stream.feed("```python\na = 1\n") == ""
    assert stream.feed("b = 2\nc") == "  a = 1\n"
    assert stream.feed(" = 3\n") == "  b = 2\n"
    assert stream.live().strip() == "c = 3"
    assert stream.end() == "  c = 3\n"


def test_a_long_list_comes_item_by_item() -> None:
    stream = MarkdownStream(console())
    first = stream.feed("- one\n- two\n- thr")
    assert first.split() == ["•", "one", "•", "two"]
    assert stream.live().split() == ["•", "thr"]
    assert stream.end().split() == ["•", "thr"]


def test_what_is_long_stays_whole() -> None:
    code = "".join(f"line_{n} = {n}\n" for n in range(300))
    shown = written(f"```python\n{code}```\n\nafter\n", size=40)
    assert shown == "".join(f"  line_{n} = {n}\n" for n in range(300)) + "\nafter\n"
    items = "".join(f"{n}. item\n" for n in range(1, 301))
    assert [line.split() for line in written(items, size=40).splitlines()] == [
        [f"{n}.", "item"] for n in range(1, 301)
    ]


def test_the_beginning_of_what_is_long_is_not_read_again() -> None:
    stream = MarkdownStream(console())
    stream.feed("```python\n")
    for n in range(500):
        stream.feed(f"line_{n} = {n}\n")
    assert stream._open.count("\n") < 100 and "line_499" in stream.live()


def test_code_is_neither_cut_nor_broken() -> None:
    line = "x = " + "1 + " * 40 + "1"
    assert f"  {line}\n" in written(f"```python\n{line}\n```\n", width=40)
