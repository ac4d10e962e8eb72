"""The kernel's own tools, and what every tool is to the gate."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import ValidationError

from llmasos.cluster import Executor
from llmasos.config import Settings
from llmasos.decisions import SourceKind
from llmasos.errors import ToolError
from llmasos.federated.runs import Runs
from llmasos.sandbox import Artifact, Sandbox

if TYPE_CHECKING:
    from llmasos.tools.knowledge.shelf import Shelf


@dataclass(frozen=True)
class Capabilities:
    """What a tool needs; the gate decides on this, and grants nothing else.

    Args:
        reads: Reads files of the workspace.
        writes: Changes files of the workspace's view.
        executes: Runs code inside the sandbox.
        asks_model: Asks the session's model.
        network: Hosts it wants to reach.
        inputs: Names of the arguments that are paths it reads, beside `path`, `file` and the like.
        targets: Names of the arguments that are paths it writes.
        runs: The arguments that are code, with their languages: `bash`, `python`.
        reaches: Names of the arguments that say whom it reaches: hosts, links, recipients, accounts.
        gpu: Computes on a GPU.
        secrets: Names of the secrets that it is given.
        cost: What a call costs at most.
        idempotent: A call may be made again when nobody knows what became of it.
        confined: Runs in a sandbox of its own, where it has only what is said here.
        sources: Who may have written what it returns, by the fields of its value (`*` for all others): a list
            of rows has the fields of its rows, a text has only `*`. What is not named is `unknown`.
    """

    reads: bool = False
    writes: bool = False
    executes: bool = False
    asks_model: bool = False
    network: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    runs: Mapping[str, Literal["bash", "python"]] = field(default_factory=dict)
    reaches: tuple[str, ...] = ()
    gpu: bool = False
    secrets: tuple[str, ...] = ()
    cost: float = 0.0
    idempotent: bool = False
    confined: bool = False
    sources: Mapping[str, SourceKind] = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        """Whether it may change files of the workspace's view."""
        return self.writes or self.executes

    def names(self) -> tuple[str, ...]:
        """Return the capabilities as short words, for lists and records."""
        flags = ("reads", "writes", "executes", "asks_model", "gpu", "idempotent", "confined")
        return (
            *(name for name in flags if getattr(self, name)),
            *(f"network:{host}" for host in self.network),
            *(f"secret:{name}" for name in self.secrets),
            *((f"cost:{self.cost:g}",) if self.cost else ()),
        )


@dataclass(frozen=True)
class Example:
    """A request and the call that answers it, shown to small models."""

    request: str
    call: str


class KernelContext(Protocol):
    """What a running tool may use."""

    sandbox: Sandbox

    @property
    def seconds(self) -> float:
        """How long one piece of code may run, by the settings."""

    @property
    def settings(self) -> Settings:
        """The kernel's settings."""

    @property
    def model(self) -> str:
        """The name of the model that `ask` asks."""

    @property
    def request(self) -> str:
        """What the person asked for in this turn; empty where a program made the call."""

    def executor(self, cluster: str, jobs: int) -> Executor:
        """Return what runs tasks on a cluster's machines or, without one, on this one; the caller ends it.

        Args:
            cluster: Its address, which must be of one that this machine belongs to; or `auto` for that.
            jobs: How many tasks run at once here; 0 is one for each core.

        Raises:
            ClusterError: This machine belongs to no such cluster.
        """

    def private(
        self, files: Mapping[str, bytes], hosts: Sequence[str]
    ) -> AbstractAsyncContextManager[Sandbox]:
        """Open a sandbox that does not see the session's folder, and end it afterwards.

        Args:
            files: What its own folder holds, by path.
            hosts: Names that it may reach.

        Raises:
            SandboxError: It cannot start.
        """

    def charge(self, what: str, cost: float) -> None:
        """Count what a call costs.

        Raises:
            ToolError: The calls of this turn would cost more than they may.
        """

    @property
    def runs(self) -> Runs:
        """The federated trainings.

        Raises:
            FederatedError: The extra is not installed.
        """

    @property
    def shelf(self) -> Shelf:
        """The collections of documents."""

    @property
    def functions(self) -> Mapping[str, tuple[str, ...]]:
        """Tools callable from Python inside the sandbox, with their parameters' names."""

    def find(self, query: str) -> Sequence[Tool]:
        """Return the tools of others that fit some words best; the model is offered them from now on."""

    async def call(self, name: str, arguments: dict[str, Any]) -> object:
        """Call another tool, through the gate, and return its value."""

    async def hand_on(self, name: str, arguments: dict[str, Any]) -> object:
        """Have another tool do what this one was called for, through the gate, and return its value.

        The call is judged as this one was, whoever made it: it must hold nothing but what this one was given.
        """

    async def ask(
        self,
        instructions: str,
        text: str,
        *,
        max_tokens: int,
        examples: Sequence[tuple[str, str]] = (),
        stop: Sequence[str] = (),
    ) -> str:
        """Ask the session's model for a text, without tools, or the one that the settings give the tool.

        Args:
            instructions: What it is told beside the text.
            text: What it is asked.
            max_tokens: The longest answer.
            examples: Texts with the answers that are wanted, which small models follow best.
            stop: Texts before which an answer may end; only models of this machine are told, as others may
                refuse that.

        Raises:
            EmptyAnswer: It answered nothing.
        """

    async def changed(self) -> frozenset[tuple[str, int]]:
        """Return the paths that the view has changed so far, each with the time of its last change in ns."""

    async def keep(self, artifacts: Sequence[Artifact]) -> Sequence[str]:
        """Keep plots and files that code handed out, and return where they lie."""

    def output(self, stream: str, text: str) -> None:
        """Show a piece of output while the tool runs."""

    def progress(self, what: str, done: float, total: float, unit: str = "") -> None:
        """Show how far the tool has come."""


@dataclass(frozen=True)
class Tool:
    """A function that a model can call, with its schema.

    Args:
        name: The name the model uses.
        description: One line; it costs context in every request.
        parameters: JSON schema of the arguments.
        capabilities: What the gate decides on.
        examples: Few-shot turns for small models.
        block: The argument that small models write as a fenced block, because it has many lines.
        advanced: Not offered to small models, which can do without it.
        origin: Where it comes from when it is not ours: `plugin:NAME` or `mcp:SERVER`.
        opened: Hosts that it may reach because the person approved of it.
        sha256: Of the code it comes from, when it is not ours.
        preview: Returns what a call would change, as a diff, for the person who is asked; changes nothing.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    capabilities: Capabilities
    function: Callable[..., Awaitable[object]] = field(repr=False)
    validator: Any = field(repr=False)
    examples: tuple[Example, ...] = ()
    block: str = ""
    advanced: bool = False
    origin: str = ""
    opened: tuple[str, ...] = ()
    sha256: str = ""
    preview: Callable[..., Awaitable[str]] | None = field(default=None, repr=False)

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments with their types, or say what is wrong with them.

        Raises:
            ToolError: An argument is missing, unknown or of a wrong type.
        """
        try:
            validated: dict[str, Any] = self.validator.validate_python(dict(arguments))
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(str(part) for part in item['loc']) or 'arguments'}: {item['msg']}"
                for item in error.errors(include_url=False)
            )
            wanted = ", ".join(self.parameters.get("properties", {}))
            raise ToolError(f"{self.name}: {problems}.", hint=f"{self.name} takes: {wanted}.") from error
        return validated

    async def run(self, context: KernelContext, arguments: Mapping[str, Any]) -> object:
        """Run the function with validated arguments."""
        return await self.function(context, **arguments)


def kernel_tool(
    *,
    capabilities: Capabilities,
    examples: Sequence[tuple[str, str]] = (),
    block: str = "",
    advanced: bool = False,
    preview: Callable[..., Awaitable[str]] | None = None,
) -> Callable[[Callable[..., Awaitable[object]]], Tool]:
    """Make a `Tool` from an async function whose first parameter is the `KernelContext`.

    The schema comes from the type hints, the descriptions from a Google-style docstring.
    """

    def wrap(function: Callable[..., Awaitable[object]]) -> Tool:
        made = schema_of(function, next(iter(inspect.signature(function).parameters)))
        return Tool(
            name=function.__name__,
            description=made.description,
            parameters=made.parameters,
            capabilities=capabilities,
            function=function,
            validator=made.validator,
            examples=tuple(Example(request, call) for request, call in examples),
            block=block,
            advanced=advanced,
            preview=preview,
        )

    return wrap


@dataclass(frozen=True)
class Schema:
    """What a function's hints and docstring tell of it.

    Args:
        description: The docstring's first paragraph, on one line.
        parameters: JSON schema of the arguments.
        returns: JSON schema of what it returns; empty when the hints do not tell.
        validator: Gives arguments their types.
    """

    description: str
    parameters: dict[str, Any]
    returns: dict[str, Any]
    validator: Any = field(repr=False)


def schema_of(function: Callable[..., object], context: str = "") -> Schema:
    """Return the schema of a function.

    Args:
        function: The function, with type hints and a Google-style docstring.
        context: The parameter that no caller gives.
    """
    from pydantic_ai import Tool as SchemaTool

    with warnings.catch_warnings():
        # What a function returns may have no schema; then it can be anything.
        warnings.simplefilter("ignore", UserWarning)
        made = SchemaTool(_stand_in(function, context), takes_ctx=False, docstring_format="google")
    return Schema(
        description=(made.description or "").split("\n\n")[0].replace("\n", " ").strip(),
        parameters=made.function_schema.json_schema,
        returns=made.function_schema.return_schema,
        validator=made.function_schema.validator,
    )


def _stand_in(function: Callable[..., object], context: str) -> Callable[..., Awaitable[object]]:
    """Return a function with the same signature less the context, for making the schema."""
    signature = inspect.signature(function, eval_str=True)
    parameters = [each for each in signature.parameters.values() if each.name != context]

    async def stand_in(**_arguments: Any) -> object:
        raise AssertionError("only the schema of this function is used")

    stand_in.__name__ = function.__name__
    stand_in.__qualname__ = function.__qualname__
    stand_in.__module__ = function.__module__
    stand_in.__doc__ = function.__doc__
    stand_in.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    stand_in.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters} | {
        "return": signature.return_annotation
    }
    return stand_in
