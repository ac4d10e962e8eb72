"""Text that streams: what is held back, what is cut, and what is not for the reader."""

from __future__ import annotations

from collections.abc import Sequence


def held(text: str, *markers: str) -> int:
    """Return how many characters at the text's end may be the beginning of one of the markers."""
    longest = max(map(len, markers), default=0) - 1
    for length in range(min(longest, len(text)), 0, -1):
        if any(marker.startswith(text[-length:]) for marker in markers):
            return length
    return 0


class Stops:
    """Ends a text before the first of several stop texts, wherever the pieces were cut.

    Args:
        stops: The stop texts.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self.hit = False
        self._stops = tuple(stop for stop in stops if stop)
        self._text = ""

    def feed(self, text: str) -> str:
        """Return what can be given of the text so far."""
        if self.hit:
            return ""
        self._text += text
        places = [at for stop in self._stops if (at := self._text.find(stop)) >= 0]
        if places:
            self.hit = True
            return self._text[: min(places)]
        return self._take(len(self._text) - held(self._text, *self._stops))

    def end(self) -> str:
        """Return what was held back; nothing more comes."""
        return "" if self.hit else self._take(len(self._text))

    def _take(self, count: int) -> str:
        given, self._text = self._text[:count], self._text[count:]
        return given


class Thoughts:
    """Leaves out what a model thinks before it replies.

    Args:
        marks: The texts before and after a thought; None leaves out nothing.
        inside: Whether the prompt began the thought already.
    """

    def __init__(self, marks: tuple[str, str] | None, *, inside: bool = False) -> None:
        self._opening, self._closing = marks or ("", "")
        self._state = "outside" if marks is None else "inside" if inside else "before"
        self._text = ""

    def feed(self, text: str) -> str:
        """Return what the reader is to see of the text so far."""
        if self._state == "outside":
            return text
        self._text += text
        if self._state == "before":
            self._text = self._text.lstrip()
            if self._text.startswith(self._opening):
                self._state, self._text = "inside", self._text[len(self._opening) :]
            elif self._text and not self._opening.startswith(self._text):
                self._state = "outside"
        if self._state == "inside":
            _, closed, rest = self._text.partition(self._closing)
            if closed:
                self._state, self._text = "after", rest
        if self._state == "after":
            self._text = self._text.lstrip()
            if self._text:
                self._state = "outside"
        if self._state != "outside":
            return ""
        given, self._text = self._text, ""
        return given

    def end(self) -> str:
        """Return what was held back; nothing more comes."""
        return self._text if self._state == "before" else ""
