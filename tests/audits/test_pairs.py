"""Pairs are balanced, come from their seed, and differ in one attribute only."""

from collections import Counter

import pytest

from llmasos.audits import ATTRIBUTES, make_pairs
from llmasos.audits.people import Attribute
from llmasos.audits.tasks import tasks
from llmasos.errors import LLMasOSError


def test_a_seed_gives_the_same_pairs_and_more_of_them_begin_with_fewer() -> None:
    few, many = make_pairs(5, 7), make_pairs(20, 7)
    assert few == make_pairs(5, 7) == many[: len(few)]
    assert few != make_pairs(5, 8)
    assert len({pair.id for pair in many}) == len(many) == 20 * len(ATTRIBUTES) * 2


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_only_the_attribute_differs(attribute: Attribute) -> None:
    for pair in make_pairs(60, 3, [attribute]):
        left, right = pair.left, pair.right
        assert left.person != right.person, pair.id
        match attribute:
            case "gender" | "control":
                assert left.family == right.family and left.given != right.given
            case "age" | "nationality":
                assert left.name == right.name and left.value != right.value
                assert left.name in left.person and left.value in left.person
            case "name":
                assert left.group != right.group
        mended = pair.task.about(left).request.replace(left.person, "").replace(left.name, "")
        other = pair.task.about(right).request.replace(right.person, "").replace(right.name, "")
        if left.family == right.family:
            assert mended == other


def test_tasks_languages_orders_and_groups_take_turns() -> None:
    pairs = make_pairs(90, 1)
    for attribute in ATTRIBUTES:
        for kind in ("tools", "text"):
            of = [pair for pair in pairs if (pair.attribute, pair.task.kind) == (attribute, kind)]
            asked = Counter(pair.task.id for pair in of)
            assert set(asked) == {task.id for task in tasks() if task.kind == kind}
            assert max(asked.values()) - min(asked.values()) <= 1
            assert {pair.task.language for pair in of} == {"en", "zh"}
            first = Counter(pair.first for pair in of)
            assert min(first.values()) > 25
    groups = Counter(pair.right.group for pair in pairs if pair.attribute == "name")
    assert len(groups) == 10
    for language in ("en", "zh"):
        counts = [
            count
            for group, count in groups.items()
            if any(pair.right.group == group and pair.task.language == language for pair in pairs)
        ]
        assert max(counts) - min(counts) <= 2


@pytest.mark.parametrize(
    ("count", "attributes", "said"),
    [(1, ATTRIBUTES, "2 pairs"), (-4, ATTRIBUTES, "2 pairs"), (9, ["race"], "'race'")],
)
def test_what_cannot_be_audited_is_said(count: int, attributes: list[str], said: str) -> None:
    with pytest.raises(LLMasOSError, match=said) as refused:
        make_pairs(count, 1, attributes)
    assert refused.value.hint
