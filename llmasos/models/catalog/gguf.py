"""Headers of GGUF files: metadata and tensors, read without trusting the file."""

from __future__ import annotations

import bisect
import dataclasses
import math
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from llmasos.errors import ModelError

MAGIC = b"GGUF"

Value = str | int | float | bool | tuple[int | float | bool, ...]

# The bounds lie far above what any model has: a file that passes them is hostile or damaged.
_MAX_KEYS = 10_000
_MAX_TENSORS = 200_000
_MAX_ITEMS = 8_000_000
_MAX_TEXTS = 2_000_000
_MAX_TEXT = 8 * 2**20
_MAX_KEPT = 64 * 2**20
_MAX_NAME = 65_535
_KEPT_ITEMS = 4096
_MAX_DIMENSIONS = 8
_WINDOW = 2**20

_STRING, _ARRAY = 8, 9
# Types of tokens, as llama.cpp numbers them.
_CONTROL, _USER_DEFINED = 3, 4
_LENGTH = struct.Struct("<Q")
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}

# Elements and bytes of a block, by the number of ggml's type.
_BLOCKS = {
    **{0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 40)},
    **{10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292)},
    **{16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110)},
    **{22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8)},
    **{29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18)},
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a file.

    Args:
        name: Its name.
        shape: Its dimensions, the fastest one first as GGUF has them.
        bytes: Its size in the file.
        kind: The type of its numbers, as its format names it.
    """

    name: str
    shape: tuple[int, ...]
    bytes: int
    kind: int | str


@dataclass(frozen=True, slots=True)
class GGUFHeader:
    """What a GGUF file says of itself.

    Args:
        metadata: Its keys; long arrays and arrays of texts have their length alone, as `KEY.length`.
        tensors: Its tensors, in order.
    """

    metadata: dict[str, Value]
    tensors: tuple[Tensor, ...]

    def text(self, key: str) -> str:
        """Return a text, or an empty one."""
        value = self.metadata.get(key, "")
        return value if isinstance(value, str) else ""

    def number(self, key: str, missing: int = 0) -> int:
        """Return a whole number, the sum of a list of them, or what stands for a missing one."""
        value = self.metadata.get(key)
        items = value if isinstance(value, tuple) else (value,)
        whole = [int(item) for item in items if isinstance(item, int | float) and math.isfinite(item)]
        return sum(whole) if len(whole) == len(items) else missing


def open_model_file(path: Path) -> BinaryIO:
    """Open a file of a model; what is no file, such as a pipe, is not waited for.

    Raises:
        OSError: It cannot be opened.
        ModelError: It is no file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ModelError(f"{path} is no file.", hint="Give the path to a model's file.")
    return path.open("rb")


def read_gguf(path: Path, arrays: dict[str, list[Any]] | None = None) -> GGUFHeader:
    """Read the header of a GGUF file.

    Source: the specification of GGUF, versions 2 and 3, in ggml's `docs/gguf.md`.

    Args:
        path: The file.
        arrays: Keys of arrays that are wanted whole; their items are put here.

    Raises:
        ModelError: It cannot be read, is no GGUF file, is damaged, or was cut.
    """
    try:
        with open_model_file(path) as file:
            size = path.stat().st_size
            if file.read(len(MAGIC)) != MAGIC:
                raise ModelError(f"{path} is not a GGUF file.", hint="Give a model in the GGUF format.")
            return _Reader(path, file, size, arrays or {}).header()
    except FileNotFoundError as error:
        raise ModelError(f"The model file {path} does not exist.", hint="Check the path.") from error
    except OSError as error:
        raise ModelError(
            f"The model file {path} cannot be read: {error.strerror}.", hint="Check its permissions."
        ) from error


def read_added_tokens(path: Path) -> list[tuple[str, bool]]:
    """Return the tokens of a GGUF file's vocabulary that are no pieces of text, and which are control tokens.

    Raises:
        ModelError: As `read_gguf`.
    """
    texts, kinds = "tokenizer.ggml.tokens", "tokenizer.ggml.token_type"
    arrays: dict[str, list[Any]] = {texts: [], kinds: []}
    read_gguf(path, arrays)
    return [
        (text, kind == _CONTROL)
        for text, kind in zip(arrays[texts], arrays[kinds], strict=False)
        if kind in (_CONTROL, _USER_DEFINED)
    ]


class _Reader:
    """Walks through a header in a window of the file, within the bounds."""

    def __init__(self, path: Path, file: BinaryIO, size: int, arrays: dict[str, list[Any]]) -> None:
        self._path, self._file, self._size, self._arrays = path, file, size, arrays
        self._place = len(MAGIC)
        self._window = b""
        self._start = 0
        self._items = _MAX_ITEMS
        self._texts = _MAX_TEXTS
        self._kept = _MAX_KEPT

    def header(self) -> GGUFHeader:
        version = self._scalar("I")
        if version not in (2, 3):
            # Files of the other byte order have their version in the upper bytes.
            raise ModelError(
                f"{self._path} is a GGUF file of a kind that is not supported (version {version}).",
                hint="Convert the model again with a current llama.cpp.",
            )
        tensors, keys = self._count(_MAX_TENSORS, "tensors"), self._count(_MAX_KEYS, "keys")
        metadata: dict[str, Value] = {}
        for _ in range(keys):
            key = self._text(_MAX_NAME)
            if key in metadata:
                raise self._damaged(f"it has the key {key[:80]!r} twice")
            self._value(key, metadata)
        infos = [self._tensor() for _ in range(tensors)]
        ends = sorted({offset for _, offset in infos})
        alignment = metadata.get("general.alignment", 32)
        if type(alignment) is not int or not 0 < alignment <= 2**20:
            raise self._damaged("its alignment is no size")
        data = -(-self._place // alignment) * alignment
        found = []
        for tensor, offset in infos:
            if tensor.kind not in _BLOCKS:
                # A type of a newer ggml: the tensor reaches up to the next one, or to the end.
                following = bisect.bisect_right(ends, offset)
                end = ends[following] if following < len(ends) else self._size - data
                tensor = dataclasses.replace(tensor, bytes=max(end - offset, 0))
            if data + offset + tensor.bytes > self._size:
                raise self._cut()
            found.append(tensor)
        return GGUFHeader(metadata, tuple(found))

    def _value(self, key: str, metadata: dict[str, Value]) -> None:
        kind = self._scalar("I")
        if kind == _STRING:
            text = self._text(min(_MAX_TEXT, self._kept))
            self._kept -= len(text)
            metadata[key] = text
        elif kind == _ARRAY:
            item = self._scalar("I")
            length = self._count(self._items, "items")
            self._items -= length
            if item == _STRING:
                if length > self._texts:
                    raise self._damaged(f"it claims to have {length} texts")
                self._texts -= length
                if key in self._arrays:
                    self._arrays[key] += (self._text(_MAX_TEXT) for _ in range(length))
                else:
                    self._skip_texts(length)
                metadata[f"{key}.length"] = length
            elif (code := _SCALARS.get(item)) is None:
                raise self._damaged(f"{key[:80]!r} has items of the unknown type {item}")
            elif key in self._arrays:
                data = self._take(length * struct.calcsize(code))
                self._arrays[key] += struct.unpack(f"<{length}{code}", data)
            elif length > _KEPT_ITEMS:
                self._skip(length * struct.calcsize(code))
                metadata[f"{key}.length"] = length
            else:
                # Numbers of Python's take about that much.
                self._kept -= length * 32
                if self._kept < 0:
                    raise self._damaged("it has too many numbers")
                metadata[key] = struct.unpack(f"<{length}{code}", self._take(length * struct.calcsize(code)))
        elif (code := _SCALARS.get(kind)) is not None:
            metadata[key] = self._scalar(code)
        else:
            raise self._damaged(f"{key[:80]!r} has the unknown type {kind}")

    def _tensor(self) -> tuple[Tensor, int]:
        name = self._text(_MAX_NAME)
        dimensions = self._scalar("I")
        if dimensions > _MAX_DIMENSIONS:
            raise self._damaged(f"the tensor {name[:80]!r} has {dimensions} dimensions")
        shape = tuple(self._scalar("Q") for _ in range(dimensions))
        kind, offset = self._scalar("I"), self._scalar("Q")
        elements, size = _BLOCKS.get(kind, (1, 0))
        if shape and shape[0] % elements:
            raise self._damaged(f"the tensor {name[:80]!r} does not consist of whole blocks")
        return Tensor(name, shape, math.prod(shape) // elements * size, kind), offset

    def _count(self, most: int, of: str) -> int:
        count = self._scalar("Q")
        if count > most:
            raise self._damaged(f"it claims to have {count} {of}")
        return count

    def _text(self, most: int) -> str:
        length = self._scalar("Q")
        if length > most:
            raise self._damaged(f"a text in it is {length} bytes long")
        return self._take(length).decode("utf-8", "replace")

    def _scalar(self, code: str) -> int:
        # Floating-point numbers and booleans come this way too; only their keys know.
        value: int = struct.unpack(f"<{code}", self._take(struct.calcsize(f"<{code}")))[0]
        return value

    def _skip(self, size: int) -> None:
        if size > self._size - self._place:
            raise self._cut()
        self._place += size

    def _skip_texts(self, count: int) -> None:
        # A vocabulary has hundreds of thousands: they are walked through within the window.
        while count:
            self._hold(_LENGTH.size)
            window, place = self._window, self._place - self._start
            last = len(window) - _LENGTH.size
            while count and place <= last:
                place += _LENGTH.size + _LENGTH.unpack_from(window, place)[0]
                count -= 1
            self._place = self._start
            self._skip(place)

    def _take(self, size: int) -> bytes:
        self._hold(size)
        begin = self._place - self._start
        self._place += size
        return self._window[begin : begin + size]

    def _hold(self, size: int) -> None:
        """Have the next bytes in the window."""
        begin = self._place - self._start
        if begin < 0 or begin + size > len(self._window):
            if size > self._size - self._place:
                raise self._cut()
            self._file.seek(self._place)
            self._window = self._file.read(max(size, _WINDOW))
            self._start = self._place
            if len(self._window) < size:
                raise self._cut()

    def _damaged(self, what: str) -> ModelError:
        return ModelError(f"{self._path} is damaged: {what}.", hint="Fetch the file again.")

    def _cut(self) -> ModelError:
        return ModelError(
            f"{self._path} is cut: it has {self._size} bytes, and its header promises more.",
            hint="Fetch the file again.",
        )
