"""What a silo lets out: answers and where they stand, so many a minute, and nothing of what went wrong."""

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

    def __init__(self, reply: Reply | None) -> None:
        self.reply = reply
        self.asked: list[tuple[str, str]] = []

    async def answer(self, question: str, said: str) -> Reply:
        self.asked.append((question, said))
        if self.reply is None:
            raise LLMasOSError("The file /home/ann/secret.db is locked.")
        return self.reply


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


def answering(
    portal: BlockingPortal, reply: Reply | None, *, per_minute: int = 10, quotes: bool = True
) -> tuple[Answering, Documents]:
    documents = Documents(reply)
    return Answering(documents, nullcontext(portal), per_minute=per_minute, quotes=quotes), documents


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


def test_what_went_wrong_is_told_to_the_owner_only(
    portal: BlockingPortal, capsys: pytest.CaptureFixture[str]
) -> None:
    answer, _ = answering(portal, None)
    assert answer(Question(text="When?")) == Told(problem="it cannot answer now")
    assert "secret.db is locked" in capsys.readouterr().err


def test_so_many_questions_are_answered_in_a_minute(portal: BlockingPortal) -> None:
    answer, documents = answering(portal, Reply("No.", False), per_minute=2)
    told = [answer(Question(text="When?")) for _ in range(3)]
    assert [bool(each.problem) for each in told] == [False, False, True]
    assert told[2].problem == "it answers 2 questions a minute; ask again in 30 seconds"
    assert len(documents.asked) == 2
