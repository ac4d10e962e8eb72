"""What the built-in policy decides of a tool's calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llmasos.agent.policy import Decision, Policy, Verdict, builtin
from llmasos.agent.policy.proposals import Proposal, Proposals, Reading
from llmasos.testing.context import defined
from llmasos.tools.schema import Arguments


def assert_decision(
    function: Callable[..., Any],
    verdict: Verdict,
    /,
    *,
    said: str | Sequence[str] = (),
    read: Sequence[str] = (),
    rule: str = "",
    in_kernel: bool = False,
    **arguments: Any,
) -> Decision:
    """Fail unless the policy decides so of a call of a tool that a person has enabled.

    Args:
        function: A function with `@tool`.
        verdict: `allow`, `ask` or `deny`.
        said: What the person has said.
        read: Texts that the model has read before, and that anybody may have written.
        rule: The rule that ought to decide; empty for any.
        in_kernel: Whether the tool runs in the kernel, and not in a sandbox.
        arguments: The call's arguments.

    Raises:
        AssertionError: It decides otherwise; the message says why.
        ToolError: The call would be refused before anything is decided.
    """
    tool = defined(function)
    proposal = Proposal(
        tool=tool.name,
        arguments=Arguments(tool.name, tool.parameters).validate_python(arguments),
        capabilities=tool.capabilities(confined=not in_kernel),
        origin="plugin:tested",
        said=(said,) if isinstance(said, str) else tuple(said),
        read=tuple(Reading(text=text) for text in read),
    )
    # The rules that everybody has; those of whoever runs the tests are left out.
    policy = Policy.of(builtin(), [])
    decision = Proposals(policy, {"open_hosts": list(tool.declaration.network)}).decide(proposal)
    right = decision.verdict == verdict and rule in ("", decision.rule)
    wanted = f"{verdict}{f' by {rule}' if rule else ''}"
    assert right, (
        f"{tool.name} would get {decision.verdict}, by {decision.rule}, not {wanted}: {decision.reason}"
    )
    return decision
