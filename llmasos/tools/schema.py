"""Values of others' tools, checked against JSON schemas that anybody may have written.

Of JSON schema (draft 2020-12), what types and servers come to say is checked. What could take for ever, such
as patterns and pairs that must differ, or reach out, such as references elsewhere, is left to the tool.
"""

from __future__ import annotations

import copy
import json
import math
import operator
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any

from llmasos.errors import ToolError

_MOST_TOLD = 5
_MOST_STEPS, _DEEPEST = 100_000, 60
_LONGEST = 50_000
_NO_SCHEMAS = ("properties", "enum", "const", "default", "examples")
_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")

_BOUNDS = {
    "minimum": (operator.lt, "is less than the minimum of"),
    "maximum": (operator.gt, "is greater than the maximum of"),
    "exclusiveMinimum": (operator.le, "is not greater than"),
    "exclusiveMaximum": (operator.ge, "is not less than"),
}
_LENGTHS = {"minLength": (operator.lt, "is shorter than"), "maxLength": (operator.gt, "is longer than")}
_COUNTS = {
    "minItems": (operator.lt, "has fewer items than"),
    "maxItems": (operator.gt, "has more items than"),
}


class Arguments:
    """Checks the arguments of a tool, as the tools of the kernel have it done by pydantic.

    Args:
        tool: The tool's name.
        schema: JSON schema of its arguments.
    """

    def __init__(self, tool: str, schema: Mapping[str, Any]) -> None:
        self._tool = tool
        self._schema = schema

    def validate_python(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments, with the defaults of those that were left out.

        Raises:
            ToolError: One is missing, unknown or of a wrong type.
        """
        if wrong := problems(arguments, self._schema):
            wanted = ", ".join(_properties(self._schema))
            raise ToolError(f"{self._tool}: {'; '.join(wrong)}.", hint=f"{self._tool} takes: {wanted}.")
        defaults = {
            name: copy.deepcopy(schema["default"])
            for name, schema in _properties(self._schema).items()
            if isinstance(schema, Mapping) and schema.get("default") is not None
        }
        return {**defaults, **arguments}


def check_schema(schema: Mapping[str, Any]) -> None:
    """Refuse a schema that is none, or too large to be told to a model.

    Raises:
        ToolError: It is.
    """
    if len(json.dumps(schema)) > _LONGEST:
        raise ToolError(f"A schema is too large: it has more than {_LONGEST:,} characters.")
    waiting: list[tuple[Any, int]] = [(schema, 0)]
    while waiting:
        part, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ToolError("A schema is nested too deeply.")
        if isinstance(part, Mapping):
            kinds = part.get("type", [])
            for kind in [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else []:
                if kind not in _TYPES:
                    raise ToolError(f"A schema is none: there is no type {reprlib.repr(kind)}.")
            # What is called `type` may be a property.
            named = part.get("properties")
            waiting += [(one, depth + 1) for one in named.values()] if isinstance(named, Mapping) else []
            waiting += [(one, depth + 1) for name, one in part.items() if name not in _NO_SCHEMAS]
        elif isinstance(part, list):
            waiting += [(one, depth + 1) for one in part]


def problems(value: Any, schema: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a value, the first few things; nothing when it fits.

    Args:
        value: As JSON has it.
        schema: Its schema.
    """
    found: list[str] = []
    try:
        for problem in _Check(schema).look(value, schema, (), 0):
            found.append(problem)
            if len(found) == _MOST_TOLD:
                break
    except _Endless:
        found.append("its schema refers to itself, or is too entangled to be checked")
    return found


class _Endless(Exception):
    """A schema leads on and on."""


class _Check:
    """One check of a value, of a bounded number of steps."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._steps = 0

    def look(self, value: Any, schema: Any, path: tuple[str, ...], depth: int) -> Iterator[str]:
        """Yield what is wrong."""
        self._steps += 1
        if self._steps > _MOST_STEPS or depth > _DEEPEST:
            raise _Endless
        if schema is False:
            yield _at(path, f"{_shown(value)} is not allowed")
        if not isinstance(schema, Mapping):
            return
        if isinstance(schema.get("$ref"), str):
            yield from self.look(value, self._referred(schema["$ref"]), path, depth + 1)
        if problem := self._kind(value, schema) or self._value(value, schema) or _size(value, schema):
            yield _at(path, problem)
            return
        if isinstance(value, dict):
            yield from self._object(value, schema, path, depth)
        elif isinstance(value, list):
            yield from self._array(value, schema, path, depth)
        for part in _parts(schema, "allOf"):
            yield from self.look(value, part, path, depth + 1)
        for choice in ("anyOf", "oneOf"):
            parts = _parts(schema, choice)
            if parts and all(next(self.look(value, part, path, depth + 1), "") for part in parts):
                yield _at(path, f"{_shown(value)} fits none of what it may be")

    def _referred(self, reference: str) -> Any:
        """Return the part of the schema that a reference names; anything is allowed where there is none."""
        here: Any = self._root
        for part in reference.removeprefix("#").split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            here = here.get(name) if isinstance(here, Mapping) else None
        return here if reference.startswith("#") else None

    def _kind(self, value: Any, schema: Mapping[str, Any]) -> str:
        kinds = schema.get("type")
        wanted = [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else []
        if wanted and not any(_is(value, kind) for kind in wanted):
            names = " or ".join(repr(kind) for kind in wanted[:_MOST_TOLD])
            return f"{_shown(value)} is not of type {names}"
        return ""

    def _value(self, value: Any, schema: Mapping[str, Any]) -> str:
        allowed = schema.get("enum")
        if isinstance(allowed, list):
            self._steps += len(allowed)
            if not any(_same(value, one) for one in allowed):
                return f"{_shown(value)} is not one of {reprlib.repr(allowed)}"
        if "const" in schema and not _same(value, schema["const"]):
            return f"{_shown(value)} is not {_shown(schema['const'])}"
        return ""

    def _object(
        self, value: dict[str, Any], schema: Mapping[str, Any], path: tuple[str, ...], depth: int
    ) -> Iterator[str]:
        known = _properties(schema)
        for name in _parts(schema, "required"):
            if name not in value:
                yield _at(path, f"{name!r} is a required property")
        others = True if "patternProperties" in schema else schema.get("additionalProperties", True)
        for name, inner in value.items():
            if name in known:
                yield from self.look(inner, known[name], (*path, name), depth + 1)
            elif others is False:
                yield _at(path, f"{_shown(name)} was unexpected")
            else:
                yield from self.look(inner, others, (*path, name), depth + 1)

    def _array(
        self, value: list[Any], schema: Mapping[str, Any], path: tuple[str, ...], depth: int
    ) -> Iterator[str]:
        first = _parts(schema, "prefixItems")
        for index, inner in enumerate(value):
            part = first[index] if index < len(first) else schema.get("items", True)
            yield from self.look(inner, part, (*path, str(index)), depth + 1)


def _size(value: Any, schema: Mapping[str, Any]) -> str:
    """Return what is wrong with how large a value is."""
    if isinstance(value, bool):
        return ""
    if isinstance(value, int | float):
        measure, bounds = value, _BOUNDS
    elif isinstance(value, str):
        measure, bounds = len(value), _LENGTHS
    elif isinstance(value, list):
        measure, bounds = len(value), _COUNTS
    else:
        return ""
    for name, (breaks, said) in bounds.items():
        bound = schema.get(name)
        if isinstance(bound, int | float) and not isinstance(bound, bool) and breaks(measure, bound):
            return f"{_shown(value)} {said} {bound}"
    return ""


def _is(value: Any, kind: object) -> bool:
    match kind:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            whole = isinstance(value, float) and math.isfinite(value) and value.is_integer()
            return (isinstance(value, int) and not isinstance(value, bool)) or whole
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, Mapping)
    return False


def _same(one: Any, other: Any) -> bool:
    # In JSON, true is not 1.
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _parts(schema: Mapping[str, Any], name: str) -> list[Any]:
    found = schema.get(name)
    return found if isinstance(found, list) else []


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}


def _at(path: tuple[str, ...], problem: str) -> str:
    return f"{'.'.join(path)[:200]}: {problem}" if path else problem


def _shown(value: Any) -> str:
    return reprlib.repr(value)
