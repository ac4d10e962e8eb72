"""The text of a reply as its tokens come in, up to a stop text."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llmasos.models.engines.port import Chunk, TokenChoice


@dataclass(frozen=True, slots=True)
class _Held:
    """A token whose text was not handed out; `end` is where that text ends in the held text."""

    token: int
    choice: TokenChoice | None
    end: int
    whole: bool


class ReplyText:
    """Turns tokens into chunks, and holds back what may begin a stop text or is half a character.

    Args:
        data: Gives the bytes of a token.
        stop: The texts before which the reply ends.
        kept: Tokens whose text was handed out before.
        strip: Whether one space at the very beginning is dropped, as vocabularies that mark words by
            a leading space want it.
    """

    def __init__(
        self,
        data: Callable[[int], bytes],
        stop: Sequence[str] = (),
        *,
        kept: Sequence[int] = (),
        strip: bool = False,
    ) -> None:
        self._data = data
        self._stop = tuple(text for text in stop if text)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._strip = strip and not kept
        self._text = ""
        self._held: list[_Held] = []
        self.stopped = False
        for token in kept:
            self._decoder.decode(data(token))

    def push(self, token: int, choice: TokenChoice | None = None) -> Chunk | None:
        """Take one more token, and return what can be handed out now."""
        piece = self._decoder.decode(self._data(token))
        if self._strip and piece:
            piece = piece.removeprefix(" ")
            self._strip = False
        self._text += piece
        whole = not self._decoder.getstate()[0]
        self._held.append(_Held(token, choice, len(self._text), whole))
        found = [at for at in map(self._text.find, self._stop) if at >= 0]
        if found:
            self.stopped = True
            self._text = self._text[: min(found)]
            return self._release(len(self._held), self._text)
        safe = len(self._text) - self._pending()
        count = max(
            (place for place, held in enumerate(self._held, 1) if held.whole and held.end <= safe), default=0
        )
        return self._release(count, self._text[: self._held[count - 1].end]) if count else None

    def flush(self) -> Chunk | None:
        """Return all that was held back; nothing comes after it."""
        self._text += self._decoder.decode(b"", final=True)
        return self._release(len(self._held), self._text) if self._held else None

    def _pending(self) -> int:
        """Return how many characters at the end may begin a stop text."""
        longest = 0
        for stop in self._stop:
            for length in range(min(len(stop) - 1, len(self._text)), longest, -1):
                if self._text.endswith(stop[:length]):
                    longest = length
                    break
        return longest

    def _release(self, count: int, text: str) -> Chunk:
        out, rest = self._held[:count], self._held[count:]
        cut = out[-1].end
        self._held = [_Held(held.token, held.choice, held.end - cut, held.whole) for held in rest]
        self._text = self._text[cut:]
        return Chunk(
            text=text,
            tokens=tuple(held.token for held in out),
            logprobs=tuple(held.choice for held in out if held.choice is not None),
        )
