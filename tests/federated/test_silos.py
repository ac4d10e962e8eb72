"""Whom a question goes to, and what is said when there is nobody to ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmasos.federated.deployment.federation import Federation
from llmasos.federated.port import FederatedError
from llmasos.federated.silos import LinkedSilos, Question, parted
from tests.ports import free_port

QUESTION = Question(text="When?")


@pytest.mark.parametrize(
    ("place", "named"),
    [
        ("@clinics", ("clinics", "")),
        ("clinics", ("clinics", "")),
        (" @clinics/north ", ("clinics", "north")),
        ("@a.b/c-1", ("a.b", "c-1")),
    ],
)
def test_a_place_names_a_federation_or_a_machine_of_one(place: str, named: tuple[str, str]) -> None:
    assert parted(place) == named


@pytest.mark.parametrize("place", ["", "@", "@a/", "@a/b/c", "../a", "@a b", "@\x1b[2J"])
def test_what_names_none_is_refused(place: str) -> None:
    with pytest.raises(FederatedError, match="names no federation") as found:
        parted(place)
    assert "\x1b" not in found.value.message


@pytest.mark.anyio
async def test_who_cannot_be_asked_is_named(tmp_path: Path) -> None:
    silos = LinkedSilos(tmp_path, join_seconds=0.1)
    with pytest.raises(FederatedError, match="There is no federation clinics"):
        await silos.ask("@clinics", QUESTION)
    clinics = Federation.make(tmp_path / "federations", "clinics", port=free_port())
    with pytest.raises(FederatedError, match="Nobody was invited to the federation clinics") as nobody:
        await silos.ask("@clinics", QUESTION)
    assert "llmasos federated invite clinics" in nobody.value.hint
    clinics.invite("north")
    with pytest.raises(FederatedError, match="Nobody is there to ask: north") as absent:
        await silos.ask("@clinics", QUESTION)
    assert "llmasos knowledge join" in absent.value.hint
    with pytest.raises(FederatedError, match="south was not invited"):
        await silos.ask("@clinics/south", QUESTION)
    # Questions and keys are not left behind.
    assert [path.name for path in tmp_path.iterdir()] == ["federations"]
