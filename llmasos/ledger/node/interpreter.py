"""The loop that runs a contract's code: the plain instructions itself, all others by py-evm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from eth.exceptions import FullStack, InsufficientStack, InvalidJumpDestination, OutOfGas
from eth.vm import opcode_values as op
from eth.vm.code_stream import CodeStream
from eth.vm.forks.cancun.computation import CancunComputation
from eth.vm.forks.cancun.opcodes import CANCUN_OPCODES
from eth.vm.logic.invalid import InvalidOpcode

WORD = 2**256 - 1
STACK_ITEMS = 1024
CACHED_PROGRAMS = 32
RUN = 256
"""The only instruction that py-evm sees of a program; a real one is one byte."""

PUSH, DUP, SWAP, BINARY, JUMP_IF, TARGET, JUMP, STORE, LOAD, DROP, UNARY, INPUT, OTHER = range(13)

_BINARY: dict[int, Callable[[int, int], int]] = {
    op.ADD: lambda a, b: (a + b) & WORD,
    op.MUL: lambda a, b: (a * b) & WORD,
    op.SUB: lambda a, b: (a - b) & WORD,
    op.DIV: lambda a, b: a // b if b else 0,
    op.LT: lambda a, b: int(a < b),
    op.GT: lambda a, b: int(a > b),
    op.EQ: lambda a, b: int(a == b),
    op.AND: lambda a, b: a & b,
    op.OR: lambda a, b: a | b,
    op.XOR: lambda a, b: a ^ b,
    op.SHL: lambda a, b: (b << a) & WORD if a < 256 else 0,
    op.SHR: lambda a, b: b >> a if a < 256 else 0,
}
_UNARY: dict[int, Callable[[int], int]] = {op.ISZERO: lambda a: int(not a), op.NOT: lambda a: a ^ WORD}
_PLAIN = {
    op.JUMPI: JUMP_IF,
    op.JUMPDEST: TARGET,
    op.JUMP: JUMP,
    op.MSTORE: STORE,
    op.MLOAD: LOAD,
    op.POP: DROP,
    op.CALLDATALOAD: INPUT,
}

Step = tuple[int, int, Any, int]
"""An instruction: its kind, its gas, what goes with it, and where the next one is."""


class Program(CodeStream):
    """A contract's code, which to py-evm is one instruction: the loop below."""

    def __iter__(self) -> Iterator[int]:
        yield RUN


@lru_cache(CACHED_PROGRAMS)
def steps_of(code: bytes) -> list[Step | None]:
    """Return the instructions of a contract by their places; None where there is none."""
    steps: list[Step | None] = [None] * len(code)
    place = 0
    while place < len(code):
        number = code[place]
        known: Any = CANCUN_OPCODES.get(number)
        cost = getattr(known, "gas_cost", 0)
        following = place + 1
        step: Step
        if op.PUSH0 <= number <= op.PUSH32:
            following += number - op.PUSH0
            # What the code lacks at its end is zero.
            pushed = code[place + 1 : following].ljust(number - op.PUSH0, b"\x00")
            step = PUSH, cost, int.from_bytes(pushed, "big"), following
        elif op.DUP1 <= number <= op.DUP16:
            step = DUP, cost, op.DUP1 - number - 1, following
        elif op.SWAP1 <= number <= op.SWAP16:
            step = SWAP, cost, op.SWAP1 - number - 2, following
        elif number in _BINARY:
            step = BINARY, cost, _BINARY[number], following
        elif number in _UNARY:
            step = UNARY, cost, _UNARY[number], following
        else:
            # py-evm's own function takes the gas by itself; a plain one needs it for what is not plain.
            function = InvalidOpcode(number) if known is None else known
            kind = _PLAIN.get(number, OTHER)
            step = kind, 0 if kind == OTHER else cost, function, following
        steps[place] = step
        place = following
    # Code ends as if it stopped, wherever its last instruction leaves off.
    steps += [(OTHER, 0, CANCUN_OPCODES[op.STOP], 0)] * (op.PUSH32 - op.PUSH0 + 1)
    return steps


def run(computation: Any) -> None:
    """Run a contract until it halts, which is an exception.

    Numbers, jumps and memory that is there already are dealt with here, a dozen times as fast as by py-evm's
    function for each. What else there is, py-evm does: its stack may hold bytes in place of a number.
    """
    code, meter, values = computation.code, computation._gas_meter, computation._stack.values
    steps, memory = steps_of(code._raw_code_bytes), computation._memory._bytes
    push, pop = values.append, values.pop
    gas, place, kind = meter.gas_remaining, 0, OTHER
    try:
        while True:
            step = steps[place]
            assert step is not None
            kind, cost, detail, place = step
            gas -= cost
            if gas < 0:
                raise OutOfGas("Out of gas")
            if kind == PUSH:
                push(detail)
            elif kind == DUP:
                push(values[detail])
            elif kind == SWAP:
                values[-1], values[detail] = values[detail], values[-1]
                continue
            elif kind == BINARY:
                left, right = _number(pop()), _number(pop())
                push(detail(left, right))
                continue
            elif kind == JUMP_IF:
                target, condition = _number(pop()), _number(pop())
                if condition:
                    place = _landing(steps, target)
                continue
            elif kind == TARGET:
                continue
            elif kind == JUMP:
                place = _landing(steps, _number(pop()))
                continue
            elif kind == DROP:
                pop()
                continue
            elif kind == UNARY:
                push(detail(_number(pop())))
                continue
            elif kind == INPUT:
                start = _number(pop())
                push(
                    int.from_bytes(
                        computation.msg.data_as_bytes[start : start + 32].ljust(32, b"\x00"), "big"
                    )
                )
                continue
            elif kind == STORE and (start := _number(values[-1])) + 32 <= len(memory):
                pop()
                memory[start : start + 32] = _number(pop()).to_bytes(32, "big")
                continue
            elif kind == LOAD and (start := _number(values[-1])) + 32 <= len(memory):
                values[-1] = int.from_bytes(memory[start : start + 32], "big")
                continue
            else:
                code.program_counter = place
                meter.gas_remaining = gas + cost
                detail(computation=computation)
                gas, memory = meter.gas_remaining, computation._memory._bytes
                continue
            if len(values) > STACK_ITEMS:
                raise FullStack("Stack limit reached")
    except IndexError:
        if kind == OTHER:
            # py-evm looks after its stack by itself: this comes of a damaged file.
            raise
        raise InsufficientStack("Insufficient stack items") from None


def _number(value: int | bytes) -> int:
    return value if value.__class__ is int else int.from_bytes(value, "big")  # type: ignore[arg-type]


def _landing(steps: list[Step | None], target: int) -> int:
    step = steps[target] if target < len(steps) else None
    if step is None or step[0] != TARGET:
        raise InvalidJumpDestination("Invalid Jump Destination")
    return target


ONLY = {RUN: run}


class Computation(CancunComputation):
    """py-evm's computation, with our loop in the place of its own."""

    def __init__(self, state: Any, message: Any, transaction_context: Any) -> None:
        super().__init__(state, message, transaction_context)
        self.opcodes: Any = ONLY
        self.code = Program(message.code)
