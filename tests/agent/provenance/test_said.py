"""What was said counts as it was said, up to a bound."""

import pytest

from llmasos.agent.provenance.said import Said


def said(*texts: str, most: int = 10_000) -> Said:
    one = Said(most)
    for text in texts:
        one.add(text)
    return one


@pytest.mark.parametrize(
    ("text", "value", "whole"),
    [
        ("Write to Kim@Example.org.", "kim@example.org", True),
        ("Write to kim@example.org.evil", "kim@example.org", False),
        ("open https://example.org/a, please", "example.org", True),
        ("not-example.org", "example.org", False),
        ("把报告发给王芳", "王芳", True),
        ("run  `make\n install`", "make install", True),
        ("runs", "run", False),
        ("run_all", "run", False),
        ("anything", "...", False),
        ("cafe", "café", False),
    ],
)
def test_a_value_was_said_when_nothing_is_grown_onto_it(text: str, value: str, whole: bool) -> None:
    assert said("first", text).whole(value) is whole


def test_texts_do_not_run_into_each_other() -> None:
    both = said("delete the", "reports now")
    assert not both.whole("the reports") and not both.words(["the", "reports"])
    assert both.covered(["delete", "the", "reports"]) == [False]
    assert both.covered(["delete", "the"]) == [] == both.covered([])


def test_what_is_said_past_the_bound_is_not_remembered() -> None:
    one = said("x" * 90, "kim@example.org", most=100)
    assert not one.whole("kim@example.org")


@pytest.mark.parametrize("piece", ["a", "a/", "a@", "1", "a.-", "ab_", "1,", "deadbeef01\n"])
def test_a_long_text_of_any_shape_is_remembered_and_looked_up(piece: str) -> None:
    """What takes the square of a text's length would not end here."""
    text = piece * (300_000 // len(piece))
    one = said(text, most=10**7)
    assert one.whole(text)
    assert not one.account(text)


@pytest.mark.parametrize(
    ("text", "name", "named"),
    [
        ("look at https://docs.example.org/guide", "guide", False),
        ("look at src/parser/lexer.py", "lexer.py", True),
        ("look at src/parser/lexer.py", "parser", False),
        ("look into src/parser/", "parser", True),
        ("write to kim@example.org", "example", False),
        ("see reports:https://x.example/a", "reports", True),
    ],
)
def test_hosts_of_links_and_folders_of_paths_are_not_named(text: str, name: str, named: bool) -> None:
    assert said(text).named(name) is named
