"""Folders of images with one subfolder a class, all brought to one size."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from llmasos.federated.data.files import MAX_BYTES, check_room, opened, shown
from llmasos.federated.data.labels import check_classes
from llmasos.federated.dataset import Dataset
from llmasos.federated.port import DataError

SIDE = 32
"""How high and wide images become where they are not small and alike, and no size is named."""

LARGEST_SIDE = 1024
"""How high and wide images may be to learn from them."""

_LARGEST_SMALL = 64
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "WEBP")
_ENDINGS = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".webp"})
_OTHERS = frozenset({"Thumbs.db", "desktop.ini"})
_LARGEST_FILE = 256 << 20


def read_images(folder: Path, shape: tuple[int, int, int] | None = None) -> Dataset:
    """Read all images of a folder's subfolders, whose names are the classes.

    Args:
        shape: Height, width and channels (1 for grey, 3 for colours) that all images are brought to; without
            it small images that are alike stay as they are, and others become 32 by 32.

    Raises:
        DataError: There is something else in the folder, or an image cannot be read.
    """
    if shape and not (all(1 <= side <= LARGEST_SIDE for side in shape[:2]) and shape[2] in (1, 3)):
        raise DataError(
            f"Images cannot be brought to {'x'.join(map(str, shape))}.",
            hint=f"Name a height and width of 1 to {LARGEST_SIDE} and 1 or 3 channels, such as @32x32x3.",
        )
    files = list(_files(folder))
    labels = np.array([file.parent.name for file in files], np.str_)
    name = shown(folder.name)
    if not files:
        raise DataError(
            f"{name} has no images.", hint=f"Give it a subfolder for each class, with {_endings()} files."
        )
    counts: dict[str, int] = {}
    for label in labels.tolist():
        counts[label] = counts.get(label, 0) + 1
    check_classes(counts, name)
    height, width, channels = shape or _shape(files)
    check_room(len(files), height * width * channels, name, MAX_BYTES)
    inputs = np.empty((len(files), height, width, channels), np.float32)
    for place, file in enumerate(files):
        with _image(file) as image:
            inputs[place] = _pixels(image, height, width, channels)
    return Dataset("images", inputs, labels)


def _files(folder: Path) -> Iterator[Path]:
    """Yield the images of each class in the order of their names."""
    for part in _listed(folder):
        if part.is_symlink() or not part.is_dir():
            raise DataError(
                f"{shown(part.name)} in {shown(folder.name)} is not a folder.",
                hint="Put images into one subfolder for each class.",
            )
        for file in _listed(part):
            if file.suffix.lower() not in _ENDINGS or file.is_symlink() or not file.is_file():
                raise DataError(
                    f"{shown(file.name)} in {shown(part.name)} is not an image.",
                    hint=f"Keep only {_endings()} files in the folder of a class, and no links.",
                )
            yield file


def _listed(folder: Path) -> list[Path]:
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(
            f"{shown(str(folder))} cannot be listed: {error.strerror}.", hint="Check its permissions."
        ) from None
    return [one for one in inside if not one.name.startswith(".") and one.name not in _OTHERS]


def _endings() -> str:
    return ", ".join(sorted(_ENDINGS))


@contextmanager
def _image(path: Path) -> Iterator[Any]:
    """Open an image; its pixels are decoded only when they are asked for."""
    from PIL import Image

    name = f"{shown(path.name)} in {shown(path.parent.name)}"
    with opened(path) as file, warnings.catch_warnings():
        # Pillow says with a warning that an image has suspiciously many pixels.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        warnings.simplefilter("ignore", UserWarning)
        try:
            if path.stat().st_size > _LARGEST_FILE:
                raise Image.DecompressionBombError
            with Image.open(file, formats=_FORMATS) as image:
                yield image
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise DataError(
                f"The image {name} is too large: {Image.MAX_IMAGE_PIXELS or 0:,} pixels is the most.",
                hint="Make it smaller, or leave it out.",
            ) from None
        except DataError:
            raise
        except Exception as error:
            # Decoders of damaged files raise whatever they stumble over.
            raise DataError(
                f"The image {name} cannot be read: {type(error).__name__}.",
                hint="Leave it out, or save it as PNG once more.",
            ) from None


def _shape(files: list[Path]) -> tuple[int, int, int]:
    """Return what images are brought to where nobody says it."""
    sizes, grey = set(), True
    for file in files:
        with _image(file) as image:
            sizes.add(image.size)
            grey = grey and image.mode in ("1", "L", "LA", "I", "I;16", "I;16B", "F")
    channels = 1 if grey else 3
    width, height = sizes.pop()
    if not sizes and max(width, height) <= _LARGEST_SMALL:
        return height, width, channels
    return SIDE, SIDE, channels


def _pixels(image: Any, height: int, width: int, channels: int) -> npt.NDArray[np.float32]:
    """Return an image's pixels from 0 to 1, of shape (height, width, channels)."""
    from PIL import Image, ImageOps

    mode = "L" if channels == 1 else "RGB"
    image.draft(mode, (width, height))
    if image.mode.startswith("I"):
        # Sixteen bits a pixel, which a plain conversion would cut off.
        image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    image = ImageOps.exif_transpose(image).convert(mode)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    pixels: npt.NDArray[np.float32] = np.asarray(image, np.float32) / np.float32(255)
    return pixels.reshape(height, width, channels)
