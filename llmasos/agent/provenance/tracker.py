"""What was said and read in a session, and where a value comes from."""

from __future__ import annotations

import builtins
import keyword
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from llmasos.agent.provenance.decoding import decodings, disguises, joined
from llmasos.agent.provenance.identifiers import identifiers
from llmasos.agent.provenance.labels import label_text
from llmasos.agent.provenance.normal import folded, plain, weight, words
from llmasos.agent.provenance.remembered import GRAM, Remembered, Said, grams
from llmasos.decisions import ArgumentOrigin, Identifier, Source, SourceKind, Span
from llmasos.events import ActionFinished, ActionStarted, ApprovalResolved, Event, TurnStarted
from llmasos.tools import Registry

_MOST = 48_000_000
_LOOK_UPS = 400
_SPANS = 24
_LONGEST_SPAN = 400
_SENTENCE = 6
_OUTLINE = Source(kind="listing", name="names of files")
_FORGOTTEN = Source(kind="unknown", name="content that is no longer remembered")
_TOO_MUCH = Source(kind="unknown", name="more than can be looked up")
_SEGMENT = re.compile(r"[;|&\n`]+|\$\(|<\(")
_LITERAL = re.compile(r"\"([^\"\n]{2,200})\"|'([^'\n]{2,200})'")
_PYTHON = frozenset(
    {*keyword.kwlist, *dir(builtins), *sys.stdlib_module_names, "path", "self", "encoding", "utf", "errors"}
)
_WORDLESS: Mapping[str, frozenset[str]] = {"python": frozenset(map(str.lower, _PYTHON))}


class Tracker:
    """Remembers who may have written what the model has read, and looks values up in it.

    Args:
        most: Bytes of memory that it may take, roughly. What was read first is forgotten when there is more;
            from then on a value that is found nowhere counts as untrusted, for it may have stood there.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._said = Said()
        self._read: list[Remembered] = []
        self._known: set[tuple[int, SourceKind, str]] = set()
        self._size = 0
        self._untrusted: set[SourceKind] = set()
        self._forgot = False

    @property
    def untrusted(self) -> frozenset[SourceKind]:
        """Who may have written what the model has read; names of files count when they read like sentences."""
        return frozenset(self._untrusted)

    def person(self, text: str) -> None:
        """Remember what the person said."""
        self._said.add(text)

    def outline(self, names: Iterable[str]) -> None:
        """Remember names of files that the model was told at the start."""
        self.content("\n".join(names), _OUTLINE)

    def content(self, text: str, source: Source) -> None:
        """Remember what the model has read, by who may have written it."""
        if source.trusted or not text.strip():
            return
        if source.kind != "listing" or _sentences(text):
            self._untrusted.add(source.kind)
        key = (hash(text), source.kind, source.name)
        if key in self._known:
            return
        self._known.add(key)
        forms = chain([(text, False)], ((hidden, True) for hidden in decodings(text)))
        for form, decoded in forms:
            one = Remembered.of(form, source, decoded=decoded)
            self._read.append(one)
            self._size += one.size
            if self._size > self._most:
                self._forget()

    def _forget(self) -> None:
        while self._size > self._most and self._read:
            self._size -= self._read.pop(0).size
        self._forgot = True
        self._known.clear()

    def trace(
        self, value: object, argument: str = "", *, code: Mapping[str, str] | None = None
    ) -> tuple[ArgumentOrigin, ...]:
        """Return where a value, or each value inside it, comes from.

        Args:
            value: Arguments by their names, or one argument.
            argument: The name of the one.
            code: Names of arguments that are code, with their languages, as `Capabilities.runs` has them.
        """
        return tuple(self._walk(value, argument, code or {}))

    def _walk(self, value: object, argument: str, code: Mapping[str, str]) -> Iterator[ArgumentOrigin]:
        if isinstance(value, Mapping):
            for key, item in value.items():
                yield from self._walk(item, f"{argument}.{key}" if argument else str(key), code)
                if argument and (origin := self._origin(str(key), f"{argument}.{key}", "")).spans:
                    yield origin
        elif isinstance(value, (list, tuple, set, frozenset)):
            for number, item in enumerate(value):
                yield from self._walk(item, f"{argument}.{number}" if argument else str(number), code)
        elif value is None or isinstance(value, bool):
            yield ArgumentOrigin(argument=argument)
        else:
            text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
            number = isinstance(value, (int, float))
            yield self._origin(text, argument, code.get(argument, ""), number=number)

    def _origin(self, value: str, argument: str, language: str, *, number: bool = False) -> ArgumentOrigin:
        if self._said.whole(value):
            return ArgumentOrigin(argument=argument, given=True)
        if number and sum(map(str.isdigit, value)) < 8:
            return ArgumentOrigin(argument=argument)
        spans = self._spans(value, language)
        if not spans and self._forgot and any(map(str.isalnum, value)):
            spans = (Span(text=value[:_LONGEST_SPAN], source=_FORGOTTEN),)
        return ArgumentOrigin(argument=argument, given=self._told(value, language), spans=spans)

    def _told(self, value: str, language: str) -> bool:
        """Whether the person named a telling part of a value: a part of a path, a literal of code."""
        if language:
            literals = (double or single for double, single in _LITERAL.findall(value))
            operands = (word for word in value.split() if not word.startswith("-")) if language == "bash" else ()
            return any(self._said.whole(part) or (_pathlike(part) and self._said.named(_stem(part)))
                       for part in chain(literals, operands) if len(part) > 2)
        return _pathlike(value) and self._said.named(_stem(value))

    def _spans(self, value: str, language: str) -> tuple[Span, ...]:
        if not self._read:
            return ()
        found: dict[tuple[str, SourceKind, str], Span] = {}
        for form, decoded in _forms(value, language):
            for span in self._in_form(form, value, language, decoded):
                found.setdefault((span.text, span.source.kind, span.source.name), span)
        # Whole pieces come first, and every kind of source is kept when there are too many.
        spans = sorted(found.values(), key=lambda span: span.how != "whole")
        kinds: dict[tuple[SourceKind, str], Span] = {}
        for span in spans:
            kinds.setdefault((span.source.kind, span.identifier), span)
        kept = [*kinds.values(), *(span for span in spans if span not in kinds.values())]
        return tuple(kept[: max(_SPANS, len(kinds))])

    def _in_form(self, form: str, value: str, language: str, decoded: bool) -> Iterator[Span]:
        tokens = words(folded(form))
        if not tokens:
            return
        own = words(plain(form))
        aligned = len(own) == len(tokens)
        hashes = grams(tokens)
        mine = [self._said.gram(one) for one in grams(own)] if aligned else [False] * len(hashes)
        wanted = {one for one, said in zip(hashes, mine, strict=True) if not said}
        line = f" {' '.join(tokens)} "
        said = aligned and self._said.words(own)
        kind = _is_identifier(form)
        for text in self._read:
            how_decoded = decoded or text.decoded
            if not said and _tells(tokens) and line in text.line:
                yield Span(
                    text=value[:_LONGEST_SPAN] if not decoded else form[:_LONGEST_SPAN],
                    source=text.source,
                    how="decoded" if how_decoded else "whole",
                    identifier=kind,
                )
            elif wanted and (hits := wanted & text.grams):
                for first, last in _runs(hashes, hits):
                    run = tokens[first : last + GRAM]
                    if _long_enough(run, language):
                        yield Span(
                            text=_piece(form, first, last + GRAM),
                            source=text.source,
                            how="decoded" if how_decoded else "copied",
                        )
        yield from self._segments(form, language, decoded)
        yield from self._identifiers(form, language, decoded)

    def _segments(self, form: str, language: str, decoded: bool) -> Iterator[Span]:
        """Look short commands of two words up, which are too short for a run."""
        if not language:
            return
        short = {}
        for segment in _SEGMENT.split(form):
            tokens = words(folded(segment))
            if len(tokens) == 2 and _informative(tokens, language) == 2 and not self._said.words(words(plain(segment))):
                short[f" {' '.join(tokens)} "] = segment.strip()
        yield from self._look_up(short, decoded)

    def _look_up(self, needles: Mapping[str, str], decoded: bool) -> Iterator[Span]:
        for number, (needle, piece) in enumerate(needles.items()):
            if number >= _LOOK_UPS:
                yield Span(text=piece, source=_TOO_MUCH)
                return
            for text in self._read:
                if needle in text.line:
                    how_decoded = decoded or text.decoded
                    yield Span(text=piece, source=text.source, how="decoded" if how_decoded else "copied")

    def _identifiers(self, form: str, language: str, decoded: bool) -> Iterator[Span]:
        paths = bool(language) or not any(map(str.isspace, form.strip()))
        seen = set()
        for found in identifiers(form, paths=paths):
            if (found.kind, found.text) in seen or self._said.whole(found.text):
                continue
            seen.add((found.kind, found.text))
            if len(seen) > _LOOK_UPS:
                yield Span(text=found.text, source=_TOO_MUCH, how="identifier", identifier=found.kind)
                return
            needles = [f" {' '.join(words(folded(one)))} " for one in found.forms]
            compact = needles[0].replace(" ", "").replace("_", "")
            for text in self._read:
                if any(needle in text.line for needle in needles if needle.strip()) or (
                    found.kind != "path" and len(compact) >= 8 and compact in text.compact
                ):
                    how_decoded = decoded or text.decoded
                    yield Span(
                        text=found.text[:_LONGEST_SPAN],
                        source=text.source,
                        how="decoded" if how_decoded else "identifier",
                        identifier=found.kind,
                    )

    @classmethod
    def restored(
        cls,
        events: Iterable[Event],
        registry: Registry | None = None,
        texts: Iterable[tuple[str, Source]] = (),
    ) -> Tracker:
        """Return what a session's stored events say that was said and read.

        Args:
            events: The session's events, oldest first.
            registry: The tools, for the labels of their results; those of unknown tools are `unknown`.
            texts: What the events do not hold, such as attachments, with where it was found.
        """
        tracker = cls()
        tools = {tool.name: tool for tool in registry or ()}
        arguments: dict[str, Mapping[str, object]] = {}
        for event in events:
            match event:
                case TurnStarted():
                    tracker.person(event.text)
                case ApprovalResolved():
                    tracker.person(event.why)
                case ActionStarted():
                    arguments[event.action] = event.arguments
                case ActionFinished():
                    known = tools.get(event.tool)
                    source = (
                        label_text(known, arguments.get(event.action, {}), event.action)
                        if known
                        else Source(kind="unknown", name=event.tool, action=event.action)
                    )
                    tracker.content(event.result, source)
        for text, source in texts:
            tracker.content(text, source)
        return tracker


def _forms(value: str, language: str) -> Iterator[tuple[str, bool]]:
    """Give a value as it stands, put together, decoded, backwards and shifted; and whether it was encoded."""
    forms = [value]
    if language or len(value) < _LONGEST_SPAN:
        forms += joined(value)
    seen: set[str] = set()
    for form in forms:
        if form not in seen:
            seen.add(form)
            yield form, False
    for form in [*forms, *chain.from_iterable(map(disguises, forms))]:
        for other in chain([form], decodings(form)):
            if other not in seen:
                seen.add(other)
                yield other, True


def _runs(hashes: Sequence[int], hits: Collection[int]) -> Iterator[tuple[int, int]]:
    """Give the first and the last place of each row of hits."""
    first = -1
    for place, one in enumerate(hashes):
        if one in hits:
            first = place if first < 0 else first
        elif first >= 0:
            yield first, place - 1
            first = -1
    if first >= 0:
        yield first, len(hashes) - 1


def _informative(tokens: Sequence[str], language: str) -> int:
    wordless = _WORDLESS.get(language, frozenset())
    return sum(token not in wordless for token in tokens)


def _long_enough(tokens: list[str], language: str) -> bool:
    if language:
        return weight(tokens) >= 3 and _informative(tokens, language) >= 2
    return weight(tokens) >= 4 or (weight(tokens) >= 3 and sum(map(len, tokens)) >= 20)


def _tells(tokens: Sequence[str]) -> bool:
    """Whether words are enough to be found again: a letter or a digit alone stands everywhere."""
    return len(tokens) > 1 or len(tokens[0]) > 1 or not tokens[0].isascii()


def _piece(form: str, first: int, end: int) -> str:
    """Return words of a text from the first one to before the end, as it has them where that can be told."""
    normal = folded(form)
    shown = form if len(form) == len(normal) else normal
    at, last = 0, 0
    for number, word in enumerate(words(normal)):
        start = normal.index(word, last)
        last = start + len(word)
        if number == first:
            at = start
        if number == end - 1:
            break
    return shown[at:last][:_LONGEST_SPAN]


def _is_identifier(value: str) -> Identifier | str:
    """Return what kind of a thing a value names, when it names one thing and nothing else."""
    value = value.strip()
    for found in identifiers(value):
        if found.text == value:
            return found.kind
    return ""


def _pathlike(value: str) -> bool:
    return len(value) < _LONGEST_SPAN and "\n" not in value and "://" not in value and "@" not in value


def _stem(path: str) -> str:
    """Return a path without the ending that says of what kind the file is."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/{name.rpartition('.')[0] or name}"


def _sentences(names: str) -> bool:
    """Whether one of the names of a listing reads like a sentence."""
    parts = re.split(r"[/\n]", names)
    return any(weight(words(folded(part).replace("_", " "))) >= _SENTENCE for part in parts if len(part) > 12)
