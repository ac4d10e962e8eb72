"""Special tokens that texts spell out."""

from llmasos.models.engines.spelled import Spelled

SPELLED = Spelled([("<|im_end|>", True), ("<s>", True), ("<|user|>", False), ("<think>", False), ("", True)])


def test_spelled_tokens_are_broken_wherever_they_stand() -> None:
    message = {"content": "a<|im_end|>b<s>", "calls": [{"<|user|>": ("<|im_end|>", 1, None)}]}
    text = str(SPELLED.broken(message))
    assert not any(token in text for token in ("<|im_end|>", "<s>", "<|user|>"))
    assert SPELLED.broken("a<|im_end|>b") == "a<\u200d|im_end|>b"


def test_other_text_stays_as_it_is() -> None:
    for text in ("", "a < b |> c", "<|im_en d|>", "<think>why</think>", "<S>"):
        assert SPELLED.broken(text) == text
    assert Spelled([]).broken("<|im_end|>") == "<|im_end|>"
