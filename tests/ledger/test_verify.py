"""What verification says of a ledger: in order, under way, out of reach, or altered, and in which words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import text

from llmasos.ledger import ChainError, MemoryChain, Verdict
from llmasos.ledger._contract import TREE_KEY, Appended, open_call
from llmasos.ledger._digest import session_key
from llmasos.ledger._envelope import opened, signer
from llmasos.ledger._erasures import Erasures
from llmasos.ledger._merkle import Peaks
from llmasos.ledger._problems import KEPT, Problems
from llmasos.ledger._types import Progress
from tests.ledger.built import Built, varied

pytestmark = pytest.mark.anyio


@pytest.fixture
async def built(tmp_path: Path) -> AsyncIterator[Built]:
    made = Built(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
async def filled(built: Built) -> Built:
    built.record("one", "intent", "a0", n=0)
    built.record("one", "outcome", "a1", n=1)
    built.record("two", "intent", "a2", n=2)
    built.record("one", "commit", "a3", n=3)
    built.record("two", "outcome", "a4", n=4)
    await built.carry()
    return built


def change(built: Built, *statements: str) -> None:
    built.store.run_sync(lambda work: [work.execute(text(statement)) for statement in statements])


async def after(built: Built, *statements: str) -> Verdict:
    change(built, *statements)
    return await built.verify()


async def test_an_empty_ledger_is_in_order(built: Built) -> None:
    verdict = await built.verify()
    assert (verdict.finding, verdict.checked, verdict.unanchored) == ("ok", 0, None)
    assert verdict.message == "All 0 records in 0 sessions are as recorded, and on the chain."


async def test_everything_at_once_is_in_order(tmp_path: Path) -> None:
    built = await varied(tmp_path)
    verdict = await built.verify()
    assert (verdict.finding, verdict.problems) == ("ok", ())
    assert (verdict.checked, verdict.confirmed, verdict.pending, verdict.erased, verdict.sessions) == (
        14,
        14,
        0,
        2,
        6,
    )
    assert [found.last for found in verdict.anchored] == [14, 8]
    assert verdict.unanchored is None
    built.store.close()


async def test_progress_is_told_for_each_step(filled: Built) -> None:
    told: list[Progress] = []
    await filled.verify(progress=told.append)
    assert [progress.step for progress in told] == ["records", "chain", "transactions", "chain", "anchors"]
    assert told[0] == Progress("records", 5, 5)
    assert told[2] == Progress("transactions", 8, 8)


async def test_records_on_their_way_are_pending(filled: Built) -> None:
    filled.record("one", "undo")
    filled.record("new", "intent")
    filled.record("trees", "intent", tree=True)
    verdict = await filled.verify(settled=False)
    assert (verdict.finding, verdict.confirmed, verdict.pending, verdict.problems) == ("pending", 5, 3, ())
    assert verdict.message == "3 records of 8 have not reached the chain yet."
    assert verdict.unanchored == 1


async def test_records_beyond_the_last_are_left_to_the_next_check(filled: Built) -> None:
    filled.record("one", "undo")
    verdict = await filled.verify(last=5)
    assert (verdict.finding, verdict.checked, verdict.pending) == ("ok", 5, 0)


async def test_records_that_reached_the_chain_since_are_checked(filled: Built) -> None:
    filled.record("one", "undo", "a5")
    await filled.carry()
    assert (await filled.verify(last=5)).finding == "ok"
    verdict = await filled.verify(last=5)
    change(filled, "UPDATE ledger_records SET tool = 'x' WHERE number = 6")
    verdict = await filled.verify(last=5)
    assert verdict.problems[0].startswith("Record 4 of session 'one' (undo of action 'a5') was altered")


async def test_what_is_settled_and_not_on_the_chain_is_missing(filled: Built) -> None:
    filled.record("one", "undo", "a5")
    filled.record("trees", "undo", "a6", tree=True)
    verdict = await filled.verify()
    missing = "is not on the chain, and nothing is under way for it."
    assert verdict.problems == (
        f"Record 4 of session 'one' (undo of action 'a5') {missing}",
        f"Record 1 of session 'trees' (undo of action 'a6') {missing}",
    )


async def test_a_difference_counts_when_the_outbox_has_looked_again(filled: Built) -> None:
    filled.record("one", "undo")
    settled = False

    async def settle() -> bool:
        nonlocal settled
        await filled.carry()
        settled = True
        return True

    assert (await filled.verify(settle=settle)).finding == "ok"
    assert settled


@pytest.mark.parametrize("depth", [1, 3, 8])
async def test_a_reorganisation_is_no_alteration(filled: Built, depth: int) -> None:
    filled.chain.reorganise(depth)
    lost = filled.chain.sent[-depth:]

    async def settle() -> bool:
        await filled.settle()
        return False

    assert (await filled.verify(settle=settle)).finding == "pending"
    await filled.chain.send(lost)
    await filled.settle()
    change(filled, "UPDATE ledger_outbox SET state = 'confirmed', cost = '21000' WHERE state = 'pending'")
    verdict = await filled.verify()
    assert verdict.finding == "ok", verdict


async def test_a_rebuilt_chain_is_no_alteration(filled: Built) -> None:
    await filled.anchor()
    sent = list(filled.chain.sent)
    filled.chain.wipe()
    for raw in sent:
        await filled.chain.send([raw])
    await filled.settle()
    verdict = await filled.verify()
    assert verdict.finding == "ok", verdict
    assert "rebuilt" in verdict.anchored[0].note


async def test_a_chain_that_is_away_cannot_be_asked(filled: Built) -> None:
    filled.chain.away = True
    verdict = await filled.verify()
    assert (verdict.finding, verdict.confirmed, verdict.pending) == ("unreachable", 0, 5)
    assert verdict.problems == ("The chain could not be asked: The chain is away.",)
    assert "5 records in the database agree with each other" in verdict.message
    verdict = await filled.verify(trouble="It has no power.")
    assert verdict.problems == ("The chain could not be asked: It has no power.",)
    verdict = await after(filled, "UPDATE ledger_records SET tool = 'x' WHERE number = 2")
    assert verdict.finding == "bad"


async def test_a_chain_that_goes_away_meanwhile_cannot_be_asked(
    filled: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(hashes: Any) -> Any:
        raise ChainError("The line is cut.")

    monkeypatch.setattr(filled.chain, "receipts", lost)
    verdict = await filled.verify()
    assert (verdict.finding, verdict.problems) == (
        "unreachable",
        ("The chain could not be asked: The line is cut.",),
    )


async def test_an_anchor_that_is_away_cannot_be_asked(filled: Built) -> None:
    await filled.anchor()
    filled.notary.away = True
    verdict = await filled.verify()
    assert (verdict.finding, verdict.anchored, verdict.unanchored) == ("unreachable", (), 1)
    assert verdict.problems == ("An anchor could not be asked: notary:one: The notary is away.",)


async def test_anchored_and_unanchored_ranges_are_told_apart(filled: Built) -> None:
    await filled.anchor()
    filled.record("two", "undo")
    await filled.carry()
    verdict = await filled.verify()
    assert (verdict.finding, verdict.anchored[0].last, verdict.unanchored) == ("ok", 5, 6)


ALTERED = "was altered: its body, tool, action, time, place or salt is not what was recorded."
UNRECORDED = "was altered: its body is missing, and no record says that it was erased."
RECORD_CHANGES = {
    "kind = 'cancel'": "was altered: it was recorded with the kind outcome.",
    "action = 'other'": ALTERED,
    "tool = 'other'": ALTERED,
    "at = '2020-01-01T00:00:00.000000+00:00'": ALTERED,
    "body = '{}'": "was altered: its body is not what was recorded.",
    "body = NULL": "was altered: only one of its body and the body's salt is there.",
    "body = NULL, body_salt = NULL": UNRECORDED,
    "body_digest = '00'": "was altered: the hash of its body is not the one recorded.",
    "salt = zeroblob(16)": ALTERED,
    "salt = zeroblob(15)": "was altered: its salt is not 16 bytes.",
    "digest = 'x'": "has an altered digest in the database; its content is as recorded.",
    "head = 'x'": "has an altered link to the record before in the database, or was moved.",
    "route = 'tree'": "was altered: its route is 'tree', that of its session 'session'.",
}


@pytest.mark.parametrize("altered", RECORD_CHANGES)
async def test_an_altered_record_is_named(filled: Built, altered: str) -> None:
    verdict = await after(filled, f"UPDATE ledger_records SET {altered} WHERE number = 2")
    assert verdict.finding == "bad"
    said = verdict.problems[0].replace("(cancel of", "(outcome of").replace("'other'", "'a1'")
    assert said == f"Record 2 of session 'one' (outcome of action 'a1') {RECORD_CHANGES[altered]}"
    assert verdict.message.endswith(f"found. {verdict.problems[0]}")


async def test_one_altered_record_is_one_problem(built: Built) -> None:
    for number in range(3):
        built.record("s", "intent", "a", n=number)
    for column in ("digest", "head", "body"):
        before = await built.verify(settled=False)
        assert before.problems == ()
        change(built, "CREATE TABLE kept AS SELECT * FROM ledger_records")
        change(built, f"UPDATE ledger_records SET {column} = 'x' WHERE number = 2")
        assert len((await built.verify(settled=False)).problems) == 1, column
        change(built, "DELETE FROM ledger_records", "INSERT INTO ledger_records SELECT * FROM kept")
        change(built, "DROP TABLE kept")


async def test_a_removed_record_is_named(filled: Built) -> None:
    verdict = await after(filled, "DELETE FROM ledger_records WHERE number = 2")
    assert verdict.problems[0] == "Record 2 of session 'one' is missing from the database."
    assert "Record number 2 of all is missing from the database." in verdict.problems


async def test_a_cut_off_tail_is_named(filled: Built) -> None:
    verdict = await after(filled, "DELETE FROM ledger_records WHERE number = 5")
    found = "Record 2 of session 'two' (outcome) is missing from the database; the chain has it."
    assert found in verdict.problems


async def test_a_removed_session_is_found(filled: Built) -> None:
    two = "(SELECT number FROM ledger_records WHERE session = 'two')"
    verdict = await after(
        filled,
        f"DELETE FROM ledger_outbox WHERE number IN {two}",
        "DELETE FROM ledger_records WHERE session = 'two'",
    )
    assert any(
        "The chain holds 2 records of a session that the database lacks" in text for text in verdict.problems
    )


async def test_exchanged_records_are_found(filled: Built) -> None:
    move = "UPDATE ledger_records SET seq = {} WHERE session = 'one' AND seq = {}"
    verdict = await after(filled, move.format(9, 1), move.format(1, 2), move.format(2, 9))
    assert verdict.problems[0].startswith("Record 2 of session 'one' (intent of action 'a0') was altered")


async def test_an_erasure_must_be_recorded(filled: Built) -> None:
    filled.erase(2, 3)
    await filled.carry()
    verdict = await filled.verify()
    assert (verdict.finding, verdict.erased) == ("ok", 2)
    verdict = await after(filled, "UPDATE ledger_records SET body = NULL, body_salt = NULL WHERE number = 4")
    assert verdict.problems == (
        "Record 3 of session 'one' (commit of action 'a3') was altered: "
        "its body is missing, and no record says that it was erased.",
    )


async def test_what_tells_of_erasures_is_never_erased(filled: Built) -> None:
    first = filled.erase(2)
    filled.erase(first)
    await filled.carry()
    verdict = await filled.verify()
    said = "Record 1 of session 'ledger' (erase) was altered: its body is missing, and such a body is never"
    assert f"{said} erased." in verdict.problems


async def test_a_body_erased_while_it_is_checked_is_no_alteration(
    filled: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.erase(1)
    await filled.carry()
    read = Erasures._read
    done = False

    def late(erasures: Any) -> bool:
        nonlocal done
        found = read(erasures)
        if not done:
            # The erasure of the second record is noted just after what was erased was read.
            done = True
            filled.erase(2)
        return found

    monkeypatch.setattr(Erasures, "_read", late)
    monkeypatch.setattr("llmasos.ledger._check_records.PAGE", 1)
    monkeypatch.setattr("llmasos.ledger._erasures.PAGE", 1)
    verdict = await filled.verify(settled=False)
    assert (verdict.finding, verdict.erased) == ("ok", 2), verdict


OUTBOX_CHANGES = {
    "raw = CAST(raw || x'00' AS BLOB)": "was altered: its bytes do not give its hash.",
    "tx_hash = '0x00'": "was altered: its bytes do not give its hash.",
    "contract = '0x00'": "was altered: it is signed for something else than its row says.",
    "call = 'open'": "was altered: it is signed for something else than its row says.",
    "number = 4": "carries something else than record 3 of session 'one' as the database has it.",
    "number = 99": "carries record number 99, which is missing from the database.",
    "count = 2": "carries 2 records, 1 of which are in the database.",
    "attempt = 1": "is there without the attempts before it.",
    "state = 'pending', block = 0, block_hash = '', cost = 0": "is on the chain, but pending in the outbox.",
    "state = 'gone'": "was altered: its state 'gone' does not exist.",
    "state = 'replaced'": "was altered: it is replaced, but has a block or a cost.",
    "state = 'failed', error = 'no'": "is failed, the outbox says, but confirmed on the chain.",
    "error = 'why'": "was altered: it has an error without having failed, or has failed without one.",
    "cost = '1'": "was altered: it cost 21000 wei, not 1.",
}


@pytest.mark.parametrize("altered", OUTBOX_CHANGES)
async def test_an_altered_transaction_is_named(filled: Built, altered: str) -> None:
    verdict = await after(filled, f"UPDATE ledger_outbox SET {altered} WHERE number = 2")
    assert verdict.finding == "bad"
    assert any(
        text.startswith("Transaction 3 (") and text.endswith(OUTBOX_CHANGES[altered])
        for text in verdict.problems
    ), verdict.problems


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM ledger_outbox WHERE nonce = 3", "Transaction 3 of account 0x1111"),
        ("DELETE FROM ledger_outbox WHERE nonce = 0", "The deployment of the ledger's contract is missing"),
        ("DELETE FROM ledger_outbox WHERE nonce = 1", "The transaction that opened session 'one' is missing"),
        (
            "UPDATE ledger_outbox SET account = '0x99' WHERE nonce = 3",
            "its account is not the one that signed",
        ),
        ("UPDATE ledger_outbox SET chain_id = 9 WHERE nonce = 3", "its chain or nonce is not the signed one"),
    ],
)
async def test_an_outbox_with_rows_missing_or_taken_over_is_found(
    filled: Built, statement: str, said: str
) -> None:
    verdict = await after(filled, statement)
    assert any(said in text for text in verdict.problems), verdict.problems


async def test_a_removed_newest_transaction_is_found(filled: Built) -> None:
    verdict = await after(filled, "DELETE FROM ledger_outbox WHERE number = 5")
    assert any(
        text.startswith("Record 2 of session 'two' (outcome of action 'a4') is on the chain in transaction")
        and text.endswith("which is missing from the outbox.")
        for text in verdict.problems
    ), verdict.problems


async def test_a_key_that_was_used_elsewhere_is_found(filled: Built) -> None:
    signed = filled.chain.sign(
        await filled.chain.nonce(), filled.contract, open_call(bytes(32)), await filled.chain.fees()
    )
    await filled.chain.send([signed.raw])
    verdict = await filled.verify()
    assert verdict.problems == (
        "The account has 9 transactions on the chain, the outbox 8: "
        "rows were removed, or the key was used elsewhere.",
    )


async def test_a_nonce_that_somebody_else_used_is_no_alteration(filled: Built) -> None:
    filled.record("one", "undo")
    # The first try waits with the nonce that a strange transaction then takes.
    await filled.send("fund", b"", to=filled.chain.account, mine=False)
    change(
        filled, "UPDATE ledger_outbox SET state = 'replaced', error = 'its nonce was used' WHERE nonce = 8"
    )
    strange = filled.chain.sign(8, "0x" + "77" * 20, b"", await filled.chain.fees())
    await filled.chain.send([strange.raw])
    await filled.carry()
    verdict = await filled.verify()
    assert verdict.finding == "ok", verdict


async def test_strangers_may_use_the_contract(filled: Built) -> None:
    state = filled.chain.states[filled.contract, session_key("one")]
    key = session_key("a stranger's")
    filled.chain.states[filled.contract, key] = replace(state, owner="0x" + "99" * 20)
    contract, event = filled.chain.events[1]
    filled.chain.events.insert(2, (contract, replace(event, key=key, tx_hash="0x77")))
    verdict = await filled.verify()
    assert verdict.finding == "ok", verdict


@pytest.mark.parametrize(
    ("forged", "said"),
    [
        ({"owner": "0x" + "99" * 20}, f"Session 'one' belongs to 0x{'99' * 20} on the chain"),
        ({"closed": True}, "Session 'one' was closed on the chain; the ledger closes none."),
        ({"head": bytes(32)}, "The chain's events of session 'one' do not give its head."),
        ({"count": 9, "head": bytes(32)}, "The chain's events of session 'one' end at record 3, not 9."),
    ],
)
async def test_a_forged_state_is_found(filled: Built, forged: dict[str, Any], said: str) -> None:
    place = filled.contract, session_key("one")
    filled.chain.states[place] = replace(filled.chain.states[place], **forged)
    verdict = await filled.verify()
    assert any(text.startswith(said) for text in verdict.problems), verdict.problems


async def test_hidden_and_forged_events_are_found(filled: Built) -> None:
    events = list(filled.chain.events)
    del filled.chain.events[1]
    verdict = await filled.verify()
    assert any(
        text.startswith("Record 2 of session 'one' is in transaction") and "events lack it" in text
        for text in verdict.problems
    ), verdict.problems
    contract, event = events[1]
    assert isinstance(event, Appended)
    filled.chain.events[:] = [events[0], (contract, replace(event, digest=bytes(32))), *events[2:]]
    verdict = await filled.verify()
    assert any("has an event on the chain that is not what" in text for text in verdict.problems)


async def test_trees_are_compared_with_the_chain(built: Built) -> None:
    for number in range(5):
        built.record("trees", "intent", f"a{number}", tree=True)
    await built.carry(3)
    state = built.chain.states[built.contract, TREE_KEY]
    built.chain.states[built.contract, TREE_KEY] = replace(state, head=bytes(32))
    verdict = await built.verify()
    assert verdict.problems == ("The outbox's trees end at leaf 5, the chain's at 5, or their heads differ.",)
    built.chain.states[built.contract, TREE_KEY] = replace(state, count=6)
    verdict = await built.verify()
    assert "The chain's trees hold 6 records, the database 5: the last are missing." in verdict.problems


async def test_what_the_chain_finds_in_itself_is_a_problem(
    filled: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def inspect() -> AsyncIterator[str | int]:
        yield 50
        yield "Block 3 is damaged."

    monkeypatch.setattr(filled.chain, "inspect", inspect)
    assert (await filled.verify()).problems == ("Block 3 is damaged.",)


async def test_a_rotation_must_be_recorded(filled: Built) -> None:
    await filled.rotate("0x" + "22" * 20)
    filled.record("one", "undo")
    await filled.carry()
    assert (await filled.verify()).finding == "ok"
    verdict = await after(filled, "UPDATE ledger_records SET body = '{}' WHERE kind = 'rotate'")
    assert verdict.problems[0].startswith("Record 1 of session 'ledger' (rotate) was altered")


async def test_verifying_while_records_are_made_raises_no_false_alarm(tmp_path: Path) -> None:
    built = await varied(tmp_path)
    done = anyio.Event()

    async def work() -> None:
        for number in range(40):
            built.record("s", "intent", f"b{number}")
            built.record("trees", "intent", f"b{number}", tree=True)
            await built.carry()
            await anyio.lowlevel.checkpoint()
        done.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        while not done.is_set():
            verdict = await built.verify(settled=False)
            assert verdict.finding in ("ok", "pending"), verdict.problems
    assert (await built.verify()).finding == "ok"
    built.store.close()


async def test_another_ledgers_old_transactions_are_no_alteration(filled: Built) -> None:
    """A chain was moved away and everything was sent to a new one by another account."""
    filled.chain = MemoryChain("0x" + "44" * 20)
    filled._nonce, filled._opened, filled.contract = 0, set(), ""
    filled._waiting = [1, 2, 3, 4, 5]
    await filled.carry()
    verdict = await filled.verify()
    assert verdict.finding == "ok", verdict
    change(filled, "UPDATE ledger_outbox SET raw = x'02' WHERE account LIKE '0x11%' AND nonce = 2")
    assert (await filled.verify()).finding == "bad"


def test_endless_problems_are_counted_and_the_first_are_kept() -> None:
    problems = Problems()
    for number in range(3 * KEPT, 0, -1):
        problems.record(number, f"{number} is bad.")
        problems.record(number, f"{number} is bad twice.")
    assert problems.texts[:2] == ("1 is bad.", "2 is bad.")
    assert (len(problems.texts), problems.texts[-1]) == (KEPT + 1, "200 more problems are not shown.")


@pytest.mark.parametrize("data", [b"", b"\x7f", bytes(40), bytes(3000)])
def test_a_real_transaction_is_taken_apart(data: bytes) -> None:
    from eth_account import Account

    account = Account.from_key("0x" + "11" * 32)
    said = {
        "type": 2, "chainId": 7105645, "nonce": 300, "maxFeePerGas": 2, "maxPriorityFeePerGas": 1,
        "gas": 21000, "to": "0x" + "22" * 20, "value": 5, "data": data,
    }  # fmt: skip
    raw = bytes(account.sign_transaction(said).raw_transaction)
    found = opened(raw)
    assert (found.chain_id, found.nonce, found.to, found.value, found.data) == (
        7105645,
        300,
        "0x" + "22" * 20,
        5,
        data,
    )
    assert signer(found) == account.address.lower()
    assert signer(opened(raw[:-1] + bytes([raw[-1] ^ 1]))) != account.address.lower()
    for broken in (raw[:-1], raw + b"\0", b"\x01" + raw[1:], b"\x02", b""):
        with pytest.raises(ValueError, match=r"."):
            opened(broken)


@pytest.mark.parametrize(
    ("leaves", "root"),
    [
        # Source: the test vectors of RFC 6962's reference implementation.
        ([], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ([""], "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (["", "00", "10"], "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        (["", "00", "10", "2021"], "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
    ],
)
def test_a_tree_has_the_root_of_the_standard(leaves: list[str], root: str) -> None:
    tree = Peaks()
    for leaf in leaves:
        tree.add(bytes.fromhex(leaf))
    assert tree.root.hex() == root
