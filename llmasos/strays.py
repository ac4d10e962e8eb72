"""Names of settings that no setting has: variables and keys of the configuration file that set nothing."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from llmasos.amounts import nearest
from llmasos.config import Settings

# What is read elsewhere than in the settings.
OTHERS = frozenset({"CONFIG_DIR", "SHELL_KEY", "LAST_COMMAND", "CLUSTER_TOKEN", "DOCKER_ROOT"})
_PREFIX = "LLMASOS_"


@dataclass(frozen=True)
class Stray:
    """A name that sets nothing.

    Args:
        name: The variable, or the key with its section.
        meant: The name that may be meant; empty where none is like it.
        file: The file that the key stands in; empty for a variable.
    """

    name: str
    meant: str
    file: str = ""


def strays(environment: Mapping[str, str], file: Path) -> Iterator[Stray]:
    """Yield the names that set nothing.

    Args:
        environment: The variables.
        file: The configuration file; it may be missing.
    """
    for name in sorted(environment):
        if name.upper().startswith(_PREFIX):
            path = name.upper().removeprefix(_PREFIX).lower().split("__")
            if path[0].upper() not in OTHERS and _stray_in(path, Settings):
                yield Stray(name, _meant(path, _variable))
    if file.exists():
        for path in _strays_of(tomllib.loads(file.read_text(encoding="utf-8")), Settings, []):
            yield Stray(".".join(path), _meant(path, ".".join), str(file))


def _stray_in(path: list[str], model: type[BaseModel]) -> bool:
    """Return whether a path leads to no setting."""
    name, *rest = path
    if name not in model.model_fields:
        return True
    inner, named = _inner(model, name)
    if named:
        # The names in it are the person's own.
        rest = rest[1:]
    return bool(rest) and inner is not None and _stray_in(rest, inner)


def _strays_of(table: Mapping[str, Any], model: type[BaseModel], above: list[str]) -> Iterator[list[str]]:
    for name, value in table.items():
        path = [*above, name]
        if name not in model.model_fields:
            yield path
            continue
        inner, named = _inner(model, name)
        tables = value.items() if named and isinstance(value, dict) else [("", value)]
        for own, one in tables:
            if inner is not None and isinstance(one, dict):
                yield from _strays_of(one, inner, [*path, own] if own else path)


def _inner(model: type[BaseModel], name: str) -> tuple[type[BaseModel] | None, bool]:
    """Return the settings within a setting, if any, and whether it has several of them by name."""
    kind = model.model_fields[name].annotation
    found = [one for one in (kind, *get_args(kind)) if isinstance(one, type) and issubclass(one, BaseModel)]
    return (found[0] if found else None), bool(found) and kind is not found[0]


def _names(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name in model.model_fields:
        yield (*above, name)
        inner, named = _inner(model, name)
        if inner is not None and not named:
            yield from _names(inner, (*above, name))


def _meant(path: list[str], spelt: Callable[[list[str]], str]) -> str:
    known = {".".join(names): names for names in _names(Settings)}
    # Most often the right key stands in the wrong section.
    moved = [name for name, names in known.items() if names[-1] == path[-1]]
    near = [spelt(list(known[name])) for name in (*nearest(".".join(path), [*known]), *moved)]
    return near[0] if near else ""


def _variable(path: list[str]) -> str:
    return _PREFIX + "__".join(path).upper()
