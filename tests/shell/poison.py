"""A kernel whose every answer tries to take the terminal over."""

from __future__ import annotations

import enum
import re
import types
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from llmasos import events
from llmasos.api import RecordInfo, VerifyLine
from llmasos.api.federated import RunStep
from llmasos.api.knowledge import KnowledgeLine
from llmasos.api.models import BenchLine, ModelLine
from llmasos.client import AsyncClient

STEPS = ("run_started", "client_joined", "client_failed", "update_rejected", "round_ended", "run_ended")
MARK = "Trust me"
POISON = f"\x1b]0;x\x07\x9b2J\r\n{MARK}[i]:skull:\u202e\u2066\u200b\u3164\U000e0041\u061c"
_ACTS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\U000e0041]"
)
# What rich writes for colours, and where it goes on.
_OWN = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r(?=\x1b|\n|\Z)")


# Texts that have lines of their own, and what would be waited for.
_OTHERS: dict[str, Any] = dict.fromkeys(("answer", "text", "summary", "diff"), POISON.replace("\n", " "))
_OTHERS["running"] = False


def acting(printed: str) -> str:
    """Return what of a terminal's text acts, hides, was taken for markup, or pretends to be a line."""
    bare = _OWN.sub("", printed)
    lines = [line for line in re.split(r"[\r\n]", bare) if line.startswith(MARK)]
    unmarked = re.findall(rf"{MARK}(?!\[i\]|\[?i?…)|💀|☠", bare)
    return "".join([*_ACTS.findall(bare), *lines, *unmarked])


def poisoned(kind: Any) -> Any:
    """Return a value of a type in which every text is poisoned, and nothing is missing."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return poisoned(parts[0])
    if origin is Literal:
        return parts[0]
    if origin in (Union, types.UnionType):
        return poisoned(next(part for part in parts if part is not type(None)))
    if origin in (tuple, list, set, frozenset):
        return origin([poisoned(parts[0])] if parts else [POISON])
    if origin is dict or kind is dict:
        return {POISON: poisoned(parts[1]) if parts else POISON}
    if kind in (str, Any, object):
        return POISON
    if kind is datetime:
        return datetime(2026, 11, 24, tzinfo=UTC)
    if kind is bool:
        return True
    if kind in (int, float):
        return kind(3)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return next(iter(kind))
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        hints = get_type_hints(kind)
        return kind.model_construct(
            **{
                name: _OTHERS[name]
                if name in _OTHERS and hints[name] in (str, bool)
                else poisoned(hints[name])
                for name in kind.model_fields
            }
        )
    if kind is Path:
        return Path(POISON)
    raise AssertionError(f"say how a {kind} is poisoned")


def all_events() -> Iterator[Any]:
    """Yield an event of each type, the end of the turn last."""
    kinds = get_args(get_args(events.Event)[0])
    for kind in sorted(kinds, key=lambda kind: kind is events.TurnFinished):
        event = poisoned(kind)
        yield event
        for name, field in kind.model_fields.items():
            if get_origin(field.annotation) is Literal and name != "type":
                yield from (
                    event.model_copy(update={name: value})
                    for value in get_args(field.annotation)
                    if kind is not events.TurnFinished
                )


class PoisonedClient(AsyncClient):
    """Answers whatever is asked with poison, without a kernel."""

    async def connect(self) -> None:
        """Ask nobody."""

    asked: ClassVar[list[str]] = []

    async def request(self, method: str, path: str, answer: Any, body: Any = None, query: Any = None) -> Any:
        """Return poison of the type wanted; whoever asks for ever is interrupted as a person would."""
        self.asked.append(path)
        if self.asked.count(path) > 10:
            raise KeyboardInterrupt
        return poisoned(answer)

    async def post(self, path: str, body: Any = None) -> None:
        """Do nothing."""

    async def stop(self) -> None:
        """Do nothing."""

    @asynccontextmanager
    async def follow(
        self, session: str, after: int | None = None, last: int | None = None
    ) -> AsyncIterator[Any]:
        """Follow one event of each type."""

        async def found() -> AsyncIterator[Any]:
            for event in all_events():
                yield event

        yield found()

    async def stored_events(self, session: str, after: int = 0, last: int | None = None) -> list[Any]:
        """Return one event of each type."""
        return list(all_events())

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, *, body: Any = None, query: Any = None
    ) -> AsyncIterator[Any]:
        """Stream poison of the type that belongs to the path."""
        yield _Answer(path)


class _Answer:
    def __init__(self, path: str) -> None:
        self._path = path

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        yield _OTHERS["text"].encode()

    async def aiter_lines(self) -> AsyncIterator[str]:
        above, _, end = self._path.rpartition("/")
        end = "add" if above.endswith("/knowledge") else end
        if end == "records":
            yield ""
            yield poisoned(RecordInfo).model_dump_json()
            return
        if end == "events":
            step = poisoned(RunStep)
            for kind in STEPS:
                yield f"data: {step.model_copy(update={'type': kind}).model_dump_json()}"
            return
        kinds: dict[str, Any] = {
            "verify": VerifyLine,
            "bench": BenchLine,
            "pull": ModelLine,
            "load": ModelLine,
            "add": KnowledgeLine,
        }
        assert end in kinds, f"say what {self._path} streams"
        fields = {name for name in kinds[end].model_fields if name not in ("progress", "error")}
        line = poisoned(kinds[end])
        for absent in ({*fields, "error"}, {"progress", "error"}):
            yield line.model_copy(update=dict.fromkeys(absent)).model_dump_json()
