"""Values of plugins' tools, checked against JSON schemas: the types themselves are not ours to import."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from llmasos.errors import ToolError

_MOST_TOLD = 5
# A pattern, or a look at each pair, may take for ever; the tool's own types are checked where it runs.
_SLOW = ("pattern", "patternProperties", "uniqueItems", "contains", "$dynamicRef")
_DEEPEST = 50
_ARGUMENT_SECONDS = 0.5


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
    except SchemaError as error:
        raise ToolError(f"A schema is none: {getattr(error, 'message', error)}") from error


def problems(value: Any, schema: Mapping[str, Any], seconds: float = 3.0) -> list[str]:
    """Return what is wrong with a value, the first few things; nothing when it fits.

    Args:
        value: As JSON has it.
        schema: Anybody may have written it.
        seconds: How long it may take, about.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import extend
    from referencing.exceptions import Unresolvable

    guard = _Guard(time.monotonic() + seconds)
    known = Draft202012Validator.VALIDATORS.items()
    kind = extend(
        Draft202012Validator,
        {name: _not_looked_at if name in _SLOW else guard.around(name, check) for name, check in known},
    )
    try:
        found = sorted(kind(schema).iter_errors(value), key=lambda error: str(error.absolute_path))
    except (_Endless, SchemaError, Unresolvable) as error:
        return [f"it cannot be checked: {type(error).__name__.strip('_')}"]
    told = []
    for one in found[:_MOST_TOLD]:
        place = ".".join(map(str, one.absolute_path))
        told.append(f"{place}: {one.message[:300]}" if place else one.message[:300])
    return told


class _Endless(Exception):
    """A schema takes too long, or refers to itself again and again."""


class _Guard:
    """Ends the check of a schema that leads nowhere.

    Python's own guard is its recursion limit, which a library may have raised beyond the stack.
    """

    def __init__(self, until: float) -> None:
        self._until = until
        self._depth = 0

    def around(self, name: str, check: Callable[..., Iterable[Any] | None]) -> Callable[..., Iterator[Any]]:
        """Return the check of a keyword that looks whether there is time, and how deep it is."""

        def checked(*arguments: Any) -> Iterator[Any]:
            if self._depth >= _DEEPEST or time.monotonic() > self._until:
                raise _Endless
            self._depth += name == "$ref"
            try:
                yield from check(*arguments) or ()
            finally:
                self._depth -= name == "$ref"

        return checked


def _not_looked_at(*_arguments: Any) -> tuple[()]:
    return ()
