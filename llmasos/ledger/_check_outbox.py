"""Checking the outbox: each transaction is signed for what its row says, and carries the records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from llmasos.ledger import _contract
from llmasos.ledger._contract import TREE_KEY
from llmasos.ledger._digest import next_head, session_key
from llmasos.ledger._envelope import Envelope, opened
from llmasos.ledger._lineage import Lineage
from llmasos.ledger._merkle import Peaks
from llmasos.ledger._pages import Pages, Row
from llmasos.ledger._problems import Problems
from llmasos.ledger._types import kind_number

PAGE = 100
LEAVES = 1_000
MINED = ("confirmed", "failed")
STATES = (*MINED, "pending", "replaced")

_PAGE = (
    "SELECT account, chain_id, nonce, attempt, contract, call, number, count, raw, tx_hash, state, error,"
    " block, block_hash, cost FROM ledger_outbox"
    " WHERE account = ? AND chain_id = ? AND (nonce, attempt) > (?, ?) ORDER BY nonce, attempt LIMIT ?"
)
_RECORD = "SELECT number, session, seq, kind, digest, head, route FROM ledger_records WHERE "
_LEAVES = (
    "SELECT number, digest FROM ledger_records WHERE route = 'tree' AND number >= ? ORDER BY number LIMIT ?"
)


class Sent(NamedTuple):
    """A row of the outbox; its bytes are b"" once they were found to be none that its account signed.

    Args:
        size: How many records it carries.
    """

    account: str
    chain_id: int
    nonce: int
    attempt: int
    contract: str
    call: str
    number: int
    size: int
    raw: bytes
    tx_hash: str
    state: str
    error: str
    block: int
    block_hash: str
    cost: str

    @property
    def name(self) -> str:
        """How it is spoken of."""
        attempt = f", attempt {self.attempt + 1}" if self.attempt else ""
        return f"Transaction {self.nonce} ({self.call}{attempt}) in the outbox"


_TYPES: tuple[tuple[str, ...], tuple[type, ...]] = (
    Sent._fields,
    (str, int, int, int, str, str, int, int, bytes, str, str, str, int, str, str),
)


class _Record(NamedTuple):
    number: int
    session: str
    seq: int
    kind: str
    digest: str
    head: str
    route: str


class OutboxCheck:
    """One pass over the outbox, account by account in the order of their nonces.

    Args:
        contract: The audit log's address; None before it is deployed.
        signer: Returns the account that signed a transaction.

    `deployed` tells whether the contract's deployment was found, `checked` counts the rows, `nonces` is one
    more than the newest nonce of the ledger's account.
    """

    def __init__(
        self,
        pages: Pages,
        problems: Problems,
        *,
        chain_id: int,
        contract: str | None,
        lineage: Lineage,
        signer: Callable[[Envelope], str],
    ) -> None:
        self._pages, self._problems = pages, problems
        self._chain_id, self._contract, self._lineage = chain_id, contract, lineage
        self._signer = signer
        self._trees: dict[str, tuple[int, int]] = {}
        self._starts: dict[tuple[str, int], int] = {}
        self.deployed = contract is None
        self.checked = 0
        self._sound = False
        self.nonces: int | None = None

    def accounts(self) -> list[tuple[str, int]]:
        """Return whose transactions there are and on which chain: this ledger's in order, then others."""
        found = self._pages.fetch("SELECT DISTINCT account, chain_id FROM ledger_outbox ORDER BY 1, 2")
        ours = [(account, self._chain_id) for account in self._lineage.accounts]
        return ours + [(account, chain) for account, chain in found if (account, chain) not in ours]

    def ours(self, row: Sent) -> bool:
        """Return whether a transaction was made by an account of this ledger for this chain."""
        return row.chain_id == self._chain_id and row.account in self._lineage

    def rows(self, account: str, chain_id: int) -> Iterator[list[Sent]]:
        """Check the transactions of an account, page by page."""
        nonce = attempt = -1
        before: Sent | None = None
        states: list[tuple[str, bool]] = []
        while True:
            found = self._pages.fetch(_PAGE, account, chain_id, nonce, attempt, PAGE)
            if not found:
                break
            nonce, attempt = found[-1][2:4]
            if (account, chain_id) == (self._lineage.accounts[-1], self._chain_id) and isinstance(nonce, int):
                self.nonces = nonce + 1
            page = [Sent(*row) for row in found if self._typed(row)]
            self.checked += len(found)
            records = self._records([row.number for row in page])
            checked = []
            for row in page:
                if before is not None and row.nonce == before.nonce:
                    states.append((row.state, bool(row.error)))
                else:
                    self._end(before, states)
                    states = [(row.state, bool(row.error))]
                self._sound = False
                wrong = self._wrong(row, before, records.get(row.number))
                problem = self._place(row, before) or wrong
                if problem:
                    self._problems.other(row.number, f"{row.name} {problem}")
                before = row
                checked.append(row if self._sound else row._replace(raw=b""))
            yield checked
        self._end(before, states)

    def _typed(self, row: Row) -> bool:
        """Return whether a row's columns hold what they are for; otherwise no more can be said of it."""
        wrong = [name for name, kind, value in zip(*_TYPES, row, strict=True) if type(value) is not kind]
        if wrong:
            value = row[_TYPES[0].index(wrong[0])]
            text = f"its {wrong[0]} is missing" if value is None else f"{value!r} is no {wrong[0]}"
            self._problems.other(0, f"Transaction {row[2]!r} ({row[5]}) in the outbox was altered: {text}.")
        return not wrong

    def _end(self, row: Sent | None, states: Sequence[tuple[str, bool]]) -> None:
        """Check the states of a nonce's attempts together; one that is lost to us has a reason with each."""
        if row is None or not all(state in STATES for state, _ in states):
            return
        mined = sum(state in MINED for state, _ in states)
        waiting = sum(state == "pending" for state, _ in states)
        reasons = sum(error for state, error in states if state == "replaced")
        if mined > 1:
            text = "was mined more than once, the outbox says; a nonce is used once."
        elif mined and waiting:
            text = "is pending, though another attempt was mined, the outbox says."
        elif mined + waiting == 0 and reasons < len(states):
            text = "was replaced, but nothing that is there took its place."
        elif mined and reasons:
            text = (
                "was altered: it has a reason for being replaced by nothing, but another attempt was mined."
            )
        else:
            return
        self._problems.other(row.number, f"{row.name} {text}")

    def _place(self, row: Sent, before: Sent | None) -> str:
        if before is None or row.nonce != before.nonce:
            if before is not None and row.nonce != before.nonce + 1 and self.ours(row):
                missing = range(before.nonce + 1, row.nonce)
                which = f"{missing[0]}" + (f" to {missing[-1]}" if len(missing) > 1 else "")
                text = (
                    f"Transaction {which} of account {row.account} is missing from the outbox:"
                    " its row was removed, or the key was used elsewhere."
                )
                self._problems.other(before.number + 0.5, text)
            return "" if row.attempt == 0 else "is there without the attempts before it."
        if row.attempt != before.attempt + 1:
            return "is there without the attempt before it."
        same = (row.contract, row.call, row.number, row.size)
        if same != (before.contract, before.call, before.number, before.size):
            return "was altered: it is not for the same as the attempt before it."
        return ""

    def _wrong(self, row: Sent, before: Sent | None, record: _Record | None) -> str:
        """Return what is wrong with a row; its bytes are sound when they are what its account signed."""
        try:
            if _contract.transaction_hash(row.raw) != row.tx_hash:
                return "was altered: its bytes do not give its hash."
            said = opened(row.raw)
            if (said.chain_id, said.nonce) != (row.chain_id, row.nonce):
                return "was altered: its chain or nonce is not the signed one."
            if self._signer(said) != row.account:
                return "was altered: its account is not the one that signed it."
            self._sound = True
            state = self._state(row)
            if state:
                return state
            again = before is not None and before.nonce == row.nonce and before.raw
            if again and before is not None:
                other = opened(before.raw)
                # A transfer of all that is left is less when the fee is more.
                same = row.call == "fund" or said.value == other.value
                if not same or (said.to, said.data) != (other.to, other.data):
                    return "was altered: it is signed for something else than the attempt before it."
                return ""
            home = before.contract if before else row.contract
            return self._call(row, said, record, home)
        except (ValueError, TypeError, AttributeError, IndexError, OverflowError):
            return "was altered: its bytes are not such a transaction."

    def _state(self, row: Sent) -> str:
        if row.state not in STATES:
            return f"was altered: its state {row.state!r} does not exist."
        if row.state != "replaced" and (row.state == "failed") != bool(row.error):
            return "was altered: it has an error without having failed, or has failed without one."
        unmined = (row.block, row.block_hash, row.cost) == (0, "", "0")
        # A deployment whose contract was given up keeps its block.
        if not unmined and row.state not in MINED and not (row.error and row.call == "deploy"):
            return f"was altered: it is {row.state}, but has a block or a cost."
        if self._contract is not None and row.contract == self._contract and row.account not in self._lineage:
            return f"is signed by {row.account}, which was never this ledger's account."
        if (
            self.ours(row)
            and row.call != "deploy"
            and row.contract != self._contract
            and row.state == "pending"
        ):
            return "is for another contract than the ledger's."
        return ""

    def _call(self, row: Sent, said: Envelope, record: _Record | None, home: str) -> str:
        """Compare what a transaction is signed for with what its row says and with the records it carries."""
        other = "was altered: it is signed for something else than its row says."
        if row.call == "deploy":
            made = _contract.created_address(row.account, row.nonce)
            if (row.number, row.size, said.to, said.value, row.contract) != (0, 0, None, 0, made):
                return other
            if said.data != _contract.deploy_code():
                return "was altered: it deploys another contract."
            self.deployed = self.deployed or (row.contract == self._contract and row.state != "failed")
            return ""
        if row.call == "fund":
            # One to the account itself fills a nonce that would leave a gap.
            fits = (row.number, row.size, said.data) == (0, 0, b"") and row.contract in (
                home,
                self._contract,
            )
            return "" if fits and (said.to == row.account or self._follows(row, said.to)) else other
        if said.to != row.contract or said.value:
            return other
        if row.call == "rotate":
            keys = [said.data[at : at + 32] for at in range(100, len(said.data), 32)]
            owner = "0x" + said.data[48:68].hex()
            fits = said.data == _contract.rotate_call(keys, owner) and (row.number, row.size) == (0, 0)
            return "" if fits and self._follows(row, owner) else other
        if record is None:
            return f"carries record number {row.number}, which is missing from the database."
        if row.call == "open":
            return "" if row.size == 0 and self._opens(said.data, record) else other
        if row.call == "anchor":
            return self._anchor(row, said.data, record)
        if row.call not in ("append", "many") or record.route != "session":
            return other
        return self._append(row, said.data, record)

    def _follows(self, row: Sent, account: str | None) -> bool:
        return (row.account, account) in self._lineage.pairs

    def _opens(self, data: bytes, record: _Record) -> bool:
        if record.route == "tree":
            first = self._pages.one("SELECT min(number) FROM ledger_records WHERE route = 'tree'")
            return data == _contract.open_call(TREE_KEY) and record.number == first
        return record.seq == 1 and data == _contract.open_call(session_key(record.session))

    def _append(self, row: Sent, data: bytes, record: _Record) -> str:
        records, key, prev = [record], data[4:36], data[68:100]
        if row.call == "many":
            if row.size != int.from_bytes(data[164:196]):
                return "was altered: it carries another number of records than its row says."
            where = "session = ? AND seq >= ? ORDER BY seq LIMIT ?"
            found = self._pages.fetch(_RECORD + where, record.session, record.seq, row.size)
            records = [_Record(*row) for row in found]
        if len(records) != row.size or row.size < 1:
            return f"carries {row.size} records, {len(records)} of which are in the database."
        digests = [bytes.fromhex(each.digest) for each in records]
        kinds = [kind_number(each.kind) for each in records]
        if row.call == "append":
            made = _contract.append_call(key, record.seq, prev, digests[0], kinds[0])
        else:
            made = _contract.append_many_call(key, record.seq, prev, digests, kinds)
        head = next_head(key, record.seq, prev, digests[0], kinds[0])
        if data != made or key != session_key(record.session) or head.hex() != record.head:
            return f"carries something else than {_which(records)} as the database has it."
        return ""

    def _anchor(self, row: Sent, data: bytes, record: _Record) -> str:
        first, prev, root, count = (data[at : at + 32] for at in (36, 68, 100, 132))
        leaf, size = int.from_bytes(first), int.from_bytes(count)
        if (
            data != _contract.anchor_call(TREE_KEY, leaf, prev, root, size)
            or record.route != "tree"
            or size < 1
        ):
            return "was altered: it is signed for something else than its row says."
        if size != row.size:
            return "was altered: it carries another number of records than its row says."
        tree, last, left = Peaks(), row.number - 1, size
        while left and (page := self._pages.fetch(_LEAVES, last + 1, min(left, LEAVES))):
            for _, digest in page:
                tree.add(bytes.fromhex(digest))
            last, left = page[-1][0], left - len(page)
        place = (row.contract, row.number)
        expected = self._starts.get(place)
        if expected is None:
            after, expected = self._trees.get(row.contract, (0, 1))
            between = (
                "SELECT 1 FROM ledger_records WHERE route = 'tree' AND number > ? AND number < ? LIMIT 1"
            )
            if after < 0 or self._pages.one(between, after, row.number) is not None or after >= row.number:
                count_before = "SELECT count(*) FROM ledger_records WHERE route = 'tree' AND number < ?"
                expected = self._pages.one(count_before, row.number) + 1
        if row.state != "confirmed" and len(self._starts) < LEAVES:
            self._starts[place] = expected
        self._trees[row.contract] = (last if not left else -1, leaf + size)
        if left or tree.root != root:
            return (
                f"carries a tree over {size} records from number {row.number} on whose root is not theirs:"
                " one of them was rewritten or is missing."
            )
        return "" if leaf == expected else f"carries a tree at leaf {leaf} that belongs at {expected}."

    def _records(self, numbers: Sequence[int]) -> dict[int, _Record]:
        marks = ", ".join("?" * len(numbers))
        found = self._pages.fetch(_RECORD + f"number IN ({marks})", *numbers)
        return {row[0]: _Record(*row) for row in found}


def _which(records: Sequence[_Record]) -> str:
    first, last = records[0], records[-1]
    if first is last:
        return f"record {first.seq} of session {first.session!r}"
    return f"records {first.seq} to {last.seq} of session {first.session!r}"
