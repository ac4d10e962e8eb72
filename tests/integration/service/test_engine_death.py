"""An engine's process is killed while replies are streamed: its own streams end, and nothing else does."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import openai
import pytest

from tests.integration.service.served import Served, named, served

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

# What would end a reply early cannot be chosen.
ASKED: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Tell a long story."}],
    "temperature": 0,
    "logit_bias": {"0": -100, "2": -100},
}
LONG = {**ASKED, "model": "victim", "max_tokens": 400}
SHORT = {**ASKED, "max_tokens": 50}


class Reader:
    """Reads a stream with OpenAI's client, and keeps what came and how it ended."""

    def __init__(self) -> None:
        self.text = ""
        self.finish: str | None = None
        self.error: openai.APIError | None = None
        self.began = anyio.Event()

    async def read(self, it: Served, asked: dict[str, Any]) -> None:
        """Read a reply to its end."""
        async with it.client() as client:
            try:
                stream = await client.chat.completions.create(**asked, stream=True)
                async for chunk in stream:
                    self.text += chunk.choices[0].delta.content or ""
                    self.finish = chunk.choices[0].finish_reason or self.finish
                    if self.text:
                        self.began.set()
            except openai.APIError as error:
                self.error = error


async def raw(it: Served, began: anyio.Event, lines: list[str]) -> None:
    """Read a long reply's lines as they come."""
    async with (
        it.http() as http,
        http.stream("POST", "/v1/chat/completions", json={**LONG, "stream": True}) as reply,
    ):
        async for line in reply.aiter_lines():
            lines.append(line)
            if '"content":"' in line:
                began.set()


async def test_a_killed_engine_ends_its_own_streams_with_an_error(tmp_path: Path, weights: Path) -> None:
    async with served(tmp_path, named("victim", weights), named("other", weights), slots=3) as it:
        async with it.client() as client:
            for model in ("victim", "other"):
                await client.chat.completions.create(**{**ASKED, "model": model, "max_tokens": 2})
        dying, going = [Reader(), Reader()], Reader()
        lines: list[str] = []
        began = anyio.Event()
        dead = it.processes.engines["victim"]
        async with anyio.create_task_group() as tasks:
            for reader in dying:
                tasks.start_soon(reader.read, it, LONG)
            tasks.start_soon(raw, it, began, lines)
            for event in (*(reader.began for reader in dying), began):
                await event.wait()
            tasks.start_soon(going.read, it, {**SHORT, "model": "other"})
            await going.began.wait()
            os.kill(dead.pid, signal.SIGKILL)
        for reader in dying:
            assert reader.text and reader.finish is None
            assert reader.error is not None and "ended by SIGKILL" in str(reader.error)
            assert reader.error.code == "model_unavailable"
        # An error is the last thing that is said, and nothing claims that the reply is whole.
        events = [line.removeprefix("data: ") for line in lines if line]
        assert json.loads(events[-1])["error"]["type"] == "server_error" and "[DONE]" not in events
        assert going.error is None and going.finish == "length"

        async with it.client() as client:
            again = await client.chat.completions.create(**SHORT, model="victim")
        assert again.usage is not None and again.usage.completion_tokens == 50
        assert again.choices[0].message.content == going.text
        assert it.processes.loads == ["victim", "other", "victim"]
        assert it.processes.engines["victim"].pid != dead.pid

        records = await it.records()
        outcomes = Counter((body["model"], body["status"], body.get("error", "")) for body in records)
        assert outcomes == {
            ("victim", "ok", ""): 2,
            ("other", "ok", ""): 2,
            ("victim", "failed", "EngineDied"): 3,
        }
        assert not it.scheduler.state.jobs and not it.drain._running
