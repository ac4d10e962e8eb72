"""What a silo lets out: answers and where they stand, and nothing of what went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from llmasos.errors import LLMasOSError
from llmasos.federated.silos import Question, Told
from llmasos.silo.answering import Answering
from llmasos.support import Reply

LINE = "[1] visits.md, line 2, The “quiet”: hours: “From two: “six” o'clock.”"


class Documents:
    """Answers in a way that is given."""

    def __init__(self, reply: Reply | Exception) -> None:
        self.reply = reply
        self.asked: list[tuple[str, str]] = []

    async def answer(self, question: str, said: str) -> Reply:
        self.asked.append((question, said))
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


def answering(
    portal: BlockingPortal, reply: Reply | Exception, *, quotes: bool = True
) -> tuple[Answering, Documents]:
    documents = Documents(reply)
    return Answering(documents, nullcontext(portal), quotes=quotes), documents


def test_an_answer_leaves_with_what_it_cites(portal: BlockingPortal) -> None:
    answer, documents = answering(portal, Reply("From two to six [1].", True, (LINE,)))
    told = answer(Question(text="When?", said="Hello."))
    assert told == Told(text="From two to six [1].", known=True, citations=(LINE,))
    assert documents.asked == [("When?", "Hello.")]


def test_words_stay_where_the_owner_wants_it(portal: BlockingPortal) -> None:
    answer, _ = answering(portal, Reply("From two to six [1].", True, (LINE,)), quotes=False)
    assert answer(Question(text="When?")).citations == ("[1] visits.md, line 2, The “quiet”: hours",)


def test_what_is_too_long_is_cut(portal: BlockingPortal) -> None:
    answer, _ = answering(portal, Reply("x" * 9000, True, ("y" * 2000,) * 20))
    told = answer(Question(text="When?"))
    assert len(told.text) == 4000 and len(told.citations) == 10 and len(told.citations[0]) == 1000


@pytest.mark.parametrize("error", [LLMasOSError("secret.db is locked"), ValueError("secret.db is locked")])
def test_what_went_wrong_is_told_to_the_owner_only(
    portal: BlockingPortal, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    answer, _ = answering(portal, error)
    assert answer(Question(text="When?")) == Told(problem="it cannot answer now")
    assert "secret.db is locked" in capsys.readouterr().err
