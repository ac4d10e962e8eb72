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
    ],
)
def test_no_schema_makes_it_wait_or_reach_out(schema: dict[str, Any]) -> None:
    before = sys.getrecursionlimit()
    # As libraries of chains do.
    sys.setrecursionlimit(100_000)
    try:
        problems("a" * 40 + "!", schema, 0.2)
        problems([[number] for number in range(5000)], schema, 0.2)
    finally:
        sys.setrecursionlimit(before)
