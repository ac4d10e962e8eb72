"""Markdown of others written anew: it means what it meant, and nothing in it reaches further."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from llmasos.markdown import html
from llmasos.shell.prose import code, fenced, plain, quoted

PARSER = MarkdownIt("gfm-like", {"linkify": False})


def written(text: str) -> str:
    """Return a text written anew, without the signs of the quotation."""
    lines = list(quoted(text, 1))
    assert all(line.startswith(">") for line in lines)
    return "\n".join(line[1:].removeprefix(" ") for line in lines)


SAID = (
    "# A\n\n## B\n\nSetext\n===\n\ntext of\ntwo lines",
    "*a* **b** ~~c~~ `d` ***e*** **f*g*h** `` ` `` ` x ` `a  b`",
    "1. one\n   ```py\n   x = `1`\n   ```\n2. two\n   - a\n   - b\n\n     more\n\n* x\n\n+ y\n\n7) z",
    "| a | b\\|c |\n|:--|:-:|\n| `x\\|y` | **z** |\n| 1 |",
    "> quote\n> - x\n>\n> > inner\n\n---\n\n    indented",
    "[a](https://e.example/x_y_z) [b [c]](<https://e.example/(d)?e&copy;f>) [](http://e.example)",
    "<https://e.example/?a=1&b=2> <a@b.example> [*<http://n.example>* b](http://m.example) [x]()",
    "~~~~\n```\n~~~\n~~~~\n```x y\nz\n```",
    "__init__.py snake_case _x_ 2 * 3 * 4 ~5 $4 C# R&D a < b x[0] [x] ![i](https://e.example/i.png)",
    "<b>bold</b> <!-- gone --> </details> &lt;i&gt; &copy; a&amp;lt;",
    "&#35; no head\n&#49;. no list\n&#45; no item\n&#62; no quote\n&#61;&#61;&#61;",
    "\\# \\* \\[a](b) \\\\ \\` a\\\nb",
    "!&#33;[l](https://e.example) !\\[x](https://e.example)",
    "[x]: https://e.example\n[^1]: note[^1]\n[!NOTE]",
    "- [ ] open\n- [x] done\n-\n- \n\n  late",
    "# closed #\n# a \\#\n#",
    "",
)


@pytest.mark.parametrize("text", SAID)
def test_it_means_what_it_meant(text: str) -> None:
    assert html(written(text), 1) == html(text, 1)


def test_it_reads_as_it_was_written() -> None:
    text = "Use `a_b` in *R&D*: 5 < 6, x[0], C# – 1.5 s.\n\n- one\n- two\n\n```py\nx = 1\n```\n\n[b](https://e.example)"
    assert written(text) == text


@given(st.text(max_size=60) | st.text("`~<>&#[]()!:*_-=|\\ \n\tab1.\"'/", max_size=80))
def test_nothing_reaches_beyond_the_quotation(text: str) -> None:
    lines = list(quoted(text, 3))
    assert all(line == ">" or line.startswith("> ") for line in lines)
    tokens = PARSER.parse("\n".join(["before", "", *lines, "", "after [a] [1] [x][a]"]))
    outer = [token.type for token in tokens if token.level == 0 and token.nesting == 1]
    assert outer == ["paragraph_open", "blockquote_open", "paragraph_open"]
    assert tokens[-2].content == "after [a] [1] [x][a]" and len(tokens[-2].children or ()) == 1
    inner = [child.type for token in tokens for child in token.children or ()]
    assert not {"image", "html_inline"} & set(inner) and "html_block" not in [token.type for token in tokens]
    assert not [token.tag for token in tokens if token.type == "heading_open" and token.tag in ("h1", "h2")]


@given(st.text("`~<>&#[]()!:*_-=|+\\ ab1.\"'/$@", max_size=40))
def test_plain_text_means_nothing(text: str) -> None:
    shown = " ".join(f"x {text}".split())
    for before, line in (("", plain(f"x {text}")), ("# ", plain(f"x {text}")), ("- ", plain(f"x {text}"))):
        inline = next(token for token in PARSER.parse(before + line) if token.type == "inline")
        assert [(child.type, child.content) for child in inline.children or ()] == [("text", shown)]
    if text.split():
        kinds = [token.type for token in PARSER.parse(plain(text))]
        assert kinds == ["paragraph_open", "inline", "paragraph_close"]


@given(st.text("` ab\\<|*&;", min_size=1, max_size=20).filter(str.strip))
def test_code_is_code(text: str) -> None:
    [_, inline, _] = PARSER.parse(f"x {code(text)} y")
    assert [(child.type, child.content) for child in inline.children or ()] == [
        ("text", "x "),
        ("code_inline", text),
        ("text", " y"),
    ]


@given(st.text("`~ab \n", max_size=40))
def test_a_block_of_code_holds_it_all(text: str) -> None:
    [block] = PARSER.parse("\n".join(fenced(text, "py")))
    assert block.type == "fence" and block.info == "py" and block.content == text.removesuffix("\n") + "\n"
