"""Certificates and keys of a federation: its own authority, the link's certificate, the nodes' keys."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from llmasos.federated.port import FederatedError

DAYS = 825
"""How long certificates last: the longest that all common software takes."""

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")

_CLOCKS = timedelta(minutes=5)
"""How far back certificates begin, for machines whose clocks are behind."""


@dataclass(frozen=True)
class Issued:
    """A certificate and its private key, both as PEM."""

    certificate: bytes
    key: bytes


def make_authority(name: str, now: datetime | None = None, days: int = DAYS) -> Issued:
    """Return a new authority, which signs certificates of this federation only."""
    key = ec.generate_private_key(ec.SECP384R1())
    subject = _named(f"{name}: authority")
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _begun(subject, subject, key.public_key(), now, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA384())
    )
    return Issued(certificate.public_bytes(serialization.Encoding.PEM), _private(key))


def make_link(
    authority: Issued, hosts: tuple[str, ...], now: datetime | None = None, days: int = DAYS
) -> Issued:
    """Return a link's certificate, signed by an authority.

    Args:
        authority: Signs it.
        hosts: The names and addresses under which the link is reached; no others will be trusted.
        now: When it begins.
        days: How long it lasts.

    Raises:
        FederatedError: A host cannot be one.
    """
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    signer = serialization.load_pem_private_key(authority.key, None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP384R1())
    certificate = (
        _begun(_named(hosts[0]), issuer.subject, key.public_key(), now, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([host_name(host) for host in hosts]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA384())
    )
    return Issued(certificate.public_bytes(serialization.Encoding.PEM), _private(key))


def make_node_key() -> tuple[bytes, bytes]:
    """Return a new node's private key (PKCS #8) and public key (SPKI), both as PEM."""
    key = ec.generate_private_key(ec.SECP384R1())
    return _private(key), public_of(_private(key))


def public_of(private: bytes) -> bytes:
    """Return the public key (SPKI) that belongs to a private one, both as PEM."""
    key = serialization.load_pem_private_key(private, None)
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def host_name(host: str) -> x509.GeneralName:
    """Return a host's name or address as certificates hold it.

    Raises:
        FederatedError: It cannot be one.
    """
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        pass
    if not _HOST.fullmatch(host):
        raise FederatedError(
            f"{host!a} is not a host's name.", hint="Name a host or an address, as in --host 192.0.2.7"
        )
    return x509.DNSName(host)


def check(certificate: bytes, what: str, hint: str, now: datetime | None = None) -> None:
    """Look whether a certificate holds at this time.

    Args:
        certificate: As PEM.
        what: What it is, for people.
        hint: What to do when it does not hold.
        now: The time; the clock's when left out.

    Raises:
        FederatedError: It has expired, does not hold yet, or is none.
    """
    now = now or datetime.now(UTC)
    try:
        found = x509.load_pem_x509_certificate(certificate)
    except ValueError:
        raise FederatedError(f"{what} is damaged.", hint=hint) from None
    if found.not_valid_after_utc < now:
        raise FederatedError(f"{what} expired on {found.not_valid_after_utc:%d %B %Y}.", hint=hint)
    if found.not_valid_before_utc > now:
        raise FederatedError(
            f"{what} holds from {found.not_valid_before_utc:%d %B %Y, %H:%M} UTC on, and this machine's "
            f"clock says {now:%d %B %Y, %H:%M} UTC.",
            hint="Set the clock right.",
        )


def ends(certificate: bytes) -> datetime:
    """Return when a certificate (PEM) ends."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only this user can read, whole or not at all."""
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.unlink(missing_ok=True)
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime | None,
    days: int,
) -> x509.CertificateBuilder:
    now = now or datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS)
        .not_valid_after(now + timedelta(days=days))
    )


def _named(name: str) -> x509.Name:
    # The standard allows 64 characters.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
