"""The web application: a page for visitors, an endpoint for other programs, and the desk of a person."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import asdict
from importlib import resources
from string import Template
from typing import Any

import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from llmasos.errors import LLMasOSError
from llmasos.support.answers import Answers
from llmasos.support.conversations import Conversation, Conversations
from llmasos.support.desk import Desk
from llmasos.support.limits import Limiter

_LARGEST = 20_000
_BEFORE = 4  # messages that a model is told of what was said before
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_HANDED_BACK = "From here on the documents answer again."
_HANDED_OVER = "A person will answer here. You can leave this page open, or come back to it."


def make_app(
    desk: Desk,
    answers: Answers,
    conversations: Conversations,
    key: str,
    waiting: Callable[[Conversation], None] = lambda conversation: None,
) -> Starlette:
    """Return the application of a help desk.

    Args:
        desk: What visitors may do.
        answers: Answers from the documents.
        conversations: Where what is said is kept.
        key: What the person at the desk proves themselves with.
        waiting: Told when a visitor asks for a person.
    """
    api = _Api(desk, answers, conversations, key, waiting)
    cors = Middleware(
        CORSMiddleware, allow_origins=desk.origins, allow_methods=["GET", "POST"], allow_headers=["*"]
    )
    return Starlette(
        routes=[
            Route("/", api.page),
            Route("/desk", api.desk_page),
            Route("/chat", api.ask, methods=["POST"]),
            Route("/chat/{id}", api.read),
            Route("/chat/{id}/person", api.hand_over, methods=["POST"]),
            Route("/desk/waiting", api.waiting_list),
            Route("/desk/{id}/reply", api.answer, methods=["POST"]),
            Route("/desk/{id}/close", api.close, methods=["POST"]),
        ],
        middleware=[cors] if desk.origins else [],
        exception_handlers={HTTPException: _refused, LLMasOSError: _failed, Exception: _failed},
    )


class _Api:
    def __init__(
        self,
        desk: Desk,
        answers: Answers,
        conversations: Conversations,
        key: str,
        waiting: Callable[[Conversation], None],
    ) -> None:
        self._desk = desk
        self._answers = answers
        self._conversations = conversations
        self._key = key
        self._told = waiting
        self._questions = Limiter(desk.per_minute, 60.0)
        self._beginnings = Limiter(desk.conversations, 3600.0)
        self._waiting = 0

    async def page(self, _request: Request) -> Response:
        return page_of(self._desk, "page.html")

    async def desk_page(self, _request: Request) -> Response:
        return page_of(self._desk, "desk.html")

    async def ask(self, request: Request) -> Response:
        asked = await _json(request)
        question = _text(asked, "question", self._desk.longest)
        visitor = request.client.host if request.client else ""
        _limit(self._questions.take(visitor))
        key = asked.get("conversation") or ""
        if not key:
            _limit(self._beginnings.take(visitor))
            key = await anyio.to_thread.run_sync(self._conversations.begin)
        conversation = await self._known(key)
        if len(conversation.messages) >= self._desk.messages:
            raise HTTPException(409, "This conversation is long enough. Begin a new one.")
        await self._add(key, "visitor", question)
        if conversation.state == "waiting":
            return _json_reply({"conversation": key, "state": "waiting", "messages": []})
        if self._waiting >= self._desk.waiting:
            raise HTTPException(503, "Too many ask at once. Try again in a minute.", {"Retry-After": "60"})
        said = "\n".join(message.text for message in conversation.messages[-_BEFORE:])
        self._waiting += 1
        try:
            reply = await self._answers.answer(question, said)
        finally:
            self._waiting -= 1
        await self._add(key, "documents", reply.text, reply.citations)
        return _json_reply(
            {
                "conversation": key,
                "state": "open",
                "answer": reply.text,
                "known": reply.known,
                "citations": list(reply.citations),
            }
        )

    async def read(self, request: Request) -> Response:
        after = request.query_params.get("after", "0")
        conversation = await self._known(
            request.path_params["id"], int(after) if after.isdecimal() and len(after) < 16 else 0
        )
        return _json_reply(asdict(conversation))

    async def hand_over(self, request: Request) -> Response:
        _limit(self._questions.take(request.client.host if request.client else ""))
        conversation = await self._known(request.path_params["id"])
        if conversation.state != "waiting":
            await anyio.to_thread.run_sync(self._conversations.move, conversation.id, "waiting")
            await self._add(conversation.id, "desk", _HANDED_OVER)
            self._told(await self._known(conversation.id))
        return _json_reply({"conversation": conversation.id, "state": "waiting"})

    async def waiting_list(self, request: Request) -> Response:
        self._admit(request)
        found = await anyio.to_thread.run_sync(self._conversations.waiting)
        return _json_reply({"waiting": [asdict(each) for each in found]})

    async def answer(self, request: Request) -> Response:
        self._admit(request)
        conversation = await self._known(request.path_params["id"])
        await self._add(conversation.id, "person", _text(await _json(request), "text", _LARGEST))
        return _json_reply({"conversation": conversation.id})

    async def close(self, request: Request) -> Response:
        self._admit(request)
        conversation = await self._known(request.path_params["id"])
        await anyio.to_thread.run_sync(self._conversations.move, conversation.id, "open")
        await self._add(conversation.id, "desk", _HANDED_BACK)
        return _json_reply({"conversation": conversation.id})

    def _admit(self, request: Request) -> None:
        given = request.headers.get("authorization", "")
        if not secrets.compare_digest(given.encode(), f"Bearer {self._key}".encode()):
            raise HTTPException(
                401, "This is the desk's; its address with the key was printed when it began."
            )

    async def _known(self, key: object, after: int = 0) -> Conversation:
        found = None
        if isinstance(key, str):
            found = await anyio.to_thread.run_sync(self._conversations.get, key, after)
        if found is None:
            raise HTTPException(404, "There is no such conversation.")
        return found

    async def _add(self, key: str, author: Any, text: str, citations: Any = ()) -> None:
        await anyio.to_thread.run_sync(self._conversations.add, key, author, text, citations)


async def _json(request: Request) -> dict[str, Any]:
    """Return the JSON of a request, which has to say that it is: forms of other pages cannot."""
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise HTTPException(415, "Send JSON.")
    held = b""
    async for piece in request.stream():
        held += piece
        if len(held) > _LARGEST:
            raise HTTPException(413, "That is too long.")
    try:
        asked = json.loads(held)
    except ValueError:
        raise HTTPException(400, "That is no JSON.") from None
    if not isinstance(asked, dict):
        raise HTTPException(400, "Send an object.")
    return asked


def _text(asked: dict[str, Any], name: str, most: int) -> str:
    text = asked.get(name)
    if not isinstance(text, str) or not text.strip():
        raise HTTPException(400, f"Send a text as {name!r}.")
    if len(text) > most:
        raise HTTPException(413, f"At most {most:,} characters.")
    return text.encode("utf-8", "replace").decode().strip()


def _limit(seconds: int) -> None:
    if seconds:
        raise HTTPException(
            429, f"That is too fast. Try again in {seconds} s.", {"Retry-After": str(seconds)}
        )


def page_of(desk: Desk, name: str) -> Response:
    """Return one of the desk's pages, `page.html` or `desk.html`."""
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    title = desk.title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return HTMLResponse(Template(text).substitute(title=title), headers=_HEADERS)


def _json_reply(content: Any, status: int = 200) -> Response:
    return JSONResponse(content, status_code=status, headers=_HEADERS)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = {"error": error.detail}
    return JSONResponse(body, status_code=error.status_code, headers={**_HEADERS, **(error.headers or {})})


async def _failed(_request: Request, error: Exception) -> Response:
    # What went wrong inside is the owner's to know, and is in the kernel's records.
    return _json_reply({"error": "There is no answer now. Try again, or ask for a person."}, 503)
