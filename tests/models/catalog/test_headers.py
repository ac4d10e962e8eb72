"""Headers of model files, good and hostile ones."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmasos.errors import ModelError
from llmasos.models.catalog.gguf import read_gguf
from llmasos.models.catalog.header import read_header
from llmasos.models.catalog.safetensors import read_safetensors
from llmasos.models.catalog.spec import Catalog
from tests.models.catalog.files import gguf, safetensors, write_folder


def written(folder: Path, content: bytes, name: str = "m.gguf") -> Path:
    file = folder / name
    file.write_bytes(content)
    return file


def test_a_gguf_header_is_read(tmp_path: Path) -> None:
    file = written(tmp_path, gguf(metadata={"x.flag": True, "x.half": 0.5, "x.list": [1, 2], "x.text": "ü"}))
    header = read_gguf(file)
    kept = {key: header.metadata[key] for key in ("x.flag", "x.half", "x.list", "x.text")}
    assert kept == {"x.flag": True, "x.half": 0.5, "x.list": (1, 2), "x.text": "ü"}
    assert header.metadata["tokenizer.ggml.tokens.length"] == 3
    assert [(one.name, one.shape, one.bytes) for one in header.tensors] == [
        ("output.weight", (32, 4), 4 * 34)
    ]
    assert (header.text("x.list"), header.number("x.list"), header.number("x.text", 7)) == ("", 3, 7)


@pytest.mark.parametrize("window", [8, 20, 2**20])
@pytest.mark.parametrize("texts", [[""] * 7, ["a" * 30, "", "b" * 300], ["c" * 1000]])
def test_texts_are_skipped_wherever_the_window_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: list[str], window: int
) -> None:
    monkeypatch.setattr("llmasos.models.catalog.gguf._WINDOW", window)
    file = tmp_path / "m.gguf"
    file.write_bytes(gguf(metadata={"many": texts, "after": 7}))
    header = read_gguf(file)
    assert (header.number("many.length"), header.number("after")) == (len(texts), 7)


def test_a_header_is_read_again_when_its_file_is_another(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(gguf())
    assert read_header(file) is read_header(file)
    file.write_bytes(gguf(metadata={"qwen2.context_length": 1024}))
    assert read_header(file).context == 1024
    file.unlink()
    with pytest.raises(ModelError, match="does not exist"):
        read_header(file)


def test_a_tensor_of_a_newer_type_reaches_up_to_the_next_one(tmp_path: Path) -> None:
    tensors = (("new", (32, 4), 99), ("output.weight", (32, 2), 8), ("newer", (32, 1), 98))
    found = read_gguf(written(tmp_path, gguf(tensors=tensors))).tensors
    assert [one.bytes for one in found] == [4 * 34, 2 * 34, 34]


def test_what_a_gguf_model_keeps_for_a_token(tmp_path: Path) -> None:
    header = read_header(written(tmp_path, gguf()))
    assert (header.layers, header.hidden, header.vocabulary, header.context) == (2, 8, 3, 512)
    assert header.cache_values == 2 * 2 * (2 + 2)
    listed = {"qwen2.attention.head_count_kv": [1, 3], "qwen2.attention.key_length": 5}
    assert read_header(written(tmp_path, gguf(metadata=listed))).cache_values == (1 + 3) * (5 + 2)


def test_a_split_model_is_the_sum_of_its_parts(tmp_path: Path) -> None:
    for part in (1, 2):
        written(tmp_path, gguf(), f"m-0000{part}-of-00002.gguf")
    first = tmp_path / "m-00001-of-00002.gguf"
    assert read_header(first).weights == 2 * 4 * 34
    with pytest.raises(ModelError, match="not the first part"):
        read_header(tmp_path / "m-00002-of-00002.gguf")
    (tmp_path / "m-00002-of-00002.gguf").unlink()
    with pytest.raises(ModelError, match=r"00002-of-00002\.gguf does not exist"):
        read_header(first)


HUGE = 2**62
HEAD = b"GGUF" + struct.pack("<I", 3)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a GGUF"),
        (b"PK\x03\x04", "not a GGUF"),
        (b"GGUF", "is cut"),
        (gguf(version=1), "version 1"),
        (gguf(version=3 << 24), "not supported"),
        (HEAD + struct.pack("<QQ", HUGE, 0), f"{HUGE} tensors"),
        (HEAD + struct.pack("<QQ", 0, HUGE), f"{HUGE} keys"),
        (HEAD + struct.pack("<QQQ", 0, 1, HUGE), "bytes long"),
        (HEAD + struct.pack("<QQQ", 0, 1, 60_000), "is cut"),
        (gguf(metadata={"x": struct.pack("<IQ", 8, HUGE)}), "bytes long"),
        (gguf(metadata={"x": struct.pack("<IIQ", 9, 4, HUGE)}), "items"),
        (gguf(metadata={"x": struct.pack("<IIQ", 9, 8, 1_000_000)}), "is cut"),
        (gguf(metadata={"x": struct.pack("<IIQ", 9, 9, 1)}), "unknown type 9"),
        (gguf(metadata={"x": struct.pack("<I", 99)}), "unknown type 99"),
        (gguf(metadata={"general.alignment": 0}), "alignment"),
        (gguf(metadata={"general.alignment": "x"}), "alignment"),
        (gguf(tensors=(("t", (32,) * 9, 8),), data=0), "9 dimensions"),
        (gguf(tensors=(("t", (33,), 8),)), "whole blocks"),
        (gguf(tensors=(("t", (2**60, 2**60), 0),), data=0), "is cut"),
        (gguf(data=4 * 34 - 1), "is cut"),
    ],
)
def test_gguf_files_that_lie_are_named(tmp_path: Path, content: bytes, said: str) -> None:
    file = written(tmp_path, content)
    with pytest.raises(ModelError, match=said) as caught:
        read_gguf(file)
    assert str(file) in caught.value.message and caught.value.hint


def test_a_key_that_comes_twice_is_refused(tmp_path: Path) -> None:
    content = gguf(metadata={"general.name": None, "general.nam1": 1, "general.nam2": 2})
    with pytest.raises(ModelError, match="twice"):
        read_gguf(written(tmp_path, content.replace(b"general.nam2", b"general.nam1")))


@given(place=st.integers(0, len(gguf()) - 1), value=st.integers(0, 255))
def test_a_flipped_byte_never_breaks_the_reader(tmp_path_factory: Any, place: int, value: int) -> None:
    content = bytearray(gguf())
    content[place] = value
    file = tmp_path_factory.getbasetemp() / "flipped.gguf"
    file.write_bytes(content)
    try:
        read_header(file)
    except ModelError as error:
        assert error.hint


@pytest.mark.parametrize(
    "left_out", ["general.architecture", "qwen2.block_count", "qwen2.attention.head_count"]
)
def test_a_gguf_file_that_is_no_language_model(tmp_path: Path, left_out: str) -> None:
    with pytest.raises(ModelError, match="no language model"):
        read_header(written(tmp_path, gguf(metadata={left_out: None})))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -5, 2**31, "many"], ids=str)
@pytest.mark.parametrize(
    "key",
    [
        *("block_count", "embedding_length", "context_length", "vocab_size"),
        *("attention.head_count", "attention.head_count_kv", "attention.key_length"),
    ],
)
def test_no_number_of_a_header_breaks_the_estimate(tmp_path: Path, key: str, value: Any) -> None:
    signed = struct.pack("<Iq", 11, value) if isinstance(value, int) else value
    listed = struct.pack("<IIQq", 9, 11, 1, value) if isinstance(value, int) else signed
    for metadata in ({f"qwen2.{key}": signed}, {f"qwen2.{key}": listed}):
        file = written(tmp_path, gguf(metadata={"tokenizer.ggml.tokens": None, **metadata}))
        try:
            header = read_header(file)
        except ModelError as error:
            assert "no language model" in error.message
        else:
            assert min(header.cache_values, header.context, header.vocabulary) >= 0


def test_headers_take_a_bounded_part_of_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = written(tmp_path, gguf(metadata={"x": struct.pack("<IIQ", 9, 8, 2_000_001)}))
    with pytest.raises(ModelError, match="2000001 texts"):
        read_gguf(texts)
    monkeypatch.setattr("llmasos.models.catalog.gguf._MAX_KEPT", 1000)
    for hostile in ({str(key): "x" * 400 for key in range(3)}, {str(key): [1] * 15 for key in range(3)}):
        with pytest.raises(ModelError, match="is damaged"):
            read_gguf(written(tmp_path, gguf(metadata=hostile)))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.gguf"
    os.mkfifo(pipe)
    for read in (read_gguf, read_safetensors, lambda path: Catalog.builtin().get(str(path))):
        with pytest.raises(ModelError, match="is no file"):
            read(pipe)


def test_a_safetensors_header_is_read(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"format": "pt"},
        "b": {"dtype": "BF16", "shape": [3], "data_offsets": [8, 14]},
        "a": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
        "empty": {"dtype": "U8", "shape": [0, 4], "data_offsets": [14, 14]},
    }
    found = read_safetensors(written(tmp_path, safetensors(header, bytes(14))))
    assert [(one.name, one.bytes, one.kind) for one in found] == [
        ("a", 8, "F32"),
        ("b", 6, "BF16"),
        ("empty", 0, "U8"),
    ]


def entry(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> bytes:
    return safetensors({"t": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}, bytes(8))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is cut"),
        (b"1234567", "is cut"),
        (struct.pack("<Q", HUGE) + b"{}", "is cut"),
        (struct.pack("<Q", 2) + b"{]", "no JSON"),
        (struct.pack("<Q", 100_000) + b"[" * 100_000, "no JSON"),
        (struct.pack("<Q", 2) + b"[]", "no object"),
        (entry(dtype="F31"), "does not fit"),
        (entry(dtype=["F32"]), "does not fit"),
        (entry(shape=[3]), "does not fit"),
        (entry(shape=[-1, -2]), "does not fit"),
        (entry(shape=["2"]), "does not fit"),
        (entry(shape=[True, 2]), "does not fit"),
        (entry(shape=2), "does not fit"),
        (entry(offsets=[8, 0]), "does not fit"),
        (entry(offsets=[0]), "does not fit"),
        (safetensors({"t": 1}), "does not fit"),
        (entry(offsets=[4, 12]), "does not begin"),
        (entry() + b"x", "belong to no tensor"),
        (entry()[:-1], "is cut"),
        (
            safetensors(
                {name: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for name in "ab"}, bytes(8)
            ),
            "does not begin",
        ),
    ],
)
def test_safetensors_files_that_lie_are_named(tmp_path: Path, content: bytes, said: str) -> None:
    file = written(tmp_path, content, "model.safetensors")
    with pytest.raises(ModelError, match=said) as caught:
        read_safetensors(file)
    assert str(file) in caught.value.message and caught.value.hint


def test_a_folder_is_read(tmp_path: Path) -> None:
    header = read_header(write_folder(tmp_path / "m", head_dim=16))
    assert (header.layers, header.weights, header.vocabulary, header.context) == (2, 32, 100, 512)
    assert header.cache_values == 2 * 2 * 2 * 16
    nested = write_folder(tmp_path / "n", num_hidden_layers=None, text_config={"num_hidden_layers": 5})
    assert read_header(nested).layers == 5


def test_a_folder_of_several_files_needs_each(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"w": "model-1.safetensors", "v": "model-2.safetensors"}}))
    with pytest.raises(ModelError, match=r"model-2\.safetensors does not exist"):
        read_header(folder)
    (folder / "model-2.safetensors").write_bytes(safetensors())
    assert read_header(folder).weights == 64
    index.write_text(json.dumps({"weight_map": {"w": "../m/model-1.safetensors"}}))
    with pytest.raises(ModelError, match="names no files"):
        read_header(folder)


def test_settings_of_another_kind_than_expected_are_passed_over(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m", text_config="none")
    (folder / "tokenizer_config.json").write_text('{"chat_template": ["a", 1, {"name": "default"}]}')
    assert read_header(folder).traits.template == ""


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("{}", "does not describe"),
        ("[]", "no JSON object"),
        ("{", "no JSON object"),
        ('{"model_type": "x", "num_hidden_layers": "2"}', "does not describe"),
        (
            '{"model_type": "x", "num_hidden_layers": -1, "hidden_size": 8, "num_attention_heads": 1}',
            "describe",
        ),
    ],
)
def test_a_configuration_that_describes_nothing_is_named(tmp_path: Path, config: str, said: str) -> None:
    folder = write_folder(tmp_path / "m")
    (folder / "config.json").write_text(config)
    with pytest.raises(ModelError, match=said):
        read_header(folder)


def test_a_folder_of_pickles_is_refused_with_the_reason(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickles, which can run code"):
        read_header(folder)
