"""What was said and read in a session, and where a value comes from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from llmasos.agent.provenance.decoding import decodings
from llmasos.agent.provenance.flows import Flows
from llmasos.agent.provenance.identifiers import identified
from llmasos.agent.provenance.labels import describe, label_text
from llmasos.agent.provenance.library import Library
from llmasos.agent.provenance.lookup import MOST_SPANS, Lookup
from llmasos.agent.provenance.names import is_telling
from llmasos.agent.provenance.normal import folded, invisible, words
from llmasos.agent.provenance.said import Said
from llmasos.agent.provenance.sentences import (
    is_forbidden,
    is_question,
    is_reading,
    is_removing,
    sentences,
    warned_of,
)
from llmasos.agent.values import changed_words
from llmasos.decisions import ArgumentOrigin, Source, SourceKind, Span
from llmasos.events import (
    ActionFinished,
    ActionStarted,
    ApprovalRequested,
    ApprovalResolved,
    CallDecided,
    Event,
    TurnStarted,
    TurnSteered,
)
from llmasos.tools import Registry

RESTORING = (
    "turn_started",
    "turn_steered",
    "approval_requested",
    "approval_resolved",
    "call_decided",
    "action_started",
    "action_finished",
)
"""The types of events that a tracker is restored from."""

_MOST = 64_000_000
_MOST_SAID = 8_000_000
_LONGEST_SPAN = 400
_LONGEST_PATH = 400
_LONGEST_NUMBER = 4096
_OUTLINE = Source(kind="listing", name="names of files")
_FORGOTTEN = Source(kind="unknown", name="content that is no longer remembered")
_PARTS = 400
# A name without blanks, or a path with them; neither a link nor an address.
_PATH = re.compile(r"(?!.*://)[^\s@]+|(?!.*://)[^\n@]*(?:/[^\n@]*|\.\w{1,10})")
# What looks like one inside a text is lost with it, so that less is named.
_COMMENT = re.compile(r"(?m)(?:^|(?<=[\s;]))#.*$")
_LITERAL = re.compile(r"\"([^\"\n]{2,200})\"|'([^'\n]{2,200})'")


class Tracker:
    """Remembers who may have written what the model has read, and looks values up in it.

    Args:
        most: Bytes of memory that it may take, roughly. What was read first is forgotten when there is more;
            from then on a value that is found nowhere counts as untrusted, for it may have stood there.

    Attributes:
        flows: Where calls have put what the person did not name.
        removing: Whether the person spoke of removing, moving, or emptying something.
        reading: Whether all that they want, as far as it can be told, is to know something.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._said = Said(_MOST_SAID)
        self._wanted = Said(_MOST_SAID)
        self._read = Library(most)
        self._own = Said(_MOST_SAID)
        self._lookup = Lookup(self._said, self._own, self._read)
        self._known: set[tuple[int, SourceKind, str]] = set()
        self._untrusted: set[SourceKind] = set()
        self.flows = Flows()
        self.removing = False
        self.reading = False
        self._doing = False

    @property
    def untrusted(self) -> frozenset[SourceKind]:
        """Who may have written what the model has read; names of files count when they are sentences."""
        return frozenset(self._untrusted)

    def person(self, text: str, *, refusing: bool = False) -> None:
        """Remember what the person said.

        Whom or what they warn of, they do not give: in a sentence that forbids, no link, address, account or
        number is theirs, and in one that asks or refuses none that was read before.

        Args:
            text: What they said.
            refusing: Whether they said it to refuse something.
        """
        said = sentences(text)
        self._said.add(" ".join(self._meant(sentence, refusing) for sentence in said))
        wanted = (one for one in said if not (refusing or is_forbidden(one) or is_question(one)))
        self._wanted.add(" ".join(wanted))
        self.removing = self.removing or any(map(is_removing, said))
        self._doing = self._doing or not (refusing or all(map(is_reading, said)))
        self.reading = not self._doing

    def _meant(self, sentence: str, refusing: bool) -> str:
        forbids = is_forbidden(sentence)
        if not (forbids or refusing or is_question(sentence)):
            return sentence
        for name in warned_of(sentence):
            if forbids or any(self._read.with_words(words(folded(name)))):
                sentence = sentence.replace(name, " ")
        return sentence

    def outline(self, names: Iterable[str]) -> None:
        """Remember names of files that the model was told at the start."""
        self.content("\n".join(names), _OUTLINE)

    def content(self, text: str, source: Source) -> None:
        """Remember what the model has read, by who may have written it."""
        key = (hash(text), source.kind, source.name)
        if source.trusted or not text.strip() or key in self._known:
            return
        if source.kind != "listing" or any(map(is_telling, text.splitlines())):
            self._untrusted.add(source.kind)
        self._known.add(key)
        self._read.add(text, source, decoded=False)
        for hidden in decodings(text):
            self._read.add(hidden, source, decoded=True)
        if self._read.forgot:
            self._known.clear()

    def trace(
        self,
        value: object,
        argument: str = "",
        *,
        code: Mapping[str, str] | None = None,
        own: bool = False,
    ) -> tuple[ArgumentOrigin, ...]:
        """Return where a value, or each value inside it, comes from.

        Args:
            value: Arguments by their names, or one argument.
            argument: The name of the one.
            code: Names of arguments that are code, with their languages, as `Capabilities.runs` has them.
            own: Whether the model wrote the value itself, so that what stands nowhere yet stays its own when
                it is read later: its files, or its code in the trace of an error. What a script computed is
                not, for it may have read what is not known here.
        """
        return tuple(self._walk(value, argument, code or {}, own))

    def _walk(
        self, value: object, argument: str, code: Mapping[str, str], own: bool
    ) -> Iterator[ArgumentOrigin]:
        if isinstance(value, Mapping):
            for key, item in value.items():
                name = f"{argument}.{key}" if argument else str(key)
                yield from self._walk(item, name, code, own)
                if argument and (origin := self._origin(str(key), name, "")).spans:
                    yield origin
        elif isinstance(value, list | tuple | set | frozenset):
            for number, item in enumerate(value):
                yield from self._walk(item, f"{argument}.{number}" if argument else str(number), code, own)
        elif value is None or isinstance(value, bool):
            yield ArgumentOrigin(argument=argument)
        else:
            if isinstance(value, int | float) and self._said.number(value):
                yield ArgumentOrigin(argument=argument, given=True)
                return
            text = _text(value)
            origin = self._origin(text, argument, code.get(argument, ""))
            yield origin
            if own and not self._read.forgot:
                self._own.add(_unfound(text, origin.spans))

    def _origin(self, value: str, argument: str, language: str) -> ArgumentOrigin:
        # Channels and users are often named without their sign.
        bare = value[1:] if value[:1] in "#@" else ""
        if self._said.whole(value) or self._said.whole(bare) or self._said.account(value):
            return ArgumentOrigin(argument=argument, given=True)
        spans = self._lookup.spans(value, language) if self._read else ()
        if not spans and self._read.forgot and any(map(str.isalnum, value)):
            spans = (Span(text=value[:_LONGEST_SPAN], source=_FORGOTTEN),)
        return ArgumentOrigin(argument=argument, named=self._told(value, language), spans=spans)

    def ran(self, facts: Mapping[str, Any], origins: Iterable[ArgumentOrigin]) -> None:
        """Remember what a call has put where.

        Args:
            facts: What was known of it, by the names of the facts.
            origins: Where its arguments come from.
        """
        unseen = bool(facts.get("dynamic")) or "unknown" in facts.get("effects", ())
        reads, writes = facts.get("reads", ()), facts.get("writes", ())
        self.flows.add(reads, writes, origins, self.named, unseen=unseen)

    def dictated(self, text: str) -> bool:
        """Whether the person wrote a command, or code, whole, and neither asks about it nor forbids it."""
        return self._wanted.whole(text)

    def named(self, text: str) -> bool:
        """Return whether the person named something, a file by a telling part of its path."""
        bare = text.strip("*?")
        return bool(bare) and (self._said.whole(text) or self._said.whole(bare) or self._told_path(bare))

    def _told(self, value: str, language: str) -> bool:
        """Whether the person named a telling part of a value: a word of a path, a literal of code."""
        if not language:
            return self._told_path(value)
        value = _COMMENT.sub("", value)
        literals = (double or single for double, single in _LITERAL.findall(value))
        operands = (word for word in value.split()[1:] if word[0] != "-") if language == "bash" else ()
        parts = {part for part, _ in zip(chain(literals, operands), range(_PARTS), strict=False)}
        return any(self._said.whole(part) or self._told_path(part) for part in parts if len(part) > 2)

    def _told_path(self, value: str) -> bool:
        if len(value) > _LONGEST_PATH or invisible(value) or not _PATH.fullmatch(value):
            return False
        if identified(value) not in ("path", ""):
            return False
        folder, slash, name = value.rpartition("/")
        stem = name.rpartition(".")[0]
        return self._said.named(f"{folder}{slash}{stem if any(map(str.isalnum, stem)) else name}")

    def _wrote(self, arguments: Mapping[str, object], origins: Iterable[ArgumentOrigin]) -> None:
        """Remember what was the model's own in the arguments of a call when it was decided on."""
        for origin in origins:
            if isinstance(text := arguments.get(origin.argument), str):
                self._own.add(_unfound(text, origin.spans))

    @classmethod
    def restored(
        cls,
        events: Iterable[Event],
        registry: Registry | None = None,
        texts: Iterable[tuple[str, Source]] = (),
    ) -> Tracker:
        """Return what a session's stored events say that was said and read; takes what `restore` takes."""
        tracker = cls()
        tracker.restore(events, registry, texts)
        return tracker

    def restore(
        self,
        events: Iterable[Event],
        registry: Registry | None = None,
        texts: Iterable[tuple[str, Source]] = (),
    ) -> None:
        """Remember what a session's stored events say that was said and read.

        Args:
            events: The session's events, oldest first.
            registry: The tools, for the labels of their results; those of unknown tools are `unknown`.
            texts: What the events do not hold, such as attachments, with where it was found.
        """
        for text, source in chain(texts, *map(describe, registry or ())):
            self.content(text, source)
        tools = {tool.name: tool for tool in registry or ()}
        arguments: dict[str, Mapping[str, object]] = {}
        asked: dict[str, Mapping[str, object]] = {}
        for event in events:
            match event:
                case TurnStarted() | TurnSteered():
                    self.person(event.text)
                case ApprovalRequested():
                    asked[event.action] = event.arguments
                case ApprovalResolved():
                    self.person(event.why, refusing=True)
                    for text in changed_words(asked.get(event.action, {}), event.arguments or {}):
                        self.person(text)
                case CallDecided():
                    if not event.parent:
                        self._wrote(event.arguments, event.origins)
                    self.ran(event.facts, event.origins)
                case ActionStarted():
                    arguments[event.action] = event.arguments
                case ActionFinished():
                    known = tools.get(event.tool)
                    source = (
                        label_text(known, arguments.get(event.action, {}), event.action)
                        if known
                        else Source(kind="unknown", name=event.tool, action=event.action)
                    )
                    self.content(event.result, source)


def _text(value: object) -> str:
    """Return a value as people write it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, int) and value.bit_length() > _LONGEST_NUMBER:
        return hex(value)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _unfound(value: str, spans: tuple[Span, ...]) -> str:
    """Return the lines of a value of which nothing was found elsewhere; none where that cannot be told."""
    pieces = {folded(line) for span in spans for line in span.text.splitlines() if line.strip()}
    lines = {line: folded(line) for line in value.splitlines()}
    cut = len(spans) >= MOST_SPANS or any(len(span.text) >= _LONGEST_SPAN for span in spans)
    if cut or any(not any(piece in line for line in lines.values()) for piece in pieces):
        return ""
    said = [_by_words(piece) for piece in pieces]
    return "\n".join(line for line, form in lines.items() if not _holds(form, pieces, said))


def _holds(form: str, pieces: Iterable[str], said: Iterable[str]) -> bool:
    own = _by_words(form)
    return any(piece in form for piece in pieces) or any(one in own for one in said)


def _by_words(text: str) -> str:
    """Return a text's words as they are compared with those of others, whatever stands between them."""
    return f" {' '.join(words(text))} "
