"""Silos: machines of a federation that keep their documents, and answer questions from them."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol, Self

import anyio
from pydantic import BaseModel, ConfigDict, Field

from llmasos import paths
from llmasos.datasets import NAME
from llmasos.federated.port import FederatedError
from llmasos.federated.run import ask_program

LONGEST = 2000
"""Letters of a question."""

_SAID, _ANSWER, _CITATION, _CITATIONS, _PROBLEM = 1000, 4000, 1000, 10, 500
_PROGRAM = "llmasos.federated.deployment.asking"
_NAMED = re.compile(rf"@?({NAME.pattern})(?:/({NAME.pattern}))?")


class Question(BaseModel):
    """What is asked.

    Args:
        text: The question.
        said: What was asked and answered before.
    """

    model_config = ConfigDict(frozen=True)

    text: str = Field(max_length=LONGEST)
    said: str = Field("", max_length=_SAID)

    @classmethod
    def of(cls, text: str, said: str) -> Self:
        """Return a question with as much as may travel of what was said before it, the end."""
        return cls(text=text, said=said[-_SAID:])


class Told(BaseModel):
    """What a machine tells: an answer with what it rests on, or why there is none.

    Args:
        text: The answer, with numbers of citations, `[1]`; or that its documents do not say.
        known: Whether they say it.
        citations: A line for each number.
        problem: Why there is no answer; empty where there is one.
    """

    model_config = ConfigDict(frozen=True)

    text: str = Field("", max_length=_ANSWER)
    known: bool = False
    citations: tuple[Annotated[str, Field(max_length=_CITATION)], ...] = Field((), max_length=_CITATIONS)
    problem: str = Field("", max_length=_PROBLEM)

    @classmethod
    def answer(cls, text: str, citations: Sequence[str], *, known: bool) -> Self:
        """Return as much of an answer as may travel."""
        lines = tuple(line[:_CITATION] for line in citations[:_CITATIONS])
        return cls(text=text[:_ANSWER], known=known, citations=lines)

    @classmethod
    def none(cls, why: str) -> Self:
        """Return that there is no answer."""
        return cls(problem=why[:_PROBLEM])


class Asking(BaseModel):
    """What the program is told that asks.

    Args:
        root: The folder of all federations.
        federation: Which one.
        names: Who is asked; everybody who was invited when empty.
        question: The question.
        seconds: How long an answer may take.
        join_seconds: How long is waited for machines that are not there.
    """

    model_config = ConfigDict(frozen=True)

    root: Path
    federation: str
    names: tuple[str, ...] = ()
    question: Question
    seconds: float
    join_seconds: float


class Silos(Protocol):
    """Asks machines of a federation."""

    async def ask(self, place: str, question: Question) -> dict[str, Told]:
        """Return what machines tell, by their names.

        Args:
            place: A federation that is led from here, or a machine of one: `@NAME` or `@NAME/MACHINE`.
            question: The question.

        Raises:
            FederatedError: There is no such federation, or none of its machines is there.
        """


class LinkedSilos:
    """Asks over a SuperLink that is there as long as a question is open, in a process of its own.

    Args:
        home: The folder of everything federated.
        seconds: How long an answer may take.
        join_seconds: How long is waited for machines that are not there.
    """

    def __init__(self, home: Path, *, seconds: float = 240.0, join_seconds: float = 6.0) -> None:
        self._home = home
        self._seconds = seconds
        self._join_seconds = join_seconds
        # A federation has one port: its questions are asked one after the other.
        self._asking: dict[str, anyio.Lock] = {}

    async def ask(self, place: str, question: Question) -> dict[str, Told]:
        """Return what machines tell, by their names."""
        federation, name = parted(place)
        asked = Asking(
            root=self._home / "federations",
            federation=federation,
            names=(name,) if name else (),
            question=question,
            seconds=self._seconds,
            join_seconds=self._join_seconds,
        )
        async with self._asking.setdefault(federation, anyio.Lock()):
            with tempfile.TemporaryDirectory(
                prefix="ask-", dir=paths.private_dir(self._home), ignore_cleanup_errors=True
            ) as folder:
                file = Path(folder, "asking.json")
                file.touch(mode=0o600)
                file.write_text(asked.model_dump_json())
                done = await ask_program(Path(folder), Path(folder, "log"), _PROGRAM, str(file))
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        if not lines:
            raise FederatedError("The machines could not be asked.", hint="Ask again.")
        told: dict[str, Any] = json.loads(lines[-1])
        if "error" in told:
            raise FederatedError(told["error"], hint=told["hint"])
        return {name: Told.model_validate(each) for name, each in told["told"].items()}


def parted(place: str) -> tuple[str, str]:
    """Return the federation, and the machine or an empty text.

    Raises:
        FederatedError: It names none.
    """
    named = _NAMED.fullmatch(place.strip())
    if named is None:
        raise FederatedError(
            f"{place!a} names no federation.", hint="Name it as in @clinics, or one of it: @clinics/north"
        )
    return named[1], named[2] or ""
