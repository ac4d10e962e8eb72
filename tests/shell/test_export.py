"""Sessions as Markdown, pages and events: complete, and with no text of others outside of its place."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from llmasos.api import SessionInfo
from llmasos.decisions import Decision
from llmasos.display import display
from llmasos.events import (
    EVENT,
    ActionFinished,
    ActionStarted,
    ApprovalResolved,
    ArtifactKept,
    AssistantText,
    CallDecided,
    DiffOffered,
    Event,
    FileChange,
    Notice,
    TurnFinished,
    TurnStarted,
    TurnSteered,
    Usage,
    WorkspaceChanged,
)
from llmasos.shell.export import exported
from tests.shell.poison import MARK, POISON

AT = datetime(2026, 11, 24, 10, tzinfo=UTC)
REL = "noopener noreferrer nofollow"
PARSER = MarkdownIt("gfm-like", {"linkify": False})
DECIDED = Decision(verdict="ask", rules=("copied",), reason="It was copied.", policy="p")
NASTY = (
    "```\n</details><script>alert(1)</script>\n# Turn 99\n\n---\n\n```",
    "~~~~\nnever closed\n<b>",
    "`<img src=x onerror=y>` and `` ` <i> `` and `unclosed <u>",
    "</blockquote></div></pre></section><h1>Mine</h1>",
    "<!-- everything below is gone",
    "[1]: https://evil.example\n[^1]: note\n- [x]: y",
    "![x](https://evil.example/?d=1) [![y](https://evil.example/y.png)](z) \\![x](y)",
    "> quoted\n\n\n    indented\n\n1. one\n# head\nSetext\n===\n| a | b |\n| - | - |",
    "\x1b[2J\u202etxt\u200b \\` \\<b> &lt;script&gt; &#60;",
)


def info(title: str = "A title") -> SessionInfo:
    return SessionInfo(id="s-1", folder="/home/me/`x`", title=title, created=AT, updated=AT)


def story(text: str) -> list[Event]:
    """Return a session in which every text is this one."""
    return [
        TurnStarted(turn="t-1", text=text, model=text, sandbox="jail", at=AT, attachments=(text,)),
        CallDecided(turn="t-1", action="a", tool=text, arguments={"path": text}, decision=DECIDED),
        ApprovalResolved(turn="t-1", action="a", approved=False, by=text, why=text),
        ActionStarted(turn="t-1", action="a", tool=text, arguments={text: text}),
        ActionFinished(turn="t-1", action="a", tool=text, status="ok", result=f"{text}\n" * 60, seconds=1.3),
        ActionFinished(turn="t-1", action="b", tool=text, status="invalid", arguments={"x": text}),
        ArtifactKept(turn="t-1", action="a", name=text, media_type="x", size=12, path=text),
        TurnSteered(turn="t-1", text=text),
        Notice(turn="t-1", text=text),
        AssistantText(turn="t-1", text=text),
        DiffOffered(turn="t-1", changes=(FileChange(path=text, kind="changed", diff=f"-{text}\n+{text}"),)),
        TurnFinished(turn="t-1", status="failed", error=text, usage=Usage(requests=2, input_tokens=1234)),
        WorkspaceChanged(what="commit", commit="c-1", paths=(text,)),
    ]


def outside(tokens: list[Token]) -> list[Token]:
    """Return the tokens that stand in no quotation."""
    depth, found = 0, []
    for token in tokens:
        depth -= token.type == "blockquote_close"
        if depth == 0:
            found.append(token)
        depth += token.type == "blockquote_open"
    return found


def check_markdown(text: str) -> None:
    made = exported(info(text), story(text), "md")
    tokens = PARSER.parse(made)
    headings = [tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"]
    top = [one.tag for one in outside(tokens) if one.type == "heading_open"]
    assert top == ["h1", "h2"] and "Turn 1" in headings
    within = {one.tag for one in tokens if one.type == "heading_open" and one.level}
    assert within <= {"h3", "h4", "h5", "h6"}, "what others wrote stands beneath the turn in an outline"
    for token in tokens:
        if token.type == "html_block":
            assert token.content.strip() == "</details>" or token.content.startswith("<details><summary>")
        for inner in token.children or ():
            assert inner.type != "image", "whoever only looks would fetch it"
            assert inner.type != "html_inline"
            if inner.type == "link_open":
                assert str(inner.attrGet("href")).lower().startswith(("http://", "https://", "mailto:"))
    assert not [token for token in outside(tokens) if token.type in ("hr", "table_open", "ordered_list_open")]
    assert tokens[-1].type == "paragraph_close" and "commit c-1" in tokens[-2].content
    assert "\x1b" not in made and "\u202e" not in made


class Page(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.open: list[str] = []
        self.data = ""
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in ("meta", "br", "hr"):
            self.open.append(tag)
        if tag == "a":
            assert dict(attrs).keys() == {"href", "rel"} and dict(attrs)["rel"] == REL
            assert str(dict(attrs)["href"]).lower().startswith(("http://", "https://", "mailto:"))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.data += data


def check_html(text: str) -> None:
    page = Page()
    page.feed(exported(info(text), story(text), "html"))
    page.close()
    assert page.open == []
    ours = "html head meta title style body h1 h2 p section div strong ul li details summary pre span code"
    theirs = "h3 h4 h5 h6 ol blockquote em s br hr a table thead tbody tr th td"
    assert set(page.tags) <= set(f"{ours} {theirs}".split())
    assert page.tags.count("section") == page.tags.count("h1") == page.tags.count("h2") == 1
    given = {"lang", "charset", "name", "content", "http-equiv", "id", "class", "open"}
    assert page.attributes <= given | {"href", "rel", "start", "tabindex"}


@pytest.mark.parametrize("text", NASTY)
def test_nothing_of_others_leaves_its_place(text: str) -> None:
    check_markdown(text)
    check_html(text)


@given(st.text(max_size=60) | st.text("`~<>&#[]:*_-=|\\ \n\tab1.!/\"'", max_size=80))
def test_no_text_at_all_leaves_its_place(text: str) -> None:
    check_markdown(text)
    check_html(text)


def test_everything_that_was_done_is_told() -> None:
    made = exported(info(), story("zebra"), "md")
    page = exported(info(), story("zebra"), "html")
    for told in (made, page):
        for part in ("A title", "Turn 1", "ask by rule copied", "refused by zebra", "1.3 s", "invalid"):
            assert part in told, part
        assert "1,234 tokens read" in told and "2 requests" in told
    assert "```diff\n-zebra\n+zebra\n```" in made and '<span class="add">+zebra</span>' in page
    assert "<details><summary>result</summary>" in made
    assert "light dark" in page and "<script" not in page


def test_an_answer_is_shown_as_the_markdown_that_it_is() -> None:
    answer = (
        "# Use\n`List<int>` in R&D, *not* <b>:\n\n| a | b |\n| - | -: |\n| 1 | 2 |\n\n```python\nx = `1`\n```"
    )
    events: list[Event] = [TurnStarted(turn="t", text="q", at=AT), AssistantText(turn="t", text=answer)]
    made = exported(info(), events, "md")
    told = (
        "> ### Use\n>\n> `List<int>` in R&D, *not* \\<b>:\n>\n> | a | b |\n> | --- | --: |\n> | 1 | 2 |\n>\n"
    )
    assert f"{told}> ```python\n> x = `1`\n> ```\n" in made and "&" not in made.replace("R&D", "")
    assert "No end is stored" in made
    page = exported(info(), events, "html")
    assert "<h3>Use</h3>\n<p><code>List&lt;int&gt;</code> in R&amp;D, <em>not</em> &lt;b&gt;:</p>" in page
    assert '<td class="right">2</td>' in page and "<code>x = `1`\n</code></pre>" in page


def test_long_and_short_arguments_are_told_as_they_are() -> None:
    given = {"path": "a_b.py", "timeout": 1.5, "content": "x = [\n  1,\n]\n", "why": "y" * 300}
    begun = ActionStarted(turn="t", action="a", tool="write_file", arguments=given)
    events: list[Event] = [TurnStarted(turn="t", text="q", at=AT), begun]
    made = exported(info(), events, "md")
    assert "**Action** `write_file`: no end\n\n- `path`: `a_b.py`\n- `timeout`: `1.5`\n" in made
    assert "content:\n\n```\nx = [\n  1,\n]\n```" in made and f"why:\n\n```\n{'y' * 300}\n```" in made
    page = exported(info(), events, "html")
    assert "<li><code>timeout</code>: <code>1.5</code></li>" in page and "<pre>x = [\n  1,\n]\n</pre>" in page


def test_a_command_is_told_as_it_was_typed() -> None:
    events: list[Event] = [TurnStarted(turn="t", text="Run the command: ls <b>`", call="run_shell", at=AT)]
    assert "**You:**\n\n> ```\n> ! ls <b>`\n> ```" in exported(info(), events, "md")
    assert '<div class="you"><code>! ls &lt;b&gt;`</code></div>' in exported(info(), events, "html")


def test_json_is_the_events_exactly() -> None:
    events = story("\u202e\x1b\udcff".encode("utf-8", "replace").decode() + "好")
    lines = exported(info(), events, "jsonl").splitlines()
    assert [EVENT.validate_json(line) for line in lines] == events
    whole = exported(info('A "title"'), events, "json")
    found = json.loads(whole)
    assert SessionInfo.model_validate(found["session"]) == info('A "title"')
    assert found["events"] == [json.loads(line) for line in lines]
    assert all(f"\n{line}" in whole for line in lines)
    assert json.loads(exported(info(), [], "json"))["events"] == []


def test_an_action_that_was_never_told_of_has_no_end() -> None:
    begun = ActionStarted(turn="t", action="a", tool="t", arguments={})
    made = exported(info(), [TurnStarted(turn="t", text="x"), begun], "md")
    assert "no end" in made and "No end is stored" in made


def test_what_was_done_before_and_between_turns_stands_there() -> None:
    undone = WorkspaceChanged(what="undo", commit="c-7", paths=("a",))
    many = DiffOffered(turn="t", changes=(), omitted=2000, summary="2,000 added in build/")
    events: list[Event] = [
        undone,
        TurnStarted(turn="t", text="x"),
        many,
        TurnFinished(turn="t", status="done"),
        WorkspaceChanged(what="commit", commit="c-8", paths=("b",)),
    ]
    for kind in ("md", "html"):
        made = exported(info(), events, kind)
        places = [made.index(part) for part in ("undo c-7", "Turn 1", "2,000 more", "done ·", "commit c-8")]
        assert places == sorted(places) and "2,000 added in build" in made


@pytest.mark.parametrize("kind", ["md", "html"])
def test_no_sign_in_it_acts_or_hides(kind: str) -> None:
    made = exported(info(POISON), story(POISON), kind)
    assert made.count(MARK) > 20 and "\\u202e" in made
    assert all(char == "\n" or char.isprintable() for char in made)
    assert display(made, keep_newlines=True) == made
