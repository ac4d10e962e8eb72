"""Gathering: the pieces of a reply become the reply."""

from __future__ import annotations

from llmasos.models.chat.port import ChatCall, ChatDelta, ChatFinish, ChatMessage
from llmasos.models.engines.port import TokenChoice, TokenUsage


class Gathering:
    """A reply, as far as it has come."""

    def __init__(self) -> None:
        self.logprobs: list[TokenChoice] = []
        self.finish_reason: ChatFinish | None = None
        self.usage: TokenUsage | None = None
        self._texts: list[str] = []
        self._calls: dict[int, tuple[str, str, list[str]]] = {}

    def add(self, delta: ChatDelta) -> None:
        """Take the next piece."""
        if delta.text:
            self._texts.append(delta.text)
        for call in delta.calls:
            id, name, arguments = self._calls.get(call.index, ("", "", []))
            arguments.append(call.arguments)
            self._calls[call.index] = (call.id or id, call.name or name, arguments)
        self.logprobs += delta.logprobs
        self.finish_reason = delta.finish_reason or self.finish_reason
        self.usage = delta.usage or self.usage

    @property
    def text(self) -> str:
        """The text."""
        return "".join(self._texts)

    @property
    def calls(self) -> tuple[ChatCall, ...]:
        """The calls, in their order."""
        found = sorted(self._calls.items())
        return tuple(ChatCall(id=id, name=name, arguments="".join(parts)) for _, (id, name, parts) in found)

    @property
    def message(self) -> ChatMessage:
        """The reply as a message of the conversation."""
        return ChatMessage(role="assistant", content=self.text, calls=self.calls)
