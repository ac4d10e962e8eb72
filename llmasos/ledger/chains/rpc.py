"""A JSON-RPC client that believes no answer before it has the right shape."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic_core import from_json

from llmasos.ledger.chains.port import ChainError
from llmasos.ledger.chains.transport import HttpStatus, Transport

NO_METHOD = -32601
BATCH = 100
_REFUSED_BATCH = (400, 404, 405, 413, 415, 422, 500, 501)
_SHOWN_CHARACTERS = 300

MALFORMED = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError)
"""What reading an answer of another shape raises."""

LIES = "Use another node: this one is broken, or somebody wants to mislead you."
"""The hint where a node answers what cannot be true."""

Call = tuple[str, Sequence[Any]]
"""A method and its parameters."""


class RpcError(ChainError):
    """The chain answered with an error.

    Args:
        number: The error's number.
        text: What the chain said.
    """

    def __init__(self, method: str, number: int, text: str) -> None:
        super().__init__(f"The chain refused {method}: {text}.", hint="See `llmasos ledger status`.")
        self.method, self.number, self.text = method, number, text

    @property
    def unknown_method(self) -> bool:
        """Whether the server does not have the method."""
        said = self.text.lower()
        return self.number == NO_METHOD or (
            "method" in said
            and any(word in said for word in ("not found", "not exist", "not support", "not available"))
        )


class RpcClient:
    """Asks one server.

    Args:
        transport: The way to it.
        batch: The most calls in one exchange; it shrinks when the server refuses that many.
    """

    def __init__(self, transport: Transport, batch: int = BATCH) -> None:
        self._transport, self._batch, self._most = transport, batch, batch
        self._ident = 0

    @property
    def place(self) -> str:
        """The server as errors name it."""
        return self._transport.place

    async def request(self, method: str, *params: Any) -> Any:
        """Return the result of one call.

        Raises:
            RpcError: The server answered with an error.
            ChainError: It cannot be reached, or its answer is not JSON-RPC.
        """
        question = self._question(method, params)
        answer = await self._exchange(question)
        result = self._result(question, answer)
        if result is None:
            raise await self._garbage(method)
        if isinstance(result[0], RpcError):
            raise result[0]
        return result[0]

    async def batch(self, calls: Sequence[Call]) -> list[Any]:
        """Return the results of calls in their order; `RpcError` objects for those that the server refused.

        Raises:
            ChainError: It cannot be reached, or its answer is not JSON-RPC.
        """
        results: list[Any] = []
        while len(results) < len(calls):
            some = calls[len(results) : len(results) + self._batch]
            if len(some) == 1:
                try:
                    results.append(await self.request(some[0][0], *some[0][1]))
                except RpcError as error:
                    results.append(error)
            elif (answers := await self._together(some)) is not None:
                results += answers
            else:
                self._batch = len(some) // 2
        return results

    async def every(self, calls: Sequence[Call]) -> list[Any]:
        """Return the results of calls in their order.

        Raises:
            RpcError: The server answered one of them with an error.
            ChainError: It cannot be reached, or its answer is not JSON-RPC.
        """
        results = await self.batch(calls)
        for result in results:
            if isinstance(result, RpcError):
                raise result
        return results

    @contextmanager
    def reading(self, method: str) -> Iterator[None]:
        """Read an answer, and describe it where it has another shape than the method's.

        Raises:
            ChainError: It has.
        """
        try:
            yield
        except MALFORMED as error:
            raise ChainError(
                f"The chain at {self.place} gave an answer to {method} that cannot be read: {error}.",
                hint="Check that the address is that of an EVM node's JSON-RPC.",
            ) from error

    async def close(self) -> None:
        """Let go of the server; the next request reaches it again."""
        self._batch = self._most
        await self._transport.close()

    async def _together(self, calls: Sequence[Call]) -> list[Any] | None:
        """Return the results of one exchange; None when the server does not take as many calls in one."""
        questions = [self._question(method, params) for method, params in calls]
        try:
            answers = await self._exchange(questions)
        except HttpStatus as error:
            if error.status in _REFUSED_BATCH:
                return None
            raise
        if isinstance(answers, dict):
            return None
        first = calls[0][0]
        if not isinstance(answers, list) or len(answers) != len(questions):
            raise await self._garbage(first)
        by_ident = {
            answer["id"]: answer
            for answer in answers
            if isinstance(answer, dict) and type(answer.get("id")) is int
        }
        results = []
        for question in questions:
            result = self._result(question, by_ident.get(question["id"]))
            if result is None:
                raise await self._garbage(first)
            results.append(result[0])
        return results

    def _question(self, method: str, params: Sequence[Any]) -> dict[str, Any]:
        self._ident += 1
        return {"jsonrpc": "2.0", "id": self._ident, "method": method, "params": list(params)}

    async def _exchange(self, question: Any) -> Any:
        body = await self._transport.exchange(json.dumps(question, separators=(",", ":")).encode())
        try:
            # Python's own reader ends the process on deep nesting where the limit of recursion was raised, as
            # some Ethereum libraries do.
            return from_json(body, allow_inf_nan=False)
        except ValueError:
            return None

    def _result(self, question: dict[str, Any], answer: Any) -> tuple[Any] | None:
        """Return the result or the error in an answer; None when it does not answer the question."""
        if not isinstance(answer, dict):
            return None
        ours = type(answer.get("id")) is int and answer["id"] == question["id"]
        # A server that cannot read a request may answer with an error and the id null.
        if not ours and (answer.get("id", 0) is not None or answer.get("error") is None):
            return None
        error = answer.get("error")
        if error is None:
            return (answer["result"],) if "result" in answer else None
        if not isinstance(error, dict):
            return None
        code, text = error.get("code"), error.get("message")
        said = self._clean(text) if isinstance(text, str) else ""
        return (
            RpcError(
                question["method"],
                code if type(code) is int else 0,
                said or "no reason given",
            ),
        )

    def _clean(self, text: str) -> str:
        """Return what a server said without secrets, and without what would act on a terminal."""
        for secret in self._transport.secrets:
            text = text.replace(secret, "…")
        words = " ".join(text.split())[:_SHOWN_CHARACTERS].rstrip(".")
        return "".join(letter for letter in words if letter.isprintable())

    async def _garbage(self, method: str) -> ChainError:
        # What else lies in the connection belongs to no question.
        await self._transport.close()
        return ChainError(
            f"What answers at {self.place} does not speak JSON-RPC: it gave something else to {method}.",
            hint="Check that the address is that of an EVM node's JSON-RPC.",
        )
