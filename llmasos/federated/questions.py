"""Questions to machines that keep their documents: what travels there, and what comes back."""

from __future__ import annotations

from collections.abc import Callable

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from pydantic import ValidationError

from llmasos.federated.port import FederatedError
from llmasos.federated.silos import Question, Told

KIND = "query.ask"
"""The type of a message that asks: Flower's queries, with an action of their own."""

_ACTION = KIND.partition(".")[2]
_CARRIED = "question"


def question_app(answer: Callable[[Question], Told]) -> ClientApp:
    """Return the ClientApp of a machine that answers questions, and does nothing else.

    Args:
        answer: Answers one.
    """
    app = ClientApp()

    @app.query(_ACTION)
    def _ask(message: Message, context: Context) -> Message:
        try:
            question = Question.model_validate_json(_carried(message))
        except ValidationError:
            told = Told.none("it takes shorter questions")
        else:
            told = answer(question)
        return Message(_content(told.model_dump_json()), reply_to=message)

    @app.query()
    @app.train()
    @app.evaluate()
    def _no_data(message: Message, context: Context) -> Message:
        raise FederatedError("it offers documents to ask, and no data to train on")

    return app


def no_documents(app: ClientApp) -> None:
    """Have the ClientApp of a machine that trains say that it answers no questions."""

    @app.query(_ACTION)
    def _ask(message: Message, context: Context) -> Message:
        told = Told.none("it offers data to train on, and no documents")
        return Message(_content(told.model_dump_json()), reply_to=message)


def asking(question: Question, node: int) -> Message:
    """Return the message that asks a node."""
    return Message(_content(question.model_dump_json()), node, KIND, group_id="1")


def told_by(reply: Message) -> Told:
    """Return what a reply tells; one that came to nothing, or is none of ours, tells the problem."""
    if reply.has_error():
        return Told.none(reply.error.reason or "it gave no reason")
    try:
        return Told.model_validate_json(_carried(reply))
    except ValidationError:
        return Told.none("it sent something else than an answer")


def _content(text: str) -> RecordDict:
    return RecordDict({_CARRIED: ConfigRecord({_CARRIED: text})})


def _carried(message: Message) -> str:
    record = message.content.config_records.get(_CARRIED)
    text = record.get(_CARRIED) if record is not None else None
    return text if isinstance(text, str) else ""
