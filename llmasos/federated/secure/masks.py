"""Keys, streams and whole numbers: what both sides of secure aggregation reckon with."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from flwr.common.secure_aggregation.crypto.symmetric_encryption import generate_shared_key
from flwr.supercore.primitives.asymmetric import (
    bytes_to_public_key,
    generate_key_pairs,
    public_key_to_bytes,
)

Vector = npt.NDArray[np.uint64]
"""Whole numbers modulo 2^64."""

RECORD = "secure"
"""The configuration record that says what a stage is about."""
MASKED = "masked"
LEAST = 3
"""Of a sum of two, each of the two can tell the other's part."""

_SECRET_BYTES = 48
_BITS = 24
_ROOM = 2.0**62


def new_keys() -> tuple[bytes, bytes]:
    """Return a secret key, as its bare number, and its public key."""
    secret, public = generate_key_pairs()
    number = secret.private_numbers().private_value
    return number.to_bytes(_SECRET_BYTES, "big"), public_key_to_bytes(public)


def public_of(secret: bytes) -> bytes:
    """Return the public key of a secret one.

    Raises:
        ValueError: It is none.
    """
    return public_key_to_bytes(_private(secret).public_key())


def agreed(secret: bytes, public: bytes) -> bytes:
    """Return the key that two parties share, in the form that sealing takes."""
    return generate_shared_key(_private(secret), bytes_to_public_key(public))


def _private(secret: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP384R1())


def stream(seed: bytes, count: int) -> Vector:
    """Return uniform numbers that only who has the seed of 32 bytes can tell from chance (AES-256-CTR)."""
    # A seed makes one stream only, so its counter may begin at nothing.
    cipher = Cipher(algorithms.AES(seed), modes.CTR(bytes(16))).encryptor()
    return np.frombuffer(cipher.update(bytes(8 * count)), dtype="<u8").astype(np.uint64, copy=False)


def shared_stream(secret: bytes, public: bytes, count: int) -> Vector:
    """Return the stream that two parties share."""
    return stream(base64.urlsafe_b64decode(agreed(secret, public)), count)


def signed(mine: int, other: int, mask: Vector) -> Vector:
    """Return what a client adds for a shared stream: the neighbour adds the opposite."""
    return mask if mine > other else np.negative(mask)


def encoded(values: npt.NDArray[np.float64], clients: int) -> Vector:
    """Return numbers in units of 2^-24, modulo 2^64.

    Raises:
        ValueError: One is not finite, or so large that the clients' sum might not fit.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.rint(values * 2.0**_BITS)
        if not (np.abs(scaled) <= _ROOM / clients).all():
            raise ValueError("the update is not finite, or too large for secure aggregation")
    return scaled.astype(np.int64).view(np.uint64)


def decoded(vector: Vector) -> npt.NDArray[np.float64]:
    """Return the numbers of a sum."""
    return vector.view(np.int64).astype(np.float64) * 2.0**-_BITS


def flat(
    arrays: Mapping[str, npt.NDArray[Any]], reference: Mapping[str, npt.NDArray[Any]]
) -> npt.NDArray[np.float64]:
    """Return the difference of weights as one vector in float64, in the reference's order."""
    parts = [
        (arrays[name].astype(np.float64) - like.astype(np.float64)).ravel()
        for name, like in reference.items()
    ]
    return np.concatenate(parts)


def unflat(
    update: npt.NDArray[np.float64], reference: Mapping[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[Any]]:
    """Return the reference plus a vector, in float64."""
    arrays, start = {}, 0
    for name, like in reference.items():
        part = update[start : start + like.size].reshape(like.shape)
        arrays[name] = like.astype(np.float64) + part
        start += like.size
    return arrays
