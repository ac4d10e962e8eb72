"""The server's events as chunks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmasos.models.engines.llama_server import Event
from llmasos.models.engines.pieces import Piece, Pieces
from llmasos.models.engines.port import Chunk, CompletionRequest, FinishReason, TokenChoice, TokenUsage


class Output:
    """Collects the events of one request.

    The server reports no token that ends within a character, only the one that completes it: then the
    tokens are those of the character's text, and its log-probability is that of its last token.

    Args:
        request: The request.
        prompt: Tokens of its prompt.
        tokenize: Returns the tokens of a text.
    """

    def __init__(self, request: CompletionRequest, prompt: int, tokenize: Callable[[str], list[int]]) -> None:
        self._request = request
        self._prompt = prompt
        self._tokenize = tokenize
        self._pieces = Pieces(request.stop)
        self._predicted = 0
        self._cached = 0
        self.tokens: list[int] = []
        self.finished = False

    def add(self, event: Event) -> Chunk | None:
        """Take an event and return what can be sent now."""
        if progress := event.get("prompt_progress"):
            self._cached = progress["cache"]
            return None
        advance = event["tokens_predicted"] - self._predicted
        self._predicted = event["tokens_predicted"]
        if event["stop"]:
            return self.end("length" if event["stop_type"] == "limit" else "stop")
        if not advance:
            return None
        tokens = tuple(event["tokens"] if advance == 1 else self._tokenize(event["content"]))
        self.tokens += tokens
        chunk = self._pieces.add(Piece(event["content"], tokens, self._choices(event)))
        return self.end("stop") if self._pieces.stopped() else chunk

    def end(self, reason: FinishReason) -> Chunk:
        """Return the last chunk."""
        self.finished = True
        usage = TokenUsage(
            input=self._prompt, cached=self._cached, output=len(self._request.kept) + self._predicted
        )
        return self._pieces.end(reason, usage)

    def _choices(self, event: Event) -> tuple[TokenChoice, ...]:
        if self._request.logprobs is None:
            return ()
        return tuple(
            _choice(entry, [_choice(other) for other in entry["top_logprobs"][: self._request.logprobs]])
            for entry in event.get("completion_probabilities", ())
        )


def _choice(entry: dict[str, Any], others: list[TokenChoice] | None = None) -> TokenChoice:
    data = bytes(entry["bytes"])
    return TokenChoice(
        text=data.decode("utf-8", "replace"),
        data=data,
        logprob=entry["logprob"],
        others=tuple(others or ()),
    )
