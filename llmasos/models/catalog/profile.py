"""Profiles: how each family of models is driven."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel

Drive = Literal["calls", "native"]
"""Call syntax under a grammar, or the tool format that the model was trained on."""

ToolFormat = Literal["hermes", "llama3", "mistral", "none"]
"""How calls are written: `<tool_call>{json}</tool_call>`; `{"name", "parameters"}`; `[TOOL_CALLS][json]`."""

_NATIVE_PARAMETERS = 3_000_000_000


class Profile(BaseModel, frozen=True):
    """How a model is driven.

    Args:
        family: The family it belongs to, or `unknown`.
        drive: How it is asked for tool calls.
        tool_format: How it writes calls by itself; `none` where that is not known.
        temperature: The temperature its makers advise for chats.
        top_p: The nucleus that goes with it; 1 is all.
        top_k: The number of tokens that goes with it; 0 is all.
        languages: Languages of the examples that it is shown, as ISO 639-1 codes.
        thinking: The texts before and after what it thinks; None when it does not think.
    """

    family: str = "unknown"
    drive: Drive = "calls"
    tool_format: ToolFormat = "none"
    temperature: float = 0.7
    top_p: float = 0.95
    top_k: int = 0
    languages: tuple[str, ...] = ("en", "zh")
    thinking: tuple[str, str] | None = None


class Traits(BaseModel, frozen=True):
    """What the header of a model says about its kind.

    Args:
        architecture: As GGUF's `general.architecture` or the configuration's `model_type` says.
        name: What its makers call it.
        parameters: How many weights it has; 0 when unknown.
        template: Its chat template; empty when it has none.
    """

    architecture: str = ""
    name: str = ""
    parameters: int = 0
    template: str = ""


_THINK = ("<think>", "</think>")
# The first pattern that is found decides, so that a derived model comes before its base.
_FAMILIES: tuple[tuple[str, Profile], ...] = (
    (r"gpt[-_ ]?oss", Profile(family="gpt-oss", temperature=1.0, top_p=1.0, languages=("en",))),
    (r"deepseek", Profile(family="deepseek", temperature=0.6, thinking=_THINK)),
    (r"smollm[-_ ]?3", Profile(family="smollm3", tool_format="hermes", temperature=0.6, thinking=_THINK)),
    (r"smollm", Profile(family="smollm2", temperature=0.2, top_p=0.9, languages=("en",))),
    (
        r"qwen[-_ ]?3[^\n]*(coder|instruct-2507)",
        Profile(family="qwen3", tool_format="hermes", top_p=0.8, top_k=20),
    ),
    (
        r"qwen[-_ ]?3",
        Profile(family="qwen3", tool_format="hermes", temperature=0.6, top_k=20, thinking=_THINK),
    ),
    (r"qwen[-_ ]?2", Profile(family="qwen2.5", tool_format="hermes", top_p=0.8, top_k=20)),
    (r"mistral|mixtral|ministral", Profile(family="mistral", tool_format="mistral", temperature=0.15)),
    (r"llama[-_ ]?3", Profile(family="llama3", tool_format="llama3", temperature=0.6, top_p=0.9)),
    (r"gemma", Profile(family="gemma", temperature=1.0, top_k=64)),
    (r"\bphi", Profile(family="phi", temperature=0.0, top_p=1.0, languages=("en",))),
)


def recognise(traits: Traits) -> Profile:
    """Return the profile of a model with these traits."""
    text = f"{traits.architecture} {traits.name}".lower()
    profile = next((profile for pattern, profile in _FAMILIES if re.search(pattern, text)), Profile())
    template = traits.template
    if profile.family == "unknown" and "<|python_tag|>" in template:
        profile = Profile(family="llama3", tool_format="llama3", temperature=0.6, top_p=0.9)
    if template:
        profile = profile.model_copy(update={"tool_format": _format_in(template)})
    native = traits.parameters >= _NATIVE_PARAMETERS and profile.tool_format != "none"
    return profile.model_copy(update={"drive": "native" if native else "calls"})


def _format_in(template: str) -> ToolFormat:
    """Return the format of the calls that a chat template shows to its model."""
    if "tools" not in template or "<function=" in template:
        return "none"
    if "<tool_call>" in template:
        return "hermes"
    if "[TOOL_CALLS]" in template:
        # Newer templates put the name before the arguments, outside of the JSON.
        return "none" if "[ARGS]" in template else "mistral"
    if '"parameters"' in template and "<|start_header_id|>" in template:
        return "llama3"
    return "none"
