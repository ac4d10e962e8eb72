"""What is known of a call when it is decided on."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from llmasos.decisions import ArgumentOrigin, Effect, Identifier, SourceKind

Access = Literal["read-only", "workspace", "open"]
"""What is possible at all: only looking; changing the view; reaching hosts as well, when a person agrees."""
Asking = Literal["always", "on-risk", "never"]
"""When a person is asked: before every effect; where a rule says so; never, so that it is denied instead."""


class Call(BaseModel):
    """A call of a tool, with validated arguments.

    Args:
        tool: Its name.
        arguments: Its arguments.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tool: str
    arguments: dict[str, Any] = {}


class Facts(BaseModel):
    """What the policy may look at, beside the call.

    Every default is the harmless value of its fact, except that a tool without capabilities declares nothing.

    Args:
        capabilities: What the tool declares that it needs; empty when it declares nothing.
        plugin: Where a tool that is not ours comes from: `plugin:NAME` or `mcp:SERVER`; empty for ours.
        effects: What the call does, as far as it can be told: for commands and code that of all their parts.
        programs: Each program that a command runs, unwrapped; for Python each module that it uses.
        commands: Each simple command as one line of its words, unwrapped.
        dynamic: Whether a part of a command or of code cannot be known before it runs.
        reads: Paths that are read, from the folder on, in one spelling.
        writes: Paths that are written or deleted, likewise.
        outside: Paths that lead out of the folder.
        disguised: Paths that look like others: with invisible characters, or letters of other alphabets.
        hosts: Hosts that it wants to reach.
        open_hosts: Hosts that the person has opened for this session.
        sinks: Who may have written the values that say where something goes or which file is changed: paths
            that are written, hosts, recipients, arguments of unknown tools. Only those who are not trusted.
        copied: Who may have written text of commands or code that was copied. Only those not trusted.
        identifiers: Kinds of links, addresses, accounts and so on that were found in untrusted content, and
            that the person did not name.
        untrusted: Who may have written what the model has read in this session. Only those not trusted.
        carries: Who may have written text that would leave, from a source that the person did not name. Only
            those not trusted.
        gains: What programs that are written would do then, and did not do before.
        given: How many arguments that say where or what the person gave, or a telling part of them.
        dictated: Whether the person wrote the command or the code itself, word for word, to have it run.
        ungiven: Those that say whom it reaches, and paths that code changes, that they did not give.
        secrets: Whether an argument holds something that looks like a secret.
        tier: The sandbox's backend: `docker`, `bubblewrap`, `landlock`.
        attended: Whether somebody is there who can be asked.
        in_place: Whether the folder itself is changed, without a view.
        folder: The person's folder.
        access: What is possible at all.
        asking: When a person is asked.
        runs: Files of the folder that are run, whose content an approval is for; rules do not look at it.
        origins: Where each argument comes from, for those who explain; rules do not look at it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    capabilities: tuple[str, ...] = ()
    plugin: str = ""
    effects: frozenset[Effect] = frozenset()
    programs: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    dynamic: bool = False
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    disguised: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    open_hosts: tuple[str, ...] = ()
    sinks: frozenset[SourceKind] = frozenset()
    copied: frozenset[SourceKind] = frozenset()
    identifiers: frozenset[Identifier] = frozenset()
    untrusted: frozenset[SourceKind] = frozenset()
    carries: frozenset[SourceKind] = frozenset()
    gains: frozenset[Effect] = frozenset()
    given: int = 0
    dictated: bool = False
    ungiven: tuple[str, ...] = ()
    secrets: bool = False
    tier: str = "docker"
    attended: bool = True
    in_place: bool = False
    folder: str = ""
    access: Access = "workspace"
    asking: Asking = "on-risk"
    runs: tuple[str, ...] = ()
    origins: tuple[ArgumentOrigin, ...] = ()
