"""Gathering the facts of a call: what it does, and who may have written its arguments."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmasos.agent.commands import Program, analyse, normalise
from llmasos.agent.policy import Facts
from llmasos.agent.policy.facts import Access, Asking
from llmasos.decisions import ArgumentOrigin, Effect, Identifier, SourceKind, Span
from llmasos.tools import Tool

_HOST = re.compile(r"^[a-z][a-z0-9+.-]*://(?:[^/@]*@)?(\[[^\]]*\]|[^/:?#]+)", re.IGNORECASE)
_READ = ("path", "paths", "file", "files", "folder")


@dataclass(frozen=True)
class Surroundings:
    """What holds for every call of a turn.

    Args:
        tier: The sandbox's backend.
        hosts: Hosts that the person has opened.
        attended: Whether somebody is there who can be asked.
        in_place: Whether the folder itself is changed.
        access: What is possible at all.
        asking: When a person is asked.
        functions: Tools that Python in the sandbox can call, whose calls come to the gate by themselves.
    """

    tier: str = "docker"
    hosts: tuple[str, ...] = ()
    attended: bool = True
    in_place: bool = False
    access: Access = "workspace"
    asking: Asking = "on-risk"
    functions: frozenset[str] = frozenset()


def gather(
    tool: Tool,
    arguments: Mapping[str, Any],
    origins: Sequence[ArgumentOrigin],
    here: Surroundings,
    *,
    untrusted: frozenset[SourceKind] = frozenset(),
    secrets: bool = False,
    inside: Facts | None = None,
) -> Facts:
    """Return what is known of a call.

    Args:
        tool: The tool.
        arguments: Its validated arguments.
        origins: Where they come from.
        here: What holds for every call.
        untrusted: Who may have written what the model has read.
        secrets: Whether an argument holds something that looks like a secret.
        inside: The facts of the action whose code makes this call; None for a call of the model.
    """
    needs = tool.capabilities
    programs = [
        analyse(language, str(arguments[name]), here.functions)
        for name, language in needs.runs.items()
        if arguments.get(name)
    ]
    reads, writes, outside = _paths(tool, arguments, programs)
    # What is read from the very files that are changed, and stays in them, has come from nowhere else.
    own = set(writes)
    spans = [(origin.argument, span) for origin in origins for span in origin.spans if not _own(span, own)]
    effects = _effects(tool, arguments, programs)
    sinks = _sinks(tool, spans, programs)
    if inside is not None and (needs.reaches or tool.origin):
        # What a script has put together cannot be followed; unknown is untrusted.
        sinks |= {"unknown" for origin in origins if not origin.given and not origin.spans}
    return Facts(
        capabilities=needs.names(),
        plugin=tool.origin,
        effects=effects,
        programs=_unique(command.name for program in programs for command in program.commands),
        commands=_unique(" ".join(command.words) for program in programs for command in program.commands),
        dynamic=any(program.dynamic for program in programs),
        reads=reads,
        writes=writes,
        outside=outside,
        hosts=_hosts(tool, arguments, programs),
        open_hosts=here.hosts,
        sinks=frozenset(sinks),
        copied=frozenset(
            span.source.kind for name, span in spans if _root(name) in needs.runs and not span.identifier
        ),
        identifiers=_identifiers(spans),
        untrusted=untrusted,
        given=sum(origin.given for origin in origins) + (inside.given if inside is not None else 0),
        secrets=secrets,
        tier=here.tier,
        attended=here.attended,
        in_place=here.in_place,
        access=here.access,
        asking=here.asking,
        origins=tuple(origins),
    )


def _effects(tool: Tool, arguments: Mapping[str, Any], programs: Sequence[Program]) -> frozenset[Effect]:
    needs = tool.capabilities
    if not needs.names() and not needs.reaches:
        return frozenset({"unknown"})
    effects: set[Effect] = {effect for program in programs for effect in program.effects}
    if needs.reads or needs.asks_model:
        effects.add("reads")
    if not needs.runs:
        if needs.writes and _targets(tool, arguments):
            effects.add("writes")
        if needs.executes:
            effects.add("executes")
    if needs.network or needs.reaches:
        effects.add("network")
    return frozenset(effects)


def _targets(tool: Tool, arguments: Mapping[str, Any]) -> bool:
    """Return whether a tool that can write does so in this call; without named targets it may always."""
    targets = tool.capabilities.targets
    return not targets or any(arguments.get(name) for name in targets)


def _paths(
    tool: Tool, arguments: Mapping[str, Any], programs: Sequence[Program]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the paths that are read, those that are written or deleted, and those that lead out."""
    targets = set(tool.capabilities.targets)
    written = [path for name in tool.capabilities.targets for path in _texts(arguments.get(name))]
    read = [path for name in _READ if name not in targets for path in _texts(arguments.get(name))]
    for program in programs:
        written += [*program.writes, *program.deletes]
        read += program.reads
    found = {path: normalise(path) for path in (*written, *read)}
    outside = _unique(path for path, (_, out) in found.items() if out)
    return _unique(found[path][0] for path in read), _unique(found[path][0] for path in written), outside


def _hosts(tool: Tool, arguments: Mapping[str, Any], programs: Sequence[Program]) -> tuple[str, ...]:
    links = [text for name in tool.capabilities.reaches for text in _texts(arguments.get(name))]
    named = (match[1].lower() for link in links if (match := _HOST.match(link)))
    return _unique((*tool.capabilities.network, *named, *(host for each in programs for host in each.hosts)))


def _sinks(tool: Tool, spans: Sequence[tuple[str, Span]], programs: Sequence[Program]) -> set[SourceKind]:
    """Return who may have written the values that say where something goes."""
    needs = tool.capabilities
    directing = {*needs.targets, *needs.reaches}
    # Nobody has said which arguments of a foreign tool are harmless.
    every = bool(tool.origin) and not directing
    written = {path for program in programs for path in (*program.writes, *program.deletes)}
    found: set[SourceKind] = set()
    for name, span in spans:
        root = _root(name)
        if root in needs.runs:
            if span.identifier == "path" and span.text in written:
                found.add(span.source.kind)
        # Names of files that are there direct nothing anywhere else.
        elif (every or root in directing) and (span.source.kind != "listing" or root in needs.reaches):
            found.add(span.source.kind)
    return found


def _identifiers(spans: Sequence[tuple[str, Span]]) -> frozenset[Identifier]:
    return frozenset(
        span.identifier for _, span in spans if span.identifier in ("link", "address", "account", "host")
    )


def _own(span: Span, written: Collection[str]) -> bool:
    return span.source.kind == "file" and span.source.name in written


def _root(argument: str) -> str:
    return argument.partition(".")[0]


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        if value:
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _texts(item)


def _unique(items: Iterator[str] | Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))
