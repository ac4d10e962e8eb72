"""A time-stamping authority (RFC 3161) as a place outside."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from llmasos.errors import ConfigError
from llmasos.ledger.anchors.port import AnchorError, AnchorMismatch, Statement
from llmasos.net import OutOfReach, Reach

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

        from llmasos.net.transport import checked_client

        answer = b""
        try:
            with anyio.fail_after(REQUEST_SECONDS):
                async with (
                    checked_client(Reach((self._url,)), timeout=REQUEST_SECONDS) as client,
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
        except (httpx2.HTTPError, httpx2.InvalidURL, OutOfReach) as error:
            raise self._silent(str(error) or type(error).__name__) from error
        return answer

    def _time(self, statement: Statement, answer: bytes, nonce: int | None) -> str:
        library = _library()
        try:
            status = library.PKIStatus(_status(answer))
            if status != library.PKIStatus.GRANTED:
                raise self._silent(f"it granted no time stamp: {status.name.lower()}")
            response = library.decode_timestamp_response(_in_order(answer))
        except (ValueError, IndexError) as error:
            raise self._false("it is not a time-stamp response") from error
        builder = library.VerifierBuilder(roots=self._certificates(), nonce=nonce)
        try:
            imprint = response.tst_info.message_imprint
            if imprint.hash_algorithm.dotted_string != _SHA256:
                raise self._false("it is not over a SHA-256")
            builder.build().verify(response, hashlib.sha256(statement.content).digest())
        except (library.VerificationError, ValueError) as error:
            raise self._false(str(error).strip().rstrip(".")) from error
        time: datetime = response.tst_info.gen_time
        return time.astimezone(UTC).isoformat()

    def _certificates(self) -> list[Any]:
        import ssl

        from cryptography.x509 import load_der_x509_certificate

        roots = self._roots or _trusted()
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(roots)
            # A few old roots that machines trust have serial numbers that are not allowed any more.
            found = [root for root in context.get_ca_certs(binary_form=True) if _serial(root) > 0]
            return [load_der_x509_certificate(root) for root in found]
        except (OSError, ValueError, IndexError) as error:
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


def _status(answer: bytes) -> int:
    """Return the status of a time-stamp response; the library reads none that holds no time stamp."""
    _, place, _ = _element(answer, 0)
    _, place, _ = _element(answer, place)
    _, start, end = _element(answer, place)
    return int.from_bytes(answer[start:end])


def _serial(certificate: bytes) -> int:
    """Return a certificate's serial number."""
    _, place, _ = _element(certificate, 0)
    _, place, _ = _element(certificate, place)
    if certificate[place] == 0xA0:
        _, _, place = _element(certificate, place)
    _, start, end = _element(certificate, place)
    return int.from_bytes(certificate[start:end], signed=True)


def _in_order(answer: bytes) -> bytes:
    """Return a time-stamp response with the certificates in it in the order that DER wants.

    Authorities give them in the order of their chain, which the library refuses. They are not part of what is
    signed. What cannot be walked through is returned as it is, and refused by the library.
    """
    try:
        # The response, its second part (the token), the token's second part, and in that the signed data.
        _, place, _ = _element(answer, 0)
        _, place, _ = _element(answer, _element(answer, place)[2])
        _, place, _ = _element(answer, _element(answer, place)[2])
        _, place, _ = _element(answer, place)
        for _ in range(3):
            place = _element(answer, place)[2]
        tag, first, end = _element(answer, place)
        certificates, place = [], first
        while tag == 0xA0 and place < end:
            after = _element(answer, place)[2]
            certificates.append(answer[place:after])
            place = after
        return answer[:first] + b"".join(sorted(certificates)) + answer[first + sum(map(len, certificates)) :]
    except IndexError:
        return answer


def _element(data: bytes, place: int) -> tuple[int, int, int]:
    """Return the tag of an element of DER, where its content begins, and where it ends."""
    tag, size, start = data[place], data[place + 1], place + 2
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(data[place + 2 : start])
    if start + size > len(data):
        raise IndexError
    return tag, start, start + size


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
