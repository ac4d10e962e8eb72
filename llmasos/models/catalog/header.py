"""What the files of a model say of it: its kind, its size, and what it keeps for each token."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeGuard

from pydantic import BaseModel

from llmasos.errors import ModelError
from llmasos.models.catalog.gguf import GGUFHeader, Tensor, read_gguf
from llmasos.models.catalog.profile import Traits
from llmasos.models.catalog.safetensors import read_safetensors
from llmasos.models.untrusted import read_json

Format = Literal["gguf", "safetensors"]

_MAX_JSON = 64 * 2**20
_MOST = 2**31
_MOST_LAYERS = 10_000
# ggml's Q4_0, Q4_K and IQ4_NL.
_REPACKED = (2, 12, 20)
_PART = re.compile(r"(?P<stem>.+)-(?P<part>\d{5})-of-(?P<parts>\d{5})\.gguf")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
"""How files with weights end that can run code when they are read."""


class Header(BaseModel, frozen=True):
    """What a model's files say of it.

    Args:
        traits: Its kind.
        weights: Bytes of all tensors, as they are stored.
        repacked: The part of them of which llama.cpp makes a copy in another order, on a CPU.
        quantised: Whether they are stored in a type that stays as it is in memory.
        layers: How many layers it has.
        hidden: Numbers in a hidden state.
        vocabulary: How many tokens it knows.
        cache_values: Numbers kept of each token that was read, over all layers.
        context: Tokens it was trained to read; 0 when unknown.
    """

    traits: Traits
    weights: int
    repacked: int = 0
    quantised: bool
    layers: int
    hidden: int
    vocabulary: int
    cache_values: int
    context: int = 0


def format_of(path: Path) -> Format:
    """Return the format of a model: a folder holds safetensors, a file is GGUF."""
    return "safetensors" if path.is_dir() else "gguf"


def read_header(path: Path) -> Header:
    """Read the header of a GGUF file with all its parts, or of a folder with safetensors.

    Raises:
        ModelError: A file is missing, damaged, cut, or holds no language model.
    """
    if path.is_dir():
        return _of_folder(path)
    try:
        stamps = tuple(_stamp(file) for file in gguf_parts(path))
    except OSError:
        # Reading says which file it is, and why.
        stamps = ()
    return _of_parts(path, stamps) if stamps else _of_parts.__wrapped__(path, ())


def _stamp(file: Path) -> tuple[int, ...]:
    found = file.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


# A model is asked about again and again: when it is planned, estimated and loaded.
@lru_cache(64)
def _of_parts(path: Path, stamps: tuple[tuple[int, ...], ...]) -> Header:
    first, *others = gguf_parts(path)
    header = read_gguf(first)
    tensors = [*header.tensors, *(tensor for file in others for tensor in read_gguf(file).tensors)]
    return _of_gguf(path, header, tensors)


def gguf_parts(path: Path) -> tuple[Path, ...]:
    """Return the files of a GGUF model that is split, which is named by its first part."""
    found = _PART.fullmatch(path.name)
    if found is None:
        return (path,)
    if int(found["part"]) != 1:
        raise ModelError(f"{path} is not the first part of its model.", hint="Name the part 00001.")
    names = (
        f"{found['stem']}-{part:05}-of-{found['parts']}.gguf" for part in range(1, int(found["parts"]) + 1)
    )
    return tuple(path.with_name(name) for name in names)


def safetensors_files(folder: Path) -> tuple[Path, ...]:
    """Return the files with a folder's weights.

    Raises:
        ModelError: There are none, or one that the index names is missing.
    """
    index = folder / "model.safetensors.index.json"
    if index.exists():
        places = read_object(index).get("weight_map")
        names = set(places.values()) if isinstance(places, dict) else set()
        if not names or not all(isinstance(name, str) and Path(name).name == name for name in names):
            raise ModelError(f"{index} names no files.", hint="Fetch the model again.")
        return tuple(folder / str(name) for name in sorted(names))
    if (folder / "model.safetensors").exists():
        return (folder / "model.safetensors",)
    files = tuple(sorted(folder.glob("*.safetensors")))
    if not files:
        pickled = any(file.suffix in PICKLES for file in folder.iterdir())
        reason = "; its weights are pickles, which can run code when they are read" if pickled else ""
        raise ModelError(
            f"{folder} holds no safetensors{reason}.",
            hint="Give a folder with config.json and *.safetensors, or a GGUF file.",
        )
    return files


def read_object(file: Path) -> dict[str, Any]:
    """Return the object in a JSON file of a model.

    Raises:
        ModelError: It is missing, or holds none.
    """
    try:
        if file.stat().st_size > _MAX_JSON:
            raise ValueError
        content = read_json(file.read_bytes())
        if isinstance(content, dict):
            return content
        raise ValueError
    except OSError as error:
        raise ModelError(
            f"{file} cannot be read: {error.strerror}.", hint="Check that the model's folder is whole."
        ) from error
    except ValueError:
        raise ModelError(f"{file} holds no JSON object.", hint="Fetch the model again.") from None


def _of_gguf(path: Path, header: GGUFHeader, tensors: list[Tensor]) -> Header:
    kind = header.text("general.architecture")
    layers = header.number(f"{kind}.block_count")
    hidden = header.number(f"{kind}.embedding_length")
    heads = header.metadata.get(f"{kind}.attention.head_count", 0)
    most_heads = max(heads, default=0) if isinstance(heads, tuple) else heads
    if not (
        kind and _is_size(layers) and layers <= _MOST_LAYERS and _is_size(hidden) and _is_size(most_heads)
    ):
        raise _no_model(path)
    head = hidden // most_heads
    kept = header.metadata.get(f"{kind}.attention.head_count_kv", heads)
    each = kept if isinstance(kept, tuple) else (kept,) * layers
    lengths = [header.number(f"{kind}.attention.{name}_length", head) for name in ("key", "value")]
    # Layers that look at nothing before have no heads there.
    if not all(number == 0 or _is_size(number) for number in (*each, *lengths)):
        raise _no_model(path)
    kept_heads = sum(map(int, each))
    words = header.number("tokenizer.ggml.tokens.length") or header.number(f"{kind}.vocab_size")
    traits = Traits(
        architecture=kind,
        name=header.text("general.name") or header.text("general.basename"),
        parameters=_parameters(tensors),
        template=header.text("tokenizer.chat_template"),
    )
    return Header(
        traits=traits,
        weights=sum(tensor.bytes for tensor in tensors),
        repacked=sum(tensor.bytes for tensor in tensors if _is_repacked(tensor)),
        quantised=True,
        layers=layers,
        hidden=hidden,
        vocabulary=max(words, 0),
        cache_values=kept_heads * sum(lengths),
        context=max(header.number(f"{kind}.context_length"), 0),
    )


def _is_size(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 < value < _MOST


def _no_model(path: Path) -> ModelError:
    return ModelError(f"{path} holds no language model.", hint="Give the model itself, not a part of one.")


def _of_folder(folder: Path) -> Header:
    config = read_object(folder / "config.json")
    # Models that see pictures, too, keep what describes the language model apart.
    nested = config.get("text_config")
    text = {**config, **nested} if isinstance(nested, dict) else config
    tensors = [tensor for file in safetensors_files(folder) for tensor in read_safetensors(file)]
    layers, hidden = _number(text, "num_hidden_layers", "n_layer"), _number(text, "hidden_size", "n_embd")
    heads = _number(text, "num_attention_heads", "n_head")
    if not (layers and hidden and heads and isinstance(config.get("model_type"), str)):
        raise ModelError(
            f"{folder / 'config.json'} does not describe a language model.", hint="Give the model itself."
        )
    kept = _number(text, "num_key_value_heads") or heads
    head = _number(text, "head_dim") or hidden // heads
    traits = Traits(
        architecture=config["model_type"],
        name=str(config.get("_name_or_path") or config.get("_model_name_or_path") or folder.name),
        parameters=_parameters(tensors),
        template=_template(folder),
    )
    return Header(
        traits=traits,
        weights=sum(tensor.bytes for tensor in tensors),
        quantised=bool(config.get("quantization_config")),
        layers=layers,
        hidden=hidden,
        vocabulary=_number(text, "vocab_size"),
        cache_values=layers * kept * 2 * head,
        context=_number(text, "max_position_embeddings", "n_positions"),
    )


def _is_repacked(tensor: Tensor) -> bool:
    return tensor.kind in _REPACKED and len(tensor.shape) > 1 and not tensor.name.startswith("token_embd")


def _parameters(tensors: Iterable[Tensor]) -> int:
    return sum(math.prod(tensor.shape) for tensor in tensors)


def _number(config: Mapping[str, Any], *names: str) -> int:
    for name in names:
        value = config.get(name)
        if _is_size(value):
            return value
    return 0


def _template(folder: Path) -> str:
    file = folder / "chat_template.jinja"
    if file.exists() and file.stat().st_size < _MAX_JSON:
        return file.read_text(encoding="utf-8", errors="replace")
    settings = folder / "tokenizer_config.json"
    found = read_object(settings).get("chat_template") if settings.exists() else ""
    if isinstance(found, list):
        named = [one for one in found if isinstance(one, dict)]
        found = next((one.get("template") for one in named if one.get("name") in ("tool_use", "default")), "")
    return found if isinstance(found, str) else ""
