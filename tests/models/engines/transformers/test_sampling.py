"""The choice of a token."""

from collections import Counter
from typing import Any

import pytest
import torch

from llmasos.errors import ModelError
from llmasos.models.engines.port import Sampling
from llmasos.models.engines.transformers.sampling import Sampler


def _drawn(odds: list[float], count: int = 2000, **options: Any) -> Counter[int]:
    logits = torch.log(torch.tensor(odds))
    return Counter(
        Sampler(Sampling(**{"temperature": 1.0, "seed": seed, **options})).choose(logits, 0)
        for seed in range(count)
    )


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    drawn = _drawn([0.5, 0.3, 0.2])
    assert [abs(drawn[token] / 2000 - odds) < 0.04 for token, odds in enumerate([0.5, 0.3, 0.2])] == [
        True
    ] * 3
    assert _drawn([0.5, 0.3, 0.2], 300, temperature=0.0) == {0: 300}


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"top_k": 2}, {0, 1}),
        ({"top_p": 0.6}, {0, 1}),
        ({"top_p": 0.4}, {0}),
        ({"min_p": 0.5}, {0, 1}),
        ({"top_k": 1, "top_p": 0.9, "min_p": 0.01}, {0}),
        ({}, {0, 1, 2}),
    ],
)
def test_unlikely_tokens_are_left_out(options: dict[str, Any], left: set[int]) -> None:
    assert set(_drawn([0.5, 0.3, 0.2], 300, **options)) == left


def test_a_place_has_its_own_choice_that_repeats() -> None:
    logits = torch.zeros(1000)
    sampler = Sampler(Sampling(temperature=1.0, seed=1))
    choices = [sampler.choose(logits, place) for place in range(20)]
    assert len(set(choices)) > 15
    assert choices == [
        Sampler(Sampling(temperature=1.0, seed=1)).choose(logits, place) for place in range(20)
    ]
    free = Sampler(Sampling(temperature=1.0)), Sampler(Sampling(temperature=1.0))
    assert [free[0].choose(logits, n) for n in range(9)] != [free[1].choose(logits, n) for n in range(9)]


def test_penalties_and_biases_change_the_logits() -> None:
    logits = torch.tensor([2.0, -2.0, 1.0, 0.0])
    rules = Sampling(
        repeat_penalty=2.0, presence_penalty=0.5, frequency_penalty=0.25, logit_bias=((3, 7.0), (3, 1.0))
    )
    adjusted = Sampler(rules).adjust(logits, [0, 1], [2, 2])
    assert adjusted.tolist() == [1.0, -4.0, 0.5 - 0.5 - 0.5, 8.0]
    assert logits.tolist() == [2.0, -2.0, 1.0, 0.0]
    # Only what was seen lately counts, as in llama.cpp.
    far = Sampler(Sampling(repeat_penalty=2.0)).adjust(logits, [0, *[1] * 63], [2])
    assert far.tolist() == [2.0, -4.0, 0.5, 0.0]


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), float("inf")])
def test_logits_that_are_no_numbers_are_an_error(value: float) -> None:
    for temperature in (0.0, 1.0):
        with pytest.raises(ModelError, match="no usable number"):
            Sampler(Sampling(temperature=temperature)).choose(torch.full((5,), value), 0)


def test_masked_tokens_are_never_drawn() -> None:
    logits = torch.tensor([float("-inf"), 0.0, float("-inf"), 0.0, float("-inf")])
    drawn = {Sampler(Sampling(temperature=5.0, seed=seed)).choose(logits, 0) for seed in range(300)}
    assert drawn == {1, 3}
