"""Special tokens that texts spell out, and that must not be read as such."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

_JOINER = "\u200d"
# Some families have the marks of turns among their ordinary tokens.
_MARK = re.compile(r"<[|\uff5c].+[|\uff5c]>")


class Spelled:
    """Breaks special tokens in what people and tools wrote, so that no text begins or ends a turn.

    Args:
        tokens: Each added token of a vocabulary, with whether it is a special one.
    """

    def __init__(self, tokens: Iterable[tuple[str, bool]]) -> None:
        broken = {text for text, special in tokens if len(text) > 1 and (special or _MARK.fullmatch(text))}
        longest_first = sorted(broken, key=lambda text: (-len(text), text))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if broken else None

    def broken(self, value: Any) -> Any:
        """Return JSON whose texts spell no special token; a joiner of no width breaks those that do."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self._pattern.sub(lambda found: f"{found[0][0]}{_JOINER}{found[0][1:]}", value)
        if isinstance(value, Mapping):
            return {self.broken(key): self.broken(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.broken(item) for item in value]
        return value
