"""One command over many files, each in a sandbox, on the cores of this machine or of a cluster."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio
import anyio.to_thread
from pydantic import Field

from llmasos.cluster import ClusterError, Outcome, Share, TaskTimeout, Work
from llmasos.errors import LLMasOSError, ToolError
from llmasos.paths import private_dir
from llmasos.sandbox import sweep_private
from llmasos.tools._errand import Item, Rules, carry_out
from llmasos.tools._staging import Staging
from llmasos.tools._tally import Tally, not_done
from llmasos.tools.kernel import Capabilities, KernelContext, kernel_tool

# Beyond an item's own time: a sandbox starts, and ends.
_GRACE_SECONDS = 60.0
_SETTING = {"docker": "docker", "bubblewrap": "bubblewrap", "landlock-weak": "landlock"}

Setting = Literal["jobs", "cpus", "gpus", "memory_mb", "tries"]


@kernel_tool(
    capabilities=Capabilities(
        reads=True,
        writes=True,
        executes=True,
        inputs=("files", "along"),
        targets=("save_as",),
        runs={"command": "bash", "code": "python"},
        sources={"*": "output"},
    ),
    advanced=True,
    examples=[
        (
            "count the words of all 4,000 files in texts on the cluster",
            'map_files(files=["texts/*"], command="wc -w < {}", cluster="auto")',
        ),
        (
            "run check.py over every csv in data",
            'map_files(files=["data/*.csv"], command="python3 check.py {}", along=["check.py"])',
        ),
    ],
)
async def map_files(
    ctx: KernelContext,
    files: list[str] | None = None,
    command: str = "",
    code: str = "",
    items: list[str] | None = None,
    along: list[str] | None = None,
    save_as: str = "map.jsonl",
    skip: list[str] | None = None,
    cluster: str = "",
    timeout: Annotated[float, Field(gt=0, le=86_400)] = 60.0,
    settings: dict[Setting, float] | None = None,
) -> str:
    """Runs one command over very many files at once, each in a sandbox; its output is kept.

    Args:
        files: Files, folders or globs; each is one item.
        command: A bash line with {} for the item, {.} without suffix, {/} its name; files it writes are lost.
        code: In place of a command, Python that defines run(item).
        items: Texts to run over in place of files.
        along: Files that every item needs, such as a script.
        save_as: Where results go as JSON lines; empty prints them.
        skip: Items to leave out.
        cluster: `auto` for the cluster that this machine belongs to; empty for this machine.
        timeout: Seconds that each item may take.
        settings: jobs, cpus, gpus, memory_mb, tries
    """
    if bool(command.strip()) == bool(code.strip()):
        raise ToolError("One of command and code is run.", hint="Give a command, or code that defines run.")
    if not files and not items:
        raise ToolError("There is nothing to run it over.", hint="Name files, folders or globs.")
    chosen = settings or {}
    limits = ctx.settings.sandbox_limits
    if memory := int(chosen.get("memory_mb", 0)):
        limits = limits.model_copy(update={"memory_mb": memory})
    where = await anyio.to_thread.run_sync(_folder, ctx)
    try:
        staging = Staging(ctx.sandbox, where, lambda done: ctx.progress("Reading", done, 0, "files"))
        paths = await staging.add(files or ())
        sent = {path: staging.content(path) for path in await staging.add(along or ())}
        own = None if cluster else ctx.settings
        rules = Rules(command, code, timeout, _SETTING.get(ctx.sandbox.backend, "auto"), limits, sent, own)
        done = Counter(skip or ())
        paths, texts = not_done(paths, done), not_done(items or (), done)
        names = [*paths, *texts]
        every = itertools.chain(staging.items(paths), map(Item, texts))
        tally = Tally(ctx, len(names), saving=bool(save_as))
        async with aclosing(_outcomes(ctx, rules, every, cluster, chosen)) as outcomes:
            async for outcome in outcomes:
                tally.add(_result(names[outcome.index], outcome))
    except ClusterError as error:
        raise ToolError(error.message, hint=error.hint) from error
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(shutil.rmtree, where, True)
            await anyio.to_thread.run_sync(sweep_private, ctx.settings)
    if save_as:
        await ctx.sandbox.write(save_as, tally.results())
    return tally.text(save_as)


async def _outcomes(
    ctx: KernelContext, rules: Rules, items: Iterator[Item], cluster: str, settings: Mapping[Setting, float]
) -> AsyncGenerator[Outcome]:
    """Run items on an executor, which ends with them."""
    share = Share(cpus=settings.get("cpus", 1.0), gpus=settings.get("gpus", 0.0))
    # A sandbox reaches nothing and leaves nothing behind, so an item may always run again.
    tries = max(1, int(settings.get("tries", 3)))
    work = Work(share=share, idempotent=True, tries=tries, timeout=rules.seconds + _GRACE_SECONDS)
    executor = ctx.executor(cluster, int(settings.get("jobs", 0)))
    try:
        async with aclosing(executor.map(partial(carry_out, rules), items, work)) as outcomes:
            async for outcome in outcomes:
                yield outcome
    finally:
        with anyio.CancelScope(shield=True):
            await executor.close()


def _result(item: str, outcome: Outcome) -> dict[str, Any]:
    told = {"index": outcome.index, "item": item}
    where = {"where": outcome.where, "tries": outcome.tries}
    if outcome.error is not None:
        status = "timeout" if isinstance(outcome.error, TaskTimeout) else "lost"
        message = outcome.error.message if isinstance(outcome.error, LLMasOSError) else repr(outcome.error)
        return {**told, "status": status, "exit_code": None, "output": message, "seconds": 0.0, **where}
    ended = outcome.result()
    return {
        **told,
        "status": ended.status,
        "exit_code": ended.exit_code,
        "output": ended.output,
        "seconds": round(ended.seconds, 3),
        **where,
    }


def _folder(ctx: KernelContext) -> Path:
    return Path(tempfile.mkdtemp(prefix="map-", dir=private_dir(ctx.settings.data_dir / "maps")))
