"""Calls in every tool format, read back however the text was cut."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmasos.errors import ModelError
from llmasos.models.catalog.profile import ToolFormat
from llmasos.models.chat.formats import FORMATS, CallReader
from llmasos.models.chat.port import ChatDelta

ARGUMENTS = {"a": 'x "}] \\ <tool_call>', "b": [1, {"c": None}], "ü": "\n"}


def read(
    name: ToolFormat, pieces: list[str], *, opened: bool = False, cut: bool = False
) -> tuple[str, list[tuple[str, str]]]:
    """Return the text and the calls of a reply."""
    reader = CallReader(FORMATS[name], opened=opened)
    deltas: list[ChatDelta] = []
    for piece in pieces:
        deltas += reader.feed(piece)
    deltas += reader.end(cut=cut)
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    for call in (call for delta in deltas for call in delta.calls):
        if call.name:
            assert call.id and call.index not in names
            names[call.index] = call.name
        arguments[call.index] = arguments.get(call.index, "") + call.arguments
    return "".join(d.text for d in deltas), [(names[i], arguments[i]) for i in sorted(names)]


def written(name: ToolFormat, calls: list[tuple[str, object]]) -> str:
    """Return calls as a model of this format writes them."""
    form = FORMATS[name]
    objects = [json.dumps({"name": tool, form.arguments: value}) for tool, value in calls]
    if name == "hermes":
        return "\n".join(f"<tool_call>\n{text}\n</tool_call>" for text in objects)
    if name == "llama3":
        return "; ".join(objects)
    return f"[TOOL_CALLS][{', '.join(objects)}]"


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=40)
@given(data=st.data())
def test_calls_are_the_same_however_the_text_is_cut(name: ToolFormat, data: st.DataObject) -> None:
    text = written(name, [("one", ARGUMENTS), ("two", {})])
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    pieces = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    answer, calls = read(name, pieces)
    assert answer == ""
    assert [(tool, json.loads(value)) for tool, value in calls] == [("one", ARGUMENTS), ("two", {})]


@pytest.mark.parametrize("name", ["hermes", "mistral"])
def test_text_before_calls_is_given_and_openings_never_are(name: ToolFormat) -> None:
    text = "Let me look: 1 < 2 [T] <tool.\n\n" + written(name, [("one", {"a": 1})])
    answer, calls = read(name, list(text))
    assert answer == "Let me look: 1 < 2 [T] <tool."
    assert calls == [("one", '{"a": 1}')]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("text", ["plain <tool", "a\n\nb [1] {x} ", "  x", "<", "[TOOL"])
def test_text_without_calls_is_given_whole(name: ToolFormat, text: str) -> None:
    assert read(name, list(text)) == (text, [])
    assert read(name, [text]) == (text, [])


def test_arguments_stream_before_the_call_is_whole() -> None:
    reader = CallReader(FORMATS["hermes"], opened=True)
    (named,) = reader.feed('\n{"name": "f", "arguments": ')
    assert named.calls[0].name == "f"
    (piece,) = reader.feed('{"a": "be')
    assert piece.calls[0].arguments == '{"a": "be'
    (rest,) = reader.feed('gin"}, "x": 1}')
    assert rest.calls[0].arguments == 'gin"}'


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ('{"arguments": {"a": 1}, "name": "f"}', '{"a": 1}'),
        ('{"name": "f"}', "{}"),
        ('{"name": "f", "arguments": null}', "{}"),
        ('{"name": "f", "parameters": {"a": 1} }', '{"a": 1}'),
        ('{ "name" : "f" , "arguments" : "{\\"a\\": 1}" }', '{"a": 1}'),
    ],
)
def test_other_ways_to_write_a_call_are_read(call: str, arguments: str) -> None:
    for pieces in ([f"<tool_call>{call}</tool_call>"], list(f"<tool_call>{call}</tool_call>")):
        assert read("hermes", pieces) == ("", [("f", arguments)])


@pytest.mark.parametrize(
    "text", ["<tool_call>no call", '<tool_call>{"name": f}', '<tool_call>{"a": 1}', '<tool_call>{"name": "f"']
)
def test_calls_that_cannot_be_read_are_errors(text: str) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        read("hermes", [text])


def test_a_call_that_was_cut_shows_what_came() -> None:
    assert read("hermes", ['<tool_call>{"name": "f", "arguments": {"a'], cut=True) == ("", [("f", '{"a')])
    assert read("hermes", ["<tool_call>"], cut=True) == ("", [])


def test_ids_fit_the_templates() -> None:
    assert len(FORMATS["mistral"].call_id()) == 9
    assert FORMATS["hermes"].call_id() != FORMATS["hermes"].call_id()
