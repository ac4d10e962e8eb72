"""Starting the kernel process when none answers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable

import anyio

from llmasos import paths
from llmasos.errors import KernelError

_START_SECONDS = 60.0
_POLL_SECONDS = 0.05


async def start_kernel(
    answers: Callable[[], Awaitable[bool]], progress: Callable[[str], None] = lambda text: None
) -> None:
    """Start a kernel that outlives this process, and return when it answers.

    Args:
        answers: Tells whether a kernel answers.
        progress: Told what the kernel says meanwhile: at its first start it builds the sandbox's image.

    Raises:
        ConfigError: The folder of its data or of its socket cannot be used.
        KernelError: It ended at once, with the reason it gave, or did not answer in time.
    """
    paths.private_dir(paths.runtime_dir())
    log = paths.private_dir(paths.data_dir()) / "kernel.out"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "llmasos.service"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
            env={**os.environ, "PYTHONSAFEPATH": "1"},
        )
    with anyio.move_on_after(_START_SECONDS) as scope:
        said = ""
        while process.poll() is None:
            if await answers():
                return
            await anyio.sleep(_POLL_SECONDS)
            now = log.read_text(errors="replace")
            if now != said:
                # As long as it gets on, it is waited for.
                said, scope.deadline = now, anyio.current_time() + _START_SECONDS
                progress(said.strip().splitlines()[-1] if said.strip() else "")
        # Another client may have started a kernel at the same moment; one of the two wins the lock.
        for _ in range(20):
            if await answers():
                return
            await anyio.sleep(_POLL_SECONDS)
        said = log.read_text(errors="replace").strip().removeprefix("llmasos: ")
        message, _, hint = said.partition("\n")
        raise KernelError(message or f"The kernel ended at once; {log} says why.", hint=hint)
    raise KernelError(
        f"The kernel did not answer and said nothing for {_START_SECONDS:g} s.", hint=f"Look into {log}."
    )
