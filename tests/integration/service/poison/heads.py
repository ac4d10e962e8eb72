"""Heads and lengths that lie, and what is no HTTP at all."""

from __future__ import annotations

import json
import random

from tests.integration.service.poison.draft import CHAT, EMBED, NONE, Draft, chat, kind


@kind
def lengths(rng: random.Random, model: str) -> Draft:
    body = chat(model)
    size = len(json.dumps(body))
    length, statuses = rng.choice(
        (
            (str(size - 5), (400,)),
            (str(size + 50), (NONE,)),
            ("-1", (400,)),
            ("12abc", (400,)),
            (f"{size}, {size + 1}", (400,)),
            (str(10**12), (413,)),
            ("9" * 400, (400, 413)),
            (f"{size}\r\nTransfer-Encoding: chunked", (400, NONE)),
            (f"{size}\r\nContent-Length: {size + 7}", (400,)),
            ("", (400,)),
        )
    )
    return Draft(body, statuses, length=length)


@kind
def types(rng: random.Random, model: str) -> Draft:
    name = rng.choice(
        ("text/plain", "multipart/form-data; boundary=x", "application/xml", "", "\xff", "a" * 5000)
    )
    coded = rng.choice((("Content-Encoding", "gzip"), ("Accept", "image/png"), ("Expect", "100-continue")))
    return Draft(chat(model), (200, 400, 415), headers=(("Content-Type", name), coded))


@kind
def heads(rng: random.Random, model: str) -> Draft:
    header, statuses = rng.choice(
        (
            (("LLMasOS-Priority", "urgent"), (400,)),
            (("LLMasOS-Session", "a/../b"), (400,)),
            (("LLMasOS-Session", "s" * 200), (400,)),
            (("LLMasOS-Deadline", "nan"), (400,)),
            (("LLMasOS-Deadline", "-1"), (400,)),
            (("LLMasOS-Deadline", "1e-9"), (504,)),
            (("Host", "kernel.example.org"), (421,)),
            (("Authorization", "Bearer sk-llmasos-0000000000-x"), (401, 429)),
            (("X-Filler", "x" * 100_000), (400, 431, NONE)),
            (("X-Request-Id", "a\x01b"), (200, 400)),
            (("X\x00Y", "z"), (400,)),
        )
    )
    return Draft(chat(model), statuses, headers=(header,))


@kind
def lines(rng: random.Random, model: str) -> Draft:
    raw = rng.choice(
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"GET /\r\n\r\n",
            b"\x00" * 100,
            b"POST /v1/chat/completions HTTP/9.9\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"A" * 200_000,
            b"\r\n\r\n\r\n",
        )
    )
    return Draft(b"", (400, 421, NONE), raw=raw)


@kind
def places(rng: random.Random, model: str) -> Draft:
    path = rng.choice(
        ("/v1/responses/resp_x", "/v1/models/%00", "/v1/models/..%2f..", "/v1/nothing", "/%ff", "//")
    )
    method, at = rng.choice((("GET", path), ("DELETE", path), ("PUT", CHAT), ("GET", CHAT), ("BREW", EMBED)))
    return Draft(b"", (401, 403, 404, 405), at, method=method)
