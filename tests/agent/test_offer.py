"""Which tools a model is offered, and what it finds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmasos.agent.offer import Offer
from llmasos.tools import Registry, Tool, builtin_tools

ABOUT = {
    "mail_send": "Sends a mail to somebody.",
    "mail_search": "Searches the mails of a folder.",
    "table_book": "Books a table in a restaurant.",
    "weather_forecast": "Tells the weather of the next days.",
    "日历_添加": "在日历中添加会议",
}


def registry(count: int) -> Registry:
    made = Registry(builtin_tools())
    about = {**ABOUT, **{f"thing_{n}": f"Does thing {n}." for n in range(count - len(ABOUT))}}
    made.replace("others", [_other(name, text) for name, text in about.items()][:count])
    return made


def _other(name: str, description: str) -> Tool:
    (one,) = [tool for tool in builtin_tools() if tool.name == "read_file"]
    return replace(one, name=name, description=description, origin="mcp:x")


def names(offer: Offer) -> set[str]:
    return {tool.name for tool in offer.tools()}


def test_a_few_are_offered_at_once() -> None:
    offered = names(Offer(registry(10), set()))
    assert set(ABOUT) <= offered and "find_tools" not in offered and "read_file" in offered


def test_many_are_offered_once_they_were_looked_for() -> None:
    found: set[str] = set()
    offer = Offer(registry(100), found)
    assert names(offer) == {tool.name for tool in builtin_tools()}
    assert offer.find("reserve a table at a restaurant")[0].name == "table_book"
    assert "table_book" in names(offer) and "mail_send" not in names(offer)
    assert "table_book" in names(Offer(registry(100), found)), "for the rest of the session"
    assert names(offer.including("mail_send")) >= {"mail_send", "table_book"}
    assert "mail_send" not in names(offer)


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("send mails", "mail_send"),
        ("mail_search", "mail_search"),
        ("MAIL searching", "mail_search"),
        ("what will the weather be", "weather_forecast"),
        ("日历", "日历_添加"),
    ],
)
def test_words_find_what_they_mean(query: str, best: str) -> None:
    assert Offer(registry(60), set()).find(query)[0].name == best


@pytest.mark.parametrize("query", ["", '"', "' OR 1=1 --", "NEAR(", "***", "a" * 10_000, "\0"])
def test_no_words_break_the_search(query: str) -> None:
    assert Offer(registry(60), set()).find(query) is not None


def test_those_that_go_are_offered_no_longer() -> None:
    tools = registry(10)
    offer = Offer(tools, {"mail_send"})
    tools.replace("others", [])
    assert names(offer) == {tool.name for tool in builtin_tools()} - {"find_tools"}
    assert offer.find("mail") == []
