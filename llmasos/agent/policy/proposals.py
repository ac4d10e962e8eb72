"""Proposals: calls that nobody has made, to see what would be decided."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from llmasos.agent.commands import normalise
from llmasos.agent.deed import Deed
from llmasos.agent.gathering import Surroundings, gather, trace
from llmasos.agent.policy.book import Policy
from llmasos.agent.policy.engine import decide
from llmasos.agent.policy.facts import Call, Facts
from llmasos.agent.provenance import Tracker
from llmasos.decisions import Decision, Source, SourceKind, Verdict
from llmasos.errors import LLMasOSError, ToolError
from llmasos.secrets import Redactor
from llmasos.tools import Capabilities, Tool, builtin_tools

_LONGEST_LINE = 4_000_000
_RUNNERS = {"command": "run_shell", "code": "run_python"}


class Reading(BaseModel):
    """A text that the model has read.

    Args:
        text: The text.
        kind: Who may have written it.
        name: Where it was.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    kind: SourceKind = "unknown"
    name: str = ""


class Proposal(BaseModel):
    """A call that is proposed.

    Args:
        tool: The tool's name; where it is left out, `run_shell` for a command and `run_python` for code.
        arguments: Its arguments.
        capabilities: What the tool declares, where it is none of ours.
        origin: Where it comes from, likewise: `mcp:SERVER` or `plugin:NAME`.
        said: What the person has said.
        read: What the model has read.
        command: Short for the argument `command`.
        code: Short for the argument `code`.
        facts: What is known of it, by names of facts; what is left out is gathered from all others.
        id: Whatever the answer should carry.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tool: str
    arguments: dict[str, Any] = {}
    capabilities: Capabilities | None = None
    origin: str = ""
    said: tuple[str, ...] = ()
    read: tuple[Reading, ...] = ()
    facts: dict[str, Any] = {}
    id: Any = None

    @model_validator(mode="before")
    @classmethod
    def _spelled_out(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        for name, tool in _RUNNERS.items():
            if name in data:
                arguments = data.get("arguments", {})
                if not isinstance(arguments, dict) or name in arguments:
                    raise ValueError(f"{name}: it is said twice")
                rest = {key: value for key, value in data.items() if key != name}
                return {"tool": tool, **rest, "arguments": {name: data[name], **arguments}}
        return data


class Expectation(Proposal):
    """A proposal, and what ought to be decided.

    Args:
        expect: The verdict.
        rule: The rule that ought to decide; empty for any.
    """

    expect: Verdict
    rule: str = ""


P = TypeVar("P", bound=Proposal)


@dataclass(frozen=True)
class Outcome:
    """What came of an expectation.

    Args:
        number: Its line, or in TOML which case it is.
        expectation: What was expected.
        decision: What was decided.
    """

    number: int
    expectation: Expectation
    decision: Decision

    @property
    def met(self) -> bool:
        """Whether it is as was expected."""
        rule = self.expectation.rule
        return self.decision.verdict == self.expectation.expect and rule in ("", self.decision.rule)


class ProposalError(LLMasOSError):
    """A proposal that cannot be read."""

    code = "proposal"


class Proposals:
    """Decides on proposals.

    Args:
        policy: The rules.
        defaults: Facts that hold where a proposal does not say otherwise.
    """

    def __init__(self, policy: Policy, defaults: dict[str, Any] | None = None) -> None:
        self._policy = policy
        self._defaults = defaults or {}
        self._redactor = Redactor()
        self._tools = {tool.name: tool for tool in builtin_tools()}

    def decide(self, proposal: Proposal) -> Decision:
        """Decide on a proposal.

        Raises:
            ProposalError: Its facts cannot be read, or the call cannot be made.
        """
        facts = self.facts(proposal)
        arguments = _validated(self._tool(proposal), proposal.arguments)
        return decide(Call(tool=proposal.tool, arguments=arguments), facts, self._policy)

    def facts(self, proposal: Proposal) -> Facts:
        """Return what is known of a proposal.

        Raises:
            ProposalError: Its facts cannot be read.
        """
        known = {**self._gathered(proposal), **self._defaults, **proposal.facts}
        try:
            return Facts.model_validate(known)
        except ValidationError as error:
            raise ProposalError(f"facts.{_first(error)}") from None

    def _tool(self, proposal: Proposal) -> Tool:
        tool = self._tools.get(proposal.tool)
        if tool is None or proposal.capabilities is not None or proposal.origin:
            return _stand_in(proposal)
        return tool

    def _gathered(self, proposal: Proposal) -> dict[str, Any]:
        """Return the facts that the tool, its arguments and the texts tell."""
        tool = self._tool(proposal)
        arguments = _validated(tool, proposal.arguments)
        tracker = Tracker()
        for text in proposal.said:
            tracker.person(text)
        for reading in proposal.read:
            tracker.content(reading.text, Source(kind=reading.kind, name=reading.name))
        origins = trace(tool, arguments, tracker)
        before = {normalise(each.name)[0]: each.text for each in proposal.read if each.kind == "file"}
        deed = Deed.of(tool, arguments, ())
        facts = gather(deed, origins, tracker, self._redactor, Surroundings(), before=before)
        known = {name: getattr(facts, name) for name in Facts.model_fields}
        if not tool.capabilities.names() and proposal.facts.get("capabilities"):
            del known["effects"]  # What it does is not known, although something is declared.
        return known


def _validated(tool: Tool, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return arguments with their types; those that are left out do not matter to who asks.

    Raises:
        ProposalError: One is unknown or of a wrong type, so that the gate would refuse the call.
    """
    if tool.validator is None:
        return arguments
    try:
        return tool.validate(arguments)
    except ToolError as error:
        cause = error.__cause__
        if isinstance(cause, ValidationError) and all(
            problem["type"].startswith("missing") for problem in cause.errors()
        ):
            return arguments
        raise ProposalError(f"{error} {error.hint}") from None


def _stand_in(proposal: Proposal) -> Tool:
    """Return a tool that declares what a proposal says, and cannot be run."""

    async def nothing(*_arguments: Any) -> object:
        raise AssertionError("a proposal is not carried out")

    return Tool(
        name=proposal.tool,
        description="",
        parameters={},
        capabilities=proposal.capabilities or Capabilities(),
        function=nothing,
        validator=None,
        origin=proposal.origin,
    )


def read_proposal(line: bytes | str) -> Proposal:
    """Return the proposal in a line of JSON.

    Raises:
        ProposalError: It is none.
    """
    return _read(line, Proposal)


def read_expectations(text: str, name: str) -> Iterator[tuple[int, Expectation]]:
    """Yield expectations with their lines, or, of TOML's `[[case]]` tables, their numbers.

    Args:
        text: The file's content.
        name: The file; one that ends in `.toml` is TOML, and others have an object of JSON in each line.

    Raises:
        ProposalError: One of them cannot be read; the message says which.
    """
    if not name.endswith(".toml"):
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                try:
                    yield number, _read(line, Expectation)
                except ProposalError as error:
                    raise ProposalError(f"{name}, line {number}: {error.message}") from None
        return
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ProposalError(f"{name}: {error}.") from None
    cases = table.get("case")
    if set(table) - {"case"} or not isinstance(cases, list):
        raise ProposalError(f"{name}: it has no [[case]] tables, or something beside them.")
    for number, case in enumerate(cases, 1):
        try:
            yield number, Expectation.model_validate(case)
        except ValidationError as error:
            raise ProposalError(f"{name}, case {number}: {_first(error)}") from None


def check(expectations: Iterator[tuple[int, Expectation]], proposals: Proposals) -> Iterator[Outcome]:
    """Yield what comes of each expectation."""
    for number, expectation in expectations:
        yield Outcome(number, expectation, proposals.decide(expectation))


def _read(line: bytes | str, kind: type[P]) -> P:
    if len(line) > _LONGEST_LINE:
        raise ProposalError(f"It is longer than {_LONGEST_LINE:,} bytes.")
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        raise ProposalError(_first(error)) from None


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])
