"""Files of computed prefixes: whose they are, and whether they are whole, is checked before they are used."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
from pathlib import Path

_MAGIC = b"llmasos prefix 1\n"
_DIGEST = 32
_BLOCK = 2**20
_KEPT = 8
_MOST_BYTES = 2**30
_ABANDONED_SECONDS = 3600


def read_prefix(path: Path, named: str, into: int) -> bool:
    """Copy a state out of a file, and return whether it is the one that was meant.

    A file of another user's, one that others may have written, one of another name and a damaged one are
    refused: the engine trusts what it restores.

    Args:
        path: The file.
        named: Everything that the state depends on.
        into: An open file.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    with open(file, "rb") as stream:
        info = os.fstat(file)
        private = stat.S_ISREG(info.st_mode) and info.st_uid == os.geteuid() and not info.st_mode & 0o077
        if not private or info.st_size > _MOST_BYTES or stream.read(len(_MAGIC)) != _MAGIC:
            return False
        known = stream.read(_DIGEST)
        digest = hashlib.sha256(named.encode())
        while block := stream.read(_BLOCK):
            digest.update(block)
            _write(into, block)
    return digest.digest() == known


def write_prefix(path: Path, named: str, state: int) -> None:
    """Write a state to a file that only this user can read; it appears when it is whole.

    Args:
        path: The file.
        named: Everything that the state depends on.
        state: An open file with the state.

    Raises:
        OSError: The disk is full.
    """
    if os.fstat(state).st_size > _MOST_BYTES - len(_MAGIC) - _DIGEST:
        return
    unfinished = path.with_name(f"{path.stem}.{os.getpid()}.{state}.tmp")
    unfinished.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(unfinished, flags, 0o600)
    try:
        try:
            _write(file, _MAGIC + bytes(_DIGEST))
            digest = hashlib.sha256(named.encode())
            place = 0
            while block := os.pread(state, _BLOCK, place):
                digest.update(block)
                _write(file, block)
                place += len(block)
            os.pwrite(file, digest.digest(), len(_MAGIC))
        finally:
            os.close(file)
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)


def prune_prefixes(folder: Path) -> None:
    """Delete the files that were used least lately, and those that were never finished."""
    found = []
    for file in folder.iterdir():
        with contextlib.suppress(OSError):
            found.append((file.lstat(), file))
    found.sort(key=lambda one: one[0].st_mtime, reverse=True)
    kept = size = 0
    for info, file in found:
        if file.suffix == ".slot":
            superfluous = kept == _KEPT or size + info.st_size > _MOST_BYTES
            if not superfluous:
                kept, size = kept + 1, size + info.st_size
        else:
            superfluous = file.suffix == ".tmp" and info.st_mtime < time.time() - _ABANDONED_SECONDS
        if superfluous:
            with contextlib.suppress(OSError):
                file.unlink()


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
