"""The tool `map_files`: what it runs over, what it tells, and what becomes of the results."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, cast

import pytest

from llmasos.agent.executors import executor
from llmasos.cluster import ClusterError, FakeExecutor
from llmasos.config import Settings
from llmasos.errors import ToolError
from llmasos.sandbox import FakeSandbox, Outcome
from llmasos.tools import KernelContext, mapping
from llmasos.tools._errand import Item, Rules, line_for
from llmasos.tools.mapping import map_files

pytestmark = pytest.mark.anyio


def pretended(rules: Rules, item: Item) -> Outcome:
    """Say what would be run, and fail where the item says so."""
    if item.text == "crash":
        raise RuntimeError("no sandbox")
    known = " ".join(sorted(rules.along))
    text = f"{line_for(rules.command, item.text)} | {(item.content or b'-').decode()} | {known}\n"
    failed = item.text == "bad.txt"
    return Outcome(
        status="failed" if failed else "ok", exit_code=2 * failed, output=text, seconds=0.5, backend="x"
    )


class Context:
    """What the tool gets, and what it told."""

    def __init__(self, folder: Path, data: Path, deaths: dict[int, int] | None = None) -> None:
        self.sandbox = FakeSandbox(folder)
        self.settings = Settings(data_dir=data)
        self.text = ""
        self.steps: list[tuple[str, float, float]] = []
        self.ended = FakeExecutor(deaths)

    def executor(self, cluster: str, jobs: int) -> FakeExecutor:
        return self.ended

    def output(self, stream: str, text: str) -> None:
        self.text += text

    def progress(self, what: str, done: float, total: float, unit: str = "") -> None:
        self.steps.append((what, done, total))

    async def map(self, **arguments: Any) -> str:
        given = map_files.validate(arguments)
        return str(await map_files.run(cast(KernelContext, self), given))


@pytest.fixture
def ctx(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setattr(mapping, "carry_out", pretended)
    for name in ("a.txt", "bad.txt", "sub/c.txt", "tool.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"in {name}")
    return Context(folder, tmp_path / "data")


async def test_results_are_a_file_of_the_view_in_order_with_their_hash(ctx: Context, folder: Path) -> None:
    text = await ctx.map(files=["[ab]*.txt", "sub", "a.txt"], command="wc {}", along=["tool.py"])
    saved = (folder / "map.jsonl").read_bytes()
    results = [json.loads(line) for line in saved.splitlines()]
    assert [result["item"] for result in results] == ["a.txt", "bad.txt", "sub/c.txt"]
    assert results[0] == {
        "index": 0,
        "item": "a.txt",
        "status": "ok",
        "exit_code": 0,
        "output": "wc a.txt | in a.txt | tool.py\n",
        "seconds": 0.5,
        "where": "this process",
        "tries": 1,
    }
    assert text.splitlines() == [
        "2 of 3 items done, 1 failed.",
        "bad.txt: exit code 2: wc bad.txt | in bad.txt | tool.py",
        f"SHA-256 of the results: {hashlib.sha256(saved).hexdigest()}",
        "Saved in map.jsonl, a line of JSON for each item.",
    ]
    assert ctx.steps[-1] == ("Running", 3, 3)
    assert not list((ctx.settings.data_dir / "maps").iterdir())


async def test_texts_are_run_over_too_and_results_are_printed_where_no_file_is_named(ctx: Context) -> None:
    await ctx.map(items=["x y", "crash"], files=["a.txt"], command="echo", skip=["a.txt"], save_as="")
    first, second = map(json.loads, ctx.text.splitlines())
    assert first["output"] == "echo 'x y' | - | \n"
    assert (second["item"], second["status"]) == ("crash", "lost")
    assert "no sandbox" in second["output"]
    await ctx.map(items=["x", "x", "x"], command="echo", skip=["x"], save_as="")
    assert [json.loads(line)["item"] for line in ctx.text.splitlines()[2:]] == ["x", "x"]


async def test_an_item_whose_worker_dies_is_run_again_as_often_as_was_said(
    ctx: Context, folder: Path, tmp_path: Path
) -> None:
    ctx.ended = FakeExecutor({0: 2, 1: 9})
    text = await ctx.map(items=["a", "b"], command="true", settings={"tries": 3}, save_as="")
    assert [json.loads(line)["tries"] for line in ctx.text.splitlines()] == [3, 3]
    assert text.startswith("1 of 2 items done, 1 failed.\nb: lost: Task 1 was begun 3 times")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"files": ["a.txt"]}, "One of command and code"),
        ({"files": ["a.txt"], "command": "x", "code": "y"}, "One of command and code"),
        ({"command": "x"}, "nothing to run it over"),
        ({"command": "x", "files": ["*.none"]}, "No file matches"),
        ({"command": "x", "files": ["/etc/passwd"]}, "passwd"),
        ({"command": "x", "files": ["none.txt"]}, "none.txt"),
    ],
)
async def test_what_cannot_be_run_is_said(ctx: Context, arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ToolError, match=why):
        await ctx.map(**arguments)
    assert ctx.ended.begun == []


@pytest.mark.parametrize("cluster", ["auto", "10.0.0.1:6379"])
def test_nothing_is_sent_to_a_cluster_that_nobody_has_joined(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMASOS_DATA_DIR", str(tmp_path))
    with pytest.raises(ClusterError, match="belongs to no cluster"):
        executor(Settings(), cluster, 0)


@pytest.mark.parametrize(
    ("command", "item", "line"),
    [
        ("wc -l", "a.txt", "wc -l a.txt"),
        ("cp {} {.}.bak", "d/a b.txt", "cp 'd/a b.txt' 'd/a b'.bak"),
        ("echo {/} {/.}", "d/a.tar.gz", "echo a.tar.gz a.tar"),
        ("cat {}", "-rf", "cat ./-rf"),
        ("echo {}", "{/}; rm x $(y)", "echo '{/}; rm x $(y)'"),
    ],
)
def test_an_item_is_one_word_of_its_line(command: str, item: str, line: str) -> None:
    assert line_for(command, item) == line


def test_a_text_that_begins_with_a_dash_is_itself() -> None:
    assert line_for("expr {} + 1", "-5", file=False) == "expr -5 + 1"


async def test_a_name_that_looks_like_a_glob_is_a_name(ctx: Context, folder: Path) -> None:
    (folder / "a[1].txt").write_text("one")
    (folder / "a1.txt").write_text("other")
    assert "1 of 1 items done" in await ctx.map(files=["a[1].txt"], command="cat", save_as="")
    assert "a[1].txt" in ctx.text and "a1.txt" not in ctx.text
