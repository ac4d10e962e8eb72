"""What `llmasos ledger` writes for others, and checks: proofs of actions, and exports of records."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from llmasos.errors import LLMasOSError
from llmasos.shell.ask import ask
from llmasos.shell.modules import run_module
from llmasos.shell.output import say, standard_output, write_file
from llmasos.shell.selection import Action, Kinds, Session, Since, Tool, Until, What, chosen

if TYPE_CHECKING:
    from llmasos.client import AsyncClient

EXIT_CODES = {"ok": 0, "bad": 1, "usage": 2, "pending": 3, "unreachable": 4}
_FORMATS: dict[bool, tuple[Literal["html", "json"], str]] = {
    False: ("html", "ledger.html"),
    True: ("json", "ledger.jsonl"),
}

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite the file.")]


def prove(
    what: What,
    output: Annotated[str, typer.Option("-o", "--output", help="The file; - prints it.")] = "",
    up_to_anchor: Annotated[
        bool, typer.Option("--up-to-anchor", help="Lead it up to a block that a place outside vouches for.")
    ] = False,
    force: Force = False,
) -> None:
    """Write a file that proves an action, and check it.

    It convinces whoever knows one block's hash.
    """
    import json

    path = None if output == "-" else free_path(output or f"{_file_name(what)}.proof.json", force)
    proof = ask(lambda client: client.prove(what, up_to_anchor=up_to_anchor))
    # Of ASCII names, text and small integers this is the canonical form (RFC 8785), which a proof must have.
    text = json.dumps(proof, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    if path is None:
        write_file(text)
        return
    write_whole(path, text)
    say(f"Wrote {path}, {len(text.encode()):,} bytes. What a stranger finds in it:")
    say()
    found = _check(path)
    say()
    say(f"Whoever gets it runs: llmasos ledger check {path} --block-hash HASH")
    say("with the hash as a node of the chain, or a place outside, gives it. `--rpc URL` asks a node.")
    # A proof that is sound and waits for somebody to confirm the block's hash is what is expected here.
    raise typer.Exit(0 if found in (EXIT_CODES["ok"], EXIT_CODES["pending"]) else found)


def check(
    file: Annotated[Path, typer.Argument(help="A file of `llmasos ledger prove`.")],
    block_hash: Annotated[
        str, typer.Option("--block-hash", help="The block's hash, from somebody else.")
    ] = "",
    rpc: Annotated[str, typer.Option("--rpc", help="The URL of a node that knows it.")] = "",
    account: Annotated[str, typer.Option("--account", help="The account that must have signed.")] = "",
    as_json: AsJson = False,
) -> None:
    """Check a proof with only the file and a block's hash.

    No kernel is needed.

    Exit codes: 0 proved, 1 forged or broken, 2 usage, 3 sound but the block's hash is not confirmed, 4 the
    node could not be asked.
    """
    if not file.is_file():
        raise LLMasOSError(f"There is no file {file}.", hint="`llmasos ledger prove ACTION` writes one.")
    given = {"--block-hash": block_hash, "--rpc": rpc, "--account": account}
    options = [word for name, value in given.items() if value for word in (name, value)]
    raise typer.Exit(_check(file, *options, *(["--json"] if as_json else [])))


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
    """Write records with their proofs to one page, or JSON lines.

    The page needs no server.
    """
    if as_json and html:
        raise typer.BadParameter("it goes not together with --html.", param_hint="--json")
    kind_of_file, name = _FORMATS[as_json]
    which = chosen(session, action, tool, kind, since, until)
    path = None if output == "-" else free_path(output or name, force)

    async def read(client: AsyncClient) -> int:
        size = 0
        # What breaks off half-way must not pass for the whole.
        part = path.with_name(f"{path.name}.part") if path else None
        try:
            async with client.export(which, kind_of_file) as pieces:
                with part.open("wb") if part else nullcontext(standard_output()) as file:
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
        say(f"Wrote {path}, {size:,} bytes.")


def _check(file: Path, *options: str) -> int:
    # What checks a proof knows nothing else of ours.
    return run_module("llmasos.ledger.check", str(file), *options)


def _file_name(what: str) -> str:
    safe = "".join(char if char.isalnum() or char in "-_" else "_" for char in what)[:100]
    return f"record-{safe}" if safe.isdecimal() else safe


def free_path(name: str, force: bool) -> Path:
    """Return where a file is to be written.

    Raises:
        LLMasOSError: It is there already and is not to be overwritten, or its folder is not there.
    """
    path = Path(name)
    if path.exists() and not force:
        raise LLMasOSError(f"{path} exists.", hint="Name another file with -o, or overwrite it with --force.")
    if not path.parent.is_dir():
        raise LLMasOSError(
            f"There is no folder {path.parent}.", hint="Make it, or name another file with -o."
        )
    return path


def write_whole(path: Path, text: str) -> None:
    """Write a file.

    Raises:
        LLMasOSError: It cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path | None, error: OSError) -> LLMasOSError:
    return LLMasOSError(
        f"{path or 'The standard output'} cannot be written: {error.strerror}.",
        hint="Name another file with -o.",
    )


COMMANDS = (prove, check, export)
