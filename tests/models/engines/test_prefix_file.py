"""Files of prefixes: who may have written them, and what becomes of the others."""

import os
from pathlib import Path

import pytest

from llmasos.models.engines.llama_states import memory_file
from llmasos.models.engines.prefix_file import prune_prefixes, read_prefix, write_prefix

STATE = b"state" * 1000


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "a.slot"
    with memory_file() as state:
        os.write(state, STATE)
        write_prefix(path, "model 1", state)
    return path


def content(path: Path, named: str = "model 1") -> bytes | None:
    with memory_file() as state:
        return os.pread(state, 10**6, 0) if read_prefix(path, named, state) else None


def test_what_was_saved_is_read_by_its_name_alone(saved: Path) -> None:
    assert content(saved) == STATE
    assert saved.stat().st_mode & 0o777 == 0o600
    assert list(saved.parent.iterdir()) == [saved]
    assert content(saved, "model 2") is None
    assert content(saved.with_name("b.slot")) is None


@pytest.mark.parametrize("place", [0, 20, 60, -1])
def test_a_damaged_file_is_refused(saved: Path, place: int) -> None:
    data = bytearray(saved.read_bytes())
    data[place] ^= 1
    saved.write_bytes(data)
    assert content(saved) is None


def test_a_cut_and_a_longer_file_are_refused(saved: Path) -> None:
    whole = saved.read_bytes()
    for data in (b"", whole[:10], whole[:-1], whole + b"x"):
        saved.write_bytes(data)
        assert content(saved) is None


def test_what_others_may_have_written_is_refused(saved: Path) -> None:
    link = saved.with_name("link.slot")
    link.symlink_to(saved)
    pipe = saved.with_name("pipe.slot")
    os.mkfifo(pipe, 0o600)
    assert content(link) is None
    assert content(pipe) is None
    saved.chmod(0o660)
    assert content(saved) is None


def test_the_folder_is_bounded_and_what_was_never_finished_goes(saved: Path) -> None:
    folder = saved.parent
    for number in range(12):
        file = folder / f"{number}.slot"
        file.write_bytes(b"x")
        os.utime(file, (number, number))
    large = folder / "large.slot"
    with large.open("wb") as file_:
        file_.truncate(2**30 + 1)
    os.utime(large, (20, 20))
    for name, age in (("old.1.2.tmp", 10), ("new.1.2.tmp", saved.stat().st_mtime)):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (age, age))
    prune_prefixes(folder)
    left = {"a.slot", "new.1.2.tmp", *(f"{number}.slot" for number in range(5, 12))}
    assert {file.name for file in folder.iterdir()} == left
