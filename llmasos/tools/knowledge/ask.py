"""Questions over documents: those of the workspace, or collections that were added before."""

from __future__ import annotations

from collections.abc import Sequence

from llmasos.errors import KnowledgeError, ToolError
from llmasos.extras import installed
from llmasos.sandbox import FileInfo
from llmasos.tools._staging import found_files, is_there
from llmasos.tools.kernel import Capabilities, KernelContext, kernel_tool
from llmasos.tools.knowledge.answer import answer, citations

_PASSAGES = 4
_TOKENS = 400
_MOST_FILES = 200
_MOST_BYTES = 60_000_000
_PIECE = 1_000_000


@kernel_tool(
    capabilities=Capabilities(reads=True, asks_model=True, sources={"*": "file"}),
    examples=[
        ("notice.txt 里会议在哪天？", 'ask_documents(question="会议在哪天？", path="notice.txt")'),
        (
            "does our support knowledge say how to reset the router?",
            'ask_documents(question="How is the router reset?", knowledge="support")',
        ),
        (
            "ask @clinics how long patients may keep a device",
            'ask_documents(question="How long may patients keep a device?", knowledge="@clinics")',
        ),
        (
            "how much is the fee, according to terms.html?",
            'ask_documents(question="How much is the fee?", path="terms.html")',
        ),
        (
            "根据 说明书.pdf，第一次要充电多久？",
            'ask_documents(question="第一次要充电多久？", path="说明书.pdf")',
        ),
        (
            "according to contract.md, who pays for repairs?",
            'ask_documents(question="Who pays for repairs?", path="contract.md")',
        ),
    ],
)
async def ask_documents(
    ctx: KernelContext, question: str, path: str | None = None, knowledge: str = "", said: str = ""
) -> str:
    """Answers a question from documents (PDF, DOCX, HTML, Markdown, text), with citations.

    Args:
        question: The question.
        path: A document of the workspace, or a folder of them.
        knowledge: In its place, the collection to search, or a federation, `@NAME`; empty for all.
        said: What was asked and answered before.
    """
    if not question.strip():
        raise ToolError("There is no question.", hint="Say what is to be found out.")
    if path is not None and knowledge:
        raise ToolError("Give ask_documents either a path or a knowledge collection, not both.")
    if knowledge.startswith("@"):
        if not installed("flwr"):
            raise ToolError(
                "Federations cannot be asked: that is not installed.",
                hint="Install it with `pip install 'llmasos[federated]'`, then `llmasos stop`.",
            )
        # Who reaches other machines is asked about by itself.
        call = {"question": question, "federation": knowledge, "said": said}
        return str(await ctx.hand_on("ask_federation", call))
    asked = f"{said[-300:]}\n{question}" if said.strip() else question
    ctx.progress("Searching", 0, 2)
    try:
        there = [one.name for one in await ctx.shelf.collections()]
        knowledge = _collection(knowledge, there)
        if knowledge and knowledge not in there:
            path, knowledge = await _meant(ctx, knowledge, there), ""
        if path is None:
            found = await ctx.shelf.search([knowledge] if knowledge else [], asked, _PASSAGES)
        else:
            found = await ctx.shelf.search_in(await _files(ctx, path), asked, _PASSAGES, ctx.progress)
    except KnowledgeError as error:
        raise ToolError(error.message, hint=error.hint) from error
    ctx.progress("Answering", 1, 2)

    async def ask(instructions: str, text: str, examples: Sequence[tuple[str, str]]) -> str:
        return await ctx.ask(instructions, text, max_tokens=_TOKENS, examples=examples)

    told = await answer(ask, question, found, said)
    text = "\n".join((told.text, *(("", *citations(told)) if told.known else ())))
    ctx.output("stdout", f"{text}\n")
    return text


def _collection(said: str, there: Sequence[str]) -> str:
    """Return the one collection that is named among other words; else what was said."""
    named = [name for name in there if name in said.lower().split()]
    return named[0] if len(named) == 1 and said not in there else said


async def _meant(ctx: KernelContext, name: str, there: Sequence[str]) -> str:
    """Return the folder or document that somebody called a collection.

    Raises:
        KnowledgeError: There is none; no other collection takes the place of one that was named.
    """
    if await is_there(ctx.sandbox, name):
        return name
    # A name without its end is as good.
    listing = await ctx.sandbox.list(".", pattern=f"{name}.*", depth=1)
    if len(listing.entries) == 1:
        return listing.entries[0].path
    raise KnowledgeError(
        f"There is no collection {name!r}, and no file of that name.",
        hint=f"There are: {', '.join(there)}."
        if there
        else f"Add documents: llmasos knowledge add {name} FILES",
    )


async def _files(ctx: KernelContext, path: str) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    size = 0
    found = await found_files(ctx.sandbox, [path])
    if len(found) > _MOST_FILES:
        raise _too_much()
    for info in found:
        size += info.size
        if size > _MOST_BYTES:
            raise _too_much()
        files[info.path] = await _whole(ctx, info)
    return files


async def _whole(ctx: KernelContext, info: FileInfo) -> bytes:
    held = b""
    while len(held) < info.size:
        piece = await ctx.sandbox.read(info.path, offset=len(held), limit=_PIECE)
        held += piece.data
        if not piece.data:
            break
    return held


def _too_much() -> ToolError:
    return ToolError(
        f"More than {_MOST_FILES} documents or {_MOST_BYTES // 1_000_000} MB are too many for one question.",
        hint="Add them as knowledge once: llmasos knowledge add NAME FILES",
    )
