"""The tool `ask_files`: each input is asked about by itself, and answers come in order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from llmasos.errors import ModelError, ToolError
from llmasos.sandbox import FakeSandbox
from llmasos.tools import KernelContext
from llmasos.tools.asking import ask_files

pytestmark = pytest.mark.anyio


class Context:
    """What the tool gets; the first of its questions is answered last."""

    def __init__(self, folder: Path) -> None:
        self.sandbox = FakeSandbox(folder)
        self.text = ""
        self.asked: list[tuple[str, str, int]] = []
        self.most = self._now = 0
        self._all_asked = anyio.Event()

    async def ask(self, instructions: str, text: str, *, max_tokens: int) -> str:
        self.asked.append((instructions, text, max_tokens))
        self._now += 1
        self.most = max(self.most, self._now)
        if text == "first":
            await self._all_asked.wait()
        elif text == "last":
            self._all_asked.set()
        self._now -= 1
        if text == "bad":
            raise ModelError("The model returned nothing.")
        return text.upper()

    def output(self, stream: str, text: str) -> None:
        self.text += text

    def progress(self, what: str, done: float, total: float, unit: str = "") -> None: ...

    async def run(self, **arguments: Any) -> str:
        return str(await ask_files.run(cast(KernelContext, self), ask_files.validate(arguments)))


async def test_each_is_asked_about_by_itself_so_many_at_once_and_answers_are_in_order(folder: Path) -> None:
    ctx = Context(folder)
    items = ["first", "b", "bad", "skipped", "c", "last", "skipped"]
    text = await ctx.run(
        instruction="Shout.", items=items, skip=["skipped"], jobs=2, max_tokens=9, save_as=""
    )
    results = [json.loads(line) for line in ctx.text.splitlines()]
    assert [(one["item"], one["status"], one["output"]) for one in results] == [
        ("first", "ok", "FIRST"),
        ("b", "ok", "B"),
        ("bad", "failed", "The model returned nothing."),
        ("c", "ok", "C"),
        ("last", "ok", "LAST"),
        ("skipped", "ok", "SKIPPED"),
    ], "what comes twice is left out as often as it is done"
    assert text.startswith("5 of 6 items done, 1 failed.\nbad: failed: The model returned nothing.")
    assert ctx.most == 2
    assert {(said.startswith("Shout.\n"), limit) for said, _, limit in ctx.asked} == {(True, 9)}


async def test_files_are_read_in_the_view_and_answers_saved_there(folder: Path) -> None:
    ctx = Context(folder)
    (folder / "sub").mkdir()
    (folder / "sub" / "a.txt").write_text("one")
    (folder / "sub" / "empty.txt").write_text("")
    (folder / "sub" / "image").write_bytes(b"\0\1")
    text = await ctx.run(instruction="Shout.", files=["sub", "sub/a.txt"])
    results = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    assert [(one["item"], one["status"]) for one in results] == [
        ("sub/a.txt", "ok"),
        ("sub/empty.txt", "failed"),
        ("sub/image", "failed"),
    ]
    assert [asked[1] for asked in ctx.asked] == ["one"]
    assert text.endswith("Saved in answers.jsonl, a line of JSON for each item.")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"instruction": " ", "files": ["notes.txt"]}, "no instruction"),
        ({"instruction": "x"}, "nothing to do it to"),
        ({"instruction": "x", "files": ["*.none"]}, "No file matches"),
    ],
)
async def test_what_cannot_be_asked_is_said(folder: Path, arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ToolError, match=why):
        await Context(folder).run(**arguments)
