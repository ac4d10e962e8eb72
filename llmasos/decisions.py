"""What the gate decides of a call, and where the values of its arguments come from."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Verdict = Literal["allow", "ask", "deny"]
SourceKind = Literal[
    "person", "model", "system", "listing", "file", "output", "web", "mcp", "tool", "attachment", "unknown"
]
"""Who may have written a text.

`person` typed it, `model` made it up, `system` is said by LLMasOS itself. The others may be anybody's:
names of files (`listing`), what files hold (`file`), what programs print (`output`), pages (`web`), servers
of tools (`mcp`), other tools and their descriptions (`tool`), what was piped in (`attachment`).
"""
TRUSTED: frozenset[SourceKind] = frozenset({"person", "model", "system"})
Effect = Literal["reads", "writes", "deletes", "network", "executes", "unknown"]
Identifier = Literal["link", "address", "account", "host", "path", "command"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Frozen):
    """Where a text was found.

    Args:
        kind: Who may have written it.
        name: The file, page, server or tool, with the field: `notes.txt`, `https://example.org/a`,
            `mail.read.body`.
        action: The action that brought it in; empty for what a person said.
    """

    kind: SourceKind
    name: str = ""
    action: str = ""

    @property
    def trusted(self) -> bool:
        """Whether nobody else can have written it."""
        return self.kind in TRUSTED


class Span(_Frozen):
    """A piece of an argument, and where it was found.

    Args:
        text: The piece, as the argument has it.
        source: Where it was found.
        how: `whole`: the argument is such a piece; `copied`: words of it; `decoded`: words of it that were
            encoded there; `identifier`: one of those below.
        identifier: What kind of a thing the piece names; empty for other text.
    """

    text: str
    source: Source
    how: Literal["whole", "copied", "decoded", "identifier"] = "copied"
    identifier: Identifier | Literal[""] = ""


class ArgumentOrigin(_Frozen):
    """Where an argument's value comes from.

    Args:
        argument: Its name, with the place inside it: `path`, `recipients.0`.
        given: Whether the person gave it as it is.
        named: Whether the person named a telling part of it, such as a word of a path.
        spans: What was found elsewhere; empty for what the model made up.
        default: Whether it is what the tool takes where nothing is said, which is nobody's word.
    """

    argument: str
    given: bool = False
    named: bool = False
    spans: tuple[Span, ...] = ()
    default: bool = False


class Flip(_Frozen):
    """What would have decided otherwise.

    Args:
        facts: The facts that would have to be different, with the values they would have instead.
        verdict: What would be decided then.
    """

    facts: dict[str, Any]
    verdict: Verdict


class Decision(_Frozen):
    """What the policy says of one call, and why.

    Args:
        verdict: Whether it may run.
        rules: The ids of the rules that matched, the one that decided first.
        reason: That rule's reason, for people.
        facts: The facts that those rules looked at.
        flips: What would have decided otherwise.
        policy: The version of the policy: the start of the SHA-256 of its rules.
    """

    verdict: Verdict
    rules: tuple[str, ...]
    reason: str
    facts: dict[str, Any] = {}
    flips: tuple[Flip, ...] = ()
    policy: str = ""

    @property
    def rule(self) -> str:
        """The rule that decided."""
        return self.rules[0] if self.rules else ""
