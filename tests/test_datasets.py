"""How files that are data sets are named."""

import pytest

from llmasos.datasets import parted


@pytest.mark.parametrize(
    ("named", "path", "size"),
    [
        ("scans/a.csv", "scans/a.csv", ""),
        ("a.csv@28x28", "a.csv", "@28x28"),
        ("a@b.csv@8x8x3", "a@b.csv", "@8x8x3"),
        ("a.csv@8", "a.csv@8", ""),
        ("@8x8", "@8x8", ""),
    ],
)
def test_the_size_of_images_stands_after_a_path(named: str, path: str, size: str) -> None:
    assert parted(named) == (path, size)
