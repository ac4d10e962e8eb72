"""The server's events as chunks: whole tokens, stop texts, log-probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from llmasos.models.engines.llama_server import Event
from llmasos.models.engines.port import Chunk, CompletionRequest, TokenChoice, TokenUsage


class _Piece(NamedTuple):
    """Text that goes with whole tokens."""

    text: str
    tokens: tuple[int, ...]
    choices: tuple[TokenChoice, ...]


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
        self._held: list[_Piece] = []
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
            return self._end("length" if event["stop_type"] == "limit" else "stop", event["content"])
        if not advance:
            return None
        tokens = tuple(event["tokens"] if advance == 1 else self._tokenize(event["content"]))
        self._held.append(_Piece(event["content"], tokens, self._choices(event)))
        self.tokens += tokens
        text = "".join(piece.text for piece in self._held)
        places = [text.find(stop) for stop in self._request.stop if stop and stop in text]
        if places:
            return self._end("stop", cut=min(places))
        return self._release(len(text) - _beginning(text, self._request.stop))

    def end(self) -> Chunk:
        """Return the chunk of a reply that has no room for another token."""
        return self._end("length")

    def _end(self, reason: str, more: str = "", cut: int | None = None) -> Chunk:
        self.finished = True
        text = "".join(piece.text for piece in self._held) + more
        # A token without text at the end is the one that says so.
        while self._held and not self._held[-1].text and reason == "stop":
            self._held.pop()
        kept, length = [], 0
        for piece in self._held:
            if cut is None or length < cut:
                kept.append(piece)
            length += len(piece.text)
        chunk = _chunk(kept, text[:cut])
        usage = TokenUsage(
            input=self._prompt, cached=self._cached, output=len(self._request.kept) + self._predicted
        )
        return chunk.model_copy(update={"finish_reason": reason, "usage": usage})

    def _release(self, length: int) -> Chunk | None:
        """Return the tokens that lie within the first `length` characters of what is held."""
        count = place = 0
        for number, piece in enumerate(self._held, 1):
            place += len(piece.text)
            if place > length:
                break
            if piece.text:
                count = number
        if not count:
            return None
        ready, self._held = self._held[:count], self._held[count:]
        return _chunk(ready, "".join(piece.text for piece in ready))

    def _choices(self, event: Event) -> tuple[TokenChoice, ...]:
        if self._request.logprobs is None:
            return ()
        return tuple(
            _choice(entry, [_choice(other) for other in entry["top_logprobs"][: self._request.logprobs]])
            for entry in event.get("completion_probabilities", ())
        )


def _chunk(pieces: list[_Piece], text: str) -> Chunk:
    return Chunk(
        text=text,
        tokens=tuple(token for piece in pieces for token in piece.tokens),
        logprobs=tuple(choice for piece in pieces for choice in piece.choices),
    )


def _choice(entry: dict[str, Any], others: list[TokenChoice] | None = None) -> TokenChoice:
    data = bytes(entry["bytes"])
    return TokenChoice(
        text=data.decode("utf-8", "replace"),
        data=data,
        logprob=entry["logprob"],
        others=tuple(others or ()),
    )


def _beginning(text: str, stops: tuple[str, ...]) -> int:
    """Return how many characters at the end of a text may be the beginning of a stop text."""
    longest = max((len(stop) for stop in stops), default=0)
    for length in range(min(longest - 1, len(text)), 0, -1):
        if any(stop.startswith(text[-length:]) for stop in stops):
            return length
    return 0
