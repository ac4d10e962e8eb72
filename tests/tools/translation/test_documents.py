"""Documents: only passages change, and what else there is stays byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmasos.errors import ToolError
from llmasos.tools.translation.columns import table
from llmasos.tools.translation.document import Document
from llmasos.tools.translation.markdown import markdown
from llmasos.tools.translation.marks import PLACEHOLDERS, marked
from llmasos.tools.translation.markup import markup, relabelled
from llmasos.tools.translation.plain import plain
from llmasos.tools.translation.subtitles import subtitles

MARKDOWN = """---
title: Kept
---

# The *gate*

Every call passes [one gate](https://example.org/g "G"), and
goes on.

> Quoted over
> two lines

- item with `code`
  that goes on
  1. below

| Tool | Says |
|------|:----:|
| `cat` | this \\| that |

```python
print("kept")
```

<p>A <b>tag</b> &amp; more</p>

first  
second
"""
HTML = """<!DOCTYPE html><html lang="en"><head><title>Shop</title>
<meta name="description" content="The &quot;best&quot; shop"><script>var a = "<p>kept</p>";</script></head>
<body><p class=x>Red <b>shoes</b> for 20 &euro;, <a href="/h?x=1&amp;y=2">hats</a>.<br>Call!</p>
<ul><li>One<li>Two <em>times</em></ul><pre>kept</pre><img src=a.png alt="A shoe">
<p>Run <code>npm i</code> at <span translate="no">Acme</span> &lt;now&gt;</p><!-- kept --></body></html>
"""
SUBTITLES = """WEBVTT

NOTE kept

1
00:01.000 --> 00:03.500 align:start
Hello, <i>friend</i>,
how are you?

00:04.000 --> 00:06.000
- Where to?
- Home.
"""
TABLE = 'id;title;note\n1;Shoe;"nice; I ""like"" it"\n2;Hat;a good one\n3;Sock;\n4;Coat;=SUM(A1)\n'


def texts(document: Document) -> list[str]:
    return [passage.text for passage in document.passages]


def shouted(document: Document) -> str:
    return document.joined([passage.text.upper() for passage in document.passages])


@pytest.mark.parametrize(
    ("read", "source", "found"),
    [
        (plain, "One\nline.\n\n  Two.\n\n\n", ["One\nline.", "Two."]),
        (
            markdown,
            MARKDOWN,
            [
                "The *gate*",
                'Every call passes [one gate](https://example.org/g "G"), and goes on.',
                "Quoted over two lines",
                "item with `code` that goes on",
                "below",
                "Tool",
                "Says",
                "`cat`",
                "this \\| that",
                "A <b>tag</b> &amp; more",
                "first",
                "second",
            ],
        ),
        (
            markup,
            HTML,
            [
                "Shop",
                'The "best" shop',
                'Red <b>shoes</b> for 20 €, <a href="/h?x=1&amp;y=2">hats</a>.',
                "Call!",
                "One",
                "Two <em>times</em>",
                "A shoe",
                'Run <code>npm i</code> at <span translate="no">Acme</span> &lt;now&gt;',
            ],
        ),
        (subtitles, SUBTITLES, ["Hello, <i>friend</i>, how are you?", "Where to?", "Home."]),
        (lambda source: table(source, ["note"]), TABLE, ['nice; I "like" it', "a good one", ""]),
        (lambda source: table(source, []), TABLE, ['nice; I "like" it', "a good one", ""]),
        (lambda source: table(source, ["2"]), TABLE, ["Shoe", "Hat", "Sock", "Coat"]),
    ],
)
def test_passages_are_what_a_reader_reads(
    read: Callable[[str], Document], source: str, found: Sequence[str]
) -> None:
    document = read(source)
    assert texts(document) == list(found)
    assert document.joined(texts(document)) == source


def test_what_is_no_passage_stays() -> None:
    written = shouted(markdown(MARKDOWN))
    assert '```python\nprint("kept")\n```' in written
    assert "---\ntitle: Kept\n---" in written
    assert "|------|:----:|\n| `CAT` | THIS \\| THAT |" in written
    assert "> QUOTED OVER TWO LINES\n" in written
    assert "FIRST  \nSECOND\n" in written
    written = shouted(markup(HTML))
    assert '<script>var a = "<p>kept</p>";</script>' in written
    assert 'content="THE &quot;BEST&quot; SHOP"' in written
    assert "<pre>kept</pre>" in written
    written = shouted(subtitles(SUBTITLES))
    assert "00:01.000 --> 00:03.500 align:start\nHELLO, <I>FRIEND</I>,\nHOW ARE YOU?\n" in written
    assert "- WHERE TO?\n- HOME.\n" in written
    assert shouted(table(TABLE, ["note"])).startswith(
        'id;title;note\n1;Shoe;"NICE; I ""LIKE"" IT"\n2;Hat;A GOOD ONE\n'
    )


def test_a_cell_is_quoted_when_its_translation_has_to_be() -> None:
    document = table(TABLE, ["title"])
    assert 'id;title;note\n1;"a; ""b""";"nice' in document.joined(['a; "b"', "Hat", "Sock", "Coat"])


def test_subtitles_without_spaces_are_broken_too() -> None:
    document = subtitles(SUBTITLES)
    written = document.joined(["你好，<i>我的朋友</i>，你今天好吗？", "去哪里？", "回家。"])
    said = written.split("align:start\n")[1].split("\n\n")[0]
    assert said.replace("\n", "") == "你好，<i>我的朋友</i>，你今天好吗？"
    assert said.count("\n") == 1


def test_a_page_says_its_new_language() -> None:
    assert '<html lang="fr">' in relabelled(HTML, "fr")
    assert relabelled(HTML, "") == HTML
    assert relabelled("<html>", "fr") == "<html>"


def test_lines_are_counted_for_reports() -> None:
    document = markdown(MARKDOWN)
    assert [document.line(passage) for passage in document.passages[:3]] == [5, 7, 10]


def test_columns_that_are_not_there_are_named() -> None:
    with pytest.raises(ToolError, match="There is no column 'nota'") as caught:
        table(TABLE, ["nota"])
    assert "id, title, note" in str(caught.value)
    with pytest.raises(ToolError, match="No column of this table holds sentences"):
        table("a,b\n1,2\n", [])
    with pytest.raises(ToolError, match="No column"):
        table("", [])


@pytest.mark.parametrize("read", [plain, markdown, markup, subtitles, lambda text: table(text, ["1"])])
@given(source=st.text(alphabet="ab1 \n<>/p&;=\"'`*_[]()|-#.{}%,$\\!:>\t中。é", min_size=1, max_size=120))
def test_any_source_comes_back_as_it_was(read: Callable[[str], Document], source: str) -> None:
    try:
        document = read(source)
    except ToolError:
        return
    assert document.joined(texts(document)) == source
    ends = [0, *(place for passage in document.passages for place in (passage.start, passage.end))]
    assert ends == sorted(ends)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hello {name}, you have %d of %(all)s", ["{name}", "%d", "%(all)s"]),
        (
            "See https://example.org/a?b=1. Or me@example.org!",
            ["https://example.org/a?b=1", "me@example.org"],
        ),
        ("访问https://example.org/甲，然后", ["https://example.org/甲"]),
        ("{{ user }} ${HOME} {% if x %} %1$s", ["{{ user }}", "${HOME}", "{% if x %}", "%1$s"]),
        ("100% sure, 5 %, 50%-60%", []),
    ],
)
def test_placeholders_and_addresses_are_kept(text: str, found: list[str]) -> None:
    made = marked(text, PLACEHOLDERS.pattern)
    assert list(made.kept) == found
    assert made.complete(made.text)
    assert made.restored(made.text) == text
    assert "".join(f"{piece}{kept}" for piece, kept in made.pieces()) == text


def test_a_text_with_marks_too_few_or_too_many_is_not_complete() -> None:
    made = marked("a {x} b {y}", PLACEHOLDERS.pattern)
    assert made.text == "a {1} b {2}"
    assert made.complete("{2} und {1}")
    assert not made.complete("{1} {1} {2}")
    assert not made.complete("{1}")
    assert not made.complete("{1} {2} {3}")


def test_definitions_stay_below_their_terms() -> None:
    document = markdown("Term\n: What it\nmeans.\n:   Or else.\n\nNote: this\nis a paragraph.\n")
    assert [passage.text for passage in document.passages] == [
        "Term",
        "What it means.",
        "Or else.",
        "Note: this is a paragraph.",
    ]
    joined = document.joined(["A", "B", "C", "D"])
    assert joined == "A\n: B\n:   C\n\nD\n"
