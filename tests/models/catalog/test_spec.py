"""The catalog."""

from pathlib import Path

import pytest

from llmasos.errors import ModelError
from llmasos.models import Catalog


def test_names_are_found_and_an_unknown_one_lists_them() -> None:
    catalog = Catalog.builtin()
    assert [catalog.get(spec.name) for spec in catalog.list()] == list(catalog.list())
    with pytest.raises(ModelError, match=r"no model named 'nope'") as caught:
        catalog.get("nope")
    assert "qwen2.5-coder-0.5b" in caught.value.hint


def test_a_path_to_a_gguf_file_is_a_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.gguf"
    file.write_bytes(b"GGUF\x03\x00\x00\x00")
    spec = Catalog.builtin().get(str(file))
    assert (spec.path, spec.profile, spec.file) == (file, "calls", "mine.gguf")


def test_a_pickle_is_refused_as_one(tmp_path: Path) -> None:
    (path := tmp_path / "model.pt").write_bytes(b"PK\x03\x04")
    with pytest.raises(ModelError, match="holds pickles"):
        Catalog.builtin().get(str(path))


@pytest.mark.parametrize(
    ("make", "message"), [("missing", "does not exist"), ("folder", "folder"), ("text", "not a GGUF")]
)
def test_a_path_that_is_no_model_is_named(tmp_path: Path, make: str, message: str) -> None:
    path = tmp_path / "x.gguf"
    if make == "folder":
        path.mkdir()
    if make == "text":
        path.write_text("hello")
    with pytest.raises(ModelError, match=message):
        Catalog.builtin().get(str(path))
