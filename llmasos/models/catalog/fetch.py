"""Having a model's files here: fetched where they are missing, checked, and remembered by name."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio.from_thread
import anyio.to_thread

from llmasos import paths
from llmasos.config import ModelSettings
from llmasos.errors import ModelError
from llmasos.models.catalog._download import HubDownload, download_wheels
from llmasos.models.catalog._file import SPARE_BYTES, CachedFile, Downloader, FileFetch, alone, no_space
from llmasos.models.catalog.header import gguf_parts, read_header, safetensors_files
from llmasos.models.catalog.hub import SMALL_FILES, Hub
from llmasos.models.catalog.source import ModelFile, parse_reference
from llmasos.models.catalog.spec import MANIFEST, ModelSpec, described

Progress = Callable[[str, float, float, str], None]


async def fetch(
    spec: ModelSpec,
    cache_dir: Path,
    *,
    allow_download: bool,
    progress: Progress | None = None,
    downloaders: Mapping[str, Downloader] | None = None,
    hub: Hub | None = None,
) -> Path:
    """Return the model's file or folder, fetching what is not in the cache.

    What comes from a hub is listed by its name afterwards.

    Args:
        spec: The model.
        cache_dir: Its folder `models` holds the files.
        allow_download: Whether anything may be fetched.
        progress: Called with what is done, how much of it, of how much, and the unit.
        downloaders: By the type of source; what a test replaces.
        hub: The hub that is asked; by default the one that the environment describes.

    Raises:
        ModelError: The model is not here and cannot be fetched, does not match its digest, does not fit
            on the disk, or is damaged.
    """
    if spec.path is not None:
        if spec.path.is_dir():
            await anyio.to_thread.run_sync(read_header, spec.path)
        return spec.path
    asked = hub or Hub.of(ModelSettings())
    report = progress or (lambda what, done, total, unit: None)

    def on_loop(what: str, done: float, total: float) -> None:
        anyio.from_thread.check_cancelled()
        anyio.from_thread.run_sync(report, what, done, total, "bytes")

    def work() -> Path:
        chosen = downloaders or {"hub": HubDownload(asked), "wheels": download_wheels}
        try:
            return _Fetch(spec, cache_dir, asked, chosen, on_loop).run(allow_download=allow_download)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise no_space(spec.name, spec.size, cache_dir) from error
            raise ModelError(
                f"The files of the model {spec.name} cannot be kept: {error}.",
                hint="See that its folder can be written, and that nothing empties it; then try again.",
            ) from error

    return await anyio.to_thread.run_sync(work)


def newest(spec: ModelSpec) -> ModelSpec:
    """Return the model as its hub has it now, instead of as it was pulled."""
    reference = parse_reference(spec.name) if spec.reference else None
    return ModelSpec(name=spec.name, title=spec.name, reference=reference) if reference else spec


def resolved(spec: ModelSpec, hub: Hub) -> ModelSpec:
    """Return a model with the files that a hub has of it now.

    Raises:
        ModelError: The hub cannot be asked, or has nothing that can be loaded.
    """
    assert spec.reference is not None
    found = hub.resolve(spec.reference)
    size = sum(file.size for file in found.files)
    return spec.model_copy(update={**dict(found), "size": size})


async def digest(spec: ModelSpec, path: Path, known: dict[tuple[Path, int, int], str] | None = None) -> str:
    """Return the SHA-256 of a model: of its file, or over the names and digests of its files.

    Args:
        spec: The model.
        path: Its file or folder.
        known: Digests of files by path, size and time of the last change, which this adds to.

    Raises:
        ModelError: A file cannot be read.
    """
    if spec.sha256:
        return spec.sha256
    known = {} if known is None else known
    return await anyio.to_thread.run_sync(_digest, path, known)


class _Fetch:
    def __init__(
        self,
        spec: ModelSpec,
        cache_dir: Path,
        hub: Hub,
        downloaders: Mapping[str, Downloader],
        report: Callable[[str, float, float], None],
    ) -> None:
        self._spec = spec
        self._hub = hub
        self._downloaders = downloaders
        self._report = report
        self._models = paths.private_dir(cache_dir / "models")

    def run(self, *, allow_download: bool) -> Path:
        if self._spec.reference is not None and not self._spec.files:
            if not allow_download:
                raise ModelError(
                    f"The model {self._spec.name} is not here, and fetching is turned off.",
                    hint="Set LLMASOS_ALLOW_DOWNLOAD=true, or give the path to its files.",
                )
            self._report(f"Asking for {self._spec.name}", 0.0, 0.0)
            self._spec = resolved(self._spec, self._hub)
        files = self._files()
        path = self._models / self._spec.file
        if self._spec.reference is not None:
            paths.private_dir(self._models / self._spec.folder)
            self._need_space(files)
        before = 0
        for file in files:
            FileFetch(file, self._downloaders, partial(self._on_file, before)).run(
                allow_download=allow_download
            )
            before += file.size
        if self._spec.reference is not None:
            self._remember(path)
        return path

    def _files(self) -> list[CachedFile]:
        spec = self._spec
        if spec.reference is None:
            path = self._models / spec.file
            return [CachedFile(spec.name, path, spec.size, spec.sha256, "", spec.sources)]
        folder = self._models / spec.folder
        return [
            CachedFile(
                spec.name,
                folder / file.name,
                file.size,
                file.sha256,
                file.blob,
                (self._hub.source(spec.reference, file),),
            )
            for file in spec.files
        ]

    def _need_space(self, files: list[CachedFile]) -> None:
        missing = sum(file.size for file in files if not file.path.exists())
        have = sum(map(_size, (self._models / self._spec.folder).glob("*.part")))
        if missing and shutil.disk_usage(self._models).free < missing - have + SPARE_BYTES:
            raise no_space(self._spec.name, missing, self._models)

    def _on_file(self, before: int, what: str, done: float) -> None:
        self._report(what, before + done, float(self._spec.size))

    def _remember(self, path: Path) -> None:
        """Write the manifest, from which on the model is known by its name, and drop what it replaces."""
        manifest = self._models / self._spec.folder / MANIFEST
        if manifest.exists():
            return
        waiting = f"Waiting for another process that fetches {self._spec.name}"
        # One lock for all models: two revisions that are pulled at once must not each drop the other.
        with alone(self._models / MANIFEST, lambda: self._report(waiting, 0.0, 0.0)):
            if manifest.exists():
                return
            read_header(path)
            files = tuple(_with_sha256(file, manifest.parent / file.name) for file in self._spec.files)
            sha256 = files[0].sha256 if path.is_file() and len(files) == 1 else _combined(files)
            update = {"files": files, "sha256": sha256, "pulled": datetime.now(UTC)}
            spec = described(self._spec, path).model_copy(update=update)
            unfinished = manifest.with_name(f"{MANIFEST}.part")
            unfinished.write_text(spec.model_dump_json(indent=1, exclude={"path"}))
            unfinished.rename(manifest)
            for other in self._models.glob(f"*/{MANIFEST}"):
                if other != manifest and _name_in(other) == spec.name:
                    shutil.rmtree(other.parent)


def _size(path: Path) -> int:
    """Return the bytes of a file, none when another process has moved it to its place meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _name_in(manifest: Path) -> str:
    try:
        return ModelSpec.model_validate_json(manifest.read_bytes()).name
    except (OSError, ValueError):
        return ""


def _with_sha256(file: ModelFile, path: Path) -> ModelFile:
    return file if file.sha256 else file.model_copy(update={"sha256": _sha256(path)})


def _combined(files: Iterable[ModelFile]) -> str:
    lines = sorted(f"{file.sha256}  {file.name}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _digest(path: Path, known: dict[tuple[Path, int, int], str]) -> str:
    if path.is_dir():
        files = [*safetensors_files(path), *(path / name for name in SMALL_FILES if (path / name).exists())]
    else:
        files = list(gguf_parts(path))
    found = []
    for file in files:
        try:
            info = file.stat()
            key = (file, info.st_size, info.st_mtime_ns)
            if key not in known:
                known[key] = _sha256(file)
        except OSError as error:
            raise ModelError(
                f"The model file {file} cannot be read: {error.strerror}.",
                hint="Check that it is still there.",
            ) from error
        found.append(ModelFile(path=file.name, size=info.st_size, sha256=known[key]))
    return found[0].sha256 if len(found) == 1 and path.is_file() else _combined(found)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
