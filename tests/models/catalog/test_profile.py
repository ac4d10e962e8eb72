"""How families of models are recognised."""

import pytest

from llmasos.models.catalog.profile import Traits, recognise

HERMES = "{% if tools %}<tool_call>{% endif %}"
MISTRAL = "{% if tools %}[AVAILABLE_TOOLS]{% endif %}[TOOL_CALLS]"
LLAMA = '{% if tools %}<|start_header_id|>{"name": n, "parameters": p}<|python_tag|>{% endif %}'


@pytest.mark.parametrize(
    ("architecture", "name", "family"),
    [
        ("qwen2", "Qwen2.5 Coder 1.5B Instruct GGUF", "qwen2.5"),
        ("qwen3", "Qwen3 0.6B", "qwen3"),
        ("qwen3moe", "Qwen3-30B-A3B-Instruct-2507", "qwen3"),
        ("qwen2", "DeepSeek R1 Distill Qwen 7B", "deepseek"),
        ("deepseek2", "V3", "deepseek"),
        ("llama", "Llama 3.2 3B Instruct", "llama3"),
        ("llama", "Meta-Llama-3.1-8B", "llama3"),
        ("llama", "Mistral 7B Instruct v0.3", "mistral"),
        ("llama", "smollm2-135m", "smollm2"),
        ("gemma3", "", "gemma"),
        ("phi3", "Phi 4 mini", "phi"),
        ("gpt-oss", "Gpt Oss 20B", "gpt-oss"),
        ("gpt_oss", "", "gpt-oss"),
        ("falcon", "Falcon", "unknown"),
        ("", "", "unknown"),
    ],
)
def test_families(architecture: str, name: str, family: str) -> None:
    assert recognise(Traits(architecture=architecture, name=name)).family == family


@pytest.mark.parametrize(
    ("parameters", "template", "drive", "tool_format"),
    [
        (7_000_000_000, HERMES, "native", "hermes"),
        (1_500_000_000, HERMES, "calls", "hermes"),
        (7_000_000_000, "{{ messages }}", "calls", "none"),
        (7_000_000_000, MISTRAL, "native", "mistral"),
        (24_000_000_000, MISTRAL + "[ARGS]", "calls", "none"),
        (8_000_000_000, LLAMA, "native", "llama3"),
        (30_000_000_000, "{% if tools %}<tool_call><function=x>{% endif %}", "calls", "none"),
        (0, HERMES, "calls", "hermes"),
    ],
)
def test_the_drive_follows_size_and_template(
    parameters: int, template: str, drive: str, tool_format: str
) -> None:
    profile = recognise(Traits(architecture="other", parameters=parameters, template=template))
    assert (profile.drive, profile.tool_format) == (drive, tool_format)


def test_a_model_that_thinks_says_where() -> None:
    assert recognise(Traits(architecture="qwen3", name="Qwen3 4B")).thinking == ("<think>", "</think>")
    assert recognise(Traits(architecture="qwen3", name="Qwen3 4B Instruct-2507")).thinking is None
