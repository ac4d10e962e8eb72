"""Running code in the sandbox: shell commands and a stateful Python session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from llmasos.errors import ToolError
from llmasos.events import display
from llmasos.sandbox import Job, Outcome
from llmasos.tools._verdicts import VERDICTS
from llmasos.tools.kernel import Capabilities, KernelContext, kernel_tool

_RUNS = Capabilities(reads=True, writes=True, executes=True, sources={"*": "output"})
_RUNS_PYTHON = replace(_RUNS, runs={"code": "python"})
_RUNS_COMMAND = replace(_RUNS, runs={"command": "bash"})

_NAMED = 10
_LONGEST_TAIL = 4000


@kernel_tool(
    capabilities=_RUNS_PYTHON,
    block="code",
    examples=[
        (
            "How many lines are in the logs altogether, and which log is the shortest?",
            "run_python\n```python\nfrom pathlib import Path\n\n"
            'lines = {p: len(p.read_text(errors="replace").splitlines()) for p in Path(".").rglob("*.log")}\n'
            'print("total:", sum(lines.values()), "lines in", len(lines), "files")\n'
            "shortest = min(lines, key=lines.get)\n"
            'print("shortest:", shortest, lines[shortest], "lines")\n```',
        ),
        (
            "把 letters 目录里的每个 txt 文件翻译成德文，存到 german 目录",
            "run_python\n```python\nfrom pathlib import Path\n\n"
            'for path in sorted(Path("letters").glob("*.txt")):\n'
            '    text = translate(text=path.read_text(), target_language="German")\n'
            '    write_file(f"german/{path.name}", text)\n    print(path.name)\n```',
        ),
        (
            "what's the median of column price in sales.csv?",
            "run_python\n```python\nimport csv\nfrom statistics import median\n\n"
            'with open("sales.csv") as file:\n'
            '    print(median(float(row["price"]) for row in csv.DictReader(file)))\n```',
        ),
        ("17的阶乘是多少", "run_python\n```python\nimport math\n\nprint(math.factorial(17))\n```"),
    ],
)
async def run_python(ctx: KernelContext, code: str) -> str:
    """Runs a script that counts, compares or computes; it can call the other tools as functions.

    Args:
        code: The script; it prints what matters, and its variables stay for later scripts.
    """
    before = await ctx.changed()
    outcome = await ctx.sandbox.run_python(
        code,
        timeout=ctx.seconds,
        on_output=ctx.output,
        on_call=ctx.call,
        functions=ctx.functions,
    )
    kept = await ctx.keep(outcome.artifacts) if outcome.artifacts else ()
    return _text(outcome, {name for name, _ in await ctx.changed() - before}, kept)


@kernel_tool(
    capabilities=_RUNS_COMMAND,
    examples=[
        ("run the tests", 'run_shell(command="pytest -q")'),
        ("看看磁盘还剩多少空间", 'run_shell(command="df -h .")'),
        ("git log of the last 3 commits", 'run_shell(command="git log -3")'),
    ],
)
async def run_shell(
    ctx: KernelContext, command: str, timeout: Annotated[float, Field(gt=0, le=600)] = 60.0
) -> str:
    """Runs a program or shell command: git, packages, processes, tests.

    Args:
        command: A bash command line; it has no network and no keyboard.
        timeout: Seconds after which it is stopped.
    """
    before = await ctx.changed()
    outcome = await ctx.sandbox.run_command(command, timeout=timeout, on_output=ctx.output)
    return _text(outcome, {name for name, _ in await ctx.changed() - before})


@kernel_tool(
    capabilities=replace(_RUNS_COMMAND, sources={"*": "system"}),
    advanced=True,
    examples=[("start the web server", 'start_job(command="python3 -m http.server")')],
)
async def start_job(ctx: KernelContext, command: str) -> str:
    """Starts a program that runs on in the background, such as a server.

    Args:
        command: A bash command line.
    """
    job = await ctx.sandbox.start_job(command)
    return f"Started as {job.id}; background_jobs shows what it prints, and stops it."


@kernel_tool(
    capabilities=_RUNS,
    advanced=True,
    examples=[
        ("what has j-2 printed so far?", 'background_jobs(job="j-2")'),
        ("stop the job j-1", 'background_jobs(job="j-1", stop=True)'),
    ],
)
async def background_jobs(ctx: KernelContext, job: str = "", stop: bool = False) -> str:
    """Shows what a background job such as j-1 has printed, or stops it.

    Args:
        job: Its name; without one, all jobs are listed.
        stop: Stop it.
    """
    if not job:
        return "\n".join(map(_job_line, await ctx.sandbox.jobs())) or "Nothing runs in the background."
    if stop:
        await ctx.sandbox.stop_job(job)
    output = await ctx.sandbox.job_output(job)
    return f"{_job_line(output.job)}\n{output.text[-_LONGEST_TAIL:]}".rstrip()


def _job_line(job: Job) -> str:
    state = "running" if job.running else "stopped" if job.exit_code is None else f"exit code {job.exit_code}"
    return f"{job.id}: {state} after {job.seconds:.0f} s: {job.command}"


def _text(outcome: Outcome, changed: set[str], kept: Sequence[str] = ()) -> str:
    """Return what was printed, which files were changed and which were handed out, or fail with it."""
    text = outcome.output.rstrip("\n")
    if outcome.result:
        text = f"{text}\n{outcome.result}" if text else outcome.result
    if kept:
        text = f"{text}\n[shown to the person: {', '.join(Path(path).name for path in kept)}]".strip()
    if outcome.status == "ok":
        names = ", ".join(sorted(map(display, changed))[:_NAMED])
        more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
        note = (
            f"[changed: {names}{more}]" if changed else "" if text else "[printed nothing, changed no file]"
        )
        return f"{text}\n{note}".strip()
    verdict = VERDICTS.get(outcome.status) or f"It failed with exit code {outcome.exit_code}."
    raise ToolError(f"{text}\n{verdict}".strip())
