"""Names of models, which the kernel reads in a folder of its own."""

from __future__ import annotations

from pathlib import Path


def model_name(name: str) -> str:
    """Return a model's name with a path made absolute; names of the catalog and of hubs stay as they are."""
    path = Path(name).expanduser()
    if name.startswith(("./", "../", "~")) or (("/" in name or name.endswith(".gguf")) and path.exists()):
        return str(path.absolute())
    return name
