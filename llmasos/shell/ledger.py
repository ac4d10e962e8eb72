"""`llmasos ledger`: look at what was recorded, verify it, prove it to others."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from llmasos.errors import LLMasOSError
from llmasos.shell.ask import ask, confirmed
from llmasos.shell.words import count

if TYPE_CHECKING:
    from llmasos.api import RecordFilter, VerifyReport
    from llmasos.client import AsyncClient

EXIT_CODES = {"ok": 0, "bad": 1, "usage": 2, "pending": 3, "unreachable": 4}
_FORMATS: dict[bool, tuple[Literal["html", "json"], str]] = {
    False: ("html", "ledger.html"),
    True: ("json", "ledger.jsonl"),
}

ledger_app = typer.Typer(
    help="Look at what was recorded, verify it, and prove it to others.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

What = Annotated[str, typer.Argument(help="An action such as a-d3c29fb6056b, or a record's number.")]
Session = Annotated[str, typer.Option("--session", help="Only this session.")]
Action = Annotated[str, typer.Option("--action", help="Only this action.")]
Tool = Annotated[str, typer.Option("--tool", help="Only this tool.")]
Kinds = Annotated[
    list[str] | None, typer.Option("--kind", help="Only this kind, such as outcome; repeatable.")
]
Since = Annotated[str, typer.Option("--since", help="Only from then on: 2h, yesterday, 2026-11-24.")]
Until = Annotated[str, typer.Option("--until", help="Only before that.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite the file.")]


@ledger_app.command()
def status(as_json: AsJson = False) -> None:
    """Show where the ledger stands: chain, records, what it cost, anchors, what went wrong last."""
    from llmasos.shell.records import status_lines

    info = ask(lambda client: client.ledger())
    _show([info.model_dump_json()] if as_json else status_lines(info))


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

    chosen = _filter(session, action, tool, kind, since, until).model_dump()
    query = RecordQuery(**chosen, limit=limit, bodies=True)
    shown = 0

    async def list_them(client: AsyncClient) -> None:
        nonlocal shown
        if follow:
            async with client.follow_records(query) as records:
                async for record in records:
                    print(record.model_dump_json() if as_json else record_line(record), flush=True)
            raise LLMasOSError("The kernel has ended.", hint="Run the command again: it starts anew.")
        for record in await client.records(**query.model_dump(exclude={"follow"})):
            print(record.model_dump_json() if as_json else record_line(record))
            shown += 1

    ask(list_them)
    if not shown and not as_json:
        print("Nothing is recorded that fits.", file=sys.stderr)


@ledger_app.command()
def show(what: What, as_json: AsJson = False) -> None:
    """Show everything that is known of an action or a record."""
    from llmasos.shell.records import record_lines

    records = ask(lambda client: client.show_record(what))
    _show((one.model_dump_json() for one in records) if as_json else record_lines(records))


@ledger_app.command()
def verify(as_json: AsJson = False) -> None:
    """Recompute everything and compare it with the chain, the anchors and the sessions.

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
    _show([report.model_dump_json()] if as_json else report_lines(report))
    raise typer.Exit(EXIT_CODES[report.finding])


@ledger_app.command()
def prove(
    what: What,
    output: Annotated[str, typer.Option("-o", "--output", help="The file; - prints it.")] = "",
    up_to_anchor: Annotated[
        bool, typer.Option("--up-to-anchor", help="Lead it up to a block that a place outside vouches for.")
    ] = False,
    force: Force = False,
) -> None:
    """Write a file that proves an action to somebody who knows one block's hash, and check it."""
    import json

    path = None if output == "-" else _free(output or f"{_file_name(what)}.proof.json", force)
    proof = ask(lambda client: client.prove(what, up_to_anchor=up_to_anchor))
    # Of ASCII names, text and small integers this is the canonical form (RFC 8785), which a proof must have.
    text = json.dumps(proof, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    if path is None:
        sys.stdout.write(text)
        return
    _write(path, text)
    print(f"Wrote {path}, {len(text.encode()):,} bytes. What a stranger finds in it:\n", flush=True)
    found = _check(path)
    print(f"\nWhoever gets it runs: llmasos ledger check {path} --block-hash HASH")
    print("with the hash as a node of the chain, or a place outside, gives it. `--rpc URL` asks a node.")
    # A proof that is sound and waits for somebody to confirm the block's hash is what is expected here.
    raise typer.Exit(0 if found in (EXIT_CODES["ok"], EXIT_CODES["pending"]) else found)


@ledger_app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A file of `llmasos ledger prove`.")],
    block_hash: Annotated[
        str, typer.Option("--block-hash", help="The block's hash, from somebody else.")
    ] = "",
    rpc: Annotated[str, typer.Option("--rpc", help="The URL of a node that knows it.")] = "",
    account: Annotated[str, typer.Option("--account", help="The account that must have signed.")] = "",
    as_json: AsJson = False,
) -> None:
    """Check a proof with nothing but the file and a block's hash; no kernel is needed.

    Exit codes: 0 proved, 1 forged or broken, 2 usage, 3 sound but the block's hash is not confirmed, 4 the
    node could not be asked.
    """
    if not file.is_file():
        raise LLMasOSError(f"There is no file {file}.", hint="`llmasos ledger prove ACTION` writes one.")
    given = {"--block-hash": block_hash, "--rpc": rpc, "--account": account}
    options = [word for name, value in given.items() if value for word in (name, value)]
    raise typer.Exit(_check(file, *options, *(["--json"] if as_json else [])))


@ledger_app.command()
def export(
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines.")] = False,
    html: Annotated[bool, typer.Option("--html", help="One page that checks itself; the default.")] = False,
    session: Session = "",
    action: Action = "",
    tool: Tool = "",
    kind: Kinds = None,
    since: Since = "",
    until: Until = "",
    output: Annotated[str, typer.Option("-o", "--output", help="The file; - prints it.")] = "",
    force: Force = False,
) -> None:
    """Write records with their proofs to one page that needs no server, or to JSON lines."""
    if as_json and html:
        raise typer.BadParameter("it goes not together with --html.", param_hint="--json")
    kind_of_file, name = _FORMATS[as_json]
    which = _filter(session, action, tool, kind, since, until)
    path = None if output == "-" else _free(output or name, force)

    async def read(client: AsyncClient) -> int:
        size = 0
        # What breaks off half-way must not pass for the whole.
        part = path.with_name(f"{path.name}.part") if path else None
        try:
            async with client.export(which, kind_of_file) as pieces:
                with part.open("wb") if part else nullcontext(sys.stdout.buffer) as file:
                    async for piece in pieces:
                        size += file.write(piece)
            if part and path:
                part.replace(path)
        except OSError as error:
            raise _unwritable(path, error) from error
        finally:
            if part:
                part.unlink(missing_ok=True)
        return size

    size = ask(read)
    if path:
        print(f"Wrote {path}, {size:,} bytes.")


@ledger_app.command()
def anchor(target: Annotated[str, typer.Argument(help="One place; by default all.")] = "") -> None:
    """Have the places outside vouch for the records so far."""
    from llmasos.shell.records import anchor_line

    for made in ask(lambda client: client.anchor(target)):
        print(anchor_line(made, 0))


@ledger_app.command("rotate-key")
def rotate_key(
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="A file with the new key; by default one is made.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Hand the ledger to another key; the old one can add nothing any more."""
    key = _key_in(key_file) if key_file else ""
    confirmed("Hand the ledger to another key? The old one can add nothing afterwards.", yes)
    print(f"The account is now {ask(lambda client: client.rotate_key(key))}.")
    if key_file:
        print(
            f"Set LLMASOS_LEDGER__KEY_FILE to {key_file.absolute()} before the kernel starts the next time."
        )


@ledger_app.command()
def erase(
    action: Annotated[str, typer.Argument(help="The action whose bodies are erased.")] = "",
    session: Annotated[str, typer.Option("--session", help="Those of a session.")] = "",
    before: Annotated[str, typer.Option("--before", help="Those made before: 180d, 2026-11-24.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why; it is recorded.")] = "",
    yes: Yes = False,
) -> None:
    """Erase what was recorded; that it was recorded, and when, stays provable."""
    if not (action or session or before):
        raise typer.BadParameter("name an action, --session or --before.", param_hint="ACTION")
    if not reason.strip():
        raise typer.BadParameter("say why; it is recorded.", param_hint="--reason")
    which = _filter(session, action, until=before)
    bodies = ask(lambda client: client.erase(which, count_only=True))
    if not bodies:
        print("There is nothing to erase.")
        return
    confirmed(f"Erase the bodies of {count(bodies, 'record')}? This cannot be undone.", yes)
    done = ask(lambda client: client.erase(which, reason))
    print(f"Erased the bodies of {count(done, 'record')}. That they were, why and by whom, is recorded.")


async def _verified(client: AsyncClient) -> VerifyReport:
    """Verify, with a bar on a terminal."""
    if not sys.stderr.isatty():
        return await client.verify()
    from rich.progress import Progress

    from llmasos.shell.render import make_console

    with Progress(console=make_console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def tell(step: Any) -> None:
            task = tasks.setdefault(step.step, None)
            if task is None:
                task = tasks[step.step] = bar.add_task(step.step)
            bar.update(task, completed=step.done, total=step.total or None)

        return await client.verify(tell)


def _filter(
    session: str = "",
    action: str = "",
    tool: str = "",
    kinds: list[str] | None = None,
    since: str = "",
    until: str = "",
) -> RecordFilter:
    from llmasos.api import RecordFilter
    from llmasos.shell.times import parse_time

    return RecordFilter(
        session=session,
        action=action,
        tool=tool,
        kinds=tuple(kinds or ()),
        since=parse_time(since),
        until=parse_time(until),
    )


def _check(file: Path, *options: str) -> int:
    # In a process of its own: what checks a proof knows nothing else of ours.
    command = [sys.executable, "-m", "llmasos.ledger.check", str(file), *options]
    try:
        return subprocess.call(command)
    except KeyboardInterrupt:
        return 130


def _show(lines: Any) -> None:
    for line in lines:
        print(line)


def _file_name(what: str) -> str:
    safe = "".join(char if char.isalnum() or char in "-_" else "_" for char in what)[:100]
    return f"record-{safe}" if safe.isdecimal() else safe


def _free(name: str, force: bool) -> Path:
    path = Path(name)
    if path.exists() and not force:
        raise LLMasOSError(f"{path} exists.", hint="Name another file with -o, or overwrite it with --force.")
    if not path.parent.is_dir():
        raise LLMasOSError(
            f"There is no folder {path.parent}.", hint="Make it, or name another file with -o."
        )
    return path


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path | None, error: OSError) -> LLMasOSError:
    return LLMasOSError(
        f"{path or 'The standard output'} cannot be written: {error.strerror}.",
        hint="Name another file with -o.",
    )


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
