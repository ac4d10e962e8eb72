"""The account that signs, and where its key comes from."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from llmasos.errors import LedgerError
from llmasos.ledger._contract import transaction_hash
from llmasos.ledger._digest import keccak
from llmasos.ledger.chains.port import Fees, Signed
from llmasos.ledger.chains.values import minimal, shown

if TYPE_CHECKING:
    from coincurve import PrivateKey

KEY_BYTES = 32


class Account:
    """A key that signs transactions (EIP-1559) and is never shown.

    Args:
        key: The private key.

    Raises:
        ValueError: It is not one; the text does not say what it is.
    """

    def __init__(self, key: bytes) -> None:
        from coincurve import PrivateKey

        if len(key) != KEY_BYTES:
            raise ValueError("it is not a key of 32 bytes")
        try:
            self._key: PrivateKey = PrivateKey(key)
        except ValueError:
            raise ValueError("it is not a key of the curve") from None
        public = self._key.public_key.format(compressed=False)
        self.address = shown(keccak(public[1:])[12:])

    def sign(
        self, chain_id: int, nonce: int, to: str | None, data: bytes, gas: int, fees: Fees, value: int
    ) -> Signed:
        """Sign a transaction; the same arguments give the same bytes (RFC 6979).

        RLP and the compiled curve alone take a fortieth of the time of `eth_account`.
        """
        import rlp

        numbers = [minimal(number) for number in (chain_id, nonce, fees.tip, fees.cap, gas)]
        fields = [*numbers, bytes.fromhex(to[2:]) if to is not None else b"", minimal(value), data, []]
        digest = keccak(b"\x02" + rlp.encode(fields))
        signature = self._key.sign_recoverable(digest, hasher=None)
        r, s = (minimal(int.from_bytes(part, "big")) for part in (signature[:32], signature[32:64]))
        raw = b"\x02" + rlp.encode([*fields, minimal(signature[64]), r, s])
        return Signed(raw, transaction_hash(raw))

    def __repr__(self) -> str:
        return f"Account({self.address!r})"


def account_of(key: str) -> Account:
    """Return the account of a key in hexadecimal.

    Raises:
        LedgerError: It is not a key.
    """
    try:
        return Account(bytes.fromhex(key.strip().removeprefix("0x")))
    except ValueError:
        raise LedgerError(
            "The key of the ledger's account cannot be used: it is not 32 bytes in hexadecimal.",
            hint="Give the private key as 64 hexadecimal digits.",
        ) from None


def account_in(path: Path, *, make: bool = False, key: str = "") -> Account:
    """Return the account whose key is in a file.

    Args:
        path: The file; only its user may read it.
        make: Whether a missing file is made.
        key: The key for a file that is made, in hexadecimal; empty for one of its own.

    Raises:
        LedgerError: It cannot be read or made, others can read it, or it holds something else.
    """
    try:
        if make:
            _make(path, key or os.urandom(KEY_BYTES).hex())
        with path.open() as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(1000)
    except (OSError, ValueError) as error:
        # The text of a ValueError could hold the key.
        raise _unusable(
            path, error.strerror or "" if isinstance(error, OSError) else "it is not text"
        ) from None
    if stat.S_IMODE(mode) & 0o077:
        raise LedgerError(
            f"The key of the ledger's account in {path} can be read by other users.",
            hint=f"Run `chmod 600 {path}`, and consider the key as known to them.",
        )
    try:
        return Account(bytes.fromhex(text.strip().removeprefix("0x")))
    except ValueError:
        raise _unusable(path, "it is not a key") from None


def _make(path: Path, key: str) -> None:
    """Make a file with a key, unless there is one; it gets its name once all of it is on the disk."""
    if path.exists():
        return
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".key-") as file:
        file.write(key.strip().removeprefix("0x") + "\n")
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(file.name, path)
    _sync(path.parent)


def replace_key(path: Path, by: Path) -> None:
    """Let one key's file take another's place, for good when this returns.

    Raises:
        LedgerError: It cannot be replaced.
    """
    try:
        by.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise _unusable(by, error.strerror or "") from None


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unusable(path: Path, reason: str) -> LedgerError:
    return LedgerError(
        f"The key of the ledger's account in {path} cannot be used: {reason}.",
        hint="Put a copy of it back; without it, what it owns on the chain is lost.",
    )
