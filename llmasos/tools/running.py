"""A tool of an author's, run: its arguments, its context, what it yields, and what it returns.

It runs inside a sandbox, too: Python 3.9 or newer with nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import decimal
import enum
import importlib
import inspect
import json
import os
import pathlib
import sys
import traceback
import uuid
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from llmasos.errors import LLMasOSError, ToolError
from llmasos.tools.api import Host, ToolContext, context_parameter, declaration_of

LARGEST_RESULT = 500_000
"""Bytes of JSON that a call may return."""
_LONGEST_TRACE = 4000
_PLAIN = (str, int, float, bool, type(None), Any, list, dict, inspect.Parameter.empty)
_BUNDLE, _CODE, _FILES = "bundle.zip", "code", "files"


def serve(module: str, attribute: str, host: Host) -> None:
    """Run one call inside a sandbox, in whose folder the tool's code lies as `bundle.zip`.

    Args:
        module: The tool's module.
        attribute: The function's name in it.
        host: Gives the arguments, takes the result, and carries out what is asked for meanwhile.
    """
    here = Path.cwd()
    with zipfile.ZipFile(here / _BUNDLE) as bundle:
        bundle.extractall(here / _CODE)
    sys.path.insert(0, str(here / _CODE))

    def asked(name: str, arguments: dict[str, Any]) -> Any:
        try:
            return host(name, arguments)
        except Exception as error:
            # The session's own kind of error is not the one that tools know.
            raise ToolError(str(error)) from None

    def work() -> str:
        return run(found(module, attribute), asked("arguments", {}), asked, here / _FILES)

    host("result", report(work))


def report(work: Callable[[], str]) -> dict[str, Any]:
    """Run something, and return its result, or what went wrong, as the kernel is told it."""
    try:
        return {"value": work()}
    except LLMasOSError as error:
        return {"failed": error.message, "hint": error.hint}
    except Exception as error:
        shown = "".join(traceback.format_exception_only(type(error), error)).strip()
        return {"raised": shown[:_LONGEST_TRACE], "trace": traceback.format_exc()[-_LONGEST_TRACE:]}


def found(module: str, attribute: str) -> Callable[..., Any]:
    """Return a tool's function.

    Raises:
        ToolError: Its module cannot be imported here, or has no such tool.
    """
    try:
        function = getattr(importlib.import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        raise ToolError(
            f"{module} needs the package {error.name}, which is not there.",
            hint="Packages that are not pure Python must be in the sandbox's image.",
        ) from error
    if declaration_of(function) is None:
        raise ToolError(f"{module} has no tool named {attribute}.")
    assert function is not None
    called: Callable[..., Any] = function
    return called


def run(function: Callable[..., Any], arguments: Mapping[str, Any], host: Host, folder: Path) -> str:
    """Call a tool, and return what it returns, as JSON.

    Args:
        function: The tool's function.
        arguments: As JSON has them.
        host: Carries out what is asked for.
        folder: A folder of this call alone.

    Raises:
        ToolError: The result is too large, or JSON cannot hold it; or whatever the tool raises.
    """
    given = typed(function, arguments)
    name = context_parameter(function)
    if name:
        given[name] = ToolContext(host, folder)
    value = function(**given)
    if inspect.isgenerator(value):
        value = _joined([_told(piece, host) for piece in value])
    elif inspect.isasyncgen(value):
        value = asyncio.run(_drained(value, host))
    elif inspect.isawaitable(value):
        value = asyncio.run(_awaited(value))
    try:
        text = json.dumps(value, ensure_ascii=False, default=plain, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ToolError(f"It returned what JSON cannot hold: {error}.") from error
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > LARGEST_RESULT:
        raise ToolError(
            f"It returned {size:,} bytes, and {LARGEST_RESULT:,} are the most.",
            hint="Have it write a file, and return what matters.",
        )
    return text


def typed(function: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with the types that the function wants.

    Raises:
        ToolError: An argument cannot have its type, or pydantic is wanted and is not there.
    """
    hints = get_type_hints(function, include_extras=True)
    return {
        name: value if _as_json_has_it(hints.get(name, Any)) else _converted(name, hints[name], value)
        for name, value in arguments.items()
    }


def _as_json_has_it(hint: Any) -> bool:
    """Whether values of a type are as JSON has them: then pydantic is not needed."""
    inner = get_args(hint)
    if hasattr(hint, "__metadata__"):
        return _as_json_has_it(inner[0])
    origin = get_origin(hint)
    if origin is None:
        return any(hint is one for one in _PLAIN)
    if str(origin) in ("typing.Literal", "typing_extensions.Literal"):
        return True
    if origin in (list, dict, Union) or str(origin) == "<class 'types.UnionType'>":
        return all(map(_as_json_has_it, inner))
    return False


def _converted(name: str, hint: Any, value: Any) -> Any:
    try:
        from pydantic import TypeAdapter, ValidationError
    except ImportError as error:
        raise ToolError(
            f"The argument {name} needs pydantic, which this sandbox does not have.",
            hint="Make the sandbox's image with `llmasos sandbox build`.",
        ) from error
    try:
        return TypeAdapter(hint).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ToolError("{}: {}.".format(name, first["msg"])) from error


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it.

    Raises:
        TypeError: It cannot.
    """
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (decimal.Decimal, uuid.UUID, pathlib.PurePath)):
        return str(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (set, frozenset)):
        return list(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):
        # NumPy's numbers and arrays, and what pandas has of them.
        return value.tolist()
    raise TypeError(f"a {type(value).__name__}")


async def _awaited(value: Any) -> Any:
    return await value


async def _drained(pieces: Any, host: Host) -> Any:
    return _joined([_told(piece, host) async for piece in pieces])


def _told(piece: Any, host: Host) -> Any:
    host("piece", {"text": piece if isinstance(piece, str) else json.dumps(piece, default=plain) + "\n"})
    return piece


def _joined(pieces: list[Any]) -> Any:
    return "".join(pieces) if all(isinstance(piece, str) for piece in pieces) else pieces
