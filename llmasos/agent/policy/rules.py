"""Rules: under which conditions a call is allowed, asked about or denied."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from llmasos.agent.policy.facts import Access, Asking
from llmasos.agent.policy.globs import matcher
from llmasos.decisions import Effect, Identifier, SourceKind, Verdict

Layer = Literal["built-in", "administrator", "user", "project"]
PLACEHOLDER = re.compile(r"\{(\w+)\}")


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _checked(words: tuple[str, ...]) -> BeforeValidator:
    def check(value: Any) -> Any:
        for word in value if isinstance(value, list | tuple) else ():
            if isinstance(word, str) and word.removeprefix("!") not in words:
                raise ValueError(f"{word!r} is none of {', '.join(words)}")
        return value

    return BeforeValidator(check)


def _compiles(value: bool | tuple[str, ...]) -> bool | tuple[str, ...]:
    for glob in value if isinstance(value, tuple) else ():
        if glob == "!":
            raise ValueError("'!' stands before nothing")
        try:
            matcher((glob,), paths=False, strict=False)
        except re.error as error:
            raise ValueError(f"{glob!r} is no glob: {error}") from None
    return value


_Texts = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=1000)], ...], Field(min_length=1)]
Globs = Annotated[bool | _Texts, BeforeValidator(_listed), AfterValidator(_compiles)]
"""Globs, of which one must match; `!glob` is what must not match. True: there is one at all; False: none."""
Effects = Annotated[bool | _Texts, _checked(get_args(Effect)), BeforeValidator(_listed)]
Kinds = Annotated[bool | _Texts, _checked(get_args(SourceKind)), BeforeValidator(_listed)]
Identifiers = Annotated[bool | _Texts, _checked(get_args(Identifier)), BeforeValidator(_listed)]


class When(BaseModel):
    """The conditions of a rule, all of which must hold.

    Facts that are lists satisfy a rule that asks or denies when any item matches, and a rule that allows only
    when there is an item and every item matches.

    Args:
        tool: Names of tools.
        plugin: Where tools that are not ours come from.
        capabilities: What tools declare.
        effects: What the call does.
        only_effects: The call does something, and nothing but these.
        programs: Programs that commands run.
        commands: Simple commands as lines of words.
        options: Words of them that are neither options known to be harmless nor plain operands.
        reads: Paths that are read.
        writes: Paths that are written or deleted.
        outside: Paths that lead out of the folder.
        disguised: Paths that look like others.
        hosts: Hosts that it wants to reach.
        closed_hosts: Those of them that the person has not opened.
        arguments: Arguments by their names; of lists and tables their values.
        sinks: Who may have written the values that say where something goes.
        copied: Who may have written what was copied into commands or code.
        identifiers: Kinds of links, addresses and so on that were found in untrusted content.
        untrusted: Who may have written what the model has read.
        carries: Who may have written text that would leave, from where the person did not say.
        gains: What programs that are written would do then, and did not do before.
        given: Whether the person gave an argument; a number: that many at least.
        dictated: Whether the person wrote the command or the code itself.
        ungiven: Whom it reaches, and what commands and code change, that the person did not give.
        secrets: Whether an argument looks like a secret.
        dynamic: Whether a part of a command or of code cannot be known.
        attended: Whether somebody is there.
        in_place: Whether the folder itself is changed.
        folder: The person's folder.
        tier: The sandbox.
        access: What is possible at all.
        asking: When a person is asked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    tool: Globs | None = None
    plugin: Globs | None = None
    capabilities: Globs | None = None
    effects: Effects | None = None
    only_effects: Annotated[_Texts, _checked(get_args(Effect)), BeforeValidator(_listed)] | None = None
    programs: Globs | None = None
    commands: Globs | None = None
    options: Globs | None = None
    reads: Globs | None = None
    writes: Globs | None = None
    outside: Globs | None = None
    disguised: Globs | None = None
    hosts: Globs | None = None
    closed_hosts: Globs | None = None
    arguments: Annotated[dict[str, Globs], Field(min_length=1)] | None = None
    sinks: Kinds | None = None
    copied: Kinds | None = None
    identifiers: Identifiers | None = None
    untrusted: Kinds | None = None
    carries: Kinds | None = None
    gains: Effects | None = None
    given: bool | Annotated[int, Field(ge=1)] | None = None
    dictated: bool | None = None
    ungiven: Globs | None = None
    secrets: bool | None = None
    dynamic: bool | None = None
    attended: bool | None = None
    in_place: bool | None = None
    folder: Globs | None = None
    tier: Globs | None = None
    access: Annotated[_Texts, _checked(get_args(Access)), BeforeValidator(_listed)] | None = None
    asking: Annotated[_Texts, _checked(get_args(Asking)), BeforeValidator(_listed)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _as_written(cls, data: Any) -> Any:
        # Strict is meant for numbers and booleans: TOML and JSON know lists, and no tuples.
        if not isinstance(data, dict):
            return data
        return {name: _tuples(value) for name, value in data.items()}


def _tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, dict):
        return {name: _tuples(item) for name, item in value.items()}
    return value


_FACTS = (frozenset(When.model_fields) - {"only_effects", "arguments"}) | {"sources"}


class Rule(BaseModel):
    """What is decided where conditions hold.

    Args:
        id: Its name, of letters, digits and hyphens.
        decision: What it decides.
        reason: Why, for people; `{hosts}` stands for the hosts that matched, and so for each fact;
            `{sources}` for where the text was found that would leave.
        priority: Among rules that allow and ask the highest counts; at the same one asking counts.
        when: The conditions.
        layer: Whose rule it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")
    decision: Verdict
    reason: str = Field("", max_length=500)
    priority: int = Field(50, ge=0, le=1000, strict=True)
    when: When
    layer: Layer = "built-in"

    @model_validator(mode="before")
    @classmethod
    def _nothing_dynamic(cls, data: Any) -> Any:
        # What is allowed by its commands must not bring along a part that nobody knows.
        when = data.get("when") if isinstance(data, dict) else None
        if (
            isinstance(when, dict)
            and data.get("decision") == "allow"
            and when.keys() & {"commands", "programs"}
        ):
            return {**data, "when": {"dynamic": False, **when}}
        return data

    @model_validator(mode="after")
    def _sensible(self) -> Rule:
        if not self.when.model_fields_set:
            raise ValueError("when: there is no condition")
        for name in PLACEHOLDER.findall(self.reason):
            if name not in _FACTS:
                raise ValueError(f"reason: {{{name}}} is no fact")
        return self
