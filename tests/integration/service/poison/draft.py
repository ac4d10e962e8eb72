"""What kinds of requests there are that no client means, and what they say of a request."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Leave = str
"""After what the caller hangs up; empty when it stays to the end."""

LEAVES = ("half a head", "the head", "half a body", "the body", "an answer's head", "a chunk")
NONE = 0
"""The status of a request to which nothing is answered."""

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
EMBED, RESPOND = "/v1/embeddings", "/v1/responses"


@dataclass(frozen=True)
class Poison:
    """One request.

    Args:
        kind: What is wrong with it.
        head: Its line and headers, with the blank line after them.
        body: What follows.
        leave: After what the caller hangs up.
        reset: Whether it does so without a farewell.
        statuses: What it may be answered with.
    """

    kind: str
    head: bytes
    body: bytes
    leave: Leave
    reset: bool
    statuses: frozenset[int]


@dataclass(frozen=True)
class Draft:
    """What a kind of poison says of a request; None leaves what is usual."""

    body: Any
    statuses: tuple[int, ...] = (400,)
    path: str = CHAT
    headers: tuple[tuple[str, str], ...] = ()
    length: str | None = None
    raw: bytes | None = None
    method: str = "POST"
    leaves: tuple[Leave, ...] = ()


Kind = Callable[[random.Random, str], Draft]
KINDS: dict[str, Kind] = {}


def kind(make: Kind) -> Kind:
    """Take a kind of poison in, under the name of its function."""
    KINDS[make.__name__.strip("_").replace("_", " ")] = make
    return make


def chat(model: str, text: str = "hi", **more: Any) -> dict[str, Any]:
    """Return the body of a short chat completion."""
    return {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 2, **more}


def schema(model: str, value: Any, **more: Any) -> dict[str, Any]:
    """Return the body of a chat completion that has to match a schema."""
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": value}}
    return chat(model, response_format=form, **more)


def tool(name: str, parameters: Any) -> dict[str, Any]:
    """Return a tool."""
    return {"type": "function", "function": {"name": name, "parameters": parameters}}
