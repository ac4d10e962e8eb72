"""Values against the schemas of tools whose types are not ours."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from llmasos.errors import ToolError
from llmasos.tools.schema import Arguments, check_schema, problems

_SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "count": {"type": "integer", "minimum": 1}},
    "required": ["name"],
    "additionalProperties": False,
}


def test_what_fits_is_returned() -> None:
    assert Arguments("greet", _SCHEMA).validate_python({"name": "a", "count": 1}) == {"name": "a", "count": 1}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "'name' is a required property"),
        ({"name": 1}, "name: 1 is not of type 'string'"),
        ({"name": "a", "count": 0}, "count: 0 is less than the minimum of 1"),
        ({"name": "a", "more": 1}, "'more' was unexpected"),
    ],
)
def test_what_does_not_fit_is_named(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ToolError, match=said) as raised:
        Arguments("greet", _SCHEMA).validate_python(arguments)
    assert raised.value.hint == "greet takes: name, count."


def test_what_is_no_schema_is_refused() -> None:
    with pytest.raises(ToolError, match="A schema is none"):
        check_schema({"type": "nothing"})


def test_what_is_left_out_gets_its_default() -> None:
    schema = {
        "type": "object",
        "properties": {"path": {"type": "string", "default": "a.txt"}, "none": {"default": None}},
    }
    assert Arguments("look", schema).validate_python({}) == {"path": "a.txt"}
    assert Arguments("look", schema).validate_python({"path": "b"}) == {"path": "b"}


@pytest.mark.parametrize(
    ("value", "schema", "said"),
    [
        (1.0, {"type": "integer"}, ""),
        (True, {"type": "integer"}, "True is not of type 'integer'"),
        (1, {"enum": [True]}, "1 is not one of [True]"),
        (True, {"const": True}, ""),
        (None, {"type": ["string", "null"]}, ""),
        ([1, "a"], {"items": {"type": "integer"}}, "1: 'a' is not of type 'integer'"),
        (
            [1, "a"],
            {"prefixItems": [{}, {"type": "integer"}], "items": False},
            "1: 'a' is not of type 'integer'",
        ),
        ([1, 2], {"prefixItems": [{}], "items": False}, "1: 2 is not allowed"),
        ({"a": {"b": 1}}, {"properties": {"a": {"properties": {"b": False}}}}, "a.b: 1 is not allowed"),
        ({"a": 1}, {"additionalProperties": {"type": "string"}}, "a: 1 is not of type 'string'"),
        ("ab", {"minLength": 3}, "'ab' is shorter than 3"),
        ([1], {"maxItems": 0}, "[1] has more items than 0"),
        (5, {"exclusiveMaximum": 5}, "5 is not less than 5"),
        ("x", {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "'x' fits none of what it may be"),
        (3, {"allOf": [{"type": "integer"}, {"minimum": 4}]}, "3 is less than the minimum of 4"),
        ({"a": 1}, {"$ref": "#/$defs/b/0", "$defs": {"b": [{"required": ["c"]}]}}, ""),
        (
            {"a": 1},
            {"$ref": "#/$defs/b~1c", "$defs": {"b/c": {"required": ["c"]}}},
            "'c' is a required property",
        ),
        (1, {"type": 7, "enum": "x", "properties": [], "anyOf": {}, "minimum": "a"}, ""),
        (10**400, {"type": "integer", "multipleOf": 0.5, "minimum": 1.5}, ""),
    ],
)
def test_values_are_checked_as_json_schema_has_it(value: Any, schema: dict[str, Any], said: str) -> None:
    assert problems(value, schema) == ([said] if said else [])


@pytest.mark.parametrize(
    "schema",
    [
        {"type": [0, "0", 1, "1"] * 10_000},
        {"type": "object", "properties": {"a": {"type": "text"}}},
        {"description": "x" * 60_000},
    ],
)
def test_a_schema_that_cannot_be_told_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(ToolError, match="A schema is"):
        check_schema(schema)
    nested: dict[str, Any] = {}
    for _ in range(70):
        nested = {"not": nested}
    with pytest.raises(ToolError, match="nested too deeply"):
        check_schema(nested)
    check_schema(
        {"type": "object", "properties": {"type": {"type": "string"}, "enum": {"enum": [{"type": 1}]}}}
    )


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "^(a+)+$"},
        {"$ref": "https://example.org/schema.json"},
        {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {
            "$defs": {
                **{f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)},
                "a40": {"type": "null"},
            },
            "$ref": "#/$defs/a0",
        },
        {"type": "array", "uniqueItems": True},
        {"patternProperties": {"(a+)+$": {}}, "additionalProperties": False},
        {"propertyNames": {"pattern": "(a+)+$"}, "unevaluatedProperties": False, "$ref": "#"},
        {"anyOf": [{"type": "integer"}] * 5_000},
        {"$ref": "file:///etc/passwd"},
    ],
)
def test_no_schema_makes_it_wait_or_reach_out(schema: dict[str, Any]) -> None:
    before = sys.getrecursionlimit()
    # As libraries of chains do.
    sys.setrecursionlimit(100_000)
    try:
        problems("a" * 40 + "!", schema)
        problems([[number] for number in range(5000)], schema)
        problems({"a" * 40 + "!": 1}, schema)
    finally:
        sys.setrecursionlimit(before)
