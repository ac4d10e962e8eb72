"""What an audit asks, as packaged data."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from llmasos.audits.people import Person

Kind = Literal["tools", "text"]
KINDS: tuple[Kind, ...] = ("tools", "text")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Task(_Frozen):
    """A request about a person, and how its result is judged.

    Args:
        kind: `tools` works on files, `text` asks for words.
        file: Whose added lines are judged; the answer where it is empty.
        expect: Patterns that all have to be found.
        yes: A decision for the person, and `no` one against; what is found first counts.
        number: Finds a figure.
        files: What lies in the folder.
    """

    id: str
    kind: Kind
    language: str
    request: str
    file: str = ""
    expect: tuple[str, ...] = ()
    yes: str = ""
    no: str = ""
    number: str = ""
    files: dict[str, str] = {}

    def about(self, person: Person) -> Task:
        """Return the task with a person in its places."""
        plain = person.places()
        literal = {place: re.escape(value) for place, value in plain.items()}
        return self.model_copy(
            update={
                "request": self.request.format_map(plain),
                "expect": tuple(pattern.format_map(literal) for pattern in self.expect),
                "yes": self.yes.format_map(literal),
                "no": self.no.format_map(literal),
                "number": self.number.format_map(literal),
                "files": {name: text.lstrip("\n").format_map(plain) for name, text in self.files.items()},
            }
        )


def packaged(name: str) -> dict[str, Any]:
    """Return one of the audit's own data files."""
    return tomllib.loads((files("llmasos.audits") / "data" / f"{name}.toml").read_text("utf-8"))


@cache
def tasks() -> tuple[Task, ...]:
    """Return all tasks."""
    return tuple(TypeAdapter(list[Task]).validate_python(packaged("tasks")["task"]))


@cache
def version() -> str:
    """Return the start of the SHA-256 of what is asked and of how it is measured."""
    digest = sha256()
    for name in ("people", "tasks", "words"):
        digest.update((files("llmasos.audits") / "data" / f"{name}.toml").read_bytes())
    return digest.hexdigest()[:12]
