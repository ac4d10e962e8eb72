"""`llmasos knowledge`: collections of documents that questions are answered from."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmasos.errors import LLMasOSError
from llmasos.shell.ask import ask, confirmed
from llmasos.shell.federations import run_federated
from llmasos.shell.output import say, say_found
from llmasos.shell.progress import watched
from llmasos.shell.proofs import AsJson
from llmasos.shell.words import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from llmasos.api.knowledge import KnowledgeDocument, KnowledgeInfo
    from llmasos.api.models import ModelProgress
    from llmasos.client import AsyncClient

knowledge_app = typer.Typer(
    help="Add documents, and answer questions from them.", rich_markup_mode=None, no_args_is_help=True
)

Collection = Annotated[str, typer.Argument(metavar="NAME", help="The collection.")]
_KNOWN = frozenset((".pdf", ".docx", ".html", ".htm", ".xhtml", ".md", ".markdown", ".txt", ".text", ".rst"))


@knowledge_app.command()
def add(
    name: Collection,
    files: Annotated[list[Path], typer.Argument(metavar="FILES", help="Documents, or folders of them.")],
    as_json: AsJson = False,
) -> None:
    """Add documents: PDF, DOCX, HTML, Markdown or text.

    A document with the same name takes the place of the old one.
    """
    failed = 0
    for path, called in _documents(files):
        try:
            data = path.read_bytes()
            found = watched(partial(_add, name=name, called=called, data=data))
        except (OSError, LLMasOSError) as error:
            failed += 1
            text = f"{path}: {error.strerror}." if isinstance(error, OSError) else str(error)
            for line in text.splitlines():
                say(line, err=True)
            continue
        say_found(found, as_json, lambda it: [_document_line(it)])
    if failed:
        raise typer.Exit(1)


async def _add(
    client: AsyncClient, tell: Callable[[ModelProgress], None], *, name: str, called: str, data: bytes
) -> KnowledgeDocument:
    return await client.add_document(name, called, data, tell)


@knowledge_app.command("list")
def list_knowledge(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="The documents of this collection.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the collections, or the documents of one."""
    if name:
        say_found(ask(lambda client: client.documents(name)), as_json, lambda all_: map(_document_line, all_))
        return
    found = ask(lambda client: client.collections())
    say_found(found, as_json, _collection_lines)


@knowledge_app.command()
def remove(
    name: Collection,
    document: Annotated[str, typer.Argument(metavar="[DOCUMENT]", help="Only this document.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a document, or a whole collection."""
    if not document:
        confirmed(f"Remove the collection {name} with all its documents?", yes)
    ask(lambda client: client.remove_knowledge(name, document))
    say(f"Removed {document or name}.")


@knowledge_app.command()
def serve(
    name: Collection,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8600,
    title: Annotated[str, typer.Option(help="What the page says at its top.")] = "",
    per_minute: Annotated[int, typer.Option(min=1, help="Questions of one visitor in a minute.")] = 10,
    at_once: Annotated[int, typer.Option(min=1, max=64, help="Questions that are answered at once.")] = 2,
    origin: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="A web origin that may ask; repeatable.")
    ] = None,
) -> None:
    """Answer visitors on a web page, with hand-over to a person.

    Visitors get answers from this collection and nothing else: the model is
    given passages and no tools.
    """
    from llmasos.support import Desk, serve_desk

    desk = Desk(
        collection=name,
        title=title or name,
        host=host,
        port=port,
        per_minute=per_minute,
        at_once=at_once,
        origins=tuple(origin or ()),
    )
    serve_desk(desk, say)


@knowledge_app.command()
def join(
    invitation: Annotated[Path, typer.Argument(metavar="INVITATION", help="Its file.")],
    name: Collection,
    quotes: Annotated[
        bool, typer.Option("--quotes/--no-quotes", help="Whether citations show a passage's words.")
    ] = True,
    per_minute: Annotated[int, typer.Option(min=1, help="Questions in a minute.")] = 10,
) -> None:
    """Answer a federation's questions; the documents stay here.

    Only answers and what they cite leave this machine. It goes on until Ctrl-C.
    """
    shown = () if quotes else ("--no-quotes",)
    run_federated("llmasos.silo", *shown, "--per-minute", str(per_minute), "--", str(invitation), name)


def _documents(files: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Yield documents, with what they are called: their path below the folder that was named."""
    for given in files:
        if given.is_dir():
            every = sorted(
                path for path in given.rglob("*") if path.suffix.lower() in _KNOWN and path.is_file()
            )
            inside = given.resolve()
            found = [path for path in every if path.resolve().is_relative_to(inside)]
            for path in every:
                if path not in found:
                    say(
                        f"{path} leads out of {given}, and is left out. Name it by itself to add it.",
                        err=True,
                    )
            if not found:
                raise LLMasOSError(
                    f"There is no document in {given}.", hint="PDF, DOCX, HTML, Markdown or text."
                )
            yield from ((path, path.relative_to(given).as_posix()) for path in found)
        elif given.is_file():
            yield given, given.name
        elif given.exists():
            raise LLMasOSError(f"{given} is no file.", hint="Name documents, or folders of them.")
        else:
            raise LLMasOSError(f"There is no file {given}.", hint="Name documents, or folders of them.")


def _document_line(document: KnowledgeDocument) -> str:
    notes = f" ({document.notes})" if document.notes else ""
    return f"{document.name}  {count(document.passages, 'passage')}, {document.size:,} bytes{notes}"


def _collection_lines(found: list[KnowledgeInfo]) -> Iterator[str]:
    for one in found:
        yield f"{one.name}  {count(one.documents, 'document')}, {count(one.passages, 'passage')}"
    if not found:
        yield "There is no collection. Make one: llmasos knowledge add NAME FILES"
