"""How many threads pay."""

from llmasos.models.engines.processors import idle_processors, spare_processors


def test_only_idle_processors_that_may_be_used_count() -> None:
    before = {0: (100, 200), 1: (100, 200), 2: (100, 200), 3: (100, 200)}
    after = {0: (110, 210), 1: (105, 210), 2: (100, 210), 3: (110, 210)}
    assert idle_processors(before, after, frozenset({0, 1, 2})) == 1.5


def test_without_a_measurement_all_that_may_be_used_count() -> None:
    assert idle_processors({}, {}, frozenset({4, 7})) == 2
    assert idle_processors({4: (1, 1)}, {4: (1, 1)}, frozenset({4})) == 1


def test_there_is_always_one() -> None:
    assert spare_processors() >= 1
