"""Sources of data sets: what a plan names, and the rows that it stands for."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from llmasos.federated.data import builtin
from llmasos.federated.data.files import shown
from llmasos.federated.data.images import read_images
from llmasos.federated.data.mnist import folder as fetched
from llmasos.federated.data.mnist import read_mnist
from llmasos.federated.data.tables import read_csv, read_parquet
from llmasos.federated.dataset import Dataset
from llmasos.federated.port import DataError

_CSV = frozenset({".csv", ".tsv"})
_PARQUET = frozenset({".parquet", ".pq"})
_SIZED = re.compile(
    r"(?P<path>.+)@(?P<height>\d{1,6})x(?P<width>\d{1,6})(?:x(?P<channels>\d{1,6}))?", re.DOTALL
)


def load(source: str, *, label: str = "", folder: Path | None = None) -> Dataset:
    """Return the rows of a source.

    Args:
        source: The name of a built-in data set; or the path of a CSV or Parquet file; or that of a folder of
            images, which may end with the size they are brought to, as in `scans@64x64` or `scans@64x64x1`.
        label: The column that is learnt; the last one when empty.
        folder: Where paths that are not absolute begin.

    Raises:
        DataError: There is no such source, or nothing can be learnt from it.
    """
    if synthetic := builtin.Synthetic.named(source):
        return synthetic.load()
    match source:
        case "digits":
            return builtin.digits()
        case "iris" | "wine" | "breast-cancer":
            return builtin.table(source)
        case "mnist":
            return read_mnist(fetched())
        case "synthetic-texts":
            return builtin.synthetic_texts()
    return _read(source, label, folder or Path())


def divided(source: str) -> tuple[str, ...]:
    """Return the source of each client where a data set comes divided; nothing where it is dealt."""
    synthetic = builtin.Synthetic.named(source)
    if synthetic is None or synthetic.device is not None:
        return ()
    return tuple(f"{source}#{device}" for device in range(builtin.DEVICES))


def _read(source: str, label: str, folder: Path) -> Dataset:
    path, shape = folder / source, None
    try:
        sized = None if path.exists() else _SIZED.fullmatch(source)
        if sized:
            path = folder / sized["path"]
            shape = (int(sized["height"]), int(sized["width"]), int(sized["channels"] or 3))
        mode = path.lstat().st_mode
    except (OSError, ValueError):
        raise DataError(
            f"There is no data set {shown(source)}.",
            hint="Name a CSV or Parquet file, a folder with a subfolder of images for each class, or one of "
            f"{', '.join(builtin.NAMES)}.",
        ) from None
    if stat.S_ISLNK(mode):
        raise DataError(f"{shown(source)} is a link.", hint="Name what it leads to.")
    if stat.S_ISDIR(mode):
        return read_images(path, shape)
    if path.suffix.lower() in _CSV:
        return read_csv(path, label)
    if path.suffix.lower() in _PARQUET:
        return read_parquet(path, label)
    raise DataError(
        f"{shown(source)} is neither a CSV nor a Parquet file nor a folder of images.",
        hint="Export it as one of these, with the ending .csv or .parquet.",
    )
