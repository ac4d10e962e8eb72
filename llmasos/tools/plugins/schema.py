"""Values of plugins' tools, checked against JSON schemas: the types themselves are not ours to import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmasos.errors import ToolError

_MOST_TOLD = 5
# A pattern, or a look at each pair, may take for ever; the tool's own types are checked where it runs.
_SLOW = ("pattern", "patternProperties", "uniqueItems", "contains")


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
        """Return the arguments.

        Raises:
            ToolError: One is missing, unknown or of a wrong type.
        """
        if wrong := problems(arguments, self._schema):
            wanted = ", ".join(self._schema.get("properties", {}))
            raise ToolError(f"{self._tool}: {'; '.join(wrong)}.", hint=f"{self._tool} takes: {wanted}.")
        return dict(arguments)


def check_schema(schema: Mapping[str, Any]) -> None:
    """Refuse what is no JSON schema.

    Raises:
        ToolError: It is none.
    """
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except (SchemaError, RecursionError) as error:
        raise ToolError(f"A schema is none: {getattr(error, 'message', error)}") from error


def problems(value: Any, schema: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a value, the first few things; nothing when it fits."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import extend
    from referencing.exceptions import Unresolvable

    kind = extend(Draft202012Validator, dict.fromkeys(_SLOW, _not_looked_at))
    try:
        found = sorted(kind(schema).iter_errors(value), key=lambda error: str(error.absolute_path))
    except (RecursionError, SchemaError, Unresolvable) as error:
        return [f"it cannot be checked: {type(error).__name__}"]
    told = []
    for one in found[:_MOST_TOLD]:
        place = ".".join(map(str, one.absolute_path))
        told.append(f"{place}: {one.message[:300]}" if place else one.message[:300])
    return told


def _not_looked_at(*_arguments: Any) -> tuple[()]:
    return ()
