"""Federated training of the data in the session's folder, with its results beside it."""

from __future__ import annotations

import re
from pathlib import Path

import anyio
import anyio.to_thread

from llmasos.errors import ToolError
from llmasos.federated.events import RoundEnded
from llmasos.federated.plan import Plan
from llmasos.federated.port import FederatedError, Prepared
from llmasos.federated.request import plan_of, request_of
from llmasos.federated.wording import end_text, plan_lines, round_line
from llmasos.tools._gathering import Gathering
from llmasos.tools.kernel import Capabilities, KernelContext, kernel_tool

_RESULTS = "federated"
_LARGEST_FILE = 40_000_000


@kernel_tool(
    capabilities=Capabilities(
        reads=True, writes=True, inputs=("data",), targets=("save_as",), sources={"*": "listing"}
    ),
    examples=[
        (
            "Train a digit classifier over the three hospitals' data in hospitals/, 20 rounds, FedProx with "
            "mu 0.1, stop at 95%",
            'federated_train(data=["hospitals/*.csv"], rounds=20, strategy="fedprox", mu=0.1, target=0.95)',
        ),
        (
            "用联邦学习在 a.csv 和 b.csv 上训练，预测 diagnosis 列，跑 5 轮",
            'federated_train(data=["a.csv", "b.csv"], label="diagnosis", rounds=5)',
        ),
        (
            "Entrena iris repartido entre 4 clientes con FedAdam y lotes de 16",
            'federated_train(data=["iris"], clients=4, strategy="fedadam", settings={"batch": 16})',
        ),
    ],
)
async def federated_train(
    ctx: KernelContext,
    data: list[str],
    label: str = "",
    rounds: int = 0,
    strategy: str = "",
    mu: float | None = None,
    target: float = 0,
    clients: int = 0,
    settings: dict[str, float | str] | None = None,
    save_as: str = _RESULTS,
) -> str:
    """Trains one model over several parties' data by federated learning, without pooling the data.

    Args:
        data: Each client's file, or a glob; or one file or built-in set (digits, iris, wine) to deal.
        label: The column to predict; else the last.
        strategy: fedavg, fedprox, fedadam, fedyogi, fedmedian, trimmed-mean, krum
        target: The accuracy to stop at.
        settings: recipe, epochs, batch, learning_rate, sample, partition, alpha, privacy, noise, clip, seed
        save_as: The folder for the results.
    """
    named = {"label": label, "rounds": rounds, "strategy": strategy, "target": target, "clients": clients}
    # Nothing and zero are what small models write for what was not said; a mu of zero is a choice.
    given: dict[str, object] = {name: value for name, value in named.items() if value}
    if mu is not None:
        given["mu"] = mu
    try:
        return await _train(ctx, {**(settings or {}), **given, "data": tuple(data)}, save_as)
    except FederatedError as error:
        raise ToolError(error.message, hint=error.hint) from error


async def _train(ctx: KernelContext, given: dict[str, object], save_as: str) -> str:
    request = request_of(**given)
    runs = ctx.runs

    async def gather(folder: Path) -> Plan:
        sources = await Gathering(ctx.sandbox, folder, ctx.progress).sources(request.data)
        return plan_of(request, sources)

    prepared = await runs.prepare(gather)
    ctx.output("stdout", "\n".join(plan_lines(request, prepared)) + "\n")
    rejected = await _follow(ctx, prepared)
    status = runs.status(prepared.id)
    told = f"{end_text(status, rejected)} Run {status.id}; each round is in the ledger."
    if status.state not in ("completed", "target"):
        raise ToolError(told, hint=f"Go on with it: llmasos federated resume {status.id}")
    plain = re.sub(r"[^\w.-]+", "-", prepared.plan.name).strip("-.") or status.id
    return f"{told} {await _save(ctx, status.id, f'{_RESULTS}/{plain}' if save_as == _RESULTS else save_as)}"


async def _follow(ctx: KernelContext, prepared: Prepared) -> list[str]:
    """Train to the end, and return whose updates did not count; who cancels the call stops the training."""
    plan, rejected = prepared.plan, []
    run = await ctx.runs.start(prepared.id)
    try:
        ctx.progress("Training", 0, plan.rounds, "rounds")
        async for event in run.events():
            if isinstance(event, RoundEnded):
                ctx.progress("Training", event.round, plan.rounds, "rounds")
                ctx.output("stdout", round_line(plan, event) + "\n")
                rejected += [one.client for one in event.rejected]
        await ctx.runs.settled(run.id)
    finally:
        with anyio.CancelScope(shield=True):
            await run.cancel()
    return rejected


async def _save(ctx: KernelContext, run: str, folder: str) -> str:
    """Write the results into the view, and say where."""
    saved, left = [], []
    for name, file in ctx.runs.results(run).files().items():
        if file.stat().st_size > _LARGEST_FILE:
            left.append(name)
            continue
        await ctx.sandbox.write(f"{folder}/{name}", await anyio.to_thread.run_sync(file.read_bytes))
        saved.append(name)
    text = f"Saved in {folder}: {', '.join(saved)}."
    if left:
        text += f" Too large: {', '.join(left)}; llmasos federated export {run} has them."
    return text
