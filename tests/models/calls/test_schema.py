"""The grammar of a schema accepts its values and nothing else, by a real matcher."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmasos.models.calls.schema import SchemaRules, grammar_of
from llmasos.models.engines.port import InvalidRequest
from tests.models.grammars import accepts as matched


def accepts(schema: Any, text: str) -> bool:
    rules = SchemaRules(schema)
    root = rules.add(schema)
    return matched(grammar_of(root, rules.rules), text)


TREE = {
    "$ref": "#/$defs/Node",
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {
                "v": {"type": "string"},
                "kids": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
            },
            "required": ["v"],
        }
    },
}
ROW = {
    "type": "object",
    "properties": {
        "count": {"type": "integer", "minimum": 0},
        "unit": {"enum": ["m", 'say "s"', None]},
        "note": {"type": ["string", "null"], "maxLength": 4},
    },
    "required": ["count", "note"],
}


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        (ROW, '{"count": 1, "note": null}', '{"count": -1, "note": null}'),
        (ROW, '{"count": 1, "unit": "say \\"s\\"", "note": "abcd"}', '{"count": 1, "note": "abcde"}'),
        (ROW, '{"count":0,"note":"é"}', '{"note": "a"}'),
        (TREE, '{"v": "a", "kids": [{"v": "b"}, {"v": "c", "kids": []}]}', '{"v": "a", "kids": [{}]}'),
        (
            {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 3},
            "[1, 2.5e3, -3]",
            "[1]",
        ),
        ({"type": "array", "items": {"type": "number"}, "maxItems": 0}, "[]", "[1]"),
        ({"type": "array", "prefixItems": [{"const": 1}, {"type": "boolean"}]}, "[1, true]", "[1, 2]"),
        ({"type": "object"}, '{"any": [1, {"b": null}]}', "[]"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, '{"a": 1}', '{"a": "b"}'),
        ({"type": "object", "additionalProperties": False}, "{}", '{"a": 1}'),
        ({"type": "object", "properties": {}}, "{}", '{"a": 1}'),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "7", "true"),
        ({"allOf": [{"properties": {"a": {"const": 1}}}, {"required": ["a"]}]}, '{"a": 1}', "{}"),
        ({"type": "string", "minLength": 1}, '"\\u00e9"', '""'),
        ({}, '[{"x": [true, null, 1.5, "s"]}]', "nothing"),
    ],
)
def test_values_are_told_apart(schema: Any, right: str, wrong: str) -> None:
    assert accepts(schema, right)
    assert not accepts(schema, wrong)


@settings(max_examples=30)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=6),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    )
)
def test_any_value_matches_itself_as_a_constant_and_without_a_schema(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    if "\x7f" not in text:
        assert accepts({"const": value}, text)
        assert accepts({}, text)


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"enum": []},
        {"anyOf": []},
        {"$ref": "#/$defs/none"},
        {"type": "object", "properties": ["a"]},
        {"type": "object", "properties": {"a": False}},
        {"type": "array", "minItems": "many", "items": {}},
        {"allOf": 3},
        {"type": "string", "maxLength": {}},
    ],
)
def test_schemas_that_cannot_be_read_are_refused(schema: Any) -> None:
    with pytest.raises(InvalidRequest, match="schema"):
        SchemaRules(schema).add(schema)


def test_a_schema_that_is_too_deep_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(5000):
        schema = {"type": "array", "items": schema}
    with pytest.raises(InvalidRequest, match="cannot be read"):
        SchemaRules(schema).add(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    ],
)
def test_what_refers_to_itself_alone_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="refers to itself alone"):
        SchemaRules(schema).add(schema)
