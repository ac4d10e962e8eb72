"""Certificates: what they are good for, and for how long."""

from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from llmasos.federated.deployment.certificates import (
    check,
    make_authority,
    make_link,
    make_node_key,
    public_of,
    write_private,
)
from llmasos.federated.port import FederatedError

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def handshake(authority: bytes, host: str, certificate: Path, key: Path) -> None:
    """Let a client that trusts an authority meet a server, in memory."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.load_verify_locations(cadata=authority.decode())
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, key)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(down, up, server_hostname=host)
    server = serving.wrap_bio(up, down, server_side=True)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue


@pytest.fixture
def files(tmp_path: Path) -> tuple[bytes, Path, Path]:
    authority = make_authority("hospitals")
    link = make_link(authority, ("192.0.2.7", "fd00::7", "link.example"))
    write_private(tmp_path / "link.pem", link.certificate)
    write_private(tmp_path / "key.pem", link.key)
    return authority.certificate, tmp_path / "link.pem", tmp_path / "key.pem"


@pytest.mark.parametrize("host", ["192.0.2.7", "fd00::7", "link.example"])
def test_a_link_is_trusted_under_the_names_that_it_was_given(
    files: tuple[bytes, Path, Path], host: str
) -> None:
    authority, certificate, key = files
    handshake(authority, host, certificate, key)


def test_it_is_trusted_under_no_other_name_and_by_no_other_authority(
    files: tuple[bytes, Path, Path],
) -> None:
    authority, certificate, key = files
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(authority, "192.0.2.8", certificate, key)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(make_authority("hospitals").certificate, "192.0.2.7", certificate, key)


def test_keys_are_of_the_kind_that_flower_takes() -> None:
    private, public = make_node_key()
    key = load_pem_public_key(public)
    assert isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp384r1"
    assert public_of(private) == public


def test_what_does_not_hold_says_when_and_what_to_do() -> None:
    authority = make_authority("h", now=NOW, days=30)
    check(authority.certificate, "The certificate", "Renew it.", NOW)
    with pytest.raises(FederatedError, match="The certificate expired on 26 December 2026") as error:
        check(authority.certificate, "The certificate", "Renew it.", NOW + timedelta(days=31))
    assert error.value.hint == "Renew it."
    with pytest.raises(FederatedError, match="holds from 26 November 2026, 11:55 UTC") as error:
        check(authority.certificate, "The certificate", "Renew it.", NOW - timedelta(days=1))
    assert "clock" in error.value.hint
    with pytest.raises(FederatedError, match="damaged"):
        check(b"nothing", "The certificate", "Renew it.")


def test_an_authority_signs_links_and_no_other_authorities() -> None:
    found = x509.load_pem_x509_certificate(make_authority("h").certificate)
    limits = found.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert limits.ca and limits.path_length == 0


def test_a_host_that_is_none_is_refused() -> None:
    with pytest.raises(FederatedError, match="is not a host's name"):
        make_link(make_authority("h"), ("ärzte",))


def test_private_files_are_for_their_owner_only(tmp_path: Path) -> None:
    write_private(tmp_path / "key", b"1")
    write_private(tmp_path / "key", b"2")
    assert (tmp_path / "key").read_bytes() == b"2"
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
