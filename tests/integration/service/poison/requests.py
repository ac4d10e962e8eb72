"""Requests that no client means, from a seed: bodies, heads and lengths that lie, and callers that leave."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from tests.integration.service.poison import bodies, heads, schemas
from tests.integration.service.poison.draft import KINDS, LEAVES, Draft, Leave, Poison

__all__ = ["bodies", "heads", "schemas"]


def poison(seed: int, count: int, models: tuple[str, ...], key: str) -> Iterator[Poison]:
    """Yield so many requests, the same for the same seed; every kind comes as often.

    Args:
        seed: Decides everything.
        count: How many.
        models: Models that there are.
        key: A key that is valid.
    """
    rng = random.Random(seed)
    names = list(KINDS)
    for number in range(count):
        if number % len(names) == 0:
            rng.shuffle(names)
        name = names[number % len(names)]
        draft = KINDS[name](rng, rng.choice(models))
        leaves = draft.leaves or (LEAVES if rng.random() < 0.3 else ("",))
        yield _request(name, draft, rng.choice(leaves), rng, key)


def _request(name: str, draft: Draft, leave: Leave, rng: random.Random, key: str) -> Poison:
    body = draft.body if isinstance(draft.body, bytes) else json.dumps(draft.body).encode()
    headers = {
        "Host": "127.0.0.1",
        "Connection": "close",
        "Content-Type": "application/json",
        "Authorization": f"Bearer {key}",
        "LLMasOS-Deadline": "60",
        **dict(draft.headers),
    }
    if draft.length != "":
        headers["Content-Length"] = str(len(body)) if draft.length is None else draft.length
    lines = [
        f"{draft.method} {draft.path} HTTP/1.1",
        *(f"{each}: {value}" for each, value in headers.items()),
    ]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
    if draft.raw is not None:
        head, body = draft.raw, b""
    return Poison(name, head, body, leave, rng.random() < 0.5, frozenset(draft.statuses))
