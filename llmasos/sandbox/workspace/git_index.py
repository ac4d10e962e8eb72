"""Git's index, the file in which a repository lists what it tracks, in its versions 2 to 4."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

LARGEST = 64 << 20
"""Bytes of the largest index that is read."""

SKIP = 0x4000
"""The extended flag of entries whose files git takes for unchanged and leaves alone: skip-worktree."""

STAGE = 0x3000
"""The flags of an entry that say which side of a merge it is of."""

_STAT = struct.Struct(">10L")
_MODE, _UID, _GID = 6, 7, 8
_EXTENDED, _NAME = 0x4000, 0x0FFF
_LONGEST_PATH = 4096
_MOST_PATHS = 128 << 20
# They tell where entries begin or where others are, and are made anew when git writes an index.
_DROPPED = (b"EOIE", b"IEOT", b"link")
_REQUIRED = (b"sdir", b"link")


class Entry(NamedTuple):
    """One path that git tracks.

    Args:
        path: As git has it.
        stat: Times, device, number, mode, owner, group and size of its file when git last looked.
        oid: The hash of its content.
        flags: Whether it is assumed to be valid, and its stage in a merge.
        extended: Flags such as `SKIP`.
    """

    path: bytes
    stat: tuple[int, ...]
    oid: bytes
    flags: int
    extended: int

    @property
    def mode(self) -> int:
        """Its kind and whether it is executable."""
        return self.stat[_MODE]

    def owned(self, shift: int) -> Entry:
        """Return the entry of the same file with shifted owners."""
        path, stat, oid, flags, extended = self
        owners = ((stat[_UID] + shift) & 0xFFFFFFFF, (stat[_GID] + shift) & 0xFFFFFFFF)
        return Entry(path, (*stat[:_UID], *owners, *stat[_GID + 1 :]), oid, flags, extended)

    def meaning(self) -> tuple[bytes, int, bytes, int]:
        """Return all but what git only remembers to be quicker, and whether it leaves the file alone."""
        return self.path, self.mode, self.oid, self.flags


@dataclass(frozen=True)
class Index:
    """An index that was read.

    Args:
        version: Of its format.
        entries: In git's order.
        extensions: What follows them, as it was.
        hash: The name of the hash of contents; empty means a checksum of zeros after SHA-1 entries.
    """

    version: int
    entries: tuple[Entry, ...]
    extensions: bytes
    hash: str

    @classmethod
    def read(cls, data: bytes, shared: Callable[[str], bytes | None] = lambda _name: None) -> Index:
        """Read an index; one that is split becomes whole.

        Args:
            data: The file.
            shared: Reads the file beside it that holds the other part, by its name.

        Raises:
            ValueError: It is damaged, or has parts that are not known here.
        """
        try:
            return cls._read(data, shared)
        except (struct.error, IndexError) as error:
            raise ValueError("the index is cut short") from error

    @classmethod
    def _read(cls, data: bytes, shared: Callable[[str], bytes | None]) -> Index:
        name = next((name for name in ("sha1", "sha256") if _ends_with_checksum(data, name)), "")
        if not name and data[-20:] != bytes(20):
            raise ValueError("the index is damaged")
        size = hashlib.new(name or "sha1", usedforsecurity=False).digest_size
        signature, version, count = struct.unpack_from(">4sLL", data)
        if signature != b"DIRC" or version not in (2, 3, 4):
            raise ValueError("the index is of an unknown version")
        end = len(data) - size
        entries, at = _entries(data, version, count, size, end)
        kept = []
        for extension, content in _each_extension(data[at:end]):
            if extension == b"link" and any(content[:size]):
                base = shared(f"sharedindex.{content[:size].hex()}")
                if base is None:
                    raise ValueError("a part of the index is missing")
                entries = _joined(cls.read(base).entries, entries, content[size:])
            elif extension not in _DROPPED:
                kept.append(extension + len(content).to_bytes(4, "big") + content)
        return cls(version, tuple(entries), b"".join(kept), name)

    def write(self, entries: Sequence[Entry]) -> bytes:
        """Return the file of this index with other entries, which lie in the same order."""
        version = self.version
        if version == 2 and any(entry.extended for entry in entries):
            version = 3
        parts = [struct.pack(">4sLL", b"DIRC", version, len(entries))]
        before = b""
        for entry in entries:
            flags = entry.flags | min(len(entry.path), _NAME) | (_EXTENDED if entry.extended else 0)
            head = _STAT.pack(*entry.stat) + entry.oid + flags.to_bytes(2, "big")
            if entry.extended:
                head += entry.extended.to_bytes(2, "big")
            if version == 4:
                same = _common(before, entry.path)
                parts += (head, _varint(len(before) - same), entry.path[same:], b"\0")
                before = entry.path
            else:
                parts += (head, entry.path, bytes(8 - (len(head) + len(entry.path)) % 8))
        data = b"".join(parts) + self.extensions
        if not self.hash:
            return data + bytes(20)
        return data + hashlib.new(self.hash, data, usedforsecurity=False).digest()


def _ends_with_checksum(data: bytes, name: str) -> bool:
    digest = hashlib.new(name, usedforsecurity=False)
    digest.update(memoryview(data)[: -digest.digest_size])
    return data.endswith(digest.digest())


def _entries(data: bytes, version: int, count: int, size: int, end: int) -> tuple[list[Entry], int]:
    entries: list[Entry] = []
    at, before, total = 12, b"", 0
    for _ in range(count):
        start = at
        stat = _STAT.unpack_from(data, at)
        at += _STAT.size
        oid = data[at : at + size]
        flags = int.from_bytes(data[at + size : at + size + 2], "big")
        at += size + 2
        extended = 0
        if flags & _EXTENDED:
            extended = int.from_bytes(data[at : at + 2], "big")
            at += 2
        kept = b""
        if version == 4:
            left, at = _read_varint(data, at)
            if left > len(before):
                raise ValueError("the index is damaged")
            kept = before[: len(before) - left]
        stop = data.index(b"\0", at, end)
        path = kept + data[at:stop]
        total += len(path)
        # Paths that share their beginnings may together be far longer than the file.
        if len(path) > _LONGEST_PATH or total > _MOST_PATHS:
            raise ValueError("the paths of the index are too long")
        entries.append(Entry(path, stat, oid, flags & ~(_EXTENDED | _NAME), extended))
        before = path
        at = stop + 1 if version == 4 else start + ((stop - start) // 8 + 1) * 8
    if at > end:
        raise ValueError("the index is cut short")
    return entries, at


def _joined(base: Sequence[Entry], own: Sequence[Entry], link: bytes) -> list[Entry]:
    """Return the entries of a split index: which of the shared ones are gone or replaced is said by bits."""
    entries: list[Entry | None] = list(base)
    gone, at = _bits(link, 0, len(base))
    replaced, _ = _bits(link, at, len(base))
    if len(replaced) > len(own):
        raise ValueError("the index is damaged")
    for place, entry in zip(replaced, own, strict=False):
        entries[place] = entry._replace(path=base[place].path)
    for place in gone:
        entries[place] = None
    found = [*filter(None, entries), *own[len(replaced) :]]
    return sorted(found, key=lambda entry: (entry.path, entry.flags & STAGE))


def _bits(data: bytes, at: int, most: int) -> tuple[list[int], int]:
    """Return the numbers of the bits that are set in an EWAH bitmap, and where it ends."""
    count, size = struct.unpack_from(">LL", data, at)
    words = struct.unpack_from(f">{size}Q", data, at + 8)
    if count > most:
        raise ValueError("the index is damaged")
    found: list[int] = []
    bit = word = 0
    while word < size:
        head = words[word]
        run = min((head >> 1 & 0xFFFFFFFF) * 64, most - bit)
        if head & 1:
            found += range(bit, bit + run)
        bit += run
        literals = words[word + 1 : word + 1 + (head >> 33)]
        for literal in literals:
            found += (bit + one for one in range(64) if literal >> one & 1)
            bit += 64
        word += 1 + len(literals)
    if found and found[-1] >= most:
        raise ValueError("the index is damaged")
    return found, at + 8 + size * 8 + 4


def _each_extension(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        name, size = struct.unpack_from(">4sL", data, at)
        at += 8 + size
        if at > len(data):
            raise ValueError("the index is cut short")
        if not b"A" <= name[:1] <= b"Z" and name not in _REQUIRED:
            raise ValueError("the index has a part that is not known here")
        yield name, data[at - size : at]


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    value = byte & 127
    while byte & 128:
        at += 1
        byte = data[at]
        value = (value + 1 << 7) + (byte & 127)
        if value > _LONGEST_PATH:
            raise ValueError("the index is damaged")
    return value, at + 1


def _varint(value: int) -> bytes:
    found = [value & 127]
    while value := value >> 7:
        value -= 1
        found.append(128 | value & 127)
    return bytes(reversed(found))


def _common(one: bytes, two: bytes) -> int:
    most = min(len(one), len(two))
    if one[:most] == two[:most]:
        return most
    return next(at for at in range(most) if one[at] != two[at])
