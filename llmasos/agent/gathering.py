"""Gathering the facts of a call: what it does, and who may have written its arguments."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmasos.agent.commands import looks_alike, normalise
from llmasos.agent.deed import Deed, unique
from llmasos.agent.losses import Before, lost
from llmasos.agent.policy import Facts
from llmasos.agent.policy.facts import Access, Asking
from llmasos.agent.provenance import Tracker, describe, kept
from llmasos.agent.values import root, texts
from llmasos.agent.written import Written, is_command, written
from llmasos.decisions import ArgumentOrigin, Effect, Identifier, SourceKind, Span
from llmasos.secrets import Redactor
from llmasos.tools import Tool

_PASSED_ON = ("link", "address", "account", "host")
# What installs, and is itself not sent.
_INSTALLER = re.compile(r"(?:.*/)?\.?v?env[\w.-]*/bin/(pip|python)[\d.]*")


@dataclass(frozen=True)
class Surroundings:
    """What holds for every call of a turn.

    Args:
        tier: The sandbox's backend.
        hosts: Hosts that the person has opened.
        attended: Whether somebody is there who can be asked.
        in_place: Whether the folder itself is changed.
        folder: The person's folder.
        access: What is possible at all.
        asking: When a person is asked.
        functions: Tools that Python in the sandbox can call, whose calls come to the gate by themselves.
        typed: Whether the person typed the call that the turn makes.
    """

    tier: str = "docker"
    hosts: tuple[str, ...] = ()
    attended: bool = True
    in_place: bool = False
    folder: str = ""
    access: Access = "workspace"
    asking: Asking = "on-risk"
    functions: frozenset[str] = frozenset()
    typed: bool = False


def trace(
    tool: Tool, arguments: Mapping[str, Any], tracker: Tracker, *, inside: bool = False, typed: bool = False
) -> tuple[ArgumentOrigin, ...]:
    """Return where the arguments of a call come from.

    Args:
        tool: The tool.
        arguments: Its arguments.
        tracker: What the person has said, and the model has read.
        inside: Whether the code of another action makes the call; what it has put together may hold what it
            read by itself, which is not known here.
        typed: Whether the person typed it.
    """
    if typed:
        return tuple(ArgumentOrigin(argument=name, given=True) for name in arguments)
    origins = tuple(
        ArgumentOrigin(argument=origin.argument, default=True)
        if not origin.given and _is_default(tool, origin.argument, arguments)
        else origin
        for origin in tracker.trace(dict(arguments), code=tool.capabilities.runs, own=not inside)
    )
    own = {source for _, source in describe(tool)}
    if not own:
        return origins
    # Words that a tool's own description lists, such as the values that it knows, are no content.
    kept = [
        tuple(span for span in origin.spans if span.identifier or span.source not in own)
        for origin in origins
    ]
    return tuple(
        origin.model_copy(update={"spans": spans}) for origin, spans in zip(origins, kept, strict=True)
    )


def _is_default(tool: Tool, name: str, arguments: Mapping[str, Any]) -> bool:
    """Return whether an argument is the default of a tool of ours; that of others' may hold anything."""
    parameter = tool.parameters.get("properties", {}).get(name, {})
    return not tool.origin and "default" in parameter and parameter["default"] == arguments.get(name)


def gather(
    deed: Deed,
    origins: Sequence[ArgumentOrigin],
    tracker: Tracker,
    redactor: Redactor,
    here: Surroundings,
    *,
    before: Before,
    inside: Facts | None = None,
) -> Facts:
    """Return what is known of a call.

    Args:
        deed: What it does.
        origins: Where its arguments come from, as `trace` returns it.
        tracker: What the person has said, and the model has read.
        redactor: Knows secrets.
        here: What holds for every call.
        before: What the files hold at which `at_risk` would have somebody look.
        inside: The facts of the action whose code makes this call; None for a call of the model.
    """
    tool, arguments = deed.tool, deed.arguments
    programs, effects, program = deed.programs, deed.effects, written(tool, arguments)
    reads, writes, outside = deed.reads, deed.writes, deed.outside
    spans = [
        (root(origin.argument), span)
        for origin in origins
        for span in origin.spans
        if root(origin.argument) in tool.capabilities.runs or not _own(span, deed, writes)
    ]
    if _identifiers(spans):
        stays = _stays(deed, before)
        spans = [
            (name, span)
            for name, span in spans
            if name in deed.directing or not span.identifier or span.text not in stays
        ]
    sinks = _sinks(deed, spans)
    if inside is not None and (tool.capabilities.reaches or tool.origin):
        # What a script has put together cannot be followed; unknown is untrusted.
        sinks |= {"unknown" for origin in origins if not origin.given and not origin.spans}
    return Facts(
        capabilities=tool.capabilities.names(),
        plugin=tool.origin,
        effects=effects,
        programs=unique(command.name for each in programs for command in each.commands),
        commands=unique(command.line for each in programs for command in each.commands),
        dynamic=any(each.dynamic for each in programs),
        reads=reads,
        writes=writes,
        outside=outside,
        disguised=tuple(path for path in (*reads, *writes, *outside) if looks_alike(path)),
        hosts=deed.hosts,
        open_hosts=(*here.hosts, *tool.opened),
        sinks=frozenset(sinks),
        copied=_copied(deed, spans, program, {*reads, *writes}),
        identifiers=_identifiers(spans),
        carries=_carries(deed, spans, reads, tracker) if "network" in effects else frozenset(),
        gains=program.gains,
        untrusted=tracker.untrusted,
        given=_given(deed, origins) + (inside.given if inside is not None and deed.undirected else 0),
        dictated=bool(programs)
        and (
            (here.typed and inside is None)
            or all(
                tracker.dictated(str(arguments[name]))
                for name in tool.capabilities.runs
                if arguments.get(name)
            )
        ),
        ungiven=_ungiven(deed, origins, tracker, before),
        secrets=redactor.value(dict(arguments)) != arguments,
        tier=here.tier,
        attended=here.attended,
        in_place=here.in_place,
        folder=here.folder,
        access=_access(deed, effects, origins, here),
        asking=here.asking,
        runs=unique(path for each in programs for path in each.runs),
        origins=tuple(origins),
    )


def _access(
    deed: Deed, effects: Collection[Effect], origins: Sequence[ArgumentOrigin], here: Surroundings
) -> Access:
    """Return what is possible at all: a link that the person typed may be looked at when they agree."""
    told = [origin for origin in origins if any(texts(deed.arguments.get(root(origin.argument))))]
    looks = set(effects) == {"reads", "network"} and not deed.programs and not deed.needs.network
    reached = any(root(origin.argument) in deed.needs.reaches for origin in told)
    typed = looks and reached and all(origin.given for origin in told)
    return "open" if typed and here.attended and here.access == "workspace" else here.access


def _own(span: Span, deed: Deed, written: Sequence[str]) -> bool:
    """Return whether a piece comes from the very file that is changed.

    A link that stands elsewhere in the file, such as in a remark, must not take another one's place.
    """
    placed = deed.passages and span.identifier in _PASSED_ON
    return not placed and span.source.kind == "file" and normalise(span.source.name)[0] in written


def _stays(deed: Deed, before: Before) -> frozenset[str]:
    """Return the links, addresses and so on that a file names where it did before, when it is changed."""
    if not deed.passages:
        return frozenset()
    *old, new = deed.passages
    if not old:
        old = [before.get(deed.place) or ""]
    return kept("\n".join(old), new)


def _sinks(deed: Deed, spans: Sequence[tuple[str, Span]]) -> set[SourceKind]:
    """Return who may have written the values that say where something goes."""
    changed = deed.changed
    found: set[SourceKind] = set()
    for name, span in spans:
        # Names of files that are there direct nothing anywhere else.
        if span.source.kind == "listing" and name not in deed.needs.reaches:
            continue
        if name in deed.needs.runs:
            if span.identifier == "path" and span.text in changed:
                found.add(span.source.kind)
        elif name in deed.directing:
            found.add(span.source.kind)
    return found


def _copied(
    deed: Deed, spans: Sequence[tuple[str, Span]], program: Written, paths: Collection[str]
) -> frozenset[SourceKind]:
    """Return who may have written what was copied into commands, code, or a program that is written."""
    harmful = bool(program.does - {"reads", "writes"})

    def runs(name: str, text: str) -> bool:
        if name in deed.needs.runs:
            return True
        if name in deed.directing or text in program.before:
            return False
        return harmful or (not program.prose and is_command(text))

    return frozenset(
        span.source.kind
        for name, span in spans
        if not span.identifier
        and runs(name, span.text)
        # Names of files that a command acts on say nothing of what it does to them.
        and not (span.source.kind == "listing" and _only_names(span.text, paths))
    )


def _only_names(text: str, paths: Collection[str]) -> bool:
    """Whether nothing is left of a text without the names of some paths."""
    names = {name for path in paths for name in (path, posixpath.basename(path))}
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, "") if name else text
    return not any(map(str.isalnum, text))


def _identifiers(spans: Sequence[tuple[str, Span]]) -> frozenset[Identifier]:
    return frozenset(
        span.identifier for _, span in spans if span.identifier and span.identifier in _PASSED_ON
    )


def _carries(
    deed: Deed, spans: Sequence[tuple[str, Span]], reads: Sequence[str], tracker: Tracker
) -> frozenset[SourceKind]:
    found: set[SourceKind] = {
        span.source.kind
        for _, span in spans
        if not span.source.trusted
        and not tracker.named(span.source.name)
        # The name of a file that the person named says nothing that they did not.
        and not (span.source.kind == "listing" and tracker.named(span.text))
    }
    sending = [program for program in deed.programs if "network" in program.effects]
    # A tool that sends by itself is told by its arguments what.
    sent = reads if not deed.needs.runs else [path for program in sending for path in program.reads]
    if any(
        tracker.flows.holds(path) or not (tracker.named(path) or _INSTALLER.fullmatch(path)) for path in sent
    ):
        found.add("file")
    if sending and tracker.untrusted and "python" in deed.needs.runs.values():
        # What code sends cannot be seen in it.
        found.add("unknown")
    return frozenset(found)


def _given(deed: Deed, origins: Sequence[ArgumentOrigin]) -> int:
    return sum(
        origin.given or (origin.named and root(origin.argument) not in deed.needs.reaches)
        for origin in origins
        if root(origin.argument) in (*deed.directing, *deed.needs.inputs)
    )


def _ungiven(
    deed: Deed, origins: Sequence[ArgumentOrigin], tracker: Tracker, before: Before
) -> tuple[str, ...]:
    """Return the arguments that reach somebody, and the paths that code changes, that nobody gave.

    Who names a file without a word of removing it has not asked for that, nor for losing what it holds.
    """
    reaching = (
        origin.argument
        for origin in origins
        if root(origin.argument) in deed.needs.reaches
        and not origin.given
        and any(texts(deed.arguments.get(root(origin.argument))))
    )
    deleted = {path for program in deed.programs for path in program.deletes}
    gone = lost(deed, before, reading=tracker.reading)
    spared = () if tracker.removing else {*deleted, *gone}
    tidied = {path for program in deed.programs for path in program.tidied}
    changed = (
        path
        for path in (*(path for path in deed.changed if path not in tidied), *gone)
        if path in spared or not tracker.named(path)
    )
    return unique((*reaching, *changed))
