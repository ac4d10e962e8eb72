"""`llmasos keys`: let other programs use the kernel, within limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmasos.display import display
from llmasos.errors import LLMasOSError
from llmasos.language import translated
from llmasos.shell.ask import ask
from llmasos.shell.output import say, say_found, say_json
from llmasos.shell.proofs import AsJson
from llmasos.shell.words import pad

if TYPE_CHECKING:
    from llmasos.api import KeyCreated, KeyInfo
    from llmasos.client import AsyncClient

_UNREACHED = (
    "The kernel listens for no programs yet: `llmasos stop`, then `llmasos serve --port 8765`, or set "
    "LLMASOS_SERVICE__PORT."
)
_SECRET = re.compile(r"sk-llmasos-([0-9a-f]+)-")

keys_app = typer.Typer(
    help="Let other programs use the kernel, within limits.", rich_markup_mode=None, no_args_is_help=True
)

Named = Annotated[
    str, typer.Argument(metavar="KEY", help="A key's id, such as k-1f2e3d4c5b, its name, or the key itself.")
]


@keys_app.command()
def create(
    name: Annotated[str, typer.Option("--name", help="What it is for.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            metavar="SCOPE",
            help="What it opens: models (by default), agent (sessions and turns), approve (a person's "
            "decisions in them), admin (everything); repeatable.",
        ),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option("--models", metavar="GLOB", help="Models it may ask, such as 'qwen*'; repeatable."),
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

    async def create_key(client: AsyncClient) -> tuple[KeyCreated, str]:
        return await client.create_key(wanted), (await client.info()).service

    made, service = ask(create_key)
    if as_json:
        say_json(made.model_dump_json())
        return
    say(f"The key {made.key.id}, for {_scopes(made.key)}. It is shown only now:", err=True)
    say(made.secret)
    reached = f"Programs reach the kernel at {service}/v1." if service else _UNREACHED
    say(reached, err=True)


@keys_app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys and what they have used."""
    infos = ask(lambda client: client.keys())
    say_found(infos, as_json, lambda found: map(_line, found))
    if not infos and not as_json:
        say("There are no keys; make one with `llmasos keys create --name NAME`.", err=True)


@keys_app.command()
def show(key: Named, as_json: AsJson = False) -> None:
    """Show a key, its limits and what it has used."""
    info = ask(lambda client: _found(client, key))
    say_found(info, as_json, _lines)


@keys_app.command()
def revoke(key: Named) -> None:
    """End a key at once, with all that runs for it."""

    async def revoked(client: AsyncClient) -> KeyInfo:
        return await client.revoke_key((await _found(client, key)).id)

    say(f"The key {ask(revoked).id} is not valid any more.")


async def _found(client: AsyncClient, key: str) -> KeyInfo:
    """Return the key of an id or a name; of several with one name, the one that is valid."""
    secret = _SECRET.match(key)
    named = [info for info in await client.keys() if info.name == key]
    valid = [info for info in named if _state(info) == "valid"] or named
    if len(valid) > 1:
        raise LLMasOSError(
            f"There are {len(valid)} keys with the name {key!r}: {', '.join(info.id for info in valid)}.",
            hint="Name one by its id.",
        )
    return valid[0] if valid else await client.key(f"k-{secret[1]}" if secret else key)


def _line(info: KeyInfo) -> str:
    used = info.total
    spent = f"{used.calls:,} calls, {used.input_tokens + used.output_tokens:,} tokens"
    cost = f", {used.cost:.4f} spent" if used.cost else ""
    state, use = pad(translated(_state(info)), 8), translated(spent + cost)
    return f"{info.id}  {state} {_scopes(info):<20} {use}  {display(info.name)}"


def _lines(info: KeyInfo) -> Iterator[str]:
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
        ", ".join(f"{most:,} {translated(what)}" for what, most in limits.items() if most is not None)
        or "none"
    )
    for name, moment in (("created", info.created), ("expires", info.expires), ("used", info.last_used)):
        when = f"{moment.astimezone():%Y-%m-%d %H:%M}" if moment else translated("never")
        yield f"{pad(translated(name), 9)} {when}"
    for name, usage in (("today", info.today), ("month", info.month), ("in all", info.total)):
        tokens = f"{usage.input_tokens:,} tokens read, {usage.output_tokens:,} written"
        said = translated(f"{usage.calls:,} calls, {tokens}, {usage.cost:.4f} spent")
        yield f"{pad(translated(name), 9)} {said}"


def _scopes(info: KeyInfo) -> str:
    return ", ".join(info.scopes)


def _state(info: KeyInfo) -> str:
    from datetime import UTC, datetime

    if info.revoked:
        return "revoked"
    return "expired" if info.expires and info.expires <= datetime.now(UTC) else "valid"
