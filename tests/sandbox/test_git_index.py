"""Git's index is read and written as git has it, and what is damaged or unknown is refused."""

from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmasos.sandbox.workspace.git_index import SKIP, Entry, Index

PATHS = st.sets(st.binary(min_size=1, max_size=40).filter(lambda path: b"\0" not in path), max_size=20)


def entry(path: bytes, *, extended: int = 0, oid: bytes = b"o" * 20) -> Entry:
    return Entry(path, (1, 2, 3, 4, 5, 6, 0o100644, 1000, 1000, 7), oid, 0, extended)


def index(version: int = 2, extensions: bytes = b"", hash: str = "sha1") -> Index:
    return Index(version, (), extensions, hash)


def part(name: bytes, content: bytes) -> bytes:
    return name + len(content).to_bytes(4, "big") + content


def bitmap(bits: set[int], most: int) -> bytes:
    """Return an EWAH bitmap, made of literal words only."""
    words = [sum(1 << bit % 64 for bit in bits if bit // 64 == word) for word in range((most + 63) // 64)]
    return struct.pack(f">LL{len(words) + 1}QL", most, len(words) + 1, len(words) << 33, *words, 0)


@given(PATHS, st.sampled_from([2, 3, 4]), st.sampled_from(["sha1", "sha256", ""]), st.booleans())
def test_what_is_written_is_read_again(paths: set[bytes], version: int, hash: str, skip: bool) -> None:
    oid = b"o" * (32 if hash == "sha256" else 20)
    entries = [entry(path, extended=SKIP if skip else 0, oid=oid) for path in sorted(paths)]
    data = index(version, part(b"TREE", b"tree"), hash).write(entries)
    found = Index.read(data)
    assert found.entries == tuple(entries)
    assert found.extensions == part(b"TREE", b"tree")
    assert found.write(found.entries) == data


def test_what_depends_on_offsets_is_left_out() -> None:
    data = index(2, part(b"IEOT", b"offsets") + part(b"TREE", b"t") + part(b"EOIE", b"end")).write([])
    assert Index.read(data).extensions == part(b"TREE", b"t")


def test_marks_need_a_later_version() -> None:
    assert Index.read(index(2).write([entry(b"a")])).version == 2
    assert Index.read(index(2).write([entry(b"a", extended=SKIP)])).version == 3


def test_a_split_index_becomes_whole() -> None:
    shared = [entry(b"%03d" % number) for number in range(150)]
    base = index().write(shared)
    own = [entry(b"", oid=b"new" + bytes(17)), entry(b"077x")]
    link = hashlib.sha1(base, usedforsecurity=False).digest() + bitmap({3, 149}, 150) + bitmap({70}, 150)
    data = index(2, part(b"link", link)).write(own)
    asked = []

    def read(name: str) -> bytes:
        asked.append(name)
        return base

    found = Index.read(data, read)
    assert asked == [f"sharedindex.{link[:20].hex()}"]
    paths = [one.path for one in found.entries]
    assert len(paths) == 149 and b"003" not in paths and b"149" not in paths
    assert paths[75:79] == [b"076", b"077", b"077x", b"078"]
    assert next(one for one in found.entries if one.path == b"070").oid.startswith(b"new")
    assert b"link" not in found.write(found.entries)
    with pytest.raises(ValueError, match="missing"):
        Index.read(data)


def sealed(data: bytes) -> bytes:
    return data + hashlib.sha1(data, usedforsecurity=False).digest()


DAMAGED = {
    "empty": b"",
    "short": b"DIRC",
    "changed": index().write([entry(b"a")]).replace(b"o", b"p"),
    "unknown version": sealed(struct.pack(">4sLL", b"DIRC", 9, 0)),
    "another file": sealed(struct.pack(">4sLL", b"PACK", 2, 0)),
    "more entries than there are": sealed(struct.pack(">4sLL", b"DIRC", 2, 2**32 - 1) + bytes(500)),
    "a part that runs over the end": sealed(struct.pack(">4sLL", b"DIRC", 2, 0) + b"TREE\xff\xff\xff\xff"),
    "a part that must be known": index(2, part(b"else", b"")).write([]),
    "a path that is too long": index().write([entry(b"x" * 5000)]),
    "a prefix that is not there": sealed(index(4).write([entry(b"a")])[:-20].replace(b"\0a\0", b"\x09a\0")),
    "bits that are too many": index(2, part(b"link", b"l" * 20 + bitmap({1}, 64) * 2)).write([]),
    "bits that are cut": index(2, part(b"link", b"l" * 20 + bitmap({1}, 64)[:9])).write([]),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_damaged_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"index|not found"):
        Index.read(DAMAGED[name], lambda _name: index().write([entry(b"a")]))


def test_paths_that_grow_from_little_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = index(4).write([entry(b"x" * 4000 + b"%03d" % number) for number in range(300)])
    assert len(data) < 30_000
    assert len(Index.read(data).entries) == 300
    monkeypatch.setattr("llmasos.sandbox.workspace.git_index._MOST_PATHS", 1_000_000)
    with pytest.raises(ValueError, match="too long"):
        Index.read(data)
