"""Tokens as bytes, for the kinds of vocabularies that causal models have."""

from pathlib import Path
from typing import Any

import pytest

from llmasos.models.engines.transformers.vocabulary import Vocabulary


def _sentencepiece() -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers
    from transformers import PreTrainedTokenizerFast

    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "a", "b", "▁a"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    backend = Tokenizer(models.BPE(vocabulary, [("▁", "a")], byte_fallback=True, unk_token="<unk>"))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="</s>", bos_token="<s>", unk_token="<unk>"
    )


@pytest.mark.parametrize("text", [" a b a", "é€😀", "\n\t\x00 a"])
def test_bytes_of_tokens_join_to_the_text(tiny: Path, text: str) -> None:
    from transformers import AutoTokenizer

    for tokenizer, lead in ((AutoTokenizer.from_pretrained(tiny), ""), (_sentencepiece(), " ")):
        vocabulary = Vocabulary(tokenizer, len(tokenizer) + 10)
        tokens = tokenizer.encode(text, add_special_tokens=False)
        assert b"".join(map(vocabulary.data, tokens)).decode() == lead + text
        assert vocabulary.strips_space == bool(lead)


def test_special_tokens_and_numbers_without_a_token_have_no_text(tiny: Path) -> None:
    from transformers import AutoTokenizer

    vocabulary = Vocabulary(AutoTokenizer.from_pretrained(tiny), 300)
    assert [vocabulary.data(token) for token in (0, 1, 2, 299)] == [b""] * 4
    assert vocabulary.label(2) == b"<|im_end|>"
