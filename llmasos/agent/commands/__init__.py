from __future__ import annotations

import posixpath
import shlex
from collections.abc import Collection
from dataclasses import dataclass

from llmasos.decisions import Effect


@dataclass(frozen=True)
class Command:
    name: str
    words: tuple[str, ...]
    wrappers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Program:
    commands: tuple[Command, ...] = ()
    effects: frozenset[Effect] = frozenset()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    dynamic: bool = False


def analyse(language: str, text: str, functions: Collection[str] = ()) -> Program:
    if language == "python":
        return Program(effects=frozenset({"reads"}))
    words = tuple(shlex.split(text))
    return Program(
        (Command(words[0], words),),
        frozenset({"deletes"}) if words[0] == "rm" else frozenset({"writes"}),
        deletes=words[2:3],
    )


def normalise(path: str, cwd: str = ".") -> tuple[str, bool]:
    return posixpath.normpath(path), path.startswith(("/", ".."))
