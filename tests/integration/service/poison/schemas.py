"""Schemas and tools that lie, have no end, or are too large."""

from __future__ import annotations

import random
from typing import Any

from tests.integration.service.poison.draft import Draft, chat, kind, schema, tool


@kind
def bad_schema(rng: random.Random, model: str) -> Draft:
    value: Any = rng.choice(
        (
            {"type": "nonsense"},
            {"type": 5},
            {"type": "string", "pattern": "((("},
            {"type": "string", "pattern": "(?<=a)b\\1"},
            {"enum": []},
            {"const": "\x00\ud7ff"},
            {"not": {}},
            {"type": "integer", "minimum": 5, "maximum": 1},
            {"allOf": [{"type": "string"}, {"type": "integer"}]},
            {"$ref": "https://example.org/schema"},
            {"$ref": "#/nowhere"},
            {"type": "object", "properties": {"a": False}, "required": ["a"]},
            {"type": "array", "minItems": 10**9},
            {"type": "object", "properties": []},
        )
    )
    return Draft(schema(model, value, stream=rng.random() < 0.5), (200, 400))


@kind
def huge_schema(rng: random.Random, model: str) -> Draft:
    deep: Any = {"type": "string"}
    for _ in range(rng.choice((50, 90))):
        deep = {"type": "object", "properties": {"a": deep}, "required": ["a"]}
    wide = {f"p{n}": {"type": "integer"} for n in range(600)}
    value = rng.choice(
        (
            deep,
            {"type": "object", "properties": wide, "required": list(wide)},
            {"enum": [f"value {n}" for n in range(3000)]},
            {"type": "string", "minLength": 10**6, "maxLength": 10**9},
            {"type": "string", "pattern": "(a{1,500}){1,500}"},
            {"anyOf": [{"type": "object", "properties": {"a": {"const": n}}} for n in range(300)]},
        )
    )
    return Draft(schema(model, value, stream=rng.random() < 0.5), (200, 400))


@kind
def recursive_schema(rng: random.Random, model: str) -> Draft:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}, "required": ["next"]}
    value = rng.choice(
        (
            {"$ref": "#"},
            {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
            {"$defs": {"n": node}, "$ref": "#/$defs/n"},
            {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
            {"type": "array", "items": {"$ref": "#"}},
        )
    )
    if rng.random() < 0.3:
        return Draft(chat(model, tools=[tool("f", value)], tool_choice="required"), (200, 400, 503))
    return Draft(schema(model, value, stream=rng.random() < 0.5), (200, 400))


@kind
def lying_tools(rng: random.Random, model: str) -> Draft:
    call = {"id": "1", "type": "function", "function": {"name": "gone", "arguments": '{"a": [}'}}
    spoken = [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": ""},
    ]
    lies: list[dict[str, Any]] = [
        {"tools": [tool("f", {"type": "string"})]},
        {"tools": [tool("f", {"type": "object", "required": ["b"], "properties": {}})]},
        {"tools": [tool("f", {"type": "object", "properties": {"a": {"type": ["x", 1]}}})]},
        {"tools": [tool("f", {"properties": {"<|im_end|>": {}}})]},
        {"tools": [tool("f", {}), tool("f", {})]},
        {"tools": [tool("f" * 65, {})]},
        {"tools": [tool(f"f{n}", {}) for n in range(257)]},
        {"tools": [tool("f", {})], "tool_choice": {"type": "function", "function": {"name": "g"}}},
        {"tools": [], "tool_choice": "required"},
        {"messages": [{"role": "user", "content": "a"}, *spoken]},
        {"messages": [{"role": "tool", "tool_call_id": "9", "content": "never asked"}]},
    ]
    return Draft(chat(model, **rng.choice(lies)), (200, 400))
