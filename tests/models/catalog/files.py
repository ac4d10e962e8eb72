"""Small model files for tests."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

CONFIG = {
    "model_type": "qwen2",
    "num_hidden_layers": 2,
    "hidden_size": 8,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
    "max_position_embeddings": 512,
}


def gguf(
    *,
    metadata: dict[str, Any] | None = None,
    tensors: tuple[tuple[str, tuple[int, ...], int], ...] = (("output.weight", (32, 4), 8),),
    data: int | None = None,
    version: int = 3,
) -> bytes:
    """Return a GGUF file of a model of two layers.

    Args:
        metadata: Keys that are added, or with None are left out.
        tensors: Name, shape and number of the type.
        data: Bytes after the header; by default as many as the tensors of the type Q8_0 need.
    """
    keys: dict[str, Any] = {
        "general.architecture": "qwen2",
        "general.name": "Tiny",
        "qwen2.block_count": 2,
        "qwen2.context_length": 512,
        "qwen2.embedding_length": 8,
        "qwen2.attention.head_count": 4,
        "qwen2.attention.head_count_kv": 2,
        "tokenizer.ggml.tokens": ["a", "b", "c"],
        **(metadata or {}),
    }
    keys = {key: value for key, value in keys.items() if value is not None}
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys))
    for key, value in keys.items():
        head += _text(key) + _value(value)
    offset = 0
    for name, shape, kind in tensors:
        head += _text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        head += struct.pack("<IQ", kind, offset)
        offset += 34 * shape[0] // 32 * (shape[1] if len(shape) > 1 else 1)
    head += b"\0" * (-len(head) % 32)
    return head + b"\0" * (offset if data is None else data)


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def _value(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if value and isinstance(value[0], str):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_text, value))
    return struct.pack("<IIQ", 9, 4, len(value)) + struct.pack(f"<{len(value)}I", *value)


def safetensors(header: dict[str, Any] | None = None, data: bytes = bytes(32)) -> bytes:
    """Return a safetensors file, by default with one float32 tensor of the shape (2, 4)."""
    content = json.dumps(
        header if header is not None else {"w": {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 32]}}
    ).encode()
    return struct.pack("<Q", len(content)) + content + data


def write_folder(folder: Path, **config: Any) -> Path:
    """Write a folder with a model in one safetensors file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**CONFIG, **config}))
    (folder / "model.safetensors").write_bytes(safetensors())
    return folder
