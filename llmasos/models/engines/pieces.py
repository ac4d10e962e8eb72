"""Generated text as chunks of whole tokens, cut before stop texts."""

from __future__ import annotations

from typing import NamedTuple

from llmasos.models.engines.port import Chunk, FinishReason, TokenChoice, TokenUsage


class Piece(NamedTuple):
    """Text that goes with whole tokens."""

    text: str
    tokens: tuple[int, ...]
    choices: tuple[TokenChoice, ...] = ()


class Pieces:
    """Holds text back as long as it may begin a stop text.

    Args:
        stops: Texts before which the output ends.
    """

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held: list[Piece] = []

    def add(self, piece: Piece) -> Chunk | None:
        """Take a piece and return what can be sent now."""
        self._held.append(piece)
        text = self._text()
        return None if self.stopped() else self._release(len(text) - self._beginning(text))

    def stopped(self) -> bool:
        """Return whether there is a stop text in what is held."""
        return self._cut(self._text()) is not None

    def end(self, reason: FinishReason, usage: TokenUsage) -> Chunk:
        """Return the last chunk, with what is held up to a stop text."""
        text = self._text()
        cut = self._cut(text)
        # A token without text at the end is the one that says so.
        while self._held and not self._held[-1].text and reason == "stop":
            self._held.pop()
        kept, place = [], 0
        for piece in self._held:
            if cut is None or place < cut:
                kept.append(piece)
            place += len(piece.text)
        self._held = []
        return _chunk(kept, text[:cut]).model_copy(update={"finish_reason": reason, "usage": usage})

    def _text(self) -> str:
        return "".join(piece.text for piece in self._held)

    def _cut(self, text: str) -> int | None:
        return min((text.index(stop) for stop in self._stops if stop in text), default=None)

    def _beginning(self, text: str) -> int:
        """Return how many characters at the end of a text may be the beginning of a stop text."""
        longest = max(map(len, self._stops), default=0)
        for length in range(min(longest - 1, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stops):
                return length
        return 0

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


def _chunk(pieces: list[Piece], text: str) -> Chunk:
    return Chunk(
        text=text,
        tokens=tuple(token for piece in pieces for token in piece.tokens),
        logprobs=tuple(choice for piece in pieces for choice in piece.choices),
    )
