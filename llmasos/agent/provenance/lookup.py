"""Pieces of a value that stand in what the model has read."""

from __future__ import annotations

import builtins
import keyword
import re
import sys
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from llmasos.agent.provenance.decoding import decodings, disguises
from llmasos.agent.provenance.identifiers import identified, identifiers
from llmasos.agent.provenance.library import Library, Text
from llmasos.agent.provenance.normal import GRAM, folded, grams, invisible, places, plain, weight, words
from llmasos.agent.provenance.said import Said
from llmasos.agent.provenance.splicing import spliced
from llmasos.decisions import Identifier, Source, SourceKind, Span

How = Literal["whole", "copied", "decoded", "identifier"]

_LOOK_UPS = 400
MOST_SPANS = 24
_LONGEST_CODE = 100_000
_LONGEST = 400
_SHORTEST_COMPACT = 8
_SHORTEST_SIGNS = 4
_TOO_MUCH = Source(kind="unknown", name="more than can be looked up")
_SEGMENT = re.compile(r"[;|&\n`]+|\$\(|<\(")
# Words that every program has, and that tell nothing of where a piece of it was copied from.
_WORDLESS = {
    "bash": frozenset({"cd", "echo", "env", "python", "python3", *"abcdefghijklmnopqrstuvwxyz0123456789"}),
    "python": frozenset(
        word.lower()
        for word in {
            *keyword.kwlist,
            *dir(builtins),
            *sys.stdlib_module_names,
            *(name for kind in (str, bytes, list, dict, set, int, float) for name in dir(kind)),
            *("encoding", "file", "line", "lines", "path", "self", "utf", *"efijknpx"),
        }
        - {"remove"}
    ),
}


@dataclass(frozen=True)
class Lookup:
    """Looks pieces of values up.

    Args:
        said: What the person said; it is nobody else's.
        own: What the model said before it stood anywhere; it is nobody else's, either.
        read: What the model has read.
    """

    said: Said
    own: Said
    read: Library

    def spans(self, value: str, language: str = "") -> tuple[Span, ...]:
        """Return the pieces of a value that were found, first one of each kind, then one of each source.

        Args:
            value: The value.
            language: Its language when it is code.
        """
        if language and len(value) > _LONGEST_CODE:
            return (Span(text=value[:_LONGEST], source=_TOO_MUCH),)
        found: dict[tuple[str, Source, str], Span] = {}
        whole: set[Source] = set()
        for form, decoded in _forms(value, language):
            for span in _Form(self, form, language, decoded).spans():
                if span.identifier or span.source not in whole:
                    found.setdefault((span.text, span.source, span.identifier), span)
            whole.update(span.source for span in found.values() if span.how == "whole")
        ordered = sorted(found.values(), key=lambda span: span.how != "whole")
        kinds: set[tuple[SourceKind, str]] = set()
        sources: set[tuple[Source, str]] = set()
        ranked: tuple[list[Span], list[Span], list[Span]] = [], [], []
        for span in ordered:
            kind, source = (span.source.kind, span.identifier), (span.source, span.identifier)
            ranked[(kind in kinds) + (source in sources)].append(span)
            kinds.add(kind)
            sources.add(source)
        return tuple(chain(*ranked))[: max(MOST_SPANS, len(ranked[0]))]


def _forms(value: str, language: str) -> Iterator[tuple[str, bool]]:
    """Give a value as it stands, put together, decoded, backwards and shifted; and whether it was encoded."""
    forms = [value] if value.isascii() else [value, folded(value)]
    if (language or len(value) < _LONGEST) and (whole := spliced(value)):
        forms.append(whole)
    yield from ((form, False) for form in forms)
    seen = set(forms)
    disguised = chain.from_iterable(map(disguises, forms)) if len(value) <= _LONGEST_CODE else ()
    for form in chain(forms, disguised):
        for other in chain([form], decodings(form)):
            if other not in seen:
                seen.add(other)
                yield other, True


class _Form:
    """One form of a value."""

    def __init__(self, lookup: Lookup, form: str, language: str, decoded: bool) -> None:
        self._before, self._read = (lookup.said, lookup.own), lookup.read
        self._form, self._language, self._decoded = form, language, decoded
        self._folded = folded(form)
        self._tokens = words(self._folded)

    def spans(self) -> Iterator[Span]:
        if self._tokens:
            yield from self._whole_or_runs()
            yield from self._short_commands()
            yield from self._identifiers()
        elif self._language and len(self._folded.strip()) >= _SHORTEST_SIGNS:
            for text in self._read.with_signs(self._folded):
                yield self._span(self._form, text, "whole")

    def _said(self, tokens: Sequence[str]) -> bool:
        return any(one.words(tokens) for one in self._before)

    def _span(self, piece: str, text: Text, how: How, kind: Identifier | Literal[""] = "") -> Span:
        decoded = self._decoded or text.decoded
        return Span(
            text=piece[:_LONGEST], source=text.source, how="decoded" if decoded else how, identifier=kind
        )

    def _whole_or_runs(self) -> Iterator[Span]:
        tokens = self._tokens
        own = words(plain(self._form))
        # What nobody sees is nothing that the person typed.
        aligned = len(own) == len(tokens) and not invisible(self._form)
        whole: set[int] = set()
        if (not self._language or _tells(tokens)) and not (aligned and self._said(own)):
            kind = "" if self._language else identified(self._form)
            for text in self._read.with_words(tokens):
                whole.add(id(text))
                yield self._span(self._form.strip(), text, "whole", kind)
        hashes = grams(tokens)
        said = [False] * len(hashes)
        if aligned:
            said = [any(each) for each in zip(*(one.covered(own) for one in self._before), strict=True)]
        wanted = {one for one, mine in zip(hashes, said, strict=True) if not mine}
        at: list[tuple[int, int]] = []
        for text, hits in self._read.with_grams(wanted):
            if id(text) in whole:
                continue
            for first, end in _runs(hashes, hits):
                if _long_enough(tokens[first:end], self._language):
                    at = at or places(self._folded)
                    shown = self._form if len(self._form) == len(self._folded) else self._folded
                    yield self._span(shown[at[first][0] : at[end - 1][1]], text, "copied")

    def _short_commands(self) -> Iterator[Span]:
        """Look commands of two words up, and paths alone, which are too short for a run."""
        if not self._language:
            return
        short = {}
        for segment in dict.fromkeys(_SEGMENT.split(self._form)):
            tokens = words(folded(segment))
            few = len(tokens) == GRAM - 1 or (len(tokens) == 1 and "/" in segment)
            if not few or _informative(tokens, self._language) < len(tokens):
                continue
            if invisible(segment) or not self._said(words(plain(segment))):
                short[tuple(tokens)] = segment.strip()
        for number, (needle, piece) in enumerate(short.items()):
            if number == _LOOK_UPS:
                yield Span(text=piece[:_LONGEST], source=_TOO_MUCH)
                return
            for text in self._read.with_words(needle):
                yield self._span(piece, text, "copied")

    def _identifiers(self) -> Iterator[Span]:
        language = "bash" if self._language and self._decoded else self._language
        seen = set()
        for found in identifiers(self._form, language):
            if (found.kind, found.text) in seen or any(one.whole(found.text) for one in self._before):
                continue
            seen.add((found.kind, found.text))
            if len(seen) > _LOOK_UPS:
                yield Span(
                    text=found.text[:_LONGEST], source=_TOO_MUCH, how="identifier", identifier=found.kind
                )
                return
            yield from self._identifier(found.text, found.kind, found.forms, self._decoded)
            if not self._decoded:
                turned = tuple(chain.from_iterable(map(disguises, found.forms[:1])))
                yield from self._identifier(found.text, found.kind, turned, True)

    def _identifier(
        self, piece: str, kind: Identifier, forms: Sequence[str], decoded: bool
    ) -> Iterator[Span]:
        needles = [words(folded(form)) for form in forms]
        texts = {id(text): text for needle in needles for text in self._read.with_words(needle)}
        for needle in needles if kind != "path" and not texts else ():
            compact = "".join(needle).replace("_", "")
            if len(compact) >= _SHORTEST_COMPACT:
                texts |= {id(text): text for text in self._read.with_letters(compact)}
        for text in texts.values():
            yield self._span(piece, text, "decoded" if decoded else "identifier", kind)


def _runs(hashes: Sequence[int], hits: Set[int]) -> Iterator[tuple[int, int]]:
    """Give the first word of each row of hits, and the one behind its last."""
    first = -1
    for place, one in enumerate(hashes):
        if one in hits:
            first = place if first < 0 else first
        elif first >= 0:
            yield first, place - 1 + GRAM
            first = -1
    if first >= 0:
        yield first, len(hashes) - 1 + GRAM


def _informative(tokens: Sequence[str], language: str) -> int:
    wordless = _WORDLESS.get(language, frozenset())
    return sum(token not in wordless for token in tokens)


def _long_enough(tokens: Sequence[str], language: str) -> bool:
    if language:
        return weight(tokens) >= 3 and _informative(tokens, language) >= 2
    return weight(tokens) >= 4 or (weight(tokens) >= 3 and sum(map(len, tokens)) >= 20)


def _tells(tokens: Sequence[str]) -> bool:
    """Whether words are enough to be found again in code, for a letter or two alone stand everywhere."""
    return len(tokens) > 1 or len(tokens[0]) > 2 or not tokens[0].isascii()
