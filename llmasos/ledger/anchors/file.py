"""A file on another disk or host as a place outside."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from pydantic import BaseModel, ValidationError

from llmasos.ledger._digest import canonical
from llmasos.ledger.anchors.port import AnchorError, AnchorMismatch, Statement, read_receipt

SECONDS = 60.0
_START = b'{"anchor":"'
_LINE_BYTES = 10_000


T = TypeVar("T")


class _Receipt(BaseModel, frozen=True, extra="forbid"):
    """Where a statement lies: the number of its line, from 1."""

    line: int


class FileAnchor:
    """One line of JSON for each statement, added at the end and never rewritten.

    It vouches for as much as whoever can write the file cannot do: let it lie on another host, or on a disk
    that is write-once.

    Args:
        path: The file. Its folder must be there: one that is missing may be a disk that is not mounted.
    """

    def __init__(self, path: Path) -> None:
        self.target = f"file:{path}"
        self._path = path

    async def put(self, statement: Statement) -> bytes:
        """Add a line, unless there is one for this statement.

        Raises:
            AnchorError: The file cannot be read or written.
            AnchorMismatch: The file holds lines that are not statements.
        """
        line = await self._in_thread(self._add, statement)
        return _Receipt(line=line).model_dump_json().encode()

    async def check(self, statement: Statement, receipt: bytes) -> str:
        """Return the statement's own time if its line is there: a file has no clock.

        Raises:
            AnchorError: The file cannot be read.
            AnchorMismatch: The line is missing, or says something else.
        """
        number = read_receipt(_Receipt, receipt).line
        lines = dict(await self._in_thread(self._statements))
        if lines.get(number) != statement:
            wrong = "was rewritten" if number in lines else "was cut off or rewritten"
            raise AnchorMismatch(
                f"{self._path} {wrong}: line {number} is not the statement over {statement.records} records.",
                hint="Find out who can write this file; compare it with a backup.",
            )
        return statement.at

    async def digests(self) -> list[bytes]:
        """Return the digests of the statements in the file.

        Raises:
            AnchorError: The file cannot be read.
            AnchorMismatch: The file holds lines that are not statements.
        """
        return [statement.digest for _, statement in await self._in_thread(self._statements)]

    async def close(self) -> None:
        """Do nothing: the file is closed after each use."""

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        # A disk on a network that is gone holds its thread; it must not hold the ledger.
        try:
            with anyio.fail_after(SECONDS):
                return await anyio.to_thread.run_sync(work, *arguments, abandon_on_cancel=True)
        except TimeoutError as error:
            raise AnchorError(
                f"{self._path} did not answer within {SECONDS:.0f} seconds.",
                hint="Check the disk or the network that it lies on.",
            ) from error

    def _add(self, statement: Statement) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            new = not self._path.exists()
            descriptor = os.open(self._path, flags, 0o644)
            try:
                # Of two processes that write at once, the second must see the first one's line.
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return self._append(descriptor, statement)
            finally:
                os.close(descriptor)
                if new:
                    _sync_folder(self._path.parent)
        except OSError as error:
            raise self._unusable("written", error) from error

    def _append(self, descriptor: int, statement: Statement) -> int:
        self._require_file(descriptor)
        number = 0
        for number, line in enumerate(_lines(descriptor), 1):
            if self._read(number, line) == statement:
                # A crash may have left it in memory only.
                os.fsync(descriptor)
                return number
        said = {"anchor": statement.digest.hex(), "statement": statement.model_dump()}
        data = canonical(said) + b"\n"
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            # The line that a crash cut off stays as it is: nothing here is ever rewritten.
            data = b"\n" + data
        written = os.write(descriptor, data)
        if written != len(data):
            raise OSError(f"only {written} of {len(data)} bytes could be written")
        os.fsync(descriptor)
        return number + 1

    def _statements(self) -> list[tuple[int, Statement]]:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError as error:
            if self._path.parent.is_dir():
                return []
            raise self._unusable("read", error) from error
        except OSError as error:
            raise self._unusable("read", error) from error
        try:
            self._require_file(descriptor)
            read = ((number, self._read(number, line)) for number, line in enumerate(_lines(descriptor), 1))
            return [(number, statement) for number, statement in read if statement is not None]
        except OSError as error:
            raise self._unusable("read", error) from error
        finally:
            os.close(descriptor)

    def _read(self, number: int, line: bytes) -> Statement | None:
        """Return what a line says; None when a crash cut it off.

        One that was cut off on purpose is missed by its receipt, as one that was taken out would be.
        """
        try:
            said = json.loads(line)
            statement = Statement.model_validate(said["statement"])
            if said["anchor"] == statement.digest.hex():
                return statement
        except (ValueError, KeyError, TypeError, ValidationError):
            if not line.endswith(b"}") and (line.startswith(_START) or _START.startswith(line)):
                return None
        raise AnchorMismatch(
            f"Line {number} of {self._path} is not a statement of the ledger, or was altered.",
            hint="Choose a file that holds nothing else, or compare it with a backup.",
        )

    def _require_file(self, descriptor: int) -> None:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("it is not a file")

    def _unusable(self, done: str, error: OSError) -> AnchorError:
        if not self._path.parent.is_dir():
            return AnchorError(
                f"The folder {self._path.parent} does not exist.",
                hint="Create it, or mount the disk that it lies on.",
            )
        return AnchorError(
            f"{self._path} cannot be {done}: {error.strerror or error}.",
            hint="Check the disk's free space and the file's permissions.",
        )


def _lines(descriptor: int) -> Iterator[bytes]:
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        while line := file.readline(_LINE_BYTES):
            yield line.removesuffix(b"\n")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
