"""What must come through a translation unchanged, and the marks that stand for it meanwhile."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

_PLACEHOLDER = r"""
    \{\{[^{}\n]{0,200}\}\}                                  # {{ name }}
  | \$\{[^{}\n]{1,200}\}                                    # ${name}
  | \{%[^\n]{0,200}?%\}                                     # {% if it %}
  | %\([^()\n]{1,80}\)[-+0-9.]{0,10}[a-zA-Z]                # %(name)s
  | %[0-9]{0,2}\$?[-+0]{0,2}[0-9]{0,4}(?:\.[0-9]{1,2})?[sdifgxo@](?![a-zA-Z])  # %s, %1$d
  | \{[^{}\n]{0,200}\}                                      # {name}
"""
_ADDRESS = r"""
    (?:https?|ftp|file)://[^\s<>"'()\[\]{}，。；！？、）》」]{1,2000}(?<![.,;:!?])
  | \bmailto:[^\s<>"'()]{1,300}
  | (?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}
"""
_MARK = re.compile(r"\{(\d{1,4})\}")


def _nothing(_: str) -> Counter[str]:
    return Counter()


@dataclass(frozen=True)
class Kept:
    """What a format needs to come through unchanged.

    Args:
        pattern: Finds it.
        strict: Finds more, for models that break the rest; empty where there is no more.
        counted: Counts the parts of a text that it must keep though a model sees them.
    """

    pattern: re.Pattern[str]
    strict: re.Pattern[str] | None = None
    counted: Callable[[str], Counter[str]] = field(default=_nothing, repr=False)

    def shape(self, text: str) -> Counter[str]:
        """Count what of a text must be in its translation just as often."""
        return Counter(found[0] for found in self.pattern.finditer(text)) + self.counted(text)


def kept(*more: str) -> re.Pattern[str]:
    """Return what finds placeholders, addresses, and what else is given, which comes first."""
    return re.compile("|".join((*more, _ADDRESS, _PLACEHOLDER)), re.VERBOSE)


PLACEHOLDERS = Kept(kept())


@dataclass(frozen=True)
class Marked:
    """A text with marks.

    Args:
        text: The text in which `{1}`, `{2}` and so on stand for what is kept.
        kept: What they stand for, in their order.
    """

    text: str
    kept: Sequence[str]

    def complete(self, text: str) -> bool:
        """Return whether a text has each mark once, and no other."""
        return sorted(int(number) for number in _MARK.findall(text)) == list(range(1, len(self.kept) + 1))

    def restored(self, text: str) -> str:
        """Return a complete text with what the marks stand for."""
        return _MARK.sub(lambda found: self.kept[int(found[1]) - 1], text)

    def pieces(self) -> list[tuple[str, str]]:
        """Return the text between marks, each with what is kept after it."""
        texts = _MARK.split(self.text)[::2]
        return list(zip(texts, [*self.kept, ""], strict=True))


def marked(text: str, pattern: re.Pattern[str]) -> Marked:
    """Return a text with marks for what a pattern finds."""
    found: list[str] = []

    def mark(match: re.Match[str]) -> str:
        found.append(match[0])
        return f"{{{len(found)}}}"

    return Marked(pattern.sub(mark, text), tuple(found))


def words_in(text: str) -> str:
    """Return the letters of a text without what is kept."""
    return "".join(letter for letter in PLACEHOLDERS.pattern.sub(" ", text) if letter.isalpha())
