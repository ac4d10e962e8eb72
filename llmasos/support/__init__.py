"""A help desk: visitors ask a web page, documents answer, and a person takes over where these do not."""

from llmasos.support.answers import Answers, KernelAnswers, Reply
from llmasos.support.app import make_app
from llmasos.support.conversations import Conversation, Conversations, Message
from llmasos.support.desk import Desk
from llmasos.support.limits import Limiter
from llmasos.support.serve import make_server, serve_desk

__all__ = [
    "Answers",
    "Conversation",
    "Conversations",
    "Desk",
    "KernelAnswers",
    "Limiter",
    "Message",
    "Reply",
    "make_app",
    "make_server",
    "serve_desk",
]
