"""A time-stamping authority (RFC 3161) as a place outside."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from llmasos.errors import ConfigError
from llmasos.ledger.anchors.port import AnchorError, AnchorMismatch, Statement

if TYPE_CHECKING:
    from rfc3161_client import TimeStampResponse

REQUEST_SECONDS = 30.0
ANSWER_BYTES = 100_000
_SHA256 = "2.16.840.1.101.3.4.2.1"
_QUERY = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}


class TimestampAnchor:
    """Time stamps over statements; the token is the receipt, which anyone can check without the authority.

    `openssl ts -verify -digest DIGEST -in RECEIPT -CAfile ROOTS` checks one, too.

    Args:
        url: Where the authority answers.
        roots: A PEM file with the roots that are trusted; None for those that this machine trusts.

    Raises:
        ConfigError: The package `rfc3161-client` is not installed.
    """

    def __init__(self, url: str, roots: Path | None = None) -> None:
        self.target = f"rfc3161:{url}" + (f"#{roots}" if roots else "")
        self._url, self._roots = url, roots
        _library()

    async def put(self, statement: Statement) -> bytes:
        """Ask for a time stamp over a statement, and check the answer.

        Raises:
            AnchorError: The authority does not answer, or refuses.
            AnchorMismatch: Its answer is not a time stamp over this statement by somebody who is trusted.
        """
        library = _library()
        builder = library.TimestampRequestBuilder().data(statement.content)
        request = builder.hash_algorithm(library.HashAlgorithm.SHA256).nonce(nonce=True).build()
        answer = await self._ask(request.as_bytes())
        await anyio.to_thread.run_sync(self._time, statement, answer, request.nonce)
        return answer

    async def check(self, statement: Statement, receipt: bytes) -> str:
        """Return the time of the authority's clock; nothing is asked for it.

        Raises:
            AnchorError: The roots cannot be read.
            AnchorMismatch: The receipt is not a time stamp over this statement by somebody who is trusted.
        """
        return await anyio.to_thread.run_sync(self._time, statement, receipt, None)

    async def digests(self) -> list[bytes] | None:
        """Return None: an authority keeps nothing."""
        return None

    async def close(self) -> None:
        """Do nothing: the connection ends with each request."""

    async def _ask(self, request: bytes) -> bytes:
        import httpx2

        answer = b""
        try:
            with anyio.fail_after(REQUEST_SECONDS):
                async with (
                    httpx2.AsyncClient(timeout=REQUEST_SECONDS) as client,
                    client.stream("POST", self._url, content=request, headers=_QUERY) as response,
                ):
                    if response.status_code != httpx2.codes.OK:
                        raise self._silent(f"it answered with status {response.status_code}")
                    async for part in response.aiter_bytes():
                        answer += part
                        if len(answer) > ANSWER_BYTES:
                            raise self._silent(f"its answer is longer than {ANSWER_BYTES} bytes")
        except TimeoutError as error:
            raise self._silent(f"it did not answer within {REQUEST_SECONDS:.0f} seconds") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise self._silent(str(error) or type(error).__name__) from error
        return answer

    def _time(self, statement: Statement, answer: bytes, nonce: int | None) -> str:
        library = _library()
        try:
            response = library.decode_timestamp_response(answer)
            status = library.PKIStatus(response.status)
        except ValueError as error:
            raise self._false("it is not a time-stamp response") from error
        if status != library.PKIStatus.GRANTED:
            reason = "; ".join(response.status_string) or status.name.lower()
            raise self._silent(f"it granted no time stamp: {reason}")
        builder = library.VerifierBuilder(roots=self._certificates(), nonce=nonce)
        try:
            self._require_one_signer(response)
            imprint = response.tst_info.message_imprint
            if imprint.hash_algorithm.dotted_string != _SHA256:
                raise self._false("it is not over a SHA-256")
            builder.build().verify(response, hashlib.sha256(statement.content).digest())
        except (library.VerificationError, ValueError) as error:
            raise self._false(str(error).strip().rstrip(".")) from error
        time: datetime = response.tst_info.gen_time
        return time.astimezone(UTC).isoformat()

    def _require_one_signer(self, response: TimeStampResponse) -> None:
        """Refuse two certificates that claim to be the signer's.

        The library looks at the purpose of the first that it finds; the signature may be the other's.
        """
        from cryptography.x509 import load_der_x509_certificate

        signers = {(signer.issuer, signer.serial_number) for signer in response.signed_data.signer_infos}
        names = [
            (certificate.issuer, certificate.serial_number)
            for certificate in map(load_der_x509_certificate, response.signed_data.certificates)
        ]
        if len(signers) != 1 or names.count(signers.pop()) != 1:
            raise self._false("it does not hold exactly one certificate of its signer")

    def _certificates(self) -> list[Any]:
        from cryptography.x509 import load_pem_x509_certificates

        roots = self._roots or _trusted()
        try:
            return load_pem_x509_certificates(roots.read_bytes())
        except (OSError, ValueError) as error:
            raise AnchorError(
                f"The roots in {roots} cannot be read: {getattr(error, 'strerror', None) or error}.",
                hint="Give a file of certificates in PEM: `rfc3161:URL#FILE`.",
            ) from error

    def _silent(self, reason: str) -> AnchorError:
        return AnchorError(
            f"The time-stamping authority at {self._url} cannot be used: {reason}.",
            hint="Check the URL, or choose another authority.",
        )

    def _false(self, reason: str) -> AnchorMismatch:
        return AnchorMismatch(
            f"What {self._url} gave does not vouch for the statement: {reason}.",
            hint="Check that its root certificate is trusted: `rfc3161:URL#FILE`.",
        )


def _trusted() -> Path:
    import ssl

    import certifi

    system = ssl.get_default_verify_paths().cafile
    return Path(system or certifi.where())


def _library() -> Any:
    try:
        import rfc3161_client
    except ModuleNotFoundError as error:
        raise ConfigError(
            "Time stamps need the package rfc3161-client.",
            hint='Install it: pip install "llmasos[timestamps]".',
        ) from error
    return rfc3161_client
