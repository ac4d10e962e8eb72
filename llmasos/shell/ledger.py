"""`llmasos ledger`: look at what was recorded, verify it, prove it to others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmasos.display import display
from llmasos.errors import LLMasOSError
from llmasos.language import translated
from llmasos.shell import proofs
from llmasos.shell.ask import ask, confirmed
from llmasos.shell.output import say, say_found
from llmasos.shell.proofs import EXIT_CODES, AsJson
from llmasos.shell.selection import Action, Kinds, Session, Since, Tool, Until, What, chosen
from llmasos.shell.words import count

if TYPE_CHECKING:
    from llmasos.api import RecordInfo, VerifyReport
    from llmasos.client import AsyncClient

ledger_app = typer.Typer(
    help="Look at what was recorded, verify and prove it.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@ledger_app.command()
def status(as_json: AsJson = False) -> None:
    """Show where the ledger stands: chain, records, costs, anchors."""
    from llmasos.shell.records import status_lines

    info = ask(lambda client: client.ledger())
    say_found(info, as_json, status_lines)


@ledger_app.command()
def log(
    session: Session = "",
    action: Action = "",
    tool: Tool = "",
    kind: Kinds = None,
    since: Since = "",
    until: Until = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many records at most.")] = 50,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with those to come.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the newest records, oldest first."""
    from llmasos.api import RecordQuery
    from llmasos.shell.records import record_line

    which = chosen(session, action, tool, kind, since, until).model_dump()
    query = RecordQuery(**which, limit=limit, bodies=True)
    shown = 0

    def say_record(record: RecordInfo) -> None:
        say_found(record, as_json, lambda it: [record_line(it)])

    async def list_them(client: AsyncClient) -> None:
        nonlocal shown
        if follow:
            async with client.follow_records(query) as records:
                async for record in records:
                    say_record(record)
            raise LLMasOSError("The kernel has ended.", hint="Run the command again: it starts anew.")
        for record in await client.records(**query.model_dump(exclude={"follow"})):
            say_record(record)
            shown += 1

    ask(list_them)
    if not shown and not as_json:
        say("Nothing is recorded that fits.", err=True)


@ledger_app.command()
def show(what: What, as_json: AsJson = False) -> None:
    """Show everything that is known of an action or a record."""
    from llmasos.shell.records import record_lines

    records = ask(lambda client: client.show_record(what))
    say_found(records, as_json, record_lines)


@ledger_app.command()
def verify(as_json: AsJson = False) -> None:
    """Compare all with the chain, the anchors and the sessions.

    Exit codes: 0 all is in order, 1 something was altered or is missing, 2 usage, 3 records have not reached
    the chain, 4 the chain or an anchor could not be asked.
    """
    from llmasos.shell.records import report_lines
    from llmasos.shell.render import print_error

    try:
        report = ask(_verified)
    except LLMasOSError as error:
        # Status 1 says that something was altered, which nobody knows here.
        print_error(error)
        raise typer.Exit(EXIT_CODES["unreachable"]) from None
    say_found(report, as_json, report_lines)
    raise typer.Exit(EXIT_CODES[report.finding])


for command in proofs.COMMANDS:
    ledger_app.command()(command)


@ledger_app.command()
def anchor(target: Annotated[str, typer.Argument(help="One place; by default all.")] = "") -> None:
    """Have the places outside vouch for the records so far."""
    from llmasos.shell.records import anchor_line

    for made in ask(lambda client: client.anchor(target)):
        say(anchor_line(made, 0))


@ledger_app.command("rotate-key")
def rotate_key(
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="A file with the new key; by default one is made.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Hand the ledger to another key.

    The old one can add nothing any more.
    """
    key = _key_in(key_file) if key_file else ""
    confirmed("Hand the ledger to another key? The old one can add nothing afterwards.", yes)
    say(f"The account is now {ask(lambda client: client.rotate_key(key))}.")
    if key_file:
        say(f"Its key lies where the old one lay; {key_file} is not needed any more.")


@ledger_app.command()
def erase(
    action: Annotated[str, typer.Argument(help="The action whose bodies are erased.")] = "",
    session: Annotated[str, typer.Option("--session", help="Those of a session.")] = "",
    before: Annotated[str, typer.Option("--before", help="Those made before: 180d, 2026-11-24.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why; it is recorded.")] = "",
    yes: Yes = False,
) -> None:
    """Erase what was recorded.

    That it was recorded, and when, stays provable.
    """
    if not (action or session or before):
        raise typer.BadParameter("name an action, --session or --before.", param_hint="ACTION")
    if not reason.strip():
        raise typer.BadParameter("say why; it is recorded.", param_hint="--reason")
    which = chosen(session, action, until=before)
    bodies = ask(lambda client: client.erase(which, count_only=True))
    if not bodies:
        say("There is nothing to erase.")
        return
    confirmed(f"Erase the bodies of {count(bodies, 'record')}? This cannot be undone.", yes)
    done = ask(lambda client: client.erase(which, reason))
    say(f"Erased the bodies of {count(done, 'record')}. That they were, why and by whom, is recorded.")


async def _verified(client: AsyncClient) -> VerifyReport:
    """Verify, with a bar on a terminal."""
    if not sys.stderr.isatty():
        return await client.verify()
    from llmasos.shell.progress import bars

    with bars() as bar:
        tasks: dict[str, Any] = {}

        def tell(step: Any) -> None:
            task = tasks.setdefault(step.step, None)
            if task is None:
                task = tasks[step.step] = bar.add_task(display(translated(step.step)), amount="")
            amount = translated(f"{step.done:,} of {step.total:,}") if step.total else ""
            bar.update(task, completed=step.done, total=step.total or None, amount=amount)

        return await client.verify(tell)


def _key_in(file: Path) -> str:
    try:
        key = file.read_text(encoding="ascii").strip().removeprefix("0x")
        if len(bytes.fromhex(key)) != 32:
            raise ValueError
    except OSError as error:
        raise LLMasOSError(f"{file} cannot be read: {error.strerror}.", hint="Check its name.") from error
    except ValueError:
        # Not chained: the cause might hold the key.
        raise LLMasOSError(
            f"{file} holds no private key.", hint="It is one line of 64 hexadecimal digits."
        ) from None
    return key
