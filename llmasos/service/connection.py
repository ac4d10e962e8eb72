"""Connections over TCP: uvicorn's, for which a slow or greedy peer has limits."""

from __future__ import annotations

import asyncio
from typing import cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 512
_HEAD_SECONDS = 15.0
_BODY_SECONDS = 30.0
_LINGER_SECONDS = 2.0
# Replies give such a peer up a little earlier, each in its own way.
_STALLED_SECONDS = 75.0


class Connection(H11Protocol):
    """A connection that is closed when too many are open, or its peer sends too slowly.

    A request's head has to come within some seconds, and each piece of its body, too. A request that was
    answered before its body had come is not read to its end. A peer that takes nothing of a reply is left.
    """

    _timer: asyncio.TimerHandle | None = None
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many."""
        super().connection_made(cast(asyncio.Transport, transport))
        if len(self.connections) > MOST_CONNECTIONS:
            self.transport.abort()
            return
        self._within(_HEAD_SECONDS)

    def data_received(self, data: bytes) -> None:
        """Take what comes."""
        before = self.conn.their_state
        super().data_received(data)
        after = self.conn.their_state
        if after is h11.IDLE:
            # The head began earlier, and is to be there by then.
            if before is not h11.IDLE or self._timer is None:
                self._within(_HEAD_SECONDS)
        elif after is h11.SEND_BODY:
            if not self._answered:
                self._within(_BODY_SECONDS)
        else:
            self._within(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._within(None)
        self._be_patient(False)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Wait for the peer to take what is written, but not for ever."""
        super().pause_writing()
        self._be_patient(True)

    def resume_writing(self) -> None:
        """Go on."""
        self._be_patient(False)
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection without requests, also one whose peer has not taken the last reply."""
        super().timeout_keep_alive_handler()
        self._be_patient(True)

    def on_response_complete(self) -> None:
        """Go on to the next request, but not behind an endless body."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._within(_LINGER_SECONDS)

    @property
    def _answered(self) -> bool:
        return self.cycle is not None and self.cycle.response_complete

    def _within(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None and not self.transport.is_closing():
            self._timer = self.loop.call_later(seconds, self._late)

    def _be_patient(self, waiting: bool) -> None:
        if self._patience is not None:
            self._patience.cancel()
        later = self.loop.call_later(_STALLED_SECONDS, self.transport.abort) if waiting else None
        self._patience = later

    def _late(self) -> None:
        self._timer = None
        # A body that is not read, because its reader is slow, comes later through no fault of its peer.
        if self.flow.read_paused and not self._answered:
            self._within(_BODY_SECONDS)
            return
        self.transport.abort()
