"""An audit log on another EVM chain as a place outside."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import anyio
from pydantic import BaseModel

from llmasos.ledger import _contract
from llmasos.ledger._contract import Appended, SessionState, created_address
from llmasos.ledger._digest import FIRST_HEAD, next_head
from llmasos.ledger.anchors.port import AnchorError, AnchorMismatch, Statement, read_receipt
from llmasos.ledger.chains.port import Block, Chain, ChainError, ChainRefused, Fees, Receipt

KEY = hashlib.sha256(b"llmasos.anchors.v1").digest()
"""The session of the statements in that contract."""

KIND = 0
POLL_SECONDS, CONFIRM_SECONDS = 1.0, 300.0


class _Receipt(BaseModel, frozen=True, extra="forbid"):
    """The transaction that holds a statement, and the block that it was mined in."""

    tx_hash: str
    block: int
    block_hash: str


class EvmAnchor:
    """Digests of statements in an audit log of their own, deployed with the anchor account's first nonce.

    Args:
        target: The place as it is shown; without what a URL may hold of a key.
        chain: The other chain with the anchor account. It is used for nothing else.
        first: A block before the contract's; a public chain is long to search from its beginning.
    """

    def __init__(self, target: str, chain: Chain, first: int = 0) -> None:
        self.target = target
        self._chain, self._first = chain, first
        self._connected = False
        self._offered: dict[int, Fees] = {}

    async def put(self, statement: Statement) -> bytes:
        """Append a statement's digest, unless the contract holds it, and wait until it is mined.

        Raises:
            AnchorError: The chain cannot be reached, the account has no funds, or it was not mined in time.
            AnchorMismatch: The contract does not belong to the anchor account.
        """
        try:
            await self._connect()
            block = await self._newest()
            events = await self._events(block)
            found = next((event for event in events if event.digest == statement.digest), None)
            if found is None:
                found_in = await self._append(statement.digest, block)
            else:
                found_in = found.tx_hash
            mined = await self._mined(found_in)
        except ChainError as error:
            raise self._unreachable(error) from error
        receipt = _Receipt(tx_hash=found_in, block=mined.block, block_hash=mined.block_hash)
        return receipt.model_dump_json().encode()

    async def check(self, statement: Statement, receipt: bytes) -> str:
        """Return the time of the block that holds a statement.

        Raises:
            AnchorError: The chain cannot be reached.
            AnchorMismatch: It does not hold the statement.
        """
        said = read_receipt(_Receipt, receipt)
        try:
            await self._connect()
            mined = (await self._chain.receipts([said.tx_hash]))[0]
            block = await self._chain.block(mined.block) if mined and mined.ok else None
            # It may have been mined again elsewhere after a fork; what counts is that it is there.
            if block is not None:
                async for event in self._chain.logged(self._contract, block.number, block.number, KEY):
                    if isinstance(event, Appended) and event.digest == statement.digest:
                        return datetime.fromtimestamp(block.time, UTC).isoformat()
        except ChainError as error:
            raise self._unreachable(error) from error
        raise AnchorMismatch(
            f"{self.target} does not hold the statement over {statement.records} records in transaction "
            f"{said.tx_hash}.",
            hint="The chain was reset, or the receipt was altered.",
        )

    async def digests(self) -> list[bytes]:
        """Return the digests in the contract, which must give the head that it stores.

        Raises:
            AnchorError: The chain cannot be reached.
            AnchorMismatch: What the chain lists is not what the contract stores.
        """
        try:
            await self._connect()
            return [event.digest for event in await self._events(await self._newest())]
        except ChainError as error:
            raise self._unreachable(error) from error

    async def close(self) -> None:
        """Let go of the chain."""
        await self._chain.close()

    @property
    def _contract(self) -> str:
        return created_address(self._chain.account, 0)

    async def _connect(self) -> None:
        if not self._connected:
            await self._chain.connect()
            self._connected = True

    async def _newest(self) -> Block:
        block = await self._chain.block()
        if block is None:
            raise ChainError("The chain has no block.")
        return block

    async def _state(self, block: Block) -> SessionState:
        return (await self._chain.sessions(self._contract, [KEY], block))[0]

    async def _events(self, block: Block) -> list[Appended]:
        """Return what the contract logged up to a block, checked against its state there."""
        if not await self._chain.has_code(self._contract):
            return []
        head = FIRST_HEAD
        events: list[Appended] = []
        async for event in self._chain.logged(self._contract, self._first, block.number, KEY):
            if not isinstance(event, Appended) or event.seq != len(events) + 1:
                break
            head = next_head(KEY, event.seq, head, event.digest, event.kind)
            events.append(event)
        state = await self._state(block)
        if (state.count, state.head) != (len(events), head):
            raise AnchorMismatch(
                f"What {self.target} lists is not what its contract stores: {len(events)} statements of "
                f"{state.count}.",
                hint="Ask another node of that chain; `#BLOCK` at the target's end may come after the first.",
            )
        return events

    async def _append(self, digest: bytes, block: Block) -> str:
        if not await self._chain.has_code(self._contract):
            if await self._chain.nonce():
                raise AnchorMismatch(
                    f"The account {self._chain.account} was used on {self.target} for something else.",
                    hint="Give the anchors an account of their own.",
                )
            await self._call(None, _contract.deploy_code())
            block = await self._newest()
        state = await self._state(block)
        if not int(state.owner, 16):
            await self._call(self._contract, _contract.open_call(KEY))
        elif state.owner != self._chain.account or state.closed:
            raise AnchorMismatch(
                f"The anchors on {self.target} are closed, or belong to {state.owner}.",
                hint="Give the key of the account that began them, or another account.",
            )
        call = _contract.append_call(KEY, state.count + 1, state.head, digest, KIND)
        return await self._call(self._contract, call)

    async def _call(self, to: str | None, data: bytes) -> str:
        """Send a transaction and wait until it is mined; the next try offers more than one that was not."""
        nonce = await self._chain.nonce()
        fees = await self._chain.fees(self._offered.get(nonce))
        signed = self._chain.sign(nonce, to, data, fees)
        self._offered[nonce] = fees
        await self._chain.send([signed.raw])
        if not (await self._mined(signed.tx_hash)).ok:
            raise AnchorError(
                f"The contract on {self.target} refused transaction {signed.tx_hash}.",
                hint="Another program may use the same account; give the anchors their own.",
            )
        self._offered.clear()
        return signed.tx_hash

    async def _mined(self, tx_hash: str) -> Receipt:
        with anyio.move_on_after(CONFIRM_SECONDS):
            while (receipt := (await self._chain.receipts([tx_hash]))[0]) is None:
                await anyio.sleep(POLL_SECONDS)
            return receipt
        raise AnchorError(
            f"{self.target} has not mined transaction {tx_hash} within {CONFIRM_SECONDS:.0f} seconds.",
            hint="It is tried again with a higher fee; raise ledger.max_fee_gwei if it stays.",
        )

    def _unreachable(self, error: ChainError) -> AnchorError:
        hint = error.hint or "Check the URL and the chain id."
        kind = "refuses" if isinstance(error, ChainRefused) else "cannot be used"
        return AnchorError(f"{self.target} {kind}: {error.message}", hint=hint)
