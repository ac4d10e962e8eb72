"""Offers: what is under way and is not mined is signed again, with other fees or what can be paid."""

from __future__ import annotations

import time
from collections.abc import Sequence

from llmasos.ledger import _contract
from llmasos.ledger._queue import Slot
from llmasos.ledger._spending import coins
from llmasos.ledger.chains.port import Chain, ChainError, Fees, Signed

STUCK_BLOCKS, STUCK_SECONDS = 3, 30.0
"""What is not mined for so many blocks is sent again; if it is not for so many seconds, it offers more."""

Offer = tuple[Slot, Signed]


def send_again(slots: Sequence[Slot], head: int) -> list[Slot]:
    """Let what is not mined while newer blocks are be sent again, and return it; a chain may drop things."""
    late = [slot for slot in slots if slot.sent and head - slot.block >= STUCK_BLOCKS]
    for slot in late:
        slot.sent = False
    return late


async def higher(chain: Chain, late: Sequence[Slot]) -> list[Offer]:
    """Return new attempts with higher fees at what was first sent long ago.

    Raises:
        ChainError: The chain asks more than the settings allow.
    """
    now, account = time.monotonic(), chain.account
    better: list[Offer] = []
    fees_over: dict[Fees, Fees] = {}
    for slot in late:
        if slot.account != account or now - slot.since < STUCK_SECONDS:
            continue
        said = _contract.transaction(slot.attempts[-1].raw)
        offered = Fees(said.cap, said.tip)
        if offered not in fees_over:
            fees_over[offered] = await chain.fees(offered)
        fees = fees_over[offered]
        if fees.cap > offered.cap:
            value = (
                max(0, said.value - (fees.cap - offered.cap) * said.gas)
                if slot.call == "fund"
                else said.value
            )
            better.append((slot, chain.sign(slot.nonce, said.to, said.data, fees, value)))
    return better


async def payable(chain: Chain, slots: Sequence[Slot]) -> list[Offer]:
    """Return new attempts at transfers of more than the account owns, of what it does own.

    A chain that begins anew, or another fork of it, takes another price for the transactions before. Chains
    keep a transfer that cannot be paid or drop it without a word, and mine nothing behind it.

    Raises:
        ChainError: It does not even own what the transfer itself costs.
    """
    gifts = {slot.nonce: slot for slot in slots if slot.account == chain.account and _value(slot)}
    if not gifts:
        return []
    # Before its turn, others are still to be paid from the same balance.
    slot = gifts.get(await chain.nonce())
    if slot is None:
        return []
    balance, said = await chain.balance(), _contract.transaction(slot.attempts[-1].raw)
    if balance >= said.most:
        return []
    fees = await chain.fees(Fees(said.cap, said.tip))
    left = balance - said.gas * fees.cap
    if left < 0:
        raise ChainError(
            f"The account {slot.account} owns {coins(balance)} on the chain {chain.chain_id}, "
            "too little to hand over what remains.",
            hint=f"Send coins to {slot.account}; submitting goes on by itself.",
        )
    return [(slot, chain.sign(slot.nonce, said.to, said.data, fees, left))]


def most(slot: Slot) -> int:
    """Return what a slot may cost at most, in wei, by its newest attempt."""
    return _contract.transaction(slot.attempts[-1].raw).most


def _value(slot: Slot) -> int:
    return _contract.transaction(slot.attempts[-1].raw).value if slot.call == "fund" else 0
