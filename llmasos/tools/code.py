"""Running code in the sandbox: shell commands and a stateful Python session."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from llmasos.errors import ToolError
from llmasos.sandbox import Outcome
from llmasos.tools.tool import Capabilities, ToolContext, tool

_RUNS = Capabilities(reads=True, writes=True, executes=True)

_VERDICTS = {
    "timeout": "It did not finish in time and was stopped.",
    "memory": "It used more memory than it may and was stopped.",
    "cancelled": "It was cancelled.",
    "lost": "The sandbox died and was replaced; Python variables are gone.",
}


@tool(
    capabilities=_RUNS,
    block="code",
    examples=[
        (
            "How many words are in the text files, and which one has the most?",
            "run_python\n```python\nfrom pathlib import Path\n\n"
            'words = {p: len(p.read_text(errors="replace").split()) for p in Path(".").rglob("*.txt")}\n'
            'print("total:", sum(words.values()), "words in", len(words), "files")\n'
            "longest = max(words, key=words.get)\n"
            'print("most:", longest, words[longest])\n```',
        ),
        (
            "write oldest.md with a table of the three oldest files",
            "run_python\n```python\nfrom datetime import datetime\nfrom pathlib import Path\n\n"
            'files = [p for p in Path(".").rglob("*") if p.is_file() and ".git" not in p.parts]\n'
            "oldest = sorted(files, key=lambda p: p.stat().st_mtime)[:3]\n"
            'lines = ["| file | modified |", "| --- | --- |"]\n'
            'lines += [f"| {p} | {datetime.fromtimestamp(p.stat().st_mtime):%Y-%m-%d} |" for p in oldest]\n'
            'Path("oldest.md").write_text("\\n".join(lines) + "\\n")\nprint("\\n".join(lines))\n```',
        ),
        (
            "把 data 里每个 CSV 文件的行数写到 rows.csv",
            "run_python\n```python\nfrom pathlib import Path\n\n"
            'lines = ["file,rows"]\n'
            'for p in sorted(Path("data").rglob("*.csv")):\n'
            '    lines.append(f"{p},{len(p.read_text().splitlines()) - 1}")\n'
            'Path("rows.csv").write_text("\\n".join(lines) + "\\n")\nprint("\\n".join(lines))\n```',
        ),
    ],
)
async def run_python(ctx: ToolContext, code: str) -> str:
    """Run a Python script in the workspace folder; print what matters. Variables stay for later scripts.

    Args:
        code: The script. Other tools can be called in it as functions.
    """
    outcome = await ctx.sandbox.run_python(
        code,
        timeout=60.0,
        on_output=ctx.output,
        on_call=ctx.call,
        functions=ctx.functions,
    )
    return _text(outcome)


@tool(
    capabilities=_RUNS,
    examples=[("show the last three commits", 'run_shell(command="git log --oneline -3")')],
)
async def run_shell(
    ctx: ToolContext, command: str, timeout: Annotated[float, Field(gt=0, le=600)] = 60.0
) -> str:
    """Run a bash command in the workspace folder; there is no network and no keyboard.

    Args:
        command: The command line.
        timeout: Seconds after which it is stopped.
    """
    return _text(await ctx.sandbox.run_command(command, timeout=timeout, on_output=ctx.output))


def _text(outcome: Outcome) -> str:
    """Return what was printed, or fail with it."""
    text = outcome.output.rstrip("\n")
    if outcome.result:
        text = f"{text}\n{outcome.result}" if text else outcome.result
    if outcome.status == "ok":
        return text or "(finished without printing anything)"
    verdict = _VERDICTS.get(outcome.status) or f"It failed with exit code {outcome.exit_code}."
    raise ToolError(f"{text}\n{verdict}".strip())
