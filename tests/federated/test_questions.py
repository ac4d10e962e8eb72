"""Questions travel as Flower's messages: what is told, what is refused, and what is none of ours."""

from __future__ import annotations

import pytest
from flwr.app import ConfigRecord, Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp

from llmasos.federated._flower import number, take_part
from llmasos.federated.client import client_app
from llmasos.federated.data.sources import load
from llmasos.federated.port import FederatedError
from llmasos.federated.questions import asking, question_app, told_by
from llmasos.federated.silos import Question, Told

ANSWER = Told(text="From two to six [1].", known=True, citations=("[1] visits.md: “…”",))


def answered(question: Question) -> Told:
    return ANSWER if question.said == "before" else Told(text=question.text)


@pytest.fixture(autouse=True)
def _part() -> None:
    take_part(1)


def put(app: ClientApp, message: Message) -> Message:
    number(message, "m1")
    return app(message, Context(1, 2, {}, RecordDict(), {}))


def test_an_answer_comes_back_as_it_was_given() -> None:
    app = question_app(answered)
    assert told_by(put(app, asking(Question(text="When?", said="before"), 2))) == ANSWER
    assert told_by(put(app, asking(Question(text="Wann? 几点？"), 2))) == Told(text="Wann? 几点？")


def test_a_question_that_cannot_be_answered_says_why() -> None:
    app = question_app(answered)
    long = Question.model_construct(text="x" * 3000, said="")
    assert told_by(put(app, asking(long, 2))).problem == "it takes shorter questions"
    bare = Message(RecordDict({"question": ConfigRecord({"question": 3})}), 2, "query.ask", group_id="1")
    assert told_by(put(app, bare)).problem == "it takes shorter questions"


@pytest.mark.parametrize("kind", ["query", "train", "evaluate"])
def test_documents_are_not_trained_on(kind: str) -> None:
    with pytest.raises(FederatedError, match="no data to train on"):
        put(question_app(answered), Message(RecordDict(), 2, kind, group_id="1"))


def test_data_is_not_asked() -> None:
    rows = load("iris")
    told = told_by(put(client_app(lambda _: ("north", rows)), asking(Question(text="When?"), 2)))
    assert told.problem == "it offers data to train on, and no documents"


def test_a_reply_that_is_none_of_ours_is_told() -> None:
    asked = asking(Question(text="When?"), 2)
    number(asked, "m1")
    other = Message(RecordDict({"question": ConfigRecord({"question": "{}x"})}), reply_to=asked)
    assert told_by(other).problem == "it sent something else than an answer"
    huge = Told.model_construct(text="x" * 5000, known=True, citations=(), problem="").model_dump_json()
    large = Message(RecordDict({"question": ConfigRecord({"question": huge})}), reply_to=asked)
    assert told_by(large).problem == "it sent something else than an answer"
    failed = Message(Error(code=5, reason="its node died (signal 9)"), reply_to=asked)
    assert told_by(failed).problem == "its node died (signal 9)"
    long = Message(Error(code=5, reason="x" * 900), reply_to=asked)
    assert told_by(long).problem == "x" * 500
