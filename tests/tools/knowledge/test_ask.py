"""The tool `ask_documents`: which documents it asks, and what is told where there are none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from llmasos.errors import KnowledgeError, ToolError
from llmasos.knowledge import CollectionInfo, Found, Passage
from llmasos.testing.kernel import FakeKernel
from llmasos.tools.knowledge import ask_documents

pytestmark = pytest.mark.anyio
HOLIDAYS = Found("rules.md", Passage("Everyone has 28 days of holiday.", "", "line 1"), 0.9, 1.0)


class Shelf:
    """A shelf that finds one passage, and keeps what it was asked."""

    def __init__(self, *collections: str) -> None:
        self.names = collections
        self.asked: list[tuple[Any, str]] = []

    async def collections(self) -> list[CollectionInfo]:
        return [CollectionInfo(name, 1, 1) for name in self.names]

    async def search(self, collections: Sequence[str], question: str, most: int) -> list[Found]:
        self.asked.append((list(collections), question))
        if not self.names:
            raise KnowledgeError("There are no documents to answer from.", hint="Add some.")
        return [HOLIDAYS]

    async def search_in(
        self, files: Mapping[str, bytes], question: str, most: int, progress: Callable[..., None]
    ) -> list[Found]:
        self.asked.append((dict(files), question))
        return [HOLIDAYS]


def kernel(folder: Path, data: Path, *collections: str) -> tuple[FakeKernel, Shelf]:
    shelf = Shelf(*collections)
    return FakeKernel(folder, data, lambda _, text: "28 days of holiday [1].", shelf=shelf), shelf


async def test_a_question_goes_to_what_is_named(folder: Path, tmp_path: Path) -> None:
    made, shelf = kernel(folder, tmp_path, "support", "staff")
    (folder / "docs").mkdir()
    (folder / "docs" / "big.txt").write_bytes(b"x" * 2_500_000)
    told = await made.run(ask_documents, question="How many days of holiday?", knowledge="staff")
    assert told == "28 days of holiday [1].\n\n[1] rules.md, line 1: “Everyone has 28 days of holiday.”"
    await made.run(ask_documents, question="How many days?")
    await made.run(ask_documents, question="How many days?", path="docs", said="Holidays?")
    assert shelf.asked == [
        (["staff"], "How many days of holiday?"),
        ([], "How many days?"),
        ({"docs/big.txt": b"x" * 2_500_000}, "Holidays?\nHow many days?"),
    ]


async def test_a_document_that_is_called_a_collection_is_found(folder: Path, tmp_path: Path) -> None:
    made, shelf = kernel(folder, tmp_path)
    (folder / "handbook.md").write_text("28 days")
    for name in ("handbook.md", "handbook"):
        await made.run(ask_documents, question="How many days?", knowledge=name)
    assert [asked for asked, _ in shelf.asked] == [{"handbook.md": b"28 days"}] * 2
    with pytest.raises(ToolError, match="There is no collection 'manuals', and no file of that name"):
        await made.run(ask_documents, question="How many days?", knowledge="manuals")
    made, shelf = kernel(folder, tmp_path, "support")
    with pytest.raises(ToolError, match="There is no collection 'manuals'") as found:
        await made.run(ask_documents, question="How many days?", knowledge="manuals")
    assert found.value.hint == "There are: support."
    assert not shelf.asked, "no other collection takes its place"


async def test_a_collection_is_found_among_the_words_around_its_name(folder: Path, tmp_path: Path) -> None:
    made, shelf = kernel(folder, tmp_path, "support", "house")
    await made.run(ask_documents, question="How many days?", knowledge="our House knowledge")
    assert shelf.asked == [(["house"], "How many days?")]
    with pytest.raises(ToolError, match="There is no collection 'house and support'"):
        await made.run(ask_documents, question="How many days?", knowledge="house and support")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"question": " "}, "There is no question"),
        ({"question": "What?", "path": "a", "knowledge": "b"}, "either a path or"),
        ({"question": "What?"}, "There are no documents to answer from"),
        ({"question": "What?", "path": "missing"}, "missing"),
    ],
)
async def test_what_cannot_be_asked_is_named(
    folder: Path, tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    made, _ = kernel(folder, tmp_path)
    with pytest.raises(ToolError, match=message):
        await made.run(ask_documents, **arguments)


async def test_a_federation_is_asked_by_a_tool_of_its_own(folder: Path, tmp_path: Path) -> None:
    made, shelf = kernel(folder, tmp_path, "support")
    assert await made.run(ask_documents, question="How long?", knowledge="@clinics", said="x") == "called"
    given = {"question": "How long?", "federation": "@clinics", "said": "x"}
    assert made.called == [("ask_federation", given)] and not shelf.asked
