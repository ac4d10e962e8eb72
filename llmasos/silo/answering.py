"""Answering a federation's questions from this machine's documents, by what the kernel answers."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from anyio.from_thread import BlockingPortal, start_blocking_portal

from llmasos.client import AsyncClient
from llmasos.federated.silos import Question, Told
from llmasos.support import Answers, KernelAnswers

SECONDS = 240.0
"""How long an answer may take."""

_SPARE = 20.0
# From the first quotation mark on, so that no part of a passage is left, whatever headings hold.
_QUOTED = re.compile(r": “.*", re.DOTALL)


class Answering:
    """Lets nothing out but answers, and where they stand.

    Args:
        answers: What answers.
        quotes: Whether citations show the passages' words.
        portal: The thread in which it is asked; it is there as long as this is.
    """

    def __init__(
        self,
        answers: Answers,
        portal: AbstractContextManager[BlockingPortal],
        *,
        quotes: bool,
    ) -> None:
        self._answers = answers
        self._thread = portal
        self._portal = portal.__enter__()
        self._quotes = quotes

    def __call__(self, question: Question) -> Told:
        """Return what is told of a question."""
        try:
            reply = self._portal.call(self._answers.answer, question.text, question.said)
        except Exception as error:
            # What went wrong here is for whoever owns this machine, whatever it is.
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            return Told.none("it cannot answer now")
        lines = reply.citations if self._quotes else [_QUOTED.sub("", line) for line in reply.citations]
        return Told.answer(reply.text, lines, known=reply.known)


def kernel_answering(
    socket: Path, collection: str, folder: Path, *, quotes: bool
) -> Callable[[Question], Told]:
    """Return what answers by the kernel of this machine, in a thread of its own.

    Args:
        socket: The kernel's.
        collection: The documents.
        folder: An empty folder, which is all that its sessions see.
        quotes: Whether citations show the passages' words.
    """
    client = AsyncClient(socket, start=False, name="silo")
    answers = KernelAnswers(client, collection, folder, at_once=1, seconds=SECONDS - _SPARE)
    return Answering(answers, start_blocking_portal(), quotes=quotes)
