"""Markdown of others as HTML: what it means is seen, and nothing of it acts, hides or is fetched."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmasos.display import display
from llmasos.markdown import html, parse

REL = 'rel="noopener noreferrer nofollow"'
TAGS = "p br hr h4 h5 h6 ul ol li blockquote pre code em strong s a div table thead tbody tr th td"
VOID = ("br", "hr")


class Found(HTMLParser):
    """What a browser finds in HTML, which has to be well-formed."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.said = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not (tag == "a" and "a" in self.open), "links stand in no links"
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(data)


def check(text: str) -> Found:
    """Return what is found in the HTML of a text, of which nothing is beyond what is meant."""
    found = Found(html(text, 4))
    assert set(found.tags) <= set(TAGS.split())
    for name, value in found.attributes:
        match name:
            case "href":
                assert value.lower().startswith(("http://", "https://", "mailto:")) and value.isascii()
            case "rel":
                assert value == "noopener noreferrer nofollow"
            case "class":
                assert value in ("scroll", "left", "center", "right")
            case "start":
                assert value.isdigit()
            case _:
                assert (name, value) == ("tabindex", "0")
    assert display(found.said, keep_newlines=True) == found.said
    return found


def test_what_is_meant_is_seen() -> None:
    assert html("# A\n## B\n### C\n#### D", 4) == "<h4>A</h4>\n<h5>B</h5>\n<h6>C</h6>\n<h6>D</h6>\n"
    assert html("### A\n##### B\n### C", 4) == "<h4>A</h4>\n<h5>B</h5>\n<h4>C</h4>\n"
    assert html("a *b* **c** ~~d~~ `e`\nf", 4) == (
        "<p>a <em>b</em> <strong>c</strong> <s>d</s> <code>e</code><br>\nf</p>\n"
    )
    assert html("```py\nx < 1\n```", 4) == '<pre tabindex="0"><code>x &lt; 1\n</code></pre>\n'
    assert "<li>x</li>" in html("- x\n- y", 4) and '<ol start="3">' in html("3. x", 4)
    table = html("| a | b |\n| - | -: |\n| 1 | 2 |", 4)
    assert (
        table.startswith('<div class="scroll" tabindex="0"><table>') and '<td class="right">2</td>' in table
    )
    assert "<blockquote>" in html("> x", 4) and html("---", 4) == "<hr>\n"
    assert html("call __init__.py of a_b_c", 4) == "<p>call __init__.py of a_b_c</p>\n"


def test_links_say_where_they_lead_and_lead_to_the_web_only() -> None:
    address = "https://example.com/a?b=1&c=2"
    assert html(f"<{address}>", 4) == f'<p><a href="{address}" {REL}>{address}</a></p>\n'.replace(
        "&", "&amp;"
    )
    assert html("[bank](http://evil.example)", 4) == (
        f'<p><a href="http://evil.example" {REL}>bank</a> (http://evil.example)</p>\n'
    )
    assert html("<me@example.com>", 4) == (
        f'<p><a href="mailto:me@example.com" {REL}>me@example.com</a></p>\n'
    )
    # Letters that only look like others are told by the address beside them.
    assert "(https://xn--80ak6aa92e.com)" in html("<https://xn--80ak6aa92e.com>", 4)
    assert html("[a *<http://inner.example>*](http://outer.example)", 4).count("<a ") == 1


ADDRESSES = (
    *("javascript:alert(1)", "JaVaScRiPt:alert(1)", "javascript&colon;alert(1)", "&#106;avascript:alert(1)"),
    *("java\\script:x", "data:text/html,<script>alert(1)</script>", "vbscript:x", "file:///etc/passwd", ""),
    *("//evil.example", "/console/logout", "x.html", "#top", "?all", "http:", "https:evil", "\x01http://x"),
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_other_links_are_text_as_it_is_written(address: str) -> None:
    for text in (f"[x]({address})", f"[x](<{address}>)", f"<{address}>", f"[x]: {address}\n\n[x]"):
        assert "a" not in check(text).tags


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "a <!-- b --> c <![CDATA[x]]> <?x?>",
        "</div></article><h1>Mine</h1>",
        "&lt;script&gt;alert(1)&lt;/script&gt; &#60;b&#62; &quot; &amp;lt;",
        '```"><script>alert(1)</script>\n</code></pre><script>alert(2)</script>\n```',
        "`</code><script>` ``<b>``",
        '[x](http://a/"onclick="alert(1) "onmouseover=alert(1)")',
        "[x](http://a 'title')",
        "[<b>](http://a/<script>)",
        "| <b> | x |\n| - | - |\n| <i>\\| | `</td>` |",
        "# <h1>\n- </li><script>",
        "1" * 9 + ". <b>\n" + "1" * 12 + ". <b>",
        "> > > [x](http://a) *<b>*\n> ```\n> <u>",
        '<https://a/><script> <https://a"onclick=x>',
        "[x](mailto:a@b?subject=<script>)",
    ],
)
def test_no_text_becomes_markup(text: str) -> None:
    found = check(text)
    assert not {"script", "img", "b", "u", "i", "h1"} & set(found.tags)


@pytest.mark.parametrize(
    "picture", ["![x](https://e.example/p.png)", "[![x](https://e.example/p.png)](https://b.example)"]
)
def test_pictures_are_told_of_and_never_fetched(picture: str) -> None:
    assert "![x](https://e.example/p.png)" in check(picture).said and "src" not in html(picture, 4)


HIDING = (
    "a\u202eb",
    "a&#x202e;b",
    "`\u200b`",
    "```\n\u2066\x1b[2J\n```",
    "&#x200b;",
    "x\r\ny",
)


@pytest.mark.parametrize("text", HIDING)
def test_what_hides_is_shown(text: str) -> None:
    assert "\\" in check(text).said


def test_nothing_hides_in_a_link() -> None:
    assert "/%5Cu202e" in check("[a](https://e.example/\u202e)").said


def test_what_stands_beside_a_fence_is_seen() -> None:
    assert check("~~~ rm -rf zebra\nx\n~~~").said == "~~~ rm -rf zebra\nx\n\n"
    assert check("```python\nx\n```").said == "x\n\n"


@pytest.mark.parametrize("depth", [15, 25, 3000])
@pytest.mark.parametrize("sign", ["> ", "- ", "1. "])
def test_what_is_deeply_nested_is_not_lost(sign: str, depth: int) -> None:
    assert "zebra" in check(f"before\n\n{sign * depth}zebra").said


PIECES = ("[", "![", "[a](", "*a_", "`a", "<a ", "&a", "> ", "- ", "a\n", "|", "~~", "\\", "\t")


@pytest.mark.parametrize("piece", PIECES)
def test_long_texts_are_shown_whole(piece: str) -> None:
    for text in (f"{piece * (20_000 // len(piece))} zebra fish", f"{piece * 60_000} zebra fish"):
        assert "zebra fish" in check(text).said


def test_few_characters_cannot_ask_for_many_cells() -> None:
    wide = f"|{'a|' * 1000}\n|{'-|' * 1000}\n" + "|a\n" * 1000
    assert len(parse(wide)) < 10
    many = "|a|b|\n|-|-|\n" + "|1|2|\n" * 100
    assert check(many).tags.count("td") == 200


@given(st.text(max_size=60) | st.text("`~<>&#[]()!:*_-=|\\ \n\tab1.\"'/", max_size=80))
def test_no_text_at_all_becomes_markup(text: str) -> None:
    check(text)
    check(f"[x](http://a/{text})")


@given(st.text("abc12 \n*_~`#>-[]()!|", max_size=80))
def test_every_word_is_seen(text: str) -> None:
    text = text.replace("](", "] (")
    said = check(text).said
    # Numbers of lists are the browser's to show, and the first word after a fence names its language.
    assert "`" in text or "~" in text or [c for c in said if c in "abc"] == [c for c in text if c in "abc"]
