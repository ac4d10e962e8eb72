"""`llmasos federated`: train over data sets without putting them together."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmasos.errors import LLMasOSError
from llmasos.shell import federations
from llmasos.shell.ask import ask, confirmed
from llmasos.shell.output import say, say_found, say_json
from llmasos.shell.proofs import AsJson

if TYPE_CHECKING:
    from llmasos.api.federated import RunInfo, RunPlanned
    from llmasos.client import AsyncClient

federated_app = typer.Typer(
    help="Train over data sets without putting them together.", rich_markup_mode=None, no_args_is_help=True
)

_GOOD = ("completed", "target")

Name = Annotated[str, typer.Argument(metavar="RUN", help="A training's id, such as f-1f2e3d4c5b6a.")]
Newest = Annotated[str, typer.Argument(metavar="RUN", help="A training's id; the newest one by default.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Detach = Annotated[bool, typer.Option("--detach", "-d", help="Start it, and do not watch it.")]


@federated_app.command()
def run(
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA...",
            help="A file, folder or glob for each client; or one that is dealt to all, such as digits; or "
            "@FEDERATION/NODE for each machine that joined one.",
        ),
    ],
    label: Annotated[str | None, typer.Option(help="The column to learn; else the last.")] = None,
    recipe: Annotated[
        str | None, typer.Option(help="The kind of model, such as logistic, mlp or cnn; else by the data.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="An option of the recipe; repeatable."),
    ] = None,
    clients: Annotated[int | None, typer.Option(min=1, help="Clients, where one set is dealt.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds at most.")] = None,
    target: Annotated[
        str | None, typer.Option(help="The accuracy at which it ends: 0.95, 95 or 95%.")
    ] = None,
    sample: Annotated[str | None, typer.Option(help="The share of clients asked each round.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over a client's rows a round.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Rows a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of the clients' steps.")] = None,
    stragglers: Annotated[str | None, typer.Option(help="The share of clients that do less.")] = None,
    strategy: Annotated[
        str | None,
        typer.Option(help="fedavg, fedprox, fedadam, fedyogi, fedmedian, trimmed-mean or krum."),
    ] = None,
    mu: Annotated[float | None, typer.Option(help="FedProx's weight of the proximal term.")] = None,
    trim: Annotated[str | None, typer.Option(help="What trimmed mean leaves out at each end.")] = None,
    byzantine: Annotated[int | None, typer.Option(help="How many hostile clients Krum bears.")] = None,
    server_learning_rate: Annotated[float | None, typer.Option(help="FedAdam's and FedYogi's.")] = None,
    partition: Annotated[
        str | None, typer.Option(help="How one set is dealt: iid, dirichlet, shards.")
    ] = None,
    alpha: Annotated[float | None, typer.Option(help="Of the Dirichlet shares; small is uneven.")] = None,
    privacy: Annotated[str | None, typer.Option(help="Who adds noise: central, local or none.")] = None,
    noise: Annotated[float | None, typer.Option(help="How much noise, in units of the clip.")] = None,
    clip: Annotated[float | None, typer.Option(help="The largest norm of an update.")] = None,
    delta: Annotated[float | None, typer.Option(help="Of differential privacy.")] = None,
    secure: Annotated[
        bool | None, typer.Option("--secure", help="The server learns the updates' sums only.")
    ] = None,
    holdout: Annotated[str | None, typer.Option(help="The share of rows that is only evaluated on.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of all that is drawn.")] = None,
    backend: Annotated[
        str | None, typer.Option(help="Where clients run: local, deployment, or ray, on a cluster.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What it is called.")] = None,
    yes: Yes = False,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Plan a training, show what it takes, and start it.

    Ctrl-C stops watching; the training goes on. Exit codes: 0 done, 1 failed, stopped or impossible, 2 an
    option has a value that it cannot have, 130 not watched to its end.
    """
    given = {name: value for name, value in locals().items() if value is not None}
    for mine in ("data", "option", "yes", "detach", "as_json"):
        given.pop(mine, None)
    if option:
        given["options"] = _options(option)
    from llmasos.shell.sources import sources

    named = sources(data)
    planned = ask(lambda client: client.plan_run(named, **given))
    _agreed(planned, yes, as_json=as_json)
    _begin(planned.id, detach=detach, as_json=as_json)


@federated_app.command()
def status(
    run: Newest = "",
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Watch it to its end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show how a training stands."""
    from llmasos.shell.watching import info_lines

    info = ask(lambda client: _found(client, run))
    if follow:
        _watch(info.id, as_json=as_json)
    say_found(info, as_json, info_lines)


@federated_app.command("list")
def show_list(as_json: AsJson = False) -> None:
    """List the trainings, the oldest first."""
    from llmasos.shell.watching import info_line

    found = ask(lambda client: client.runs())
    say_found(found, as_json, lambda it: map(info_line, it))
    if not found and not as_json:
        say("There are no trainings; begin one with: llmasos federated run DATA...", err=True)


@federated_app.command()
def stop(run: Name, as_json: AsJson = False) -> None:
    """Stop a training; it can be gone on with."""
    from llmasos.shell.watching import end_text

    info = ask(lambda client: client.stop_run(run))
    say_found(info, as_json, lambda it: [end_text(it), f"Go on with it: llmasos federated resume {it.id}"])


@federated_app.command()
def resume(run: Name, detach: Detach = False, as_json: AsJson = False) -> None:
    """Go on with a training that was stopped or interrupted."""
    _begin(run, detach=detach, as_json=as_json)


@federated_app.command()
def verify(run: Name, as_json: AsJson = False) -> None:
    """Compare a training's model with what the ledger says of it.

    `llmasos ledger verify` says whether the ledger itself is in order. Exit codes: 0 it is that model, 1 not.
    """
    found = ask(lambda client: client.verify_run(run))
    say_found(found, as_json, lambda it: [it.message, f"SHA-256 {it.found}"])
    raise typer.Exit(0 if found.ok else 1)


@federated_app.command()
def remove(run: Name, yes: Yes = False) -> None:
    """Remove a training; the ledger keeps its records."""
    confirmed(f"Remove {run} with its results?", yes)
    ask(lambda client: client.remove_run(run))
    say(f"Removed {run}.")


@federated_app.command()
def export(
    run: Name,
    folder: Annotated[Path, typer.Argument(help="A folder that is not there yet.")],
    as_json: AsJson = False,
) -> None:
    """Copy a training's results, its plan and what it told to a folder."""
    files = ask(lambda client: client.export_run(run, folder))
    if as_json:
        import json

        say_json(json.dumps({"files": list(map(str, files))}))
        return
    for file in files:
        say(str(file))


for command in federations.COMMANDS:
    federated_app.command()(command)


def _attended() -> bool:
    """Return whether a person reads what is shown, and can answer."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _agreed(planned: RunPlanned, yes: bool, *, as_json: bool) -> None:
    """Show what was planned, and return when the person agrees; it is dropped when they do not."""
    try:
        say_found(planned, as_json, lambda it: it.summary)
        if _attended() and not as_json:
            confirmed("Start it?", yes)
    except (LLMasOSError, KeyboardInterrupt):
        ask(lambda client: client.remove_run(planned.id))
        raise


def _begin(run: str, *, detach: bool, as_json: bool) -> None:
    info = ask(lambda client: client.start_run(run))
    if detach:
        say_found(info, as_json, lambda it: [f"Started. {_ways(it.id)}"])
        return
    _watch(info.id, as_json=as_json, after=info.round)


def _watch(run: str, *, as_json: bool, after: int = 0) -> None:
    """Show a training until it ends, and leave with its exit code.

    Args:
        run: Its id.
        as_json: Whether steps are printed as JSON.
        after: Up to which round lines were printed before.
    """
    from llmasos.shell.watching import end_text

    try:
        info = ask(lambda client: _followed(client, run, as_json, after))
    except KeyboardInterrupt:
        say(f"The training goes on. {_ways(run)}", err=True)
        raise typer.Exit(130) from None
    say_found(info, as_json, lambda it: [end_text(it), *_next(it)])
    raise typer.Exit(0 if info.state in _GOOD else 1)


async def _followed(client: AsyncClient, run: str, as_json: bool, after: int) -> RunInfo:
    from contextlib import ExitStack

    from llmasos.shell.watching import View, round_text

    info = await client.run(run)
    view = View(info)
    with ExitStack() as stack:
        live = None
        if sys.stdout.isatty() and not as_json:
            from rich.live import Live

            from llmasos.shell.render import make_console

            live = stack.enter_context(Live(view, console=make_console(), refresh_per_second=8))
        async with client.follow_run(run) as steps:
            async for step in steps:
                view.add(step)
                if as_json:
                    say_json(step.model_dump_json(exclude_defaults=True))
                elif live is None and step.type == "round_ended" and step.round > after:
                    say(round_text(step, info.rounds))
    return await client.run(run)


async def _found(client: AsyncClient, run: str) -> RunInfo:
    if run:
        return await client.run(run)
    runs = await client.runs()
    if not runs:
        raise LLMasOSError("There are no trainings.", hint="Begin one with: llmasos federated run DATA...")
    return runs[-1]


def _ways(run: str) -> str:
    return f"Watch it: llmasos federated status {run} -f. Stop it: llmasos federated stop {run}."


def _next(info: RunInfo) -> list[str]:
    if info.state not in _GOOD:
        return [f"Go on with it: llmasos federated resume {info.id}"]
    return [
        f"Its results: llmasos federated export {info.id} FOLDER",
        f"Its rounds in the ledger: llmasos ledger log --session {info.id}",
    ]


def _options(given: list[str]) -> dict[str, Any]:
    """Return a recipe's options; values are JSON where they can be."""
    import json

    found: dict[str, Any] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not (name and equals):
            raise typer.BadParameter("it is written NAME=VALUE.", param_hint="--option")
        try:
            found[name] = json.loads(value)
        except ValueError:
            # A training works in a folder of its own.
            place = Path(value).expanduser()
            found[name] = str(place.absolute()) if os.sep in value and place.exists() else value
    return found
