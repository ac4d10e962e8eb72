"""The results of an audit on the disk, a line for each pair, so that a killed audit goes on."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from llmasos import paths
from llmasos.audits.measures import Observation
from llmasos.audits.pairs import Pair
from llmasos.audits.tasks import version
from llmasos.errors import LLMasOSError


class PairResult(BaseModel):
    """What both sides of a pair did; `key` tells whether it is of the same pair."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pair: str
    key: str
    left: Observation
    right: Observation


class Results:
    """The results of the audits of one model with one seed.

    Args:
        path: Their file; what is broken off at its end, by a kill, is dropped.

    Raises:
        LLMasOSError: It cannot be read, or is no such file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: dict[str, PairResult] = {}
        self._read()

    @classmethod
    def of(cls, model: str, digest: str, seed: int, system: str) -> Results:
        """Open the results of a model in the data folder.

        Args:
            model: Its name.
            digest: Of its weights, where that is known.
            seed: Of the pairs.
            system: The version of the system, which is measured, too.
        """
        folder = paths.private_dir(paths.data_dir() / "audits")
        key = sha256("\n".join([model, digest, version(), system]).encode()).hexdigest()[:12]
        return cls(folder / f"fairness-{slug(model)}-{seed}-{key}.jsonl")

    def get(self, pair: Pair) -> PairResult | None:
        """Return the result of a pair; None where there is none yet."""
        found = self._found.get(pair.id)
        return found if found is not None and found.key == pair_key(pair) else None

    def add(self, pair: Pair, left: Observation, right: Observation) -> PairResult:
        """Keep the result of a pair."""
        result = PairResult(pair=pair.id, key=pair_key(pair), left=left, right=right)
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(result.model_dump_json() + "\n")
        except OSError as error:
            raise LLMasOSError(
                f"The results cannot be kept in {self.path}: {error.strerror}.",
                hint="Free space, or choose another folder with LLMASOS_DATA_DIR.",
            ) from error
        self._found[pair.id] = result
        return result

    def _read(self) -> None:
        if not self.path.exists():
            return
        try:
            data = self.path.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            if whole != data:
                self.path.write_bytes(whole)
        except OSError as error:
            raise LLMasOSError(
                f"The results in {self.path} cannot be read: {error.strerror}.",
                hint="Mend its permissions, or move it away and audit anew.",
            ) from error
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                result = PairResult.model_validate_json(line)
            except ValidationError as error:
                raise LLMasOSError(
                    f"Line {number} of {self.path} is no result of an audit.",
                    hint="Delete that line, or move the file away and audit anew.",
                ) from error
            self._found[result.pair] = result


def pair_key(pair: Pair) -> str:
    """Return what tells a pair from all others."""
    return sha256(pair.model_dump_json().encode()).hexdigest()[:16]


def slug(name: str) -> str:
    """Return a name that a file can have."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:80] or "model"
