"""Glossaries: which word stands for which, so that a document says the same thing the same way throughout."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from llmasos.errors import ToolError

_BETWEEN = re.compile(r"\s*(?:\t|=>|->|→|=|;)\s*|\s*[,，:：]\s*")
_MOST = 5000
_LONGEST = 80
_HEADS = frozenset(("term", "source", "from", "原文", "术语"))


class Glossary:
    """Words with what they are in the other language.

    Args:
        terms: The words, and what stands for each.
    """

    def __init__(self, terms: Mapping[str, str]) -> None:
        self.terms = dict(terms)
        self._found = _pattern(self.terms)

    def of(self, text: str) -> dict[str, str]:
        """Return the terms that occur in a text."""
        if self._found is None:
            return {}
        folded = {term.casefold(): term for term in self.terms}
        names = {folded[found[0].casefold()] for found in self._found.finditer(text)}
        return {name: self.terms[name] for name in sorted(names)}

    def missing(self, source: str, translation: str) -> list[str]:
        """Return what the translation of a text should say and does not."""
        told = translation.casefold()
        return [meant for meant in self.of(source).values() if meant.casefold() not in told]


def read_glossary(text: str, path: str) -> Glossary:
    """Return the glossary that a file holds: `term = translation` or two columns, a line each.

    Raises:
        ToolError: A line is neither.
    """
    terms: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        parts = [part.strip().strip('"') for part in _BETWEEN.split(line.strip(), maxsplit=1)]
        if len(parts) != 2 or not all(parts):
            raise ToolError(
                f"Line {number} of the glossary {path} is no pair of words: {line.strip()[:60]}",
                hint="Write a pair on each line, such as: gate = 关卡",
            )
        if number > 1 or parts[0].casefold() not in _HEADS:
            terms[parts[0]] = parts[1]
    if len(terms) > _MOST:
        raise ToolError(f"The glossary {path} has {len(terms):,} terms; {_MOST:,} are the most.")
    return Glossary(terms)


def proposed(answer: str, texts: Sequence[str], *, least: int = 3) -> Glossary:
    """Return the glossary that a model proposed, as far as it can be right.

    Args:
        answer: Lines such as `term = translation`.
        texts: What is translated; a term is kept only if it occurs in so many of them.
        least: How many.
    """
    terms: dict[str, str] = {}
    for line in answer.splitlines():
        parts = [part.strip(" *-`\"'") for part in line.split("=")]
        if len(parts) == 2 and all(0 < len(part) <= _LONGEST for part in parts) and parts[0] != parts[1]:
            terms.setdefault(*parts)
    return Glossary({term: meant for term, meant in terms.items() if _occurs(term, texts) >= least})


def _occurs(term: str, texts: Iterable[str]) -> int:
    pattern = _pattern([term])
    return sum(1 for text in texts if pattern is not None and pattern.search(text))


def _pattern(terms: Iterable[str]) -> re.Pattern[str] | None:
    longest_first = sorted(terms, key=len, reverse=True)
    if not longest_first:
        return None
    return re.compile("|".join(map(_whole, longest_first)), re.IGNORECASE)


def _whole(term: str) -> str:
    """Return a pattern for a term as a whole word, in scripts that have words."""
    before = r"(?<![A-Za-z0-9])" if term[:1].isascii() and term[:1].isalnum() else ""
    after = r"(?![A-Za-z0-9])" if term[-1:].isascii() and term[-1:].isalnum() else ""
    return f"{before}{re.escape(term)}{after}"
