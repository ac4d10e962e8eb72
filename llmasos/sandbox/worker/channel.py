"""Frames between the host, the worker and its children: JSON, and bytes beside it that are not parsed."""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

Frame = dict[str, Any]

# A parsed frame takes up to 30 times its length, so that what hostile code can send is small.
LARGEST_JSON = 1 << 20
LARGEST_DATA = 16 << 20
LARGEST_FROM_HOST = 64 << 20
_HEAD = struct.Struct(">II")
_DEEPEST = 100
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = re.compile(rb"[][{}]")
_PIECE = 1 << 16
# Made once: `json.dumps` makes a new one for every call that asks for anything unusual.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def encode(frame: Frame, data: bytes = b"") -> bytes:
    """Return a frame as it travels: two lengths, the JSON and the data.

    Raises:
        TypeError, ValueError, RecursionError: JSON cannot express it.
    """
    text = _encode(frame).encode("utf-8", "surrogatepass")
    return b"".join((_HEAD.pack(len(text), len(data)), text, data))


class Decoder:
    """Turns bytes as they come into frames; each frame's `data` is bytes.

    Args:
        most_json: Bytes of JSON that a frame may have.
        most_data: Bytes of data that it may have.
    """

    def __init__(self, most_json: int = LARGEST_JSON, most_data: int = LARGEST_DATA) -> None:
        self._most_json = most_json
        self._most_data = most_data
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> Iterator[Frame]:
        """Yield the frames that are whole now.

        Raises:
            ValueError: A frame is too large, or is not an object in JSON.
        """
        self._buffer += piece
        start = 0
        try:
            while len(self._buffer) - start >= _HEAD.size:
                text, data = _HEAD.unpack_from(self._buffer, start)
                if text > self._most_json or data > self._most_data:
                    raise ValueError("a frame is too large")
                middle = start + _HEAD.size + text
                end = middle + data
                if len(self._buffer) < end:
                    break
                frame = _parse(bytes(self._buffer[start + _HEAD.size : middle]))
                frame["data"] = bytes(self._buffer[middle:end])
                start = end
                yield frame
        finally:
            del self._buffer[:start]


def _parse(text: bytes) -> Frame:
    frame = parse(text)
    if not isinstance(frame, dict):
        raise ValueError("a frame is not an object")
    return frame


def parse(text: bytes) -> Any:
    """Return the value in JSON that anybody may have written.

    Raises:
        ValueError: It is none, or is nested too deeply.
    """
    # The parser's own guard is Python's recursion limit, which a library may have raised beyond the stack.
    if text.count(b"[") + text.count(b"{") > _DEEPEST and _depth(text) > _DEEPEST:
        raise ValueError("it is nested too deeply")
    return json.loads(text)


def _depth(text: bytes) -> int:
    """Return how deeply JSON is nested."""
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", text)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


class Channel:
    """A child's end of its socket to the supervisor; sending is safe from any thread."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._decoder = Decoder(LARGEST_FROM_HOST, LARGEST_FROM_HOST)
        self._frames: list[Frame] = []
        self._lock = threading.Lock()
        self.received: list[int] = []  # descriptors that came with frames

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._socket.fileno()

    def send(self, frame: Frame, data: bytes = b"") -> None:
        """Send a frame whole.

        Raises:
            ValueError: It is larger than the supervisor accepts.
        """
        message = encode(frame, data)
        if len(message) - len(data) > LARGEST_JSON or len(data) > LARGEST_DATA:
            raise ValueError("this is too large to be handed over")
        with self._lock:
            self._socket.sendall(message)

    def receive(self) -> Frame | None:
        """Return the next frame, or None at the end."""
        while not self._frames:
            piece, descriptors, _, _ = socket.recv_fds(self._socket, _PIECE, 3)
            if not piece:
                return None
            for number in descriptors:
                os.set_inheritable(number, False)
            self.received += descriptors
            self._frames += self._decoder.feed(piece)
        return self._frames.pop(0)

    @property
    def pending(self) -> bool:
        """Whether a frame is there without another look at the socket."""
        return bool(self._frames)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
