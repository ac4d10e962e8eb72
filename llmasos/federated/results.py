"""What came of a run: its model, its report, and what proves them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from subprocess import DEVNULL

import anyio
import anyio.to_thread

from llmasos.federated.folder import RunFolder
from llmasos.federated.port import FederatedError
from llmasos.federated.run import environment_of

_MODEL = "model.safetensors"
_PROOFS = ("plan.json", "events.jsonl")


class Results:
    """One run's results.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    def files(self) -> dict[str, Path]:
        """Return the files of the results and of what proves them, by where they belong in a folder.

        Raises:
            FederatedError: The run has none yet.
        """
        folder = self._folder
        if not folder.results.is_dir():
            raise FederatedError(
                f"The run {folder.id} has no results yet.",
                hint=f"See how it stands: llmasos federated status {folder.id}",
            )
        found = {name: folder.path / name for name in _PROOFS}
        made = (file for file in sorted(folder.results.rglob("*")) if file.is_file())
        return found | {str(file.relative_to(folder.results)): file for file in made}

    async def weigh(self) -> str:
        """Return the SHA-256 of the model, computed anew.

        Raises:
            FederatedError: The model is not there or damaged.
        """
        file = self.files().get(_MODEL)
        if file is None:
            raise FederatedError(f"The run {self._folder.id} has no model among its results.")
        # What reads numbers is not loaded here.
        command = [sys.executable, "-m", "llmasos.federated.weigh", str(file)]
        done = await anyio.run_process(
            command, stdin=DEVNULL, stderr=DEVNULL, check=False, env=environment_of(self._folder.path)
        )
        text = done.stdout.decode("utf-8", "replace").strip()
        if done.returncode != 0:
            raise FederatedError(f"The model of the run {self._folder.id} cannot be read: {text}.")
        return text

    async def export(self, target: Path) -> list[Path]:
        """Copy the results and what proves them to a folder that is not there yet.

        Raises:
            FederatedError: There are none yet, or the target is in use.
        """
        try:
            await anyio.to_thread.run_sync(_copy, self.files(), target)
        except OSError as error:
            raise FederatedError(
                f"The run {self._folder.id} cannot be written to {target}: {error.strerror}.",
                hint="Name a folder that is not there yet.",
            ) from error
        return sorted(target.iterdir())


def _copy(files: Mapping[str, Path], target: Path) -> None:
    target.mkdir(parents=True)
    for name, file in files.items():
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, place)
