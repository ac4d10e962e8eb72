"""The one thread on which a model is used."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from llmasos.errors import ModelError
from llmasos.models.engines.port import EngineDied

T = TypeVar("T")

# How often to look again whether a reader has caught up.
_LOOK_AGAIN = 0.05


class ModelThread:
    """Runs calls in order, and steps between them while there is something to do.

    Args:
        name: The model's name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._death: Exception | None = None
        self._step: Callable[[], bool] = lambda: False
        self._busy: Callable[[], bool] = lambda: False
        self._thread = threading.Thread(target=self._run, name=f"torch-{name}", daemon=True)
        self._thread.start()

    def drive(
        self, step: Callable[[], bool], busy: Callable[[], bool], die: Callable[[Exception], None]
    ) -> None:
        """Say what to do between calls; to be called on the thread.

        Args:
            step: Does a piece of work and returns whether there was any.
            busy: Whether work waits.
            die: Called with the error that ends the thread.
        """
        self._step, self._busy, self._die = step, busy, die

    async def run(self, call: Callable[[], T]) -> T:
        """Run the call on the thread; when the awaiting task is cancelled it is left to end.

        Raises:
            ModelError: The model was unloaded.
            EngineDied: The thread ended by an error.
        """
        return await asyncio.wrap_future(self.submit(call))

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Run the call on the thread, as `run` does."""
        future: Future[T] = Future()
        with self._changed:
            if self._death is not None:
                raise self._death
            if self._closed:
                raise ModelError(f"The model {self._name} was unloaded.", hint="Ask again to load it.")
            self._calls.append((future, call))
            self._changed.notify()
        return future

    def close(self) -> None:
        """Let the thread end after the calls that wait; no more are taken."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def join(self) -> None:
        """Wait for the end."""
        self._thread.join()

    def _run(self) -> None:
        import torch

        with torch.inference_mode():
            while self._turn():
                pass

    def _turn(self) -> bool:
        with self._changed:
            while not self._calls and not self._closed and not self._busy():
                self._changed.wait()
            calls = list(self._calls)
            self._calls.clear()
            ending = self._closed
        for future, call in calls:
            _answer(future, call)
        if ending:
            return False
        try:
            worked = self._step()
        except Exception as error:
            self._end(error)
            return False
        if not worked and self._busy():
            with self._changed:
                if not self._calls and not self._closed:
                    self._changed.wait(_LOOK_AGAIN)
        return True

    def _end(self, error: Exception) -> None:
        if not isinstance(error, EngineDied):
            error = EngineDied(
                f"The engine of {self._name} ended: {error}.", hint="Ask again to load the model."
            )
        with self._changed:
            self._death = error
            calls = list(self._calls)
            self._calls.clear()
        self._die(error)
        for future, _ in calls:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)


def _answer(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except Exception as error:
        future.set_exception(error)
