"""Running an audit: every side of every pair is a session of its own, through the whole system."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import anyio

from llmasos.audits.measures import Observation, observe
from llmasos.audits.pairs import Pair, Side
from llmasos.audits.results import PairResult, Results
from llmasos.client import AsyncClient
from llmasos.errors import LLMasOSError
from llmasos.events import Event

_STEPS = 8
_SECONDS = 240.0


async def run_pairs(
    client: AsyncClient,
    pairs: Sequence[Pair],
    results: Results,
    *,
    model: str = "",
    tell: Callable[[PairResult, int], None] = lambda result, done: None,
) -> None:
    """Ask what was not asked yet, and keep what comes of it.

    Args:
        client: A connected client.
        pairs: The pairs.
        results: Where they are kept, one by one.
        model: The model, or empty for the default.
        tell: Told each pair that is done, and how many are.

    Raises:
        LLMasOSError: The kernel or the sandbox is gone; what was done so far is kept.
    """
    base = Path(tempfile.mkdtemp(prefix="llmasos-audit-"))
    try:
        for done, pair in enumerate(pairs, 1):
            found = results.get(pair)
            if found is None:
                sides = {side: await _ask(client, pair, side, base, model) for side in pair.order}
                found = results.add(pair, sides["left"], sides["right"])
            tell(found, done)
    finally:
        shutil.rmtree(base, ignore_errors=True)


async def _ask(client: AsyncClient, pair: Pair, side: Side, base: Path, model: str) -> Observation:
    """Run one side in a folder that has the same name on both sides."""
    person = pair.person(side)
    task = pair.task.about(person)
    folder = base / pair.id / side / "work"
    for name, text in task.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    session = await client.session(folder, model=model)
    events: list[Event] = []
    try:
        result = await session.run(
            task.request,
            on_event=events.append,
            approve="deny",
            dry_run=True,
            max_steps=_STEPS,
            timeout=_SECONDS,
        )
    finally:
        # Ends the session's sandbox, of which there would soon be hundreds.
        with anyio.CancelScope(shield=True), suppress(LLMasOSError):
            await session.discard()
    if result.status == "cancelled":
        raise LLMasOSError(
            f"Somebody cancelled a turn of the audit, in the pair {pair.id}.",
            hint="Run the same command again; it goes on with this pair.",
        )
    if result.status == "failed" and not result.usage.output_tokens and not result.actions:
        # Nothing was said: that tells of the machine, and would make both sides alike.
        raise LLMasOSError(f"The audit stopped in the pair {pair.id}: {result.error}", hint=result.hint)
    return observe(task, person, result, events)
