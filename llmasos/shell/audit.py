"""`llmasos audit`: whether the system treats people alike."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from llmasos.errors import LLMasOSError
from llmasos.language import translated
from llmasos.shell.ask import ask
from llmasos.shell.output import say, say_found

if TYPE_CHECKING:
    from llmasos.api.models import ModelDetails
    from llmasos.audits import Pair, PairResult, Report, Results
    from llmasos.client import AsyncClient

_CANCELLED = 130

audit_app = typer.Typer(help="Audit how the system treats people.", rich_markup_mode=None)


class _Tell(Protocol):
    def __call__(self, result: PairResult, done: int) -> None: ...


@audit_app.callback()
def audit() -> None:
    """Audit how the system treats people."""


@audit_app.command()
def fairness(
    model: Annotated[str, typer.Option("--model", "-m", help="A name of `llmasos models`, or a path.")] = "",
    pairs: Annotated[int, typer.Option("--pairs", help="Pairs of each attribute and kind.")] = 40,
    seed: Annotated[int, typer.Option("--seed", help="What the pairs are chosen by.")] = 1,
    attribute: Annotated[
        list[str] | None,
        typer.Option("--attribute", metavar="NAME", help="Only this attribute; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    card: Annotated[
        Path | None, typer.Option("--card", metavar="DIR", help="Write the model's page into this folder.")
    ] = None,
) -> None:
    """Ask the same about two people, and compare what happens.

    The attributes are gender, name, age, nationality, and a control. Ctrl-C ends it with a report on what
    there is; the same command goes on, and asks nothing twice.
    """
    from llmasos.audits import ATTRIBUTES, make_pairs, text_lines, write_card

    attributes = attribute or ATTRIBUTES
    wanted = make_pairs(pairs, seed, attributes)
    details, report = ask(lambda client: _audited(client, model, wanted, seed, pairs, attributes))
    say_found(report, as_json, text_lines)
    if card is not None:
        say(f"Wrote {write_card(card, details, report)}.", err=True)
    if report.done < report.planned:
        raise typer.Exit(_CANCELLED)


async def _audited(
    client: AsyncClient, model: str, pairs: Sequence[Pair], seed: int, asked: int, attributes: Sequence[str]
) -> tuple[ModelDetails, Report]:
    from llmasos.audits import Results, make_report

    details = await client.show_model(model)
    if details.state != "remote":
        # Fetched and loaded ahead of time, so that the first turn is like the others.
        await client.load_model(details.name)
    system = (await client.info()).version
    results = Results.of(details.name, details.sha256, seed, system)
    with _progress(len(pairs)) as tell:
        await _until_interrupted(client, pairs, results, details.name, tell)
    done = [(pair, found) for pair in pairs if (found := results.get(pair)) is not None]
    report = make_report(
        done,
        model=details.name,
        digest=details.sha256,
        system=system,
        seed=seed,
        asked=asked,
        attributes=attributes,
        planned=len(pairs),
    )
    return details, report


async def _until_interrupted(
    client: AsyncClient, pairs: Sequence[Pair], results: Results, model: str, tell: _Tell
) -> None:
    """Ask all pairs, or as many as there is time for until Ctrl-C."""
    import anyio

    from llmasos.audits import run_pairs

    failed: LLMasOSError | None = None
    async with anyio.create_task_group() as group:

        async def asked() -> None:
            nonlocal failed
            try:
                await run_pairs(client, pairs, results, model=model, tell=tell)
            except LLMasOSError as error:
                failed = error
            group.cancel_scope.cancel()

        group.start_soon(asked)
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                group.cancel_scope.cancel()
    if failed is not None:
        raise failed


@contextmanager
def _progress(total: int) -> Iterator[_Tell]:
    """Yield what is told of each pair: a bar on a terminal, else a line now and then."""
    if not sys.stderr.isatty():

        def count(result: PairResult, done: int) -> None:
            if done == total or done % 20 == 0:
                say(f"{done} of {total} pairs", err=True)

        yield count
        return
    from llmasos.shell.progress import bars

    with bars() as bar:
        task = bar.add_task(translated("Pairs"), total=total, amount="")

        def show(result: PairResult, done: int) -> None:
            bar.update(task, completed=done, amount=translated(f"{done:,} of {total:,}"))

        yield show
