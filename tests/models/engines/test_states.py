"""States of conversations that wait outside of slots."""

import os
from typing import Any

from llmasos.models.engines.llama_slots import Slot
from llmasos.models.engines.llama_states import States

ME, YOU = ("me", ""), ("you", "")


class Server:
    """Keeps for each slot the text that it holds, a hundred bytes a token."""

    def __init__(self) -> None:
        self.held: dict[int, bytes] = {}
        self.works = True

    def save(self, slot: int, file: int) -> bool:
        os.write(file, self.held[slot])
        return self.works

    def restore(self, slot: int, file: int) -> bool:
        self.held[slot] = os.pread(file, 10**6, 0)
        return self.works


def slot_with(server: Any, tokens: list[int], owner: tuple[str, str] = ME, known: int = 0) -> Slot:
    server.held[0] = bytes(tokens) * 100
    return Slot(0, list(tokens), known, owner)


def files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_conversation_comes_back_and_is_its_owners_alone() -> None:
    server: Any = Server()
    states = States(most=50_000, context=500)
    before = files()
    states.keep(slot_with(server, [1] * 100), 0, server)
    for owner in (YOU, ("me", "adapter")):
        other = slot_with(server, [], owner)
        states.bring(other, [1] * 120, 0, server)
        assert (other.tokens, server.held[0]) == ([], b"")
    mine = slot_with(server, [2] * 50)
    states.bring(mine, [1] * 120, 0, server)
    assert (mine.tokens, server.held[0]) == ([1] * 100, bytes([1] * 100) * 100)
    assert (states.size, files()) == (0, before)


def test_what_saves_little_is_neither_kept_nor_brought() -> None:
    server: Any = Server()
    states = States(most=50_000, context=500)
    states.keep(slot_with(server, [1] * 100, known=90), 0, server)
    states.keep(slot_with(server, [1] * 100), 90, server)
    assert states.size == 0
    states.keep(slot_with(server, [1] * 100), 0, server)
    slot = slot_with(server, [])
    states.bring(slot, [1] * 100, 90, server)
    assert slot.tokens == []


def test_there_is_a_bound_and_the_oldest_goes_first() -> None:
    server: Any = Server()
    states = States(most=25_000, context=250)
    before = files()
    for token in (1, 2, 3):
        states.keep(slot_with(server, [token] * 100), 0, server)
        assert states.size <= 25_000
    # What goes on replaces what it was.
    states.keep(slot_with(server, [3] * 120), 0, server)
    assert states.size == 22_000
    states.keep(slot_with(server, [4] * 251), 0, server)
    assert (states.size, files()) == (0, before)
    found = slot_with(server, [])
    states.bring(found, [2] * 100, 0, server)
    assert found.tokens == []


def test_a_failure_costs_nothing_but_time() -> None:
    server: Any = Server()
    states = States(most=25_000, context=250)
    before = files()
    server.works = False
    states.keep(slot_with(server, [1] * 100), 0, server)
    assert states.size == 0
    server.works = True
    states.keep(slot_with(server, [1] * 100), 0, server)
    server.works = False
    slot = slot_with(server, [7] * 10)
    states.bring(slot, [1] * 100, 0, server)
    assert slot.tokens == []
    server.works = True
    states.keep(slot_with(server, [1] * 100), 0, server)
    states.close()
    states.keep(slot_with(server, [1] * 100), 0, server)
    assert (states.size, files()) == (0, before)
