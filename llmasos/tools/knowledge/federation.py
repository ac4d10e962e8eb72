"""Questions to the machines of a federation, each of which answers from documents that it keeps."""

from __future__ import annotations

import re
from collections.abc import Mapping

from llmasos.errors import ToolError
from llmasos.federated.port import FederatedError
from llmasos.federated.silos import LONGEST, Question, Told
from llmasos.tools.kernel import Capabilities, KernelContext, kernel_tool
from llmasos.tools.knowledge.answer import NOT_THERE

_NUMBER = re.compile(r"\[(\d{1,2})\]")


@kernel_tool(
    capabilities=Capabilities(reaches=("federation",), sources={"*": "web"}),
    advanced=True,
)
async def ask_federation(ctx: KernelContext, question: str, federation: str, said: str = "") -> str:
    """Asks machines of a federation, which answer from documents that they keep to themselves.

    Args:
        question: The question.
        federation: Who is asked: `@NAME`, or one machine, `@NAME/MACHINE`.
        said: What was asked and answered before.
    """
    if not question.strip():
        raise ToolError("There is no question.", hint="Say what is to be found out.")
    if len(question) > LONGEST:
        raise ToolError(f"A question has {LONGEST:,} characters at most.", hint="Ask something shorter.")
    ctx.progress("Asking", 0, 1)
    try:
        told = await ctx.runs.silos.ask(federation, Question.of(question, said))
    except FederatedError as error:
        raise ToolError(error.message, hint=error.hint) from error
    if all(each.problem for each in told.values()):
        raise ToolError(
            "Nobody answered: "
            + "; ".join(f"{name}, {_line(each.problem)}" for name, each in told.items())
            + "."
        )
    text = answers_of(told)
    ctx.output("stdout", f"{text}\n")
    return text


def answers_of(told: Mapping[str, Told]) -> str:
    """Return what machines told, for a person: each with its citations, whose numbers follow each other."""
    parts, cited, silent = [], 0, []
    for name, each in told.items():
        if each.problem:
            parts.append(f"{name} did not answer: {_line(each.problem)}.")
        elif not each.known:
            silent.append(name)
        else:
            # No line of a machine can look like the beginning of another one's.
            text = _shifted(each.text.strip(), cited).replace("\n", "\n  ")
            lines = [_shifted(_line(line), cited, 1) for line in each.citations]
            parts.append("\n".join((f"{name}: {text}", *lines)))
            cited += len(each.citations)
    if silent:
        parts.append(f"{NOT_THERE} ({', '.join(silent)})")
    return "\n\n".join(parts)


def _line(text: str) -> str:
    return " ".join(text.split())


def _shifted(line: str, by: int, most: int = 0) -> str:
    return _NUMBER.sub(lambda number: f"[{int(number[1]) + by}]", line, most)
