"""What recipes' options may be, and what a person reads where they cannot."""

from __future__ import annotations

from typing import Any

import pytest

from llmasos.federated.port import FederatedError
from tests.federated.recipes.samples import sample


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("logistic", {"hidden": [3]}, "logistic has no option 'hidden'"),
        ("mlp", {"layers": [3]}, "mlp has no option 'layers'"),
        ("mlp", {"hidden": []}, "'hidden' of the recipe mlp cannot be so"),
        ("mlp", {"hidden": [3, 0]}, "'hidden.1' .* greater than or equal to 1 and is 0"),
        ("mlp", {"hidden": "large"}, "'hidden' .* and is 'large'"),
        ("mlp", {"activation": "sine"}, "'relu' or 'tanh' and is 'sine'"),
        ("text", {"buckets": 1}, "'buckets'"),
        ("text", {"ngrams": 0}, "'ngrams'"),
        ("cnn", {"channels": [3]}, "'channels.1'"),
        ("cnn", {"hidden": 0}, "'hidden'"),
        ("lora", {}, "lora needs the option 'model'"),
        ("lora", {"model": "x", "rank": 0}, "'rank'"),
    ],
)
def test_what_is_impossible_is_named(name: str, options: dict[str, Any], said: str) -> None:
    one = sample(name)
    with pytest.raises(FederatedError, match=said) as raised:
        one.recipe.initial(one.schema, options, 0)
    assert raised.value.hint
    assert "pydantic" not in str(raised.value)


def test_a_hint_tells_the_options_that_there_are() -> None:
    one = sample("mlp")
    with pytest.raises(FederatedError) as raised:
        one.recipe.initial(one.schema, {"layers": [3]}, 0)
    assert raised.value.hint == "It has: hidden, activation."


def test_options_come_as_json_writes_them() -> None:
    one = sample("mlp")
    weights = one.recipe.initial(one.schema, {"hidden": [7]}, 0)
    assert {name: array.shape for name, array in weights.items()} == {
        "layer0.weight": (4, 7),
        "layer0.bias": (7,),
        "layer1.weight": (7, 3),
        "layer1.bias": (3,),
    }
