"""The grammar's text; that the engine accepts it is tested in tests/integration."""

import re
from typing import Any

import pytest
from pydantic_ai.tools import ToolDefinition

from benchmarks.model_tools import tools
from llmasos.models.calls.grammar import grammar
from llmasos.models.calls.syntax import CallForm, forms_of
from tests.models.grammars import accepts


def rules(
    properties: dict[str, Any], required: list[str] | None = None, *, answer: bool = True
) -> dict[str, str]:
    schema = {"type": "object", "properties": properties, "required": required or []}
    text = grammar((CallForm.of(ToolDefinition(name="t", parameters_json_schema=schema)),), answer=answer)
    return dict(line.split(" ::= ", 1) for line in text.splitlines() if line)


def test_every_rule_that_is_used_is_defined_once() -> None:
    text = grammar(tuple(forms_of(tools()).values()))
    defined = [line.split(" ::= ", 1)[0] for line in text.splitlines() if line]
    bare = re.sub(r'"(\\.|[^"\\])*"|\[(\\.|[^\]\\])*\]|\{[^}]*\}', " ", text)
    used = set(re.findall(r"[a-z][a-z0-9-]*", bare))
    assert len(defined) == len(set(defined))
    assert used == set(defined)


def test_required_arguments_cannot_be_left_out_and_optional_ones_can() -> None:
    found = rules({"a": {"type": "string"}, "b": {"type": "integer"}}, ["a"])
    assert found["tool0-first0"] == '"a=" json-string tool0-rest1'
    assert found["tool0-rest1"] == '", " "b=" json-integer tool0-rest2 | tool0-rest2'
    assert found["tool0-rest2"] == '""'


def test_types_enums_and_unions_have_their_rules() -> None:
    found = rules(
        {
            "kind": {"enum": ["x", 'quote"d', 1]},
            "names": {"type": "array", "items": {"type": "string"}},
            "maybe": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "either": {"anyOf": [{"type": "boolean"}, {"type": "string"}]},
            "any": {},
        }
    )
    assert r'("\"x\"" | "\"quote\\\"d\"" | "1")' in found["tool0-first0"]
    assert '("[" (json-string (", " json-string)*)? "]")' in found["tool0-first1"]
    assert found["tool0-first2"].startswith('"maybe=" json-number ')
    assert '"either=" (boolean | json-string)' in found["tool0-first3"]
    assert '"any=" json-value' in found["tool0-first4"]


def test_answers_can_be_forbidden() -> None:
    assert "answer-text" in rules({})["root"]
    assert rules({}, answer=False)["root"] == "tool0"


@pytest.mark.parametrize(
    ("text", "latin"),
    [
        ("note.md 已经写好。", True),
        ("28 days of holiday.", True),
        ("42", True),
        ("“Yes,” it says: 是的", True),
        ("Élan\n\nnext", True),
        ("Пять дней.", True),
        ("28 天", False),
        ("每个员工", False),
        ("“晚安”", False),
        ("はい", False),
    ],
)
def test_an_answer_may_have_to_begin_in_another_script(text: str, latin: bool) -> None:
    form = CallForm.of(ToolDefinition(name="t", parameters_json_schema={"type": "object"}))
    assert accepts(grammar((form,)), f"Answer: {text}")
    assert accepts(grammar((form,), scripts="begins latin"), f"Answer: {text}") == latin


@pytest.mark.parametrize(
    ("text", "latin"),
    [
        ("28 days of “holiday”.\n\nPer year — Élan, Пять, ½ €, 😀", True),
        ("note.md 已经写好。", False),
        ("a\n天", False),
        ("a、b", False),
        ("完成", False),
    ],
)
def test_an_answer_may_have_to_keep_to_other_scripts(text: str, latin: bool) -> None:
    form = CallForm.of(ToolDefinition(name="t", parameters_json_schema={"type": "object"}))
    assert accepts(grammar((form,)), f"Answer: {text}")
    assert accepts(grammar((form,), scripts="latin"), f"Answer: {text}") == latin
