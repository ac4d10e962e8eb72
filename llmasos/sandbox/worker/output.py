"""What programs print: always read to the end, passed on as far as it fits."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections import deque
from collections.abc import Callable

from .loop import Loop

_PIECE = 1 << 18
_PIPE = 1 << 20
_F_SETPIPE_SZ = 1031
_REMEMBERED = 4096  # bytes of standard error, for the verdict

Report = Callable[[str, bytes], None]  # gets a stream's name and what was printed


class Pipe:
    """The reading end of a pipe, served by the loop.

    Args:
        loop: What serves it.
        number: The descriptor; closed at the end.
        take: Gets what comes.
    """

    def __init__(self, loop: Loop, number: int, take: Callable[[bytes], None]) -> None:
        self._loop = loop
        self._number = number
        self._take = take
        self.closed = False
        os.set_blocking(number, False)
        with contextlib.suppress(OSError):
            # Fewer, larger reads; where a user may not have so much, the usual size does.
            fcntl.fcntl(number, _F_SETPIPE_SZ, _PIPE)
        loop.watch(number, self._readable)

    def _readable(self) -> None:
        self._read()

    def _read(self) -> bool:
        """Tell whether there may be more."""
        try:
            data = os.read(self._number, _PIECE)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self.close()
            return False
        self._take(data)
        return len(data) == _PIECE

    def drain(self) -> None:
        """Read what lies in the pipe now, and no more than fits in one."""
        for _ in range(_PIPE // _PIECE + 1):
            if self.closed or not self._read():
                return

    def close(self) -> None:
        """Stop reading."""
        if not self.closed:
            self.closed = True
            self._loop.unwatch(self._number)
            os.close(self._number)


class Capture:
    """One request's output: its beginning as it comes, and its last part at the end.

    Args:
        cap: Bytes to pass on.
        flood: Bytes after which `on_flood` is called.
        report: Gets what is passed on.
        on_flood: Called once.
    """

    def __init__(self, cap: int, flood: int, report: Report, on_flood: Callable[[], None]) -> None:
        # Three bytes less, so that the last character can be made whole.
        self._head = cap - cap // 4 - 3
        self._ending = b""
        self._owed, self._owing = 0, ""
        self._room = cap // 4
        self._flood = flood
        self._report = report
        self._on_flood = on_flood
        self._tail: deque[tuple[str, bytes]] = deque()
        self._held = 0
        self._flooded = False
        self._passed = 0
        self.written = 0
        self.complaint = b""  # the end of standard error
        self.truncated = False

    def take(self, stream: str, data: bytes) -> None:
        """Pass on a piece, or keep it for the end."""
        self.written += len(data)
        if stream == "stderr":
            self.complaint = (self.complaint + data)[-_REMEMBERED:]
        if self._head:
            piece = data[: self._head]
            self._head -= len(piece)
            self._ending = (self._ending + piece)[-3:]
            if not self._head:
                self._owed, self._owing = _lacking(self._ending), stream
            self._pass(stream, piece)
            data = data[len(piece) :]
        if data and self._owed and stream == self._owing:
            rest = data[: self._owed]
            rest = rest[: next((n for n, byte in enumerate(rest) if byte & 0xC0 != 0x80), len(rest))]
            self._owed = self._owed - len(rest) if len(rest) == len(data) else 0
            self._pass(stream, rest)
            data = data[len(rest) :]
        if data:
            self._keep(stream, data[-self._room :])
        if self.written > self._flood and not self._flooded:
            self._flooded = True
            self._on_flood()

    def _pass(self, stream: str, data: bytes) -> None:
        if data:
            self._passed += len(data)
            self._report(stream, data)

    def _keep(self, stream: str, data: bytes) -> None:
        self._tail.append((stream, data))
        self._held += len(data)
        while self._held - len(self._tail[0][1]) >= self._room:
            self._held -= len(self._tail.popleft()[1])

    def finish(self) -> None:
        """Pass on the last part, after a marker that says how much is missing before it."""
        surplus = max(0, self._held - self._room)
        missing = self.written - self._passed - self._held + surplus
        cut = 3 if missing else 0
        for stream, data in self._tail:
            data = data[surplus:]
            surplus = 0
            if missing and not self.truncated:
                # What is left of a character whose beginning is missing.
                rest = next(
                    (n for n in range(min(cut, len(data))) if data[n] & 0xC0 != 0x80), min(cut, len(data))
                )
                missing += rest
                cut -= rest
                data = data[rest:]
                if not data:
                    continue
                self.truncated = True
                self._report(stream, b"\n[%s bytes of output left out]\n" % format(missing, ",").encode())
            self._report(stream, data)
        self._tail.clear()


def _lacking(data: bytes) -> int:
    """Return how many bytes the last character of UTF-8 lacks to be whole."""
    for place in range(len(data) - 1, -1, -1):
        lead = data[place]
        if lead & 0xC0 != 0x80:
            size = 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
            return max(0, place + size - len(data))
    return 0
