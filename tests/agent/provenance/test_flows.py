"""What was put into a file goes with it, whatever the file is called."""

from __future__ import annotations

import pytest

from llmasos.agent.provenance.flows import Flows
from llmasos.decisions import ArgumentOrigin, Source, Span

FOUND = ArgumentOrigin(
    argument="content",
    spans=(Span(text="some words of it", source=Source(kind="file", name="customers.csv")),),
)


@pytest.mark.parametrize(
    ("reads", "writes", "origins", "unseen", "holds"),
    [
        (["customers.csv"], ["report.txt"], (), False, True),
        (["report.csv"], ["report.txt"], (), False, False),
        (["."], ["report.tar"], (), False, True),
        ([], ["report.txt"], (FOUND,), False, True),
        ([], ["report.txt"], (), True, True),
        ([], ["report.txt"], (), False, False),
        (["report.txt"], ["report.txt"], (), False, False),
        (["report.csv"], ["report.txt"], (), True, False),
        ([], [], (FOUND,), True, False),
    ],
)
def test_a_file_holds_what_flowed_into_it(
    reads: list[str], writes: list[str], origins: tuple[ArgumentOrigin, ...], unseen: bool, holds: bool
) -> None:
    flows = Flows()
    flows.add(reads, writes, origins, lambda path: "report" in path, unseen=unseen)
    assert any(flows.holds(path) for path in ("report.txt", "./report.tar")) is holds


def test_it_goes_on_from_file_to_file_and_with_their_folders() -> None:
    flows = Flows()
    flows.add(["customers.csv"], ["out/report-a"], (), lambda path: "report" in path, unseen=False)
    flows.add(["out/report-a"], ["report-b"], (), lambda path: "report" in path, unseen=False)
    assert flows.holds("report-b") and flows.holds("out") and flows.holds("report-b/x")
    assert flows.holds("rep*") and flows.holds(".")
    assert not flows.holds("other/report")
