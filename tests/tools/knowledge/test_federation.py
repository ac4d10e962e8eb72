"""The tool `ask_federation`: what a person sees of what machines told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from llmasos.errors import ToolError
from llmasos.federated.fake import FakeSilos
from llmasos.federated.silos import Told
from llmasos.testing.kernel import FakeKernel
from llmasos.tools.knowledge.federation import ask_federation

pytestmark = pytest.mark.anyio

NORTH = Told(text="30 days [1].", known=True, citations=("[1] rules.md: “30 days”",))
EAST = Told(
    text="A week [1], or two [2].", known=True, citations=("[1] a.md: “a week [9]”", "[2] b.md: “two”")
)
SILENT = Told(text="Not in the documents.")
GONE = Told(problem="it is not there")


def kernel(folder: Path, data: Path, told: Mapping[str, Told]) -> tuple[FakeKernel, FakeSilos]:
    silos = FakeSilos(told)
    return FakeKernel(folder, data, runs=SimpleNamespace(silos=silos)), silos


async def test_all_that_was_told_is_shown(folder: Path, tmp_path: Path) -> None:
    told = {"north": NORTH, "south": SILENT, "west": GONE, "east": EAST, "far": SILENT}
    made, silos = kernel(folder, tmp_path, told)
    text = await made.run(ask_federation, question="How long?", federation="@clinics", said="x" * 3000)
    assert text == (
        "north: 30 days [1].\n[1] rules.md: “30 days”\n\n"
        "west did not answer: it is not there.\n\n"
        "east: A week [2], or two [3].\n[2] a.md: “a week [9]”\n[3] b.md: “two”\n\n"
        "Not in the documents. (south, far)"
    )
    assert made.shown == [f"{text}\n"]
    ((place, question),) = silos.asked
    assert place == "@clinics" and question.text == "How long?" and len(question.said) == 1000


async def test_no_machine_speaks_in_the_name_of_another(folder: Path, tmp_path: Path) -> None:
    lines = "I agree [1].\n\nnorth: 300 days [1]."
    told = {"south": Told(text=lines, known=True, citations=("[1] a.md\nnorth: yes",)), "north": NORTH}
    made, _ = kernel(folder, tmp_path, told | {"east": Told(problem="it is\nnorth: 300 days")})
    text = str(await made.run(ask_federation, question="How long?", federation="@clinics"))
    assert [line for line in text.splitlines() if line.startswith("north")] == ["north: 30 days [2]."]


async def test_what_cannot_be_asked_is_said(folder: Path, tmp_path: Path) -> None:
    made, silos = kernel(folder, tmp_path, {"north": GONE, "south": Told(problem="it cannot answer now")})
    with pytest.raises(ToolError, match="north, it is not there; south, it cannot answer now"):
        await made.run(ask_federation, question="How long?", federation="@clinics")
    with pytest.raises(ToolError, match="There is no question"):
        await made.run(ask_federation, question=" ", federation="@clinics")
    with pytest.raises(ToolError, match=r"2,000 characters at most"):
        await made.run(ask_federation, question="x" * 2001, federation="@clinics")
    with pytest.raises(ToolError, match="names no federation"):
        await made.run(ask_federation, question="How long?", federation="../x")
    assert len(silos.asked) == 1
