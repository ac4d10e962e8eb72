"""The outbox: records become signed transactions, which are stored, then sent until the chain has them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
from sqlalchemy.orm import Session

from llmasos.errors import LedgerError
from llmasos.ledger import _contract
from llmasos.ledger._contracts import current_contract, find_contract, is_gone
from llmasos.ledger._disputes import Disputes, Held, known_lines
from llmasos.ledger._drafts import TREE, Draft, Drafter, Plan
from llmasos.ledger._offers import higher, most, payable, send_again
from llmasos.ledger._queue import Place, Queue, Settled, Slot, slot_of
from llmasos.ledger._reorg import holds, requeue_lost
from llmasos.ledger._rotation import next_drafts
from llmasos.ledger._spending import Spending, coins
from llmasos.ledger._types import Mode
from llmasos.ledger.chains.port import Block, Chain, ChainError, ChainRefused, Fees, Receipt, Signed
from llmasos.store import Store

WINDOW = 1024
"""Transactions that are sent together at most; as many more may be signed meanwhile."""

SUSPECTS = 1000
DEPLOYMENTS = 3
NOWHERE = "its contract is not on the chain"


@dataclass(frozen=True)
class Trouble:
    """Why submitting pauses, and the next step; `refused` when only a person can help."""

    message: str
    hint: str = ""
    refused: bool = False


async def _nothing(old: str, new: str) -> None:
    pass


class Outbox:
    """Carries the records of one store to one chain, each exactly once, a session's in their order.

    Nonces are assigned here and signed bytes are durable before they are sent, so whatever dies at whatever
    moment, the same bytes are sent again, and the chain takes them once. A chain that has lost blocks, or all
    of them, gets the same bytes again, the contract's deployment included. Each `step` goes a little further;
    after a start or an error it brings outbox and chain together first.

    Args:
        spend_per_day: The most to spend in 24 hours, in the chain's coin; 0 means no limit.
        announce: Records a change of keys, from one address to another, unless it is recorded.
    """

    def __init__(
        self,
        store: Store,
        chain: Chain,
        *,
        mode: Mode = "each",
        batch: int = 0,
        wait: float = 5.0,
        spend_per_day: float = 0.0,
        announce: Callable[[str, str], Awaitable[None]] = _nothing,
    ) -> None:
        self._store, self._chain, self._announce = store, chain, announce
        self.drafter = Drafter(mode, batch, wait)
        self._spending = Spending(store, chain, spend_per_day)
        self._queue, self._noted = Queue(chain.chain_id, "", ""), ""
        self._slots: dict[Place, Slot] = {}
        self._more = False
        self._behind = True
        self._next = 0
        self._lost: set[Place] = set()
        self._newest = (0, "")
        self._head = self._polled = ""
        self._stale = True
        self._troubled: set[str] = set()
        self._again: set[str] = set()
        self._checked: set[str] | None = None
        self._deployments = 0
        self.held: dict[str, Held] = {}
        self.hurry = 0
        self.paused: Trouble | None = None
        self.fees_trouble: Trouble | None = None
        self.resent = self.replaced = 0

    @property
    def contract(self) -> str:
        """The contract's address; empty while it is not known."""
        return self._queue.contract

    @property
    def noted(self) -> str:
        """The contract's address, by the database alone while the chain was not reached yet."""
        return self.contract or self._noted

    async def open(self) -> None:
        """Read which contract the database knows."""
        chain_id = self._chain.chain_id
        # A key that cannot be read keeps us from the chain, and is told then.
        with suppress(LedgerError):
            account = await anyio.to_thread.run_sync(lambda: self._chain.account)
            self._noted = await self._store.read(lambda work: current_contract(work, chain_id, account))

    @property
    def waiting(self) -> bool:
        """Whether a transaction is under way."""
        return bool(self._slots)

    @property
    def ready(self) -> bool:
        """Whether the outbox follows the account that the chain signs with."""
        return self._queue.account == self._chain.account

    def settled(self, last: int) -> bool:
        """Return whether it is known what became of every record up to a number."""
        if (
            self._stale
            or not self._queue.contract
            or self._more
            or self._troubled
            or self.drafter.reached < last
        ):
            return False
        return all(slot.number > last for slot in self._slots.values() if slot.count)

    def refused(self, last: int) -> bool:
        """Return whether a record up to a number cannot be confirmed."""
        return any(0 < held.number <= last for held in self.held.values())

    async def step(self) -> bool:
        """Go a little further, and return whether there is more to do at once.

        Raises:
            ChainError: The chain cannot be reached, or did not take a transaction.
            ChainRefused: It is not the one that these records were written to.
        """
        try:
            return await self._step()
        except BaseException:
            self._stale = True
            raise

    async def _step(self) -> bool:
        head = await self._new_head()
        await self._settle_disputes(head)
        before = set(self._slots)
        signed = await self._sign_more(head)
        await self._offer_again(head)
        if self._behind and self._slots and self._plain():
            # One machine signs and another mines: neither waits for the other.
            signed |= await _together(self._sign_ahead, partial(self._send_and_look, head))
        else:
            await self._send_and_look(head)
        moved = signed or not before <= self._slots.keys()
        more = self._behind or self._slots or self._troubled or self._chain.successor
        return self._stale or bool(moved and more and self.paused is None)

    def _plain(self) -> bool:
        """Return whether nothing but records are on their way, none of them in doubt."""
        if self._stale or self._more or self._troubled or self._checked is not None or self._spending.cap:
            return False
        return bool(self._queue.contract) and not self._chain.successor and not self._deploying()

    def _deploying(self) -> bool:
        return any(slot.call == "deploy" for slot in self._slots.values())

    async def _send_and_look(self, head: Block) -> None:
        sent = await self._send(head)
        # Without a newer block there are no newer receipts.
        if sent or head.hash != self._polled:
            await self._note_receipts([slot for slot in self._slots.values() if slot.sent])
            self._polled = head.hash

    async def _recover(self) -> None:
        """Bring outbox and chain together, after a start, or after something went wrong."""
        await self._chain.connect()
        self._stale, self._behind, self._polled = False, True, ""
        await self._load_queue()
        mined = await self._chain.nonce()
        if await is_gone(self._store, self._chain, self._queue, mined):
            await self._begin_again()
        self._lost |= await requeue_lost(self._store, self._chain, self._queue, mined)
        await self._store.read(self._load)
        await self._spending.load(self._queue)
        await self._fill_gap(mined)
        if self._next < mined:
            self._next = mined
            await self._suspect()
        await self._note_receipts(list(self._slots.values()), mined)

    async def _load_queue(self) -> None:
        contract = await find_contract(self._store, self._chain)
        self._queue = Queue(self._chain.chain_id, self._chain.account, contract)

    def _load(self, work: Session) -> None:
        self.drafter.load(work, self._queue.chain_id, self._queue.contract)
        slots, self._more = self._queue.load(work, WINDOW)
        self._slots = {slot.place: slot for slot in slots}
        self._next = self._queue.next_nonce(work)
        self._newest = next(iter(self._queue.blocks(work, newest=True)), (0, ""))
        # Whether what was held can go on is asked anew, too.
        self._troubled |= self._queue.refused(work) | set(self.held)
        self.held.clear()

    async def _begin_again(self) -> None:
        """Give the contract up; everything goes to a new one."""
        await self._store.run(lambda work: self._queue.give_up(work, NOWHERE), durable=True)
        self._troubled.clear()
        self.held.clear()
        await self._load_queue()

    async def _fill_gap(self, mined: int) -> None:
        """Sign something for nonces that are free before others that wait: a chain takes none after a gap."""
        own = {nonce for account, nonce in self._slots if account == self._queue.account}
        if not own:
            return
        missing = [nonce for nonce in range(mined, max(own)) if nonce not in own]
        account = self._queue.account
        drafts = [Draft("fund", to=account) for _ in missing]
        await self._sign(drafts, await self._chain.fees(), nonces=missing)

    async def _suspect(self) -> None:
        """Somebody else used the account: compare every line with the chain before it goes on."""
        if self._queue.contract:
            self._checked = set()
            self._troubled |= await self._store.read(lambda work: known_lines(work, self._queue, SUSPECTS))

    async def _new_head(self) -> Block:
        if self._stale:
            await self._recover()
        head = await self._chain.block()
        number, block_hash = self._newest
        if head is not None and number and (head.hash != self._head or head.number < number):
            same = (
                head.hash == block_hash
                if head.number == number
                else await holds(self._chain, number, block_hash)
            )
            if not same:
                await self._recover()
                head = await self._chain.block()
        if head is None:
            raise ChainError("The chain has no blocks.")
        self._head = head.hash
        return head

    async def _settle_disputes(self, head: Block) -> None:
        busy = {slot.line for slot in self._slots.values()}
        for line in sorted(self._troubled - busy) if not self._more else ():
            disputes = Disputes(self._store, self._chain, self._queue)
            result = await disputes.settle(line, head, again=line not in self._again)
            self._troubled.discard(line)
            if self._checked is not None:
                self._checked.add(line)
            if isinstance(result, Held):
                self.held[line] = result
                continue
            self.drafter.opened.discard(line)
            if result.opened:
                self.drafter.opened.add(line)
            if result.redone:
                self._again.add(line)
            if line == TREE:
                self.drafter.forget_leaves(result.count, result.mark, result.head)
            else:
                self.drafter.forget(line, result.count, result.number)

    async def _sign_more(self, head: Block) -> bool:
        """Fill the window: with what waits in the database first, then with what is to be signed."""
        room = WINDOW - len(self._slots)
        if self._more:
            if room >= WINDOW // 2:
                await self._store.read(self._load_more)
            return False
        if not self._queue.contract:
            return await self._deploy()
        if self._deploying():
            return False
        if self._chain.successor:
            return not self._slots and await self._hand_over(head)
        return await self._draft(room)

    async def _sign_ahead(self) -> bool:
        """Sign what is to be sent after what is under way."""
        return await self._draft(2 * WINDOW - len(self._slots))

    async def _draft(self, room: int) -> bool:
        """Sign the records that are next, and return whether there were any."""
        if room <= 0:
            return False
        plan = await self._plan(room)
        if self._checked is not None:
            # Of lines that were not compared since, nothing is signed until they are.
            fresh = {draft.line for draft in plan.drafts if draft.line is not None} - self._checked
            if fresh:
                self._troubled |= fresh
                return True
        if plan.drafts:
            fees = await self._chain.fees()
            if not await self._sign(plan.drafts, fees):
                plan = await self._plan(1)
                if not plan.drafts or not await self._sign(plan.drafts, fees, insist=True):
                    return False
        self.drafter.accept(plan)
        self._behind = plan.partial
        return bool(plan.drafts)

    async def _plan(self, room: int) -> Plan:
        skip = self._troubled | set(self.held)
        now, hurry = time.monotonic(), self.hurry
        return await self._store.read(lambda work: self.drafter.plan(work, room, skip, now, hurry))

    def _load_more(self, work: Session) -> None:
        slots, self._more = self._queue.load(work, WINDOW + len(self._slots))
        for slot in slots:
            self._slots.setdefault(slot.place, slot)

    async def _deploy(self) -> bool:
        if self._slots:
            return False
        if self._deployments == DEPLOYMENTS:
            raise ChainRefused(
                "The chain refuses the contract.",
                hint="Check that it runs EVM contracts of the Cancun version.",
            )
        self._behind = True
        self.drafter.begin()
        address = _contract.created_address(self._queue.account, self._next)
        queue = Queue(self._queue.chain_id, self._queue.account, address)
        signed = await self._sign(
            [Draft("deploy", data=_contract.deploy_code())],
            await self._chain.fees(),
            queue=queue,
            insist=True,
        )
        if signed:
            # Only what reached the chain counts: a disk that was full is not the chain's refusal.
            self._deployments += 1
            self._queue = queue
            await self._store.read(lambda work: self.drafter.load(work, queue.chain_id, address))
        return signed

    async def _hand_over(self, head: Block) -> bool:
        """Go one step further towards the account's successor."""
        await self._announce(self._queue.account, self._chain.successor)
        fees = await self._chain.fees()
        drafts = await next_drafts(self._store, self._chain, self._queue, head, fees)
        if drafts:
            return await self._sign(drafts, fees, insist=True)
        await self._chain.adopt()
        await self._recover()
        return True

    async def _sign(
        self,
        drafts: Sequence[Draft],
        fees: Fees,
        *,
        nonces: Sequence[int] = (),
        queue: Queue | None = None,
        insist: bool = False,
    ) -> bool:
        """Sign drafts and store them durably, unless they may cost more than may be spent.

        Args:
            nonces: Their nonces, when those are not the next ones.
            insist: Pause and say so when they may cost too much.
        """
        if not drafts:
            return False
        queue = queue or self._queue
        places = nonces or range(self._next, self._next + len(drafts))

        def sign() -> list[Slot]:
            slots = []
            for nonce, draft in zip(places, drafts, strict=True):
                to = None if draft.call == "deploy" else draft.to or queue.contract
                signed = self._chain.sign(nonce, to, draft.data, fees, draft.value)
                slots.append(slot_of(draft, queue.account, nonce, queue.contract, signed))
            return slots

        slots = await anyio.to_thread.run_sync(sign)
        if not nonces and not await self._may_spend(slots, pause=insist):
            return False
        await self._store.run(lambda work: queue.add(work, slots), durable=True)
        self._slots.update((slot.place, slot) for slot in slots)
        if not nonces:
            self._next += len(slots)
        return True

    async def _may_spend(self, slots: Iterable[Slot], *, pause: bool) -> bool:
        if not self._spending.cap:
            return True
        spent = await self._spending.spent()
        total = spent + sum(most(slot) for slot in (*self._slots.values(), *slots))
        if total <= self._spending.cap:
            self.paused = None
            return True
        if pause:
            self.paused = Trouble(
                f"Submitting pauses: {coins(spent)} were spent in the last 24 hours, and the next "
                f"transaction may bring that above the limit of {coins(self._spending.cap)}.",
                "Wait, or raise LLMASOS_LEDGER__SPEND_PER_DAY; records are kept meanwhile.",
            )
        return False

    async def _offer_again(self, head: Block) -> None:
        """Sign again what is not mined while newer blocks are, and what cannot be paid."""
        slots = list(self._slots.values())
        better = await payable(self._chain, slots)
        late = send_again(slots, head.number)
        try:
            more = [] if better else await higher(self._chain, late)
        except ChainError as error:
            self.fees_trouble = Trouble(f"A transaction waits: {error.message}", error.hint)
            return
        if more and not await self._may_offer(more):
            return
        better += more
        if not better:
            return
        for slot, signed in better:
            slot.offer(signed)
        offered = [slot for slot, _ in better]
        await self._store.run(lambda work: self._queue.add(work, offered), durable=True)
        self.replaced += len(better)
        self.fees_trouble = None

    async def _may_offer(self, better: Sequence[tuple[Slot, Signed]]) -> bool:
        if not self._spending.cap:
            return True
        under_way = sum(most(slot) for slot in self._slots.values())
        more = sum(_contract.transaction(signed.raw).most - most(slot) for slot, signed in better)
        return await self._spending.spent() + under_way + more <= self._spending.cap

    async def _send(self, head: Block) -> bool:
        unsent = [slot for slot in self._slots.values() if not slot.sent]
        if not unsent:
            return False
        unsent.sort(key=lambda slot: (slot.account == self._queue.account, slot.nonce))
        try:
            await self._chain.send([slot.attempts[-1].raw for slot in unsent])
        except ChainRefused:
            raise
        except ChainError as error:
            raise await self._explained(error, unsent) from error
        for slot in unsent:
            slot.mark_sent(head.number)
            if slot.place in self._lost:
                self._lost.discard(slot.place)
                self.resent += 1
        return True

    async def _explained(self, error: ChainError, unsent: Sequence[Slot]) -> ChainError:
        """Return what to say of transactions that were not taken: that the account cannot pay, if so."""
        first = min(
            (slot for slot in unsent if slot.account == self._queue.account),
            key=lambda s: s.nonce,
            default=None,
        )
        balance = await self._chain.balance()
        if first is None or balance >= most(first):
            return error
        return ChainError(
            f"The account {first.account} owns {coins(balance)} on the chain {self._chain.chain_id}; "
            f"its next transaction may cost {coins(most(first))}.",
            hint=f"Send coins to {first.account}; submitting goes on by itself.",
        )

    async def _note_receipts(self, slots: Sequence[Slot], mined: int | None = None) -> None:
        """Note which transactions were mined, and what became of them."""
        if not slots:
            return
        # Asked first: what this counts must have a receipt then, unless somebody else made it.
        mined = await self._chain.nonce() if mined is None else mined
        attempts = [(slot, n) for slot in slots for n in range(len(slot.attempts))]
        receipts = await self._chain.receipts([slot.attempts[n].tx_hash for slot, n in attempts])
        settled = {
            slot.place: Settled(slot, n, receipt)
            for (slot, n), receipt in zip(attempts, receipts, strict=True)
            if receipt is not None
        }
        taken = [
            slot
            for slot in slots
            if slot.place not in settled and slot.account == self._queue.account and slot.nonce < mined
        ]
        if taken:
            mined = min(mined, await self._chain.nonce())
            settled |= {slot.place: Settled(slot) for slot in taken if slot.nonce < mined}
        if settled:
            await self._settle(list(settled.values()))

    async def _settle(self, settled: Sequence[Settled]) -> None:
        await self._store.run(lambda work: self._queue.settle(work, settled))
        for one in settled:
            del self._slots[one.slot.place]
            # After a fork, another call of ours may have been mined in the place of this one.
            self._stale |= len(one.slot.attempts) > 1 and _differ(one.slot.attempts)
            self._lost.discard(one.slot.place)
            receipt = one.receipt
            if receipt is not None:
                self._spending.add(receipt.block, receipt.cost)
                self._newest = max(self._newest, (receipt.block, receipt.block_hash))
        for one in settled:
            await self._consider(one.slot, one.receipt)

    async def _consider(self, slot: Slot, receipt: Receipt | None) -> None:
        """See what follows from a transaction that was mined, or can never be."""
        if receipt is not None and receipt.ok:
            if slot.call == "deploy":
                self._deployments = 0
            elif slot.line is not None and slot.count:
                self._again.discard(slot.line)
            return
        if slot.contract != self._queue.contract:
            return
        if slot.call == "deploy":
            await self._begin_again()
            self._stale = True
            return
        if receipt is None:
            await self._suspect()
        if slot.line is not None:
            self._troubled.add(slot.line)


async def _together(
    first: Callable[[], Awaitable[bool]], second: Callable[[], Coroutine[Any, Any, None]]
) -> bool:
    """Do two things at a time, and return what the first returns; the error of one ends the other."""
    result = False
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(second)
            result = await first()
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
    return result


def _differ(attempts: Sequence[Signed]) -> bool:
    return len({_contract.transaction(signed.raw).data for signed in attempts}) > 1
