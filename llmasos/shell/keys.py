"""`llmasos keys`: let other programs use the kernel, within limits."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmasos.shell.ask import ask
from llmasos.shell.proofs import AsJson

if TYPE_CHECKING:
    from llmasos.api import KeyInfo

keys_app = typer.Typer(
    help="Let other programs use the kernel, within limits.", rich_markup_mode=None, no_args_is_help=True
)

Id = Annotated[str, typer.Argument(metavar="KEY", help="A key's id, such as k-1f2e3d4c5b.")]


@keys_app.command()
def create(
    name: Annotated[str, typer.Option("--name", help="What it is for.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            help="What it opens: models (by default), agent (sessions and turns), approve (a person's "
            "decisions in them), admin (everything); repeatable.",
        ),
    ] = None,
    models: Annotated[
        list[str] | None, typer.Option("--models", help="Models it may ask, such as 'qwen*'; repeatable.")
    ] = None,
    requests_per_minute: Annotated[int | None, typer.Option(min=1, help="Requests in a minute.")] = None,
    tokens_per_minute: Annotated[
        int | None, typer.Option(min=1, help="Tokens read and written in a minute.")
    ] = None,
    tokens_per_day: Annotated[int | None, typer.Option(min=1, help="The same in a day.")] = None,
    budget: Annotated[
        float | None, typer.Option(help="What it may cost in a month, by the prices of the settings.")
    ] = None,
    expires: Annotated[float | None, typer.Option("--expires", help="Days until it ends.")] = None,
    priority: Annotated[
        str, typer.Option("--priority", help="The highest it may ask for: interactive, normal, batch.")
    ] = "normal",
    as_json: AsJson = False,
) -> None:
    """Make a key. It is printed once, and only its hash is kept."""
    from pydantic import ValidationError

    from llmasos.api import KeyRequest

    given: dict[str, Any] = {
        "name": name,
        "scopes": tuple(scope or ("models",)),
        "models": tuple(part for each in models or () for part in each.split(",")),
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
        "tokens_per_day": tokens_per_day,
        "budget": budget,
        "expires_days": expires,
        "priority": priority,
    }
    try:
        wanted = KeyRequest(**given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = str(first["loc"][0]).replace("expires_days", "expires").replace("scopes", "scope")
        raise typer.BadParameter(f"{first['msg']}.", param_hint=f"--{option.replace('_', '-')}") from None
    made = ask(lambda client: client.create_key(wanted))
    if as_json:
        print(made.model_dump_json())
        return
    print(f"The key {made.key.id}, for {_scopes(made.key)}. It is shown only now:", file=sys.stderr)
    print(made.secret)


@keys_app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys and what they have used."""
    infos = ask(lambda client: client.keys())
    for info in infos:
        print(info.model_dump_json() if as_json else _line(info))
    if not infos and not as_json:
        print("There are no keys; make one with `llmasos keys create`.", file=sys.stderr)


@keys_app.command()
def show(key: Id, as_json: AsJson = False) -> None:
    """Show a key, its limits and what it has used."""
    info = ask(lambda client: client.key(key))
    for line in [info.model_dump_json()] if as_json else _lines(info):
        print(line)


@keys_app.command()
def revoke(key: Id) -> None:
    """End a key at once, with all that runs for it."""
    print(f"The key {ask(lambda client: client.revoke_key(key)).id} is not valid any more.")


def _line(info: KeyInfo) -> str:
    from llmasos.events import display

    used = info.total
    spent = f"{used.calls:,} calls, {used.input_tokens + used.output_tokens:,} tokens"
    cost = f", {used.cost:.4f} spent" if used.cost else ""
    return f"{info.id}  {_state(info):<8} {_scopes(info):<20} {spent}{cost}  {display(info.name)}"


def _lines(info: KeyInfo) -> Iterator[str]:
    from llmasos.events import display

    limits = {
        "requests a minute": info.requests_per_minute,
        "tokens a minute": info.tokens_per_minute,
        "tokens a day": info.tokens_per_day,
        "spent in a month": info.budget,
    }
    yield f"key       {info.id}, {_state(info)}"
    yield f"name      {display(info.name)}"
    yield f"opens     {_scopes(info)}; models: {display(', '.join(info.models)) or 'all'}"
    yield f"priority  {info.priority} at most"
    yield "limits    " + (
        ", ".join(f"{most:,} {what}" for what, most in limits.items() if most is not None) or "none"
    )
    for name, moment in (("created", info.created), ("expires", info.expires), ("used", info.last_used)):
        yield f"{name:<9} {moment.astimezone():%Y-%m-%d %H:%M}" if moment else f"{name:<9} never"
    for name, usage in (("today", info.today), ("month", info.month), ("in all", info.total)):
        tokens = f"{usage.input_tokens:,} tokens read, {usage.output_tokens:,} written"
        yield f"{name:<9} {usage.calls:,} calls, {tokens}, {usage.cost:.4f} spent"


def _scopes(info: KeyInfo) -> str:
    return ", ".join(info.scopes)


def _state(info: KeyInfo) -> str:
    from datetime import UTC, datetime

    if info.revoked:
        return "revoked"
    return "expired" if info.expires and info.expires <= datetime.now(UTC) else "valid"
