"""A catalogue: what is said in English, as templates, and what is said in another language instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

TEXT, NUMBER, WORDS = "{}", "{:n}", "{:w}"
"""Gaps of a template: anything, which stays as it is; a number; and words that are looked up themselves."""

_ENTRY = re.compile(r'^msgid "(.+)"\nmsgstr "(.+)"$', re.MULTILINE)
_GAP = re.compile(r"(?<!\{)\{(\d*)(?::([nw]))?\}(?!\})")
_FOUND = {"": r"(.*?)", "w": r"(.*?)", "n": r"( *[-+]?\d[\d,:]*(?:\.\d+)?(?:e[-+]?\d+|[kM])?)"}
_DEEPEST = 3
_KEPT = 4096


def read_catalogue(path: Path) -> dict[str, str]:
    """Return the entries of a file in the format of GNU gettext, in which each text stands on one line.

    Args:
        path: The file.
    """
    found = _ENTRY.findall(path.read_text(encoding="utf-8"))
    return {_unescaped(said): _unescaped(instead) for said, instead in found}


def same_said(template: str) -> str:
    """Return a template without the numbers and kinds of its gaps, by which it is compared."""
    return _GAP.sub(TEXT, template)


class Catalogue:
    """Says in another language what is said in English, and leaves what is nobody's.

    Args:
        entries: For each template, such as `There is no file {0}.`, what is said instead. Of several that
            fit a text, the one that says the most of it is taken. Spaces around a text stay.
    """

    def __init__(self, entries: Mapping[str, str]) -> None:
        with_gaps = {said: instead for said, instead in entries.items() if _GAP.search(said)}
        self._exact = {
            _plain(said): _plain(instead) for said, instead in entries.items() if said not in with_gaps
        }
        templates = [_Template(said, instead) for said, instead in with_gaps.items()]
        self._templates = sorted(templates, key=lambda one: one.weight, reverse=True)
        self._kept = lru_cache(_KEPT)(self._looked_up)

    def translated(self, text: str) -> str:
        """Return a text in the other language; as it is when it is nobody's."""
        bare = text.strip(" ")
        return text.replace(bare, self._kept(bare, 0), 1) if bare else text

    def _looked_up(self, text: str, depth: int) -> str:
        if (found := self._exact.get(text)) is not None:
            return found
        if depth < _DEEPEST:
            for template in self._templates:
                said = template.filled(text, lambda part: self._kept(part, depth + 1))
                if said is not None:
                    return said
        return text


class _Template:
    """One entry with gaps; its expression is compiled when it is first needed, which most never are."""

    def __init__(self, said: str, instead: str) -> None:
        # What is between the gaps, and each gap's number and kind.
        self._literals = [_plain(part) for part in _GAP.split(said)[::3]]
        self._gaps = [(gap[1], gap[2] or "") for gap in _GAP.finditer(said)]
        self._instead = instead
        self._longest = max(self._literals, key=len)
        self._expression: re.Pattern[str] | None = None
        self.weight = (sum(map(len, self._literals)), -len(self._gaps))

    def filled(self, text: str, look_up: Callable[[str], str]) -> str | None:
        """Return what is said instead of a text; None when this is not what it says."""
        if self._longest not in text or not text.startswith(self._literals[0]):
            return None
        if self._expression is None:
            self._expression = re.compile("".join(self._parts()), re.DOTALL)
        found = self._expression.fullmatch(text)
        if found is None:
            return None
        said = {
            number: look_up(part) if kind == "w" else part.strip(" ") if kind == "n" else part
            for (number, kind), part in zip(self._gaps, found.groups(), strict=True)
        }
        pieces = _GAP.split(self._instead)
        return "".join(
            piece
            for literal, number in zip(pieces[::3], [*pieces[1::3], ""], strict=True)
            for piece in (_plain(literal), said.get(number, ""))
        )

    def _parts(self) -> Iterator[str]:
        for literal, (_, kind) in zip(self._literals, self._gaps, strict=False):
            yield re.escape(literal) + _FOUND[kind]
        yield re.escape(self._literals[-1])


def _plain(text: str) -> str:
    return text.replace("{{", "{").replace("}}", "}")


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    return re.sub(r"\\(.)", lambda sign: {"n": "\n", "t": "\t"}.get(sign[1], sign[1]), text)
