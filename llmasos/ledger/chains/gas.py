"""How much gas a transaction of ours may use, computed here so that signing asks nobody."""

from __future__ import annotations

from functools import cache

from llmasos.ledger._contract import artifact

BASE, CREATION, CODE_BYTE, CODE_WORD = 21_000, 32_000, 200, 2
CONSTRUCTOR = 60_000
_EXECUTION = {"open": 60_000, "append": 75_000, "appendMany": 75_000, "anchor": 75_000, "close": 45_000}
_ROTATION, _ROTATED_KEY = 20_000, 12_000
_APPENDED_WORD, _APPENDED_MEMORY_WORDS = 1_600, 6
_OTHER = 300_000


def gas_limit(to: str | None, data: bytes) -> int:
    """Return a limit that a call of the audit log never reaches; what is not used is not paid.

    Args:
        to: The contract; None creates it with `data` as its code.
    """
    zeros = data.count(0)
    tokens = zeros + 4 * (len(data) - zeros)
    words = (len(data) + 31) // 32
    if to is None:
        needed = CREATION + CONSTRUCTOR + CODE_BYTE * len(data) + CODE_WORD * words
    else:
        needed = _execution(_names().get(data[:4], ""), words)
    # Since Prague, a transaction pays at least a floor for its data (EIP-7623).
    return max(BASE + 4 * tokens + needed, BASE + 10 * tokens + 5_000)


def _execution(name: str, words: int) -> int:
    if name == "rotate":
        return _ROTATION + _ROTATED_KEY * words
    if name == "appendMany":
        memory = _APPENDED_MEMORY_WORDS * words
        return _EXECUTION[name] + _APPENDED_WORD * words + 3 * memory + memory**2 // 512
    return _EXECUTION.get(name, _OTHER)


@cache
def _names() -> dict[bytes, str]:
    return {
        bytes.fromhex(selector): signature.split("(")[0]
        for signature, selector in artifact()["selectors"].items()
    }
