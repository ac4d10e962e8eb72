"""A call's deed: what it does, and where, as far as its tool and its arguments tell."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from llmasos.agent.commands import Program, analyse, normalise
from llmasos.agent.values import hosts_of, texts
from llmasos.decisions import Effect
from llmasos.tools import Capabilities, Tool

_READ = ("path", "paths", "file", "files", "folder")


@dataclass(frozen=True)
class Deed:
    """What a call does.

    Args:
        tool: The tool.
        arguments: Its validated arguments.
        programs: What is told of the commands and the code among them.
    """

    tool: Tool
    arguments: Mapping[str, Any]
    programs: Sequence[Program]

    @classmethod
    def of(cls, tool: Tool, arguments: Mapping[str, Any], functions: Collection[str]) -> Deed:
        """Return what a call does.

        Args:
            tool: The tool.
            arguments: Its validated arguments.
            functions: Tools that code can call, whose calls are decided on by themselves.
        """
        programs = [
            analyse(language, str(arguments[name]), functions)
            for name, language in tool.capabilities.runs.items()
            if arguments.get(name)
        ]
        return cls(tool, arguments, programs)

    @property
    def needs(self) -> Capabilities:
        """What the tool declares."""
        return self.tool.capabilities

    @property
    def directing(self) -> frozenset[str]:
        """The arguments that say where something goes, or what is run."""
        named = frozenset({*self.needs.targets, *self.needs.reaches, *self.needs.runs})
        # Nobody has said which arguments of a tool are harmless.
        return named or frozenset(self.arguments)

    @property
    def undirected(self) -> bool:
        """Whether no argument says where anything goes."""
        return not (self.needs.targets or self.needs.reaches)

    @property
    def changed(self) -> tuple[str, ...]:
        """The paths that commands or code would write or delete."""
        return unique(path for each in self.programs for path in (*each.writes, *each.deletes))

    @property
    def empties(self) -> tuple[str, ...]:
        """The paths in which commands or code would leave nothing."""
        return unique(path for each in self.programs for path in each.empties)

    @cached_property
    def passages(self) -> tuple[str, ...]:
        """What is written to a file, after the passages that it replaces; nothing where that is not known."""
        needs = self.needs
        if needs.runs or needs.asks_model or not needs.writes or len(self._targets) != 1:
            return ()
        named = {*needs.targets, *needs.reaches}
        return tuple(
            text for name, text in self.arguments.items() if isinstance(text, str) and name not in named
        )

    @property
    def place(self) -> str:
        """The file to which the passages are written; empty where there are none."""
        return normalise(self._targets[0])[0] if self.passages else ""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that it would reach."""
        reached = (host for each in self.programs for host in each.hosts)
        return unique((*hosts_of(self.tool, self.arguments), *reached))

    @property
    def effects(self) -> frozenset[Effect]:
        """What kinds of things it does."""
        needs = self.needs
        if not needs.names() and not needs.reaches:
            return frozenset({"unknown"})
        effects: set[Effect] = {effect for program in self.programs for effect in program.effects}
        # What is confined looks at its arguments at least.
        if needs.reads or needs.asks_model or needs.confined:
            effects.add("reads")
        if not needs.runs:
            # A tool that can write does so when it is told where to; without named targets it may always.
            if needs.writes and (not needs.targets or any(map(self.arguments.get, needs.targets))):
                effects.add("writes")
            if needs.executes:
                effects.add("executes")
        if needs.network or needs.reaches:
            effects.add("network")
        return frozenset(effects)

    @property
    def reads(self) -> tuple[str, ...]:
        """The paths that are read, from the folder on."""
        return unique(normalise(path)[0] for path in self._read)

    @property
    def writes(self) -> tuple[str, ...]:
        """The paths that are written or deleted, likewise."""
        return unique(normalise(path)[0] for path in self._written)

    @property
    def outside(self) -> tuple[str, ...]:
        """The paths that lead out of the folder."""
        found = (normalise(path) for path in (*self._written, *self._read))
        return unique(path for path, out in found if out)

    @cached_property
    def _read(self) -> list[str]:
        names = [name for name in (*_READ, *self.needs.inputs) if name not in self.needs.targets]
        read = [path for name in names for path in texts(self.arguments.get(name))]
        return read + [path for each in self.programs for path in each.reads]

    @cached_property
    def _written(self) -> list[str]:
        return [*self._targets, *self.changed]

    @property
    def _targets(self) -> list[str]:
        return [path for name in self.needs.targets for path in texts(self.arguments.get(name))]


def unique(items: Iterable[str]) -> tuple[str, ...]:
    """Return the items once each, in their order."""
    return tuple(dict.fromkeys(items))
