"""Federations: made, opened, invited to, joined."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from llmasos.federated.deployment import certificates
from llmasos.federated.deployment.certificates import make_authority, public_of
from llmasos.federated.deployment.federation import Federation
from llmasos.federated.deployment.invitation import Invitation
from llmasos.federated.deployment.site import Site, offer_data
from llmasos.federated.joined import is_joined, joined_sources
from llmasos.federated.port import FederatedError


@pytest.fixture
def region(tmp_path: Path) -> Federation:
    return Federation.make(tmp_path, "region", hosts=("192.0.2.7", "lead.example"), port=9444, bind="0.0.0.0")


def test_a_federation_is_found_again_and_its_files_are_private(tmp_path: Path, region: Federation) -> None:
    assert Federation.open(tmp_path, "region") == region
    assert Federation.all(tmp_path) == [region]
    assert (region.hosts, region.port) == (("192.0.2.7", "lead.example"), 9444)
    assert (region.address, region.bind) == ("192.0.2.7:9444", "0.0.0.0")
    files = [path for path in region.path.rglob("*") if path.is_file()]
    assert files and all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)


def test_what_is_not_possible_is_said(tmp_path: Path, region: Federation) -> None:
    for name, port, said in [
        ("region", 1, "There is a federation region already"),
        ("../up", 1, "is not a name"),
        ("other", 0, "0 is not a port"),
    ]:
        with pytest.raises(FederatedError, match=said):
            Federation.make(tmp_path, name, hosts=("192.0.2.7",), port=port)
    for hosts, bind, said in [
        (("http://lead",), "", "'http://lead' is not a host's name"),
        (("lead.example",), "", "No address to listen on is named"),
        (("lead.example",), "lead.example", "'lead.example' is not an address"),
    ]:
        with pytest.raises(FederatedError, match=said):
            Federation.make(tmp_path, "other", hosts=hosts, bind=bind)
    with pytest.raises(FederatedError, match="There is no federation moon") as error:
        Federation.open(tmp_path, "moon")
    assert "llmasos federated init moon" in error.value.hint
    (region.path / "federation.toml").write_text("name = 1")
    with pytest.raises(FederatedError, match="is damaged"):
        Federation.open(tmp_path, "region")
    assert [path.name for path in tmp_path.iterdir()] == ["region"]


def test_an_invitation_holds_what_another_machine_needs(tmp_path: Path, region: Federation) -> None:
    invitation = region.invite("north")
    assert invitation.address == "192.0.2.7:9444"
    assert region.nodes == {"north": public_of(invitation.key.encode()).decode()}
    again = region.invite("north")
    assert again.key != invitation.key and len(region.nodes) == 1
    region.dismiss("north")
    assert not region.nodes
    with pytest.raises(FederatedError, match="north is not in the federation"):
        region.dismiss("north")


def test_joining_keeps_the_key_private_and_names_no_rows(tmp_path: Path, region: Federation) -> None:
    bundle = tmp_path / "north.json"
    bundle.write_text(region.invite("north").model_dump_json())
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    site = Site(bundle, root=tmp_path / "site")
    offer_data(site, str(tmp_path / "rows.csv"))
    file = tmp_path / "site" / "region" / "north" / "node.json"
    told = json.loads(file.read_text())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert told["name"] == "north" and told["data"]["sources"] == [str(tmp_path / "rows.csv")]
    with pytest.raises(FederatedError, match="The invitation is for north, not for south"):
        Site(bundle, "south", root=tmp_path / "site")


def test_an_invitation_that_is_none_or_is_over_is_refused(tmp_path: Path, region: Federation) -> None:
    bundle = tmp_path / "bundle.json"
    with pytest.raises(FederatedError, match="cannot be read"):
        Site(bundle, root=tmp_path / "site")
    whole = region.invite("north").model_dump()
    for damaged in [
        "{}",
        json.dumps({**whole, "key": "a key"}),
        json.dumps({**whole, "more": 1}),
        json.dumps({**whole, "name": "../x"}),
    ]:
        bundle.write_text(damaged)
        with pytest.raises(FederatedError, match="is not an invitation"):
            Site(bundle, root=tmp_path / "site")
    bundle.write_text(json.dumps({**whole, "address": "lead.example"}))
    with pytest.raises(FederatedError, match="names no host and port"):
        Site(bundle, root=tmp_path / "site")
    long_ago = make_authority("region", now=datetime(2020, 1, 1, tzinfo=UTC), days=1)
    old = Invitation.model_validate(
        {**region.invite("north").model_dump(), "authority": long_ago.certificate.decode()}
    )
    bundle.write_text(old.model_dump_json())
    with pytest.raises(FederatedError, match="expired on 02 January 2020"):
        Site(bundle, root=tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_certificates_that_are_over_are_found_and_renewed(region: Federation) -> None:
    past = datetime.now(UTC) - timedelta(days=certificates.DAYS + 1)
    authority = make_authority("region", now=past)
    (region.path / "authority.pem").write_bytes(authority.certificate)
    with pytest.raises(FederatedError, match="The authority's certificate of the federation region expired"):
        region.check()
    with pytest.raises(FederatedError, match="expired"):
        region.invite("north")
    region.renew()
    region.check()


def test_sources_of_a_federation_are_told_from_files() -> None:
    assert joined_sources(("@region/north", "@region/south")) == [("region", "north"), ("region", "south")]
    assert joined_sources(("north.csv", "iris")) == []
    assert not any(map(is_joined, ("@region", "scans@64x64", "@a/b/c", "@../up")))
    for mixed in [("@region/north", "south.csv"), ("@region/north", "@other/south")]:
        with pytest.raises(FederatedError):
            joined_sources(mixed)
