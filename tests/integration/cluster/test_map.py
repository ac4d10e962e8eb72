"""One command over many files in real sandboxes: here, and on three nodes of which one is killed."""

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from llmasos.agent.executors import executor
from llmasos.api import ToolCall, TurnRequest
from llmasos.cluster import Executor, nodes
from llmasos.cluster._tree import end_tree
from llmasos.cluster.nodes import Offer
from llmasos.cluster.records import Node
from llmasos.config import Settings
from llmasos.events import ActionFinished
from llmasos.kernel import Kernel
from llmasos.ledger import Filter
from llmasos.sandbox import FakeSandbox
from llmasos.tools import KernelContext
from llmasos.tools.mapping import map_files

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

FILES = 200


class Context:
    """What the tool gets, and what it told."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.sandbox = FakeSandbox(folder, backend="bubblewrap")
        self.settings = settings
        self.lines: list[dict[str, Any]] = []
        self.watch: Any = lambda done: None

    def executor(self, cluster: str, jobs: int) -> Executor:
        return executor(self.settings, cluster, jobs)

    def output(self, stream: str, text: str) -> None:
        self.lines.append(json.loads(text))

    def progress(self, what: str, done: float, total: float, unit: str = "") -> None:
        if what == "Running":
            self.watch(done)

    async def map(self, **arguments: Any) -> str:
        self.lines.clear()
        given = map_files.validate({"save_as": "", **arguments})
        return str(await map_files.run(cast(KernelContext, self), given))

    def answers(self) -> list[tuple[object, ...]]:
        return [(line["item"], line["status"], line["exit_code"], line["output"]) for line in self.lines]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings with their folders under a short name, as Ray needs."""
    monkeypatch.setenv("LLMASOS_SANDBOX", "bubblewrap")
    with tempfile.TemporaryDirectory(prefix="m-") as name:
        monkeypatch.setattr(tempfile, "tempdir", name)
        monkeypatch.setenv("LLMASOS_DATA_DIR", f"{name}/data")
        monkeypatch.setenv("LLMASOS_RUNTIME_DIR", f"{name}/run")
        yield Settings()


@pytest.fixture
def folder(settings: Settings) -> Path:
    folder = settings.data_dir.parent / "folder"
    (folder / "texts").mkdir(parents=True)
    for number in range(FILES):
        (folder / "texts" / f"{number:03}.txt").write_text("word " * number)
    (folder / "secret.txt").write_text("not sent along")
    return folder


@pytest.fixture
def three(settings: Settings) -> Iterator[list[Node]]:
    """Three nodes of this machine, each with one core."""
    head = nodes.up(port=0, offer=Offer(cpus=1), name="a")
    yield [head, *(nodes.join(head.address, offer=Offer(cpus=1), name=name) for name in "bc")]
    nodes.down()


COMMAND = 'wc -w < {}; ls; echo mine > {.}.out; test "{/.}" != 007'


def expected() -> list[tuple[object, ...]]:
    return [
        (f"texts/{n:03}.txt", "failed" if n == 7 else "ok", int(n == 7), f"{n}\ntexts\n")
        for n in range(FILES)
    ]


async def test_each_file_is_alone_in_its_sandbox_and_the_folder_stays_as_it_was(
    settings: Settings, folder: Path
) -> None:
    ctx = Context(folder, settings)
    before = {path: path.stat() for path in folder.rglob("*")}
    text = await ctx.map(files=["texts/*.txt"], command=COMMAND)
    assert text.startswith("199 of 200 items done, 1 failed.\ntexts/007.txt: exit code 1: texts")
    assert ctx.answers() == expected()
    assert {path: path.stat() for path in folder.rglob("*")} == before

    left = "ls -A /tmp /dev/shm . | grep -v home; touch /tmp/left /dev/shm/left left; sleep 1000 &"
    await ctx.map(items=["1", "2", "3", "4"], command=f"{left} true")
    assert [line["status"] for line in ctx.lines] == ["ok"] * 4
    assert all("left" not in line["output"] for line in ctx.lines)
    assert not list((settings.data_dir / "errands").iterdir())

    await ctx.map(items=["1", "60", "2"], command="sleep {}; echo up", timeout=3)
    assert [line["status"] for line in ctx.lines] == ["ok", "timeout", "ok"]
    await ctx.map(items=["a"], code="def run(item):\n    return 1 / 0")
    assert ctx.lines[0]["status"] == "failed" and "ZeroDivisionError" in ctx.lines[0]["output"]


async def test_three_machines_give_the_same_answers_while_one_of_them_is_killed(
    settings: Settings, folder: Path, three: list[Node]
) -> None:
    ctx = Context(folder, settings)
    killed: list[int] = []

    def kill(_: float) -> None:
        # Not before each of them has answered.
        if len({line["where"] for line in ctx.lines}) >= 3 and not killed:
            killed.append(three[2].pid)
            end_tree([three[2].pid])

    ctx.watch = kill
    text = await ctx.map(files=["texts"], command=COMMAND, cluster="auto")
    assert killed and text.startswith("199 of 200 items done, 1 failed.")
    assert ctx.answers() == expected()
    assert len({line["where"] for line in ctx.lines}) >= 3
    assert os.getpid() not in {int(line["where"].split()[1]) for line in ctx.lines}


async def test_a_call_of_a_person_is_one_intent_and_one_outcome(settings: Settings, folder: Path) -> None:
    async with Kernel(settings) as kernel:
        session = await kernel.sessions.create(folder)
        arguments = {"files": ["texts/00*.txt"], "command": "wc -w < {}", "save_as": "counts.jsonl"}
        call = ToolCall(tool="map_files", arguments=arguments)
        await session.start(TurnRequest(text="count: wc -w < {}", approve="deny", call=call))
        await session.wait()
        events = await session.stream.read()
        [ended] = [event for event in events if isinstance(event, ActionFinished)]
        assert ended.status == "ok" and ended.result.startswith("10 of 10 items done, 0 failed.")
        # Nothing is written before the person has seen it.
        assert not (folder / "counts.jsonl").exists()
        [change] = (await session.workbench.diff()).changes
        assert change.path == "counts.jsonl"
        kinds = [one.kind for one in await kernel.ledger.records(Filter(session=session.id))]
        assert kinds.count("intent") == kinds.count("outcome") == 1
