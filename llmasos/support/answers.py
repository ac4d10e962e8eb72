"""The port to what answers: the kernel, which is asked for one thing only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio

from llmasos.api import ToolCall
from llmasos.client import AsyncClient, AsyncSession
from llmasos.errors import LLMasOSError

_NOT_THERE = "Not in the documents."
_SECONDS = 300.0


@dataclass(frozen=True)
class Reply:
    """What is answered, and the passages that it rests on."""

    text: str
    known: bool
    citations: Sequence[str] = ()


class Answers(Protocol):
    """Answers questions."""

    async def answer(self, question: str, said: str) -> Reply:
        """Return the answer to a question.

        Args:
            question: The question.
            said: What was said before.

        Raises:
            LLMasOSError: It cannot be answered now.
        """


class KernelAnswers:
    """Has the kernel answer: each question is a recorded call of one tool, and the model is given none.

    Args:
        client: The kernel.
        collection: The documents.
        folder: An empty folder, which is all that the sessions see.
        at_once: How many sessions there are.
        seconds: How long an answer may take.
    """

    def __init__(
        self,
        client: AsyncClient,
        collection: str,
        folder: Path,
        at_once: int,
        seconds: float = _SECONDS,
    ) -> None:
        self._seconds = seconds
        self._client = client
        self._collection = collection
        self._folder = folder
        self._free: list[AsyncSession] = []
        self._seats = anyio.Semaphore(at_once)

    async def answer(self, question: str, said: str) -> Reply:
        """Return the answer to a question."""
        arguments = {"question": question, "knowledge": self._collection, "said": said}
        async with self._seats:
            session = self._free.pop() if self._free else await self._begin()
            try:
                result = await session.run(
                    f"Answer from {self._collection}: {question}",
                    call=ToolCall(tool="ask_documents", arguments=arguments),
                    timeout=self._seconds,
                )
            finally:
                self._free.append(session)
        action = result.actions[-1] if result.actions else None
        if action is None or action.status != "ok":
            text = action.outcome if action is not None else result.error
            raise LLMasOSError(text or "There is no answer.", hint=result.hint)
        text, _, cited = (
            action.outcome.rpartition("\n\n") if "\n\n[1]" in action.outcome else (action.outcome, "", "")
        )
        return Reply(text.strip(), text.strip() != _NOT_THERE, tuple(cited.splitlines()))

    async def _begin(self) -> AsyncSession:
        return await self._client.session(self._folder, access="read-only", asking="never")
