"""GBNF grammars in llguidance's notation."""

from typing import Any

import pytest

from llmasos.models.calls.grammar import grammar
from llmasos.models.calls.syntax import CallForm
from llmasos.models.engines.gbnf import GrammarError, lark


@pytest.fixture(scope="module")
def table() -> Any:
    from llguidance import LLTokenizer

    return LLTokenizer("byte")


def _matches(table: Any, source: str, text: str) -> bool:
    from llguidance import LLMatcher

    matcher = LLMatcher(table, LLMatcher.grammar_from_lark(lark(source)), log_level=0)
    assert not matcher.is_error(), matcher.get_error()
    tokens = table.tokenize_str(text)
    return matcher.try_consume_tokens(tokens) == len(tokens) and bool(matcher.is_accepting())


@pytest.mark.parametrize(
    ("source", "yes", "no"),
    [
        ('root ::= word "x"\nword ::= [a-z]+', ["ax", "abcxx"], ["x", "abc"]),
        ('root ::= "ab" "c" | [a-z] "b" "d"', ["abc", "abd"], ["ab", "abe"]),
        ('root ::= "(" root ")" | ""', ["", "(())"], ["(()"]),
        ('root ::= [^a-c\\n"\\]\\\\-]{2,3}', ["xyz", "é€"], ["x", "ab", "--", "]]", "\\\\"]),
        ('root ::= ("a" | "b")? "c"{2} "d"{1,} # remark\n', ["ccd", "accdd"], ["cd", "acc"]),
        ('root ::= "\\x41\\u20AC\\U0001F600\\t"', ["A€😀\t"], ["A"]),
        ('root ::= (\n "a" |\n "b"\n)\n\nother ::= root', ["a", "b"], ["ab"]),
        ('# first\nroot ::= . [/"] "/*"', ['a"/*', "\n//*"], ["a/"]),
        ("root ::= [-a] [a-]", ["--", "aa"], ["b-"]),
    ],
)
def test_a_grammar_allows_exactly_its_texts(table: Any, source: str, yes: list[str], no: list[str]) -> None:
    assert [text for text in yes if not _matches(table, source, text)] == []
    assert [text for text in no if _matches(table, source, text)] == []


def test_the_grammar_of_calls_is_read(table: Any) -> None:
    form = CallForm(name="run_python", description="", parameters=(), block="code", language="python")
    source = grammar((form,))
    assert _matches(table, source, "run_python\n```python\nprint(1)\n```")
    assert _matches(table, source, "Answer: yes.\n\nno")
    assert not _matches(table, source, "run_python\n```python\nprint(1)\n``")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("", "no rule named root"),
        ('a ::= "b"', "no rule named root"),
        ("root ::= missing", "no rule named missing"),
        ('root ::= "a', "does not end"),
        ("root ::= [a", "does not end"),
        ("root ::= [z-a]", "ends before it begins"),
        ("root ::= []", "is empty"),
        ('root ::= ("a"', r"\) was expected"),
        ('root ::= "a"{3,1}', "ends below"),
        ('root ::= "a"\nroot ::= "b"', "there twice"),
        ('root = "a"', "::= was expected"),
        ('root ::= "\\ud800"', "no character"),
        ('root ::= "\\q"', "an escape was expected"),
        ("root ::= " + "(" * 5000, "too deeply"),
        ("\udcff", "a rule's name was expected"),
    ],
)
def test_a_grammar_that_cannot_be_read_says_why(source: str, reason: str) -> None:
    with pytest.raises(GrammarError, match=reason):
        lark(source)
