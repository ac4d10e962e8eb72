"""What of a document is translated already: kept until all of it is, so that it can be gone on with."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from pathlib import Path

_KEPT_SECONDS = 14 * 86_400.0


class Journal:
    """Translations of one document, one line of JSON for each, on the disk as they come.

    Args:
        folder: Where journals lie.
        what: Everything that decides on the translations: another journal is for anything else.
    """

    def __init__(self, folder: Path, what: Iterable[str]) -> None:
        digest = hashlib.sha256(json.dumps(list(what)).encode("utf-8", "surrogatepass")).hexdigest()
        self._path = folder / f"{digest[:40]}.jsonl"
        _sweep(folder)
        self.known = dict(self._read())

    def add(self, text: str, translation: str, problems: Iterable[str]) -> None:
        """Keep the translation of a text."""
        line = json.dumps([text, translation, list(problems)]) + "\n"
        with self._path.open("a") as file:
            file.write(line)

    def end(self) -> None:
        """Forget them: the document is done."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> Iterable[tuple[str, tuple[str, list[str]]]]:
        try:
            lines = self._path.read_text().splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                text, translation, problems = json.loads(line)
            except ValueError:
                # It was being written when the machine stopped.
                continue
            yield text, (translation, problems)


def _sweep(folder: Path) -> None:
    for path in folder.glob("*.jsonl"):
        if path.stat().st_mtime < time.time() - _KEPT_SECONDS:
            path.unlink(missing_ok=True)
