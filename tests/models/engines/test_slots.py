"""Which slot a request takes."""

from llmasos.models.engines.llama_slots import Slots, common

MINE, OTHER = ("me", ""), ("you", "")


def take(slots: Slots, tokens: list[int], owner: tuple[str, str] = MINE, known: int = 0) -> tuple[int, int]:
    """Use a slot for a prompt; return its number and how much of the prompt it held."""
    with slots.take(tokens, owner, known) as slot:
        shared = common(slot.tokens, tokens)
        slot.tokens = list(tokens)
        return slot.number, shared


def test_a_conversation_goes_on_in_its_slot() -> None:
    slots = Slots(3)
    first, _ = take(slots, [1, 2, 3, 4])
    second, _ = take(slots, [9, 8, 7, 6])
    assert second != first
    assert take(slots, [1, 2, 3, 4, 5, 6]) == (first, 4)
    assert take(slots, [9, 8, 7, 6, 5]) == (second, 4)


def test_a_new_conversation_takes_the_slot_that_was_not_used_for_longest() -> None:
    slots = Slots(2)
    first, _ = take(slots, [1] * 10)
    second, _ = take(slots, [2] * 10)
    assert take(slots, [3] * 10) == (first, 0)
    assert take(slots, [4] * 10) == (second, 0)


def test_a_slot_that_holds_only_what_can_be_restored_is_left_to_its_conversation() -> None:
    slots = Slots(2)
    first, _ = take(slots, [1, 2, 3, 4, 5])
    assert take(slots, [1, 2, 3, 6], known=3) == (1 - first, 0)
    assert take(slots, [1, 2, 3, 4, 5, 6], known=3) == (first, 5)


def test_a_slot_that_is_taken_over_holds_nothing() -> None:
    slots = Slots(1)
    take(slots, [1, 2, 3])
    assert take(slots, [1, 2, 3], OTHER) == (0, 0)
    assert take(slots, [1, 2, 3], OTHER) == (0, 3)
    assert take(slots, [1, 2, 3]) == (0, 0)


def test_a_slot_in_use_is_nobody_elses() -> None:
    slots = Slots(2)
    with slots.take([1, 2, 3], MINE) as one, slots.take([1, 2, 3], MINE) as two:
        assert one.number != two.number
