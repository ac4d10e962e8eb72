"""A chain behind the JSON-RPC of any EVM node."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import anyio.to_thread

from llmasos.errors import LedgerError
from llmasos.ledger import _contract
from llmasos.ledger._contract import Logged, SessionState
from llmasos.ledger.chains import storage
from llmasos.ledger.chains.account import Account
from llmasos.ledger.chains.fees import GWEI, market, offer
from llmasos.ledger.chains.gas import gas_limit
from llmasos.ledger.chains.header import block_shown, roots
from llmasos.ledger.chains.inclusion import Uncommitted, included
from llmasos.ledger.chains.logs import logged
from llmasos.ledger.chains.port import Block, ChainError, ChainRefused, Fees, Inclusion, Receipt, Signed
from llmasos.ledger.chains.rpc import LIES, MALFORMED, RpcClient, RpcError
from llmasos.ledger.chains.values import octets, quantity, shown

PROOF_KEYS = 100
GAS_MARGIN, GAS_FACTOR = 1.3, 20.0
_HAS_IT = re.compile(r"already (known|imported|exists|in )|alreadyknown|\bknown transaction|same hash")


class EvmChain:
    """One account on a chain, by a node that need not be trusted: what can be computed is not believed.

    A header's hash, the state of sessions and the place of a transaction are proved. Receipts, logs, the
    nonce and the balance are what the node says; `sessions` is what a verification rests on.

    Args:
        client: The way to the node.
        load: Returns the account; called when it is first needed.
        name: The chain's name.
        chain_id: The id that the chain must have.
        max_fee_gwei: The most to offer for one unit of gas, in gwei.
    """

    def __init__(
        self, client: RpcClient, load: Callable[[], Account], *, name: str, chain_id: int, max_fee_gwei: float
    ) -> None:
        self.name, self.chain_id = name, chain_id
        self._client, self._load = client, load
        self._limit = int(max_fee_gwei * GWEI)
        self._signer: Account | None = None
        self._gas_factor = 1.0
        self.proved = True
        """Whether every session's state was proved; not once a node without `eth_getProof` was believed."""

    @property
    def account(self) -> str:
        """The account's address.

        Raises:
            LedgerError: The key cannot be read or made.
        """
        return self._account().address

    @property
    def successor(self) -> str:
        """No account takes over here: the settings name the key."""
        return ""

    async def prepare(self, key: str = "") -> str:
        """Refuse: the settings name the key.

        Raises:
            LedgerError: Always.
        """
        raise LedgerError(
            "The key of this chain's account cannot be changed here.",
            hint="Only the embedded chain and the development chain keep their keys themselves.",
        )

    async def adopt(self) -> None:
        """Do nothing: no account takes over."""

    async def connect(self) -> None:
        """See that the node serves the chain that is meant, and that the account can pay.

        Raises:
            ChainRefused: The chain has another id.
            ChainError: It cannot be reached, or the account owns nothing.
        """
        await anyio.to_thread.run_sync(self._account)
        await self._recognise()
        if await self.balance() == 0 and (await self._market()).cap > 0:
            raise ChainError(
                f"The account {self.account} owns nothing on the chain {self.chain_id}, to pay for gas.",
                hint=f"Send some of the chain's coin to {self.account}; it is tried again by itself.",
            )
        await self._measure_gas()

    async def close(self) -> None:
        """Let go of the node."""
        await self._client.close()

    async def fees(self, over: Fees | None = None) -> Fees:
        """Return what to offer now; at least what replaces a transaction that offered `over`.

        Raises:
            ChainError: That is more than the settings allow.
        """
        return offer(await self._market(), self._limit, over)

    def sign(self, nonce: int, to: str | None, data: bytes, fees: Fees, value: int = 0) -> Signed:
        """Sign a transaction; the same arguments give the same bytes."""
        gas = int(gas_limit(to, data) * self._gas_factor)
        return self._account().sign(self.chain_id, nonce, to, data, gas, fees, value)

    async def send(self, transactions: Sequence[bytes]) -> None:
        """Send signed transactions in their order; sending one twice is harmless.

        Raises:
            ChainError: The node did not take one.
            ChainRefused: It took another than was sent.
        """
        results = await self._client.batch([("eth_sendRawTransaction", [shown(raw)]) for raw in transactions])
        doubtful: list[tuple[str, RpcError]] = []
        for raw, result in zip(transactions, results, strict=True):
            tx_hash = _contract.transaction_hash(raw)
            if not isinstance(result, RpcError):
                self._same(tx_hash, result, "eth_sendRawTransaction")
            elif not _HAS_IT.search(result.text.lower()):
                doubtful.append((tx_hash, result))
        # Nodes say in many words that they have a transaction, and that another has its nonce.
        known = await self._client.every([("eth_getTransactionByHash", [tx_hash]) for tx_hash, _ in doubtful])
        for (tx_hash, error), found in zip(doubtful, known, strict=True):
            if found is None:
                raise self._not_taken(error)
            with self._client.reading("eth_getTransactionByHash"):
                claimed = found["hash"]
            self._same(tx_hash, claimed, "eth_getTransactionByHash")

    async def nonce(self) -> int:
        """Return the account's number of mined transactions."""
        return await self._quantity("eth_getTransactionCount", self.account, "latest")

    async def balance(self) -> int:
        """Return what the account owns, in wei."""
        return await self._quantity("eth_getBalance", self.account, "latest")

    async def receipts(self, tx_hashes: Sequence[str]) -> list[Receipt | None]:
        """Return what became of transactions; None for those that are not mined."""
        method = "eth_getTransactionReceipt"
        found = await self._client.every([(method, [tx_hash]) for tx_hash in tx_hashes])
        receipts: list[Receipt | None] = []
        hashes: dict[int, str] = {}
        for tx_hash, item in zip(tx_hashes, found, strict=True):
            # Some nodes show a transaction that waits by a receipt without a block.
            if item is None or (isinstance(item, dict) and item.get("blockHash", "") is None):
                receipts.append(None)
                continue
            with self._client.reading(method):
                receipt, claimed = _receipt(item), item["transactionHash"]
            self._same(tx_hash, claimed, method)
            if hashes.setdefault(receipt.block, receipt.block_hash) != receipt.block_hash:
                raise ChainError(f"The chain's block {receipt.block} was replaced while it was read.")
            receipts.append(receipt)
        return receipts

    async def block(self, number: int | None = None) -> Block | None:
        """Return a block, the newest if no number is given; None when there is none.

        Raises:
            ChainRefused: It is another block, or not what its hash says.
        """
        method = "eth_getBlockByNumber"
        found = await self._client.request(method, "latest" if number is None else hex(number), False)
        if found is None:
            return None
        with self._client.reading(method):
            block = block_shown(found)
        if number is not None and block.number != number:
            raise ChainRefused(f"The chain gave block {block.number} for block {number}.", hint=LIES)
        return block

    async def has_code(self, address: str) -> bool:
        """Return whether a contract lies at an address."""
        found = await self._client.request("eth_getCode", address, "latest")
        with self._client.reading("eth_getCode"):
            return bool(octets(found))

    async def logged(
        self, contract: str, first: int, last: int, key: bytes | None = None
    ) -> AsyncIterator[Logged]:
        """Return what a contract logged in blocks `first` to `last`, oldest first, of one session or of all.

        Raises:
            ChainRefused: The node gives logs that were not asked for, or in another order.
        """
        async for log in logged(self._client, contract, first, last, key):
            yield log

    async def sessions(self, contract: str, keys: Sequence[bytes], block: Block) -> list[SessionState]:
        """Return sessions as the contract stores them after a block, proved against its state root.

        Raises:
            ChainError: There is no audit log, or the node no longer has that state.
            ChainRefused: The proof does not hold.
        """
        states: list[SessionState] = []
        for start in range(0, len(keys), PROOF_KEYS):
            some = keys[start : start + PROOF_KEYS]
            slots = [slot for key in some for slot in storage.session_slots(key)]
            words = [shown(slot.to_bytes(32, "big")) for slot in slots]
            try:
                proof = await self._client.request("eth_getProof", contract, words, hex(block.number))
            except RpcError as error:
                if not error.unknown_method:
                    raise
                self.proved = False
                states += await self._told_sessions(contract, some, block)
            else:
                states += await self._proved_sessions(contract, slots, proof, block)
        return states

    async def inclusion(self, tx_hash: str) -> Inclusion:
        """Return the proof that a mined transaction is in its block.

        Raises:
            ChainError: It is not mined, or the chain does not give what the proof is made of.
            ChainRefused: What it gives is not what the block's header commits to.
        """
        [mined] = await self.receipts([tx_hash])
        if mined is None:
            raise ChainError(f"The transaction {tx_hash} is not mined yet.", hint="Try again in a moment.")
        try:
            return await included(self._client, tx_hash, mined)
        except Uncommitted as error:
            raise await self._contradiction(error.block, str(error)) from None

    async def inspect(self) -> AsyncIterator[str | int]:
        """Check nothing: what a foreign chain has stored is not ours."""
        return
        yield

    def _account(self) -> Account:
        if self._signer is None:
            self._signer = self._load()
        return self._signer

    async def _recognise(self) -> None:
        found = await self._quantity("eth_chainId")
        if found != self.chain_id:
            raise ChainRefused(
                f"The chain at {self._client.place} has the id {found}, not {self.chain_id} as it should.",
                hint="Give the URL of a node of the right chain, or correct LLMASOS_LEDGER__CHAIN_ID.",
            )

    async def _market(self) -> Fees:
        with self._client.reading("eth_feeHistory"):
            return await market(self._client)

    async def _measure_gas(self) -> None:
        """Learn from one estimate whether the chain charges more gas than Ethereum, as some do."""
        code = _contract.deploy_code()
        try:
            needed = await self._quantity("eth_estimateGas", {"from": self.account, "data": shown(code)})
        except RpcError:
            return
        share = needed / gas_limit(None, code)
        self._gas_factor = 1.0 if share <= 1 else min(GAS_MARGIN * share, GAS_FACTOR)

    async def _proved_sessions(
        self, contract: str, slots: Sequence[int], proof: Any, block: Block
    ) -> list[SessionState]:
        try:
            root = storage.storage_root(roots(block).state, contract, proof)
            values = [
                storage.proved_slot(root, slot, item)
                for slot, item in zip(slots, proof["storageProof"], strict=True)
            ]
        except storage.NoContract as error:
            raise _no_audit_log(error) from None
        except MALFORMED as error:
            raise await self._contradiction(
                block, f"the proof of its state does not hold ({error})"
            ) from error
        return [storage.session_stored(*pair) for pair in zip(values[::2], values[1::2], strict=True)]

    async def _told_sessions(self, contract: str, keys: Sequence[bytes], block: Block) -> list[SessionState]:
        calls = [{"to": contract, "data": shown(_contract.sessions_call(key))} for key in keys]
        outputs = await self._client.every([("eth_call", [call, hex(block.number)]) for call in calls])
        with self._client.reading("eth_call"):
            found = [octets(output) for output in outputs]
        if b"" in found:
            raise _no_audit_log(f"there is no audit log at {contract}")
        with self._client.reading("eth_call"):
            return [_contract.session_state(output) for output in found]

    async def _quantity(self, method: str, *params: Any) -> int:
        found = await self._client.request(method, *params)
        with self._client.reading(method):
            return quantity(found)

    async def _contradiction(self, block: Block, what: str) -> ChainError:
        """Tell a node that lies from one whose block was replaced between two questions."""
        now = await self.block(block.number)
        if now is None or now.hash != block.hash:
            return ChainError(f"The chain's block {block.number} was replaced while it was read.")
        return ChainRefused(f"The chain lies about block {block.number}: {what}.", hint=LIES)

    def _same(self, tx_hash: str, claimed: Any, method: str) -> None:
        if not isinstance(claimed, str) or claimed.lower() != tx_hash:
            raise ChainRefused(
                f"The chain answered {method} for another transaction than {tx_hash}.", hint=LIES
            )

    def _not_taken(self, error: RpcError) -> ChainError:
        said = error.text.lower()
        if "insufficient funds" in said:
            return ChainError(
                f"The account {self.account} cannot pay for the next transaction: {error.text}.",
                hint=f"Send some of the chain's coin to {self.account}; it is tried again by itself.",
            )
        return error


def _receipt(item: dict[str, Any]) -> Receipt:
    gas, status = quantity(item["gasUsed"], 64), quantity(item["status"])
    if status not in (0, 1):
        raise ValueError("a receipt's status is neither 0 nor 1")
    # What chains above Ethereum take for its data comes on top.
    extra = quantity(item["l1Fee"]) if item.get("l1Fee") is not None else 0
    return Receipt(
        ok=bool(status),
        block=quantity(item["blockNumber"], 64),
        block_hash=shown(octets(item["blockHash"], 32)),
        gas=gas,
        cost=gas * quantity(item["effectiveGasPrice"]) + extra,
    )


def _no_audit_log(reason: object) -> ChainError:
    return ChainError(
        f"The chain has lost the audit log: {reason}.",
        hint="See that the URL leads to the chain that was used before.",
    )
