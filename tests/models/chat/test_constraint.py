"""Grammars of replies accept what a model may write, and nothing else."""

from typing import Any

import pytest

from llmasos.models.catalog.profile import ToolFormat
from llmasos.models.chat.constraint import reply_grammar, without
from llmasos.models.chat.formats import FORMATS
from llmasos.models.chat.port import ChatTool
from tests.models.grammars import accepts

SCHEMA = {
    "type": "object",
    "properties": {
        "unit": {"enum": ["C", "F"]},
        "place": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    },
    "required": ["unit", "place"],
}
TOOLS = (ChatTool(name="weather", parameters=SCHEMA), ChatTool(name="now"))
GOOD = '{"unit": "C", "place": {"name": "Genf"}}'
BAD = '{"unit": "K", "place": {"name": "Genf"}}'
THINK = ("<think>", "</think>")


def call(form: ToolFormat, arguments: str, name: str = "weather") -> str:
    return f'{{"name": "{name}", "{FORMATS[form].arguments}": {arguments}}}'


def grammar(form: ToolFormat, **given: Any) -> str:
    return reply_grammar(FORMATS[form], TOOLS, **({"opened": False, "parallel": True} | given))


ONE = {"hermes": "<tool_call>\n{}\n</tool_call>", "llama3": "{}", "mistral": "[TOOL_CALLS][{}]"}
TWO = {
    "hermes": "<tool_call>\n{}\n</tool_call>\n<tool_call>\n{}\n</tool_call>",
    "llama3": "{}; {}",
    "mistral": "[TOOL_CALLS][{}, {}]",
}


@pytest.mark.parametrize("form", FORMATS)
def test_calls_obey_the_schemas(form: ToolFormat) -> None:
    rules = grammar(form)
    one = ONE[form].replace("{}", "%s")
    assert accepts(rules, one % call(form, GOOD))
    assert accepts(rules, one % call(form, "{}", "now"))
    assert not accepts(rules, one % call(form, BAD))
    assert not accepts(rules, one % call(form, "{}", "other"))
    assert not accepts(rules, one % call(form, '{"a": 1}', "now"))
    assert not accepts(rules, (one % call(form, GOOD))[:-1] if form != "hermes" else "<tool_call>")


@pytest.mark.parametrize("form", FORMATS)
def test_several_calls_come_only_where_they_may(form: ToolFormat) -> None:
    two = TWO[form].replace("{}", "%s") % (call(form, GOOD), call(form, "{}", "now"))
    assert accepts(grammar(form), two)
    assert not accepts(grammar(form, parallel=False), two)


@pytest.mark.parametrize("form", FORMATS)
def test_text_is_free_until_a_call_opens(form: ToolFormat) -> None:
    for text in ("", "Hello <b>\n\n[1] 2 < 3 {x} é 你好", "<tool", "<<tool_call"):
        assert accepts(grammar(form), text)
        assert not accepts(grammar(form, opened=True), text)


@pytest.mark.parametrize("form", ["hermes", "mistral"])
def test_calls_may_follow_text(form: ToolFormat) -> None:
    text = "Let me see.\n" + ONE[form].replace("{}", "%s")
    assert accepts(grammar(form), text % call(form, GOOD))
    assert not accepts(grammar(form), text % call(form, BAD))


@pytest.mark.parametrize("form", FORMATS)
def test_a_forced_reply_is_a_call(form: ToolFormat) -> None:
    written = ONE[form].replace("{}", "%s") % call(form, GOOD)
    assert accepts(grammar(form, opened=True), written.removeprefix(FORMATS[form].forced))


@pytest.mark.parametrize("form", FORMATS)
def test_text_can_have_a_schema_beside_calls(form: ToolFormat) -> None:
    rules = grammar(
        form, schema={"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    )
    assert accepts(rules, '{"a": 1}')
    assert accepts(rules, ONE[form].replace("{}", "%s") % call(form, GOOD))
    assert not accepts(rules, "free text")


@pytest.mark.parametrize("form", FORMATS)
def test_thoughts_are_free(form: ToolFormat) -> None:
    written = ONE[form].replace("{}", "%s") % call(form, GOOD)
    thought = "So <tool_call> or {not} </thin"
    assert accepts(grammar(form, thoughts=THINK), f"<think>{thought}</think>\n\n{written}")
    assert accepts(grammar(form, thoughts=THINK), written)
    assert accepts(grammar(form, thoughts=THINK, thinking=True), f"{thought}</think>{written}")
    assert not accepts(grammar(form, thoughts=THINK, thinking=True), written)


@pytest.mark.parametrize("marker", ["<tool_call>", "[TOOL_CALLS]", "</think>", "]-^\\x"])
def test_a_marker_does_not_occur_in_a_text_without_it(marker: str) -> None:
    rules = without(marker, "text")
    grammar = "\n".join(["root ::= text", *(f"{name} ::= {body}" for name, body in rules.items())])
    assert accepts(grammar, f"a{marker[:-1]}{marker[:3]}{marker[0]}{marker[0]}b{marker[:-1]}")
    assert not accepts(grammar, f"a{marker[:2]}{marker}")
    assert not accepts(grammar, f"{marker}b")
