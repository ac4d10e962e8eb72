"""The supervisor's event loop: descriptors, timers and the ends of processes, on one thread."""

from __future__ import annotations

import contextlib
import heapq
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from .channel import Decoder, Frame, encode

_PIECE = 1 << 18
_PATIENT = 8 << 20  # bytes queued for the host before the worker waits for it

Exited = Callable[[int, Any], None]  # gets an exit code, negative for a signal, and the resources used


class Timer:
    """A call that will happen, unless it is cancelled."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Never make the call."""
        self.callback = None


class Loop:
    """Calls back what is ready."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._ready: dict[tuple[int, int], Callable[[], None]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._count = 0
        self._exits: dict[int, Exited] = {}
        self.stopped = False
        self._woken, wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Not ignored, because what is ignored stays so in every program that is started.
            signal.signal(number, _nothing)
        self.watch(self._woken, self._signalled)

    def watch(self, number: int, callback: Callable[[], None], event: int = selectors.EVENT_READ) -> None:
        """Call back whenever a descriptor can be read, or written."""
        self._ready[number, event] = callback
        self._select(number)

    def unwatch(self, number: int, event: int = selectors.EVENT_READ) -> None:
        """Look at a descriptor no more."""
        if self._ready.pop((number, event), None) is not None:
            self._select(number)

    def _select(self, number: int) -> None:
        events = sum(
            event for event in (selectors.EVENT_READ, selectors.EVENT_WRITE) if (number, event) in self._ready
        )
        known = number in self._selector.get_map()
        if not events:
            self._selector.unregister(number)
        elif known:
            self._selector.modify(number, events)
        else:
            self._selector.register(number, events)

    def after(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back once, in so many seconds."""
        timer = Timer(callback)
        self._count += 1
        heapq.heappush(self._timers, (time.monotonic() + seconds, self._count, timer))
        return timer

    def when_exited(self, pid: int, callback: Exited) -> None:
        """Call back when a child has ended."""
        self._exits[pid] = callback

    def run(self) -> None:
        """Run until `stopped`."""
        while not self.stopped:
            for key, events in self._selector.select(self._patience()):
                for event in (selectors.EVENT_READ, selectors.EVENT_WRITE):
                    # An earlier callback may have closed this one.
                    callback = self._ready.get((key.fd, event)) if events & event else None
                    if callback is not None:
                        callback()
            now = time.monotonic()
            while self._timers and self._timers[0][0] <= now:
                timer = heapq.heappop(self._timers)[2]
                if timer.callback is not None:
                    timer.callback()

    def _patience(self) -> float | None:
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None

    def _signalled(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._woken, 4096):
                pass
        self.reap()

    def reap(self) -> None:
        """Take note of every child that has ended; orphans are children too."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            callback = self._exits.pop(pid, None)
            if callback is not None:
                callback(os.waitstatus_to_exitcode(status), usage)


def _nothing(number: int, frame: object) -> None:
    """Let a signal do no more than wake the loop."""


class Peer:
    """The other end of a socket: whole frames come in, and sending never waits.

    Args:
        loop: What serves it.
        sock: The socket.
        decoder: Holds what a frame may measure.
        on_frame: Gets each frame.
        on_end: Called once, when the other end has closed or has sent what is no frame.
        patient: Whether to wait for a reader that is far behind; never for one inside the sandbox.
    """

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        decoder: Decoder,
        on_frame: Callable[[Frame], None],
        on_end: Callable[[], None],
        *,
        patient: bool = False,
    ) -> None:
        self._loop = loop
        self._socket = sock
        self._decoder = decoder
        self._on_frame = on_frame
        self._on_end = on_end
        self._patient = patient
        self._queue = bytearray()
        self.closed = False
        loop.watch(sock.fileno(), self._readable)

    def send(self, frame: Frame, data: bytes = b"") -> None:
        """Send a frame, now or when there is room."""
        if not self.closed:
            self._queue += encode(frame, data)
            self._writable()

    def send_descriptors(self, frame: Frame, numbers: list[int]) -> None:
        """Send a frame with descriptors; nothing may be queued.

        Raises:
            OSError: It cannot go out at once.
        """
        if self._queue:
            raise BlockingIOError("frames are still queued")
        socket.send_fds(self._socket, [encode(frame)], numbers, socket.MSG_DONTWAIT)

    def _writable(self) -> None:
        try:
            wait = self._patient and len(self._queue) > _PATIENT
            sent = self._socket.send(self._queue, 0 if wait else socket.MSG_DONTWAIT)
            del self._queue[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self._end()
            return
        if self._queue:
            self._loop.watch(self._socket.fileno(), self._writable, selectors.EVENT_WRITE)
        else:
            self._loop.unwatch(self._socket.fileno(), selectors.EVENT_WRITE)

    def _readable(self) -> None:
        try:
            piece = self._socket.recv(_PIECE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        try:
            if not piece:
                raise ValueError("the end")
            for frame in self._decoder.feed(piece):
                if self.closed:
                    return
                self._on_frame(frame)
        except ValueError:
            self._end()

    def _end(self) -> None:
        if not self.closed:
            self.close()
            self._on_end()

    def close(self) -> None:
        """Close the socket, without calling back."""
        if not self.closed:
            self.closed = True
            for event in (selectors.EVENT_READ, selectors.EVENT_WRITE):
                self._loop.unwatch(self._socket.fileno(), event)
            self._socket.close()
