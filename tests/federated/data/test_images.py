"""Folders of images become arrays of one size, or are refused with a reason."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from llmasos.federated.data import images
from llmasos.federated.data.sources import load
from llmasos.federated.port import DataError


def painted(folder: Path, name: str, size: tuple[int, int], colour: object, mode: str = "RGB") -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(folder / name)  # type: ignore[arg-type]


def test_small_images_that_are_alike_stay_as_they_are(tmp_path: Path) -> None:
    painted(tmp_path, "cat/1.png", (10, 12), 255, "L")
    painted(tmp_path, "dog/2.png", (10, 12), 0, "L")
    (tmp_path / ".DS_Store").write_text("")
    (tmp_path / "cat" / "Thumbs.db").write_text("")
    told = load(str(tmp_path))
    assert (told.kind, told.inputs.shape) == ("images", (2, 12, 10, 1))
    assert told.inputs.dtype == np.float32
    assert told.labels.tolist() == ["cat", "dog"]
    assert told.inputs.reshape(2, -1).mean(axis=1).tolist() == [1, 0]


def test_others_are_brought_to_one_size(tmp_path: Path) -> None:
    painted(tmp_path, "a/1.png", (200, 100), (255, 0, 0))
    painted(tmp_path, "b/2.jpg", (33, 40), 128, "L")
    painted(tmp_path, "b/3.gif", (5, 5), 7, "P")
    painted(tmp_path, "b/4.webp", (64, 64), (0, 0, 255, 128), "RGBA")
    told = load(str(tmp_path))
    assert told.inputs.shape == (4, images.SIDE, images.SIDE, 3)
    assert np.allclose(told.inputs[0], [1, 0, 0])
    assert np.allclose(told.inputs[1], 128 / 255, atol=0.01)


@pytest.mark.parametrize(("size", "shape"), [("16x24", (16, 24, 3)), ("8x8x1", (8, 8, 1))])
def test_a_size_can_be_named(tmp_path: Path, size: str, shape: tuple[int, int, int]) -> None:
    painted(tmp_path, "scans/a/1.png", (200, 100), (255, 255, 255))
    painted(tmp_path, "scans/b/1.png", (10, 10), 0, "L")
    told = load(f"scans@{size}", folder=tmp_path)
    assert told.inputs.shape == (2, *shape)
    assert np.allclose(told.inputs[0], 1)


def test_sixteen_bits_a_pixel_are_not_cut_off(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.fromarray(np.full((8, 8), 32768, np.uint16)).save(tmp_path / "a" / "1.png")
    assert np.allclose(load(str(tmp_path)).inputs, 128 / 255)


def test_a_picture_that_lies_on_its_side_is_turned(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    picture = Image.new("RGB", (40, 20))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.paste((255, 255, 255), (0, 0, 40, 10))
    picture.save(tmp_path / "a" / "1.jpg", exif=exif, quality=95)
    told = load(f"{tmp_path}@40x20x1").inputs[0, :, :, 0]
    assert told[:, 12:].min() > 0.9
    assert told[:, :8].max() < 0.1


def bomb(side: int) -> bytes:
    """Return a PNG of a few bytes that says it is so high and wide."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [12_000, 60_000])
@pytest.mark.parametrize("size", ["", "@8x8"])
def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(
    tmp_path: Path, side: int, size: str
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(bomb(side))
    with pytest.raises(DataError, match=r"The image '1.png' in 'a' is too large: [\d,]+ pixels is the most"):
        load(f"{tmp_path}{size}")


def test_more_images_than_fit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in range(5):
        painted(tmp_path, f"a/{place}.png", (10, 10), 0, "L")
    monkeypatch.setattr(images, "MAX_BYTES", 1000)
    with pytest.raises(DataError, match="5 rows of 100 numbers"):
        load(str(tmp_path))


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    painted(tmp_path, "a/1.png", (8, 8), 0, "L")
    good = (tmp_path / "a" / "1.png").read_bytes()
    for bad in (b"", b"rubbish", good[:40], good[:-20] + b"\0" * 20):
        (tmp_path / "a" / "2.png").write_bytes(bad)
        with pytest.raises(DataError, match=r"2\.png"):
            load(str(tmp_path))
    (tmp_path / "a" / "2.png").unlink()
    (tmp_path / "a" / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"'notes\.txt' in 'a' is not an image"):
        load(str(tmp_path))
    (tmp_path / "a" / "notes.txt").unlink()
    (tmp_path / "a" / "3.png").symlink_to(tmp_path / "a" / "1.png")
    with pytest.raises(DataError, match=r"'3\.png' in 'a' is not an image"):
        load(str(tmp_path))
    (tmp_path / "a" / "3.png").unlink()
    painted(tmp_path, "4.png", (8, 8), 0, "L")
    with pytest.raises(DataError, match=r"'4\.png' in .* is not a folder"):
        load(str(tmp_path))


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="has no images"):
        load(str(tmp_path))


@pytest.mark.parametrize("size", ["0x8", "8x9999", "8x8x2"])
def test_an_impossible_size_is_refused(tmp_path: Path, size: str) -> None:
    painted(tmp_path, "a/1.png", (8, 8), 0, "L")
    with pytest.raises(DataError, match="cannot be brought to"):
        load(f"{tmp_path}@{size}")


def test_a_link_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    painted(tmp_path, "real/a/1.png", (8, 8), 0, "L")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(DataError, match="is a link"):
        load("link", folder=tmp_path)
