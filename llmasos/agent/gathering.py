"""Gathering the facts of a call: what it does, and who may have written its arguments."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from llmasos.agent.commands import Program, analyse, normalise
from llmasos.agent.policy import Facts
from llmasos.agent.policy.facts import Access, Asking
from llmasos.decisions import ArgumentOrigin, Effect, Identifier, SourceKind, Span
from llmasos.tools import Tool

_HOST = re.compile(r"^[a-z][a-z0-9+.-]*://(?:[^/@]*@)?(\[[^\]]*\]|[^/:?#]+)", re.IGNORECASE)
_READ = ("path", "paths", "file", "files", "folder")
_SCRATCH = ("/tmp/", "/dev/")  # noqa: S108 - inside the sandbox
_GLOB = frozenset("*?[")
_LANGUAGES: Mapping[str, Literal["bash", "python"]] = {
    ".py": "python",
    ".pyw": "python",
    ".sh": "bash",
    ".bash": "bash",
}
_PROGRAMS = frozenset(
    {
        ".js",
        ".mjs",
        ".cjs",
        ".ts",
        ".tsx",
        ".jsx",
        ".rb",
        ".pl",
        ".php",
        ".ps1",
        ".bat",
        ".cmd",
        ".vbs",
        ".lua",
    }
    | {
        ".go",
        ".rs",
        ".c",
        ".cc",
        ".cpp",
        ".h",
        ".java",
        ".kt",
        ".swift",
        ".cs",
        ".r",
        ".jl",
        ".mk",
        ".gradle",
    }
    | {
        "Makefile",
        "Dockerfile",
        "Rakefile",
        "Gemfile",
        "package.json",
        "Justfile",
        "justfile",
        "CMakeLists.txt",
    }
)
# Ways of Python to run what is not written there.
_RUNS = re.compile(r"\b(?:exec|eval|compile|__import__|system|popen|getoutput|subprocess|pickle|ctypes)\b")


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
    named: Callable[[str], bool] = lambda path: False,
    of_removing: bool = True,
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
        named: Tells whether the person named a path.
        of_removing: Whether the person spoke of removing something.
    """
    needs = tool.capabilities
    programs = [
        analyse(language, str(arguments[name]), here.functions)
        for name, language in needs.runs.items()
        if arguments.get(name)
    ]
    reads, writes, outside = _paths(tool, arguments, programs)
    spans = [
        (origin.argument, span)
        for origin in origins
        for span in origin.spans
        if not _stays(tool, arguments, origin.argument, span, writes)
    ]
    effects = _effects(tool, arguments, programs)
    sinks = _sinks(tool, spans, programs)
    if inside is not None and (needs.reaches or tool.origin):
        # What a script has put together cannot be followed; unknown is untrusted.
        sinks |= {"unknown" for origin in origins if not origin.given and not origin.spans}
    if untrusted:
        # Whom it reaches is for the person to say: a name may be made up because somebody has asked for it.
        sinks |= {
            "unknown"
            for origin in origins
            if _root(origin.argument) in needs.reaches and not origin.given and not origin.spans
        }
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
            span.source.kind
            for name, span in spans
            if _root(name) in needs.runs and not span.identifier and not _listed(span, (*reads, *writes))
        ),
        identifiers=_identifiers(spans),
        untrusted=untrusted,
        leaves=_leaves(tool, spans, programs, named) if "network" in effects else (),
        destroys=_destroys(programs, named, of_removing),
        gains=_gains(tool, arguments, spans),
        given=_given(tool, origins, programs, named),
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


def _stays(
    tool: Tool, arguments: Mapping[str, Any], argument: str, span: Span, written: Collection[str]
) -> bool:
    """Return whether a piece is of the very file that is changed, and stays in it: it has come from nowhere.

    What names something outside is to have been in the passage that is replaced; in code it always counts.
    """
    if (
        span.source.kind != "file"
        or span.source.name not in written
        or _root(argument) in tool.capabilities.runs
    ):
        return False
    directing = {argument, *tool.capabilities.targets, *tool.capabilities.reaches}
    others = [text for name in arguments if name not in directing for text in _texts(arguments[name])]
    return not span.identifier or not others or any(span.text in text for text in others)


def _listed(span: Span, paths: Collection[str]) -> bool:
    """Return whether a piece is nothing but names of files that lie there, which it says what to do with."""
    return span.source.kind == "listing" and all(word.strip("'\"") in paths for word in span.text.split())


def _given(
    tool: Tool, origins: Sequence[ArgumentOrigin], programs: Sequence[Program], named: Callable[[str], bool]
) -> int:
    """Return how many of the arguments that say what a call acts on the person gave."""
    needs = tool.capabilities
    directing = {*needs.targets, *needs.reaches, *needs.runs}
    given = sum(origin.given for origin in origins if not directing or _root(origin.argument) in directing)
    changed = [path for program in programs for path in (*program.writes, *program.deletes)]
    known = [path for path in changed if not path.startswith(_SCRATCH) and not set(path) & _GLOB]
    return given if all(map(named, known)) else 0


def _leaves(
    tool: Tool,
    spans: Sequence[tuple[str, Span]],
    programs: Sequence[Program],
    named: Callable[[str], bool],
) -> tuple[str, ...]:
    """Return files that the person has not named, and whose content may go to others with the call."""
    carried = [span.source.name for _, span in spans if span.source.kind == "file"]
    sending = [program for program in programs if "network" in program.effects]
    sent = [path for program in sending for path in program.reads]
    # What code sends cannot be seen in it.
    unseen = ["all that the code finds"] if sending and "python" in tool.capabilities.runs.values() else []
    return _unique([*(path for path in (*carried, *sent) if not named(path)), *unseen])


def _destroys(
    programs: Sequence[Program], named: Callable[[str], bool], of_removing: bool
) -> tuple[str, ...]:
    deleted = [path for program in programs for path in program.deletes if not path.startswith(_SCRATCH)]
    return _unique(path for path in deleted if not of_removing or not (set(path) & _GLOB or named(path)))


def _gains(tool: Tool, arguments: Mapping[str, Any], spans: Sequence[tuple[str, Span]]) -> frozenset[Effect]:
    """Return what a program that is written would do that it does not do already."""
    needs = tool.capabilities
    if not needs.writes or needs.runs:
        return frozenset()
    gained: set[Effect] = set()
    for path in (text for name in needs.targets for text in _texts(arguments.get(name))):
        texts = [text for name in arguments if name not in needs.targets for text in _texts(arguments[name])]
        language = _LANGUAGES.get(PurePosixPath(path).suffix.lower(), "")
        if language and texts:
            before, after = (
                _dangers(language, text) for text in (texts[0] if len(texts) > 1 else "", texts[-1])
            )
            gained |= after - before
        elif PurePosixPath(path).suffix.lower() in _PROGRAMS or PurePosixPath(path).name in _PROGRAMS:
            gained |= {"unknown" for _, span in spans if span.source.kind not in ("file", "listing")}
    return frozenset(gained)


def _dangers(language: str, text: str) -> set[Effect]:
    """Return what code does beyond this machine's files; that it may do anything only where it says so."""
    program = analyse(language, textwrap.dedent(text))
    found = program.effects & {"network", "executes"}
    if program.dynamic or _RUNS.search(text):
        found |= {"executes"}
    return set(found)


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
