"""What authors of tools use: the `@tool` decorator, and the context that a running tool is given.

A tool finds this very module inside its sandbox, too: Python 3.9 or newer, and the standard library alone.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints, overload

from llmasos.errors import ToolError

Host = Callable[[str, "dict[str, Any]"], Any]
"""Carries out what a running tool asks for, by name, as far as the tool has declared it."""

Function = TypeVar("Function", bound=Callable[..., Any])
_MARK = "__llmasos_tool__"


@dataclass(frozen=True)
class Declaration:
    """What a tool needs. It gets this and nothing else.

    Args:
        reads: Files of the workspace: all, or those that the named arguments give, with what lies below them.
        writes: Likewise, what it makes or replaces there.
        network: Hosts that it reaches, such as `api.example.org` or `*.example.org`.
        models: Whether it asks the session's model.
        gpu: Whether it computes on a GPU.
        secrets: Names of the secrets that it is given.
        cost: What a call costs at most, in the currency of the prices in the settings.
        idempotent: Whether a call may be made again when nobody knows what became of it.
        examples: Requests, each with the call that answers it, such as `greet(name="Ada")`.
    """

    reads: bool | tuple[str, ...] = False
    writes: bool | tuple[str, ...] = False
    network: tuple[str, ...] = ()
    models: bool = False
    gpu: bool = False
    secrets: tuple[str, ...] = ()
    cost: float = 0.0
    idempotent: bool = False
    examples: tuple[tuple[str, str], ...] = ()


@overload
def tool(function: Function, /) -> Function: ...


@overload
def tool(
    *,
    reads: bool | Sequence[str] = False,
    writes: bool | Sequence[str] = False,
    network: Sequence[str] = (),
    models: bool = False,
    gpu: bool = False,
    secrets: Sequence[str] = (),
    cost: float = 0.0,
    idempotent: bool = False,
    examples: Sequence[tuple[str, str]] = (),
) -> Callable[[Function], Function]: ...


def tool(
    function: Any = None,
    /,
    *,
    reads: bool | Sequence[str] = False,
    writes: bool | Sequence[str] = False,
    network: Sequence[str] = (),
    models: bool = False,
    gpu: bool = False,
    secrets: Sequence[str] = (),
    cost: float = 0.0,
    idempotent: bool = False,
    examples: Sequence[tuple[str, str]] = (),
) -> Any:
    """Make a typed function a tool that models can call; the function itself stays as it is.

    Models are told the first paragraph of its docstring, its type hints, and what the docstring, in Google's
    style, says of its arguments. A parameter with the type `ToolContext` is not theirs: it gets the context.
    The function may be async, and may yield pieces of its result as they come.

    Args:
        function: The function, where nothing is declared.
        reads: True for all files of the workspace, or the names of the arguments that are paths to read.
        writes: Likewise for what it makes or replaces.
        network: Hosts that it reaches, such as `api.example.org` or `*.example.org`.
        models: Whether it asks the session's model.
        gpu: Whether it computes on a GPU.
        secrets: Names of the secrets that it is given.
        cost: What a call costs at most.
        idempotent: Whether a call may be made again when nobody knows what became of it.
        examples: Requests, each with the call that answers it.

    Raises:
        TypeError: What is declared is of a wrong type, or names an argument that there is not.
    """
    declaration = Declaration(
        reads=_files(reads),
        writes=_files(writes),
        network=_names("network", network),
        models=bool(models),
        gpu=bool(gpu),
        secrets=_names("secrets", secrets),
        cost=_price(cost),
        idempotent=bool(idempotent),
        examples=tuple((str(request), str(call)) for request, call in examples),
    )

    def mark(function: Function) -> Function:
        parameters = inspect.signature(function).parameters
        for what in (declaration.reads, declaration.writes):
            for name in what if isinstance(what, tuple) else ():
                if name not in parameters:
                    raise TypeError(f"{function.__name__} has no argument {name!r}")
        setattr(function, _MARK, declaration)
        return function

    return mark if function is None else mark(function)


def declaration_of(function: Any) -> Declaration | None:
    """Return what a function declares; None when it is no tool."""
    found = getattr(function, _MARK, None)
    return found if isinstance(found, Declaration) and inspect.isfunction(function) else None


def context_parameter(function: Callable[..., Any]) -> str:
    """Return the name of the parameter that gets the context; empty when there is none."""
    hints = get_type_hints(function)
    return next(
        (name for name in inspect.signature(function).parameters if hints.get(name) is ToolContext), ""
    )


def _files(what: bool | Sequence[str]) -> bool | tuple[str, ...]:
    return what if isinstance(what, bool) else _names("reads and writes", what)


def _names(what: str, names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str) or not all(isinstance(name, str) and name for name in names):
        raise TypeError(f"{what} takes a list of names")
    return tuple(names)


def _price(cost: float) -> float:
    if isinstance(cost, bool) or not isinstance(cost, (int, float)) or not 0 <= cost < float("inf"):
        raise TypeError("cost is a number that is not negative")
    return float(cost)


class Workspace:
    """The files of the session, as far as the tool has declared that it reads or writes them.

    What is written goes to the session's view: the person sees it as a diff before it reaches their folder.

    Args:
        host: Carries out what is asked for.
        folder: Where copies lie.
    """

    def __init__(self, host: Host, folder: Path) -> None:
        self._host = host
        self._folder = folder
        self._numbers = itertools.count(1)

    def list(self, path: str = ".", pattern: str = "*") -> list[str]:
        """Return the paths of the files in a folder and below it whose name matches a glob.

        Raises:
            ToolError: The tool has not declared that it reads them, or the folder is not there.
        """
        found = self._host("list", {"path": str(path), "pattern": pattern})
        return [str(name) for name in found]

    def local(self, path: str) -> Path:
        """Return a copy of a file that any library can open; changing it changes nothing else.

        Raises:
            ToolError: The tool has not declared that it reads it, or it is not there.
        """
        pieces = self._host("fetch", {"path": str(path)})
        place = self._folder / f"copy-{next(self._numbers)}"
        place.mkdir(parents=True)
        copy = place / (Path(path).name or "file")
        with copy.open("wb") as whole:
            for name in pieces:
                piece = self._folder / name
                with piece.open("rb") as part:
                    shutil.copyfileobj(part, whole)
                piece.unlink()
        return copy

    def read_bytes(self, path: str) -> bytes:
        """Return what a file holds."""
        return self.local(path).read_bytes()

    def read_text(self, path: str, encoding: str = "utf-8") -> str:
        """Return the text of a file.

        Raises:
            ToolError: It is no text in this encoding.
        """
        try:
            return self.local(path).read_text(encoding)
        except UnicodeDecodeError:
            raise ToolError(f"{path} is no {encoding} text.") from None

    def write_bytes(self, path: str, data: bytes) -> None:
        """Make or replace a file, with the folders above it.

        Raises:
            ToolError: The tool has not declared that it writes it.
        """
        with self._written() as place:
            place.write_bytes(data)
            self._host("save", {"path": str(path), "name": place.name})

    def write_text(self, path: str, text: str) -> None:
        """Make or replace a file with a text, in UTF-8."""
        self.write_bytes(path, text.encode())

    def save(self, local: str | Path, path: str) -> None:
        """Make or replace a file with a copy of one that the tool has made."""
        with self._written() as place:
            shutil.copyfile(local, place)
            self._host("save", {"path": str(path), "name": place.name})

    @contextlib.contextmanager
    def _written(self) -> Any:
        self._folder.mkdir(parents=True, exist_ok=True)
        place = self._folder / f"new-{next(self._numbers)}"
        try:
            yield place
        finally:
            with contextlib.suppress(OSError):
                place.unlink()


class Models:
    """The session's model.

    Args:
        host: Carries out what is asked for.
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    def ask(self, text: str, instructions: str = "", max_tokens: int = 1000) -> str:
        """Return what the model answers.

        Args:
            text: What it is asked.
            instructions: What it is told beside that.
            max_tokens: The longest answer.

        Raises:
            ToolError: The tool has not declared that it asks models.
        """
        asked = {"text": text, "instructions": instructions, "max_tokens": max_tokens}
        return str(self._host("ask", asked))


class ToolContext:
    """What a running tool may use. Each use is checked against what the tool has declared.

    Args:
        host: Carries out what is asked for.
        folder: A folder of this call alone.

    Attributes:
        workspace: The session's files.
        models: The session's model.
    """

    def __init__(self, host: Host, folder: Path) -> None:
        self._host = host
        self._folder = folder
        self.workspace = Workspace(host, folder)
        self.models = Models(host)

    def progress(self, done: float, total: float, what: str = "", unit: str = "") -> None:
        """Show how far the call has come."""
        self._host("progress", {"what": what, "done": done, "total": total, "unit": unit})

    def log(self, text: str) -> None:
        """Show a line to the person while the call runs; the model is not told it."""
        self._host("log", {"text": str(text)})

    def keep(self, name: str, data: bytes | str | Path) -> None:
        """Hand a picture or a file to the person, apart from the workspace.

        Args:
            name: Its name, such as `chart.png`.
            data: What it holds, or the path of a file.

        Raises:
            ToolError: It is too large, or too many were handed out.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        place = self._folder / "kept"
        if isinstance(data, Path):
            shutil.copyfile(data, place)
        else:
            place.write_bytes(data.encode() if isinstance(data, str) else data)
        self._host("keep", {"name": name, "file": place.name})

    def secret(self, name: str) -> str:
        """Return a secret that the person has stored for tools.

        Raises:
            ToolError: The tool has not declared it, or there is none of that name.
        """
        return str(self._host("secret", {"name": name}))

    @property
    def cancelled(self) -> bool:
        """Whether the person has cancelled the call; code in a sandbox is interrupted anyway."""
        return bool(self._host("cancelled", {}))
