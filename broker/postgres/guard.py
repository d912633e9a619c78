"""A session's row masker behind its gate: when masking fails, the gate is shut for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from broker.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from broker.gate import Gate
    from broker.model import Column
    from broker.ports import Mask
    from broker.wire.rows import RowMask, RowPlan

T = TypeVar("T")


def guarded(gate: Gate, act: Callable[[], T]) -> T:
    """Run a part of masking through the gate; a failure there is an EvidenceFailure."""
    made: list[T] = []

    def run() -> bytes:
        made.append(act())
        return b""

    gate.masking(run)
    return made[0]


class GuardedMask:
    """The RowMask that a conversation is given."""

    def __init__(self, gate: Gate, mask: RowMask) -> None:
        self._gate = gate
        self._mask = mask

    def plan(self, columns: Sequence[Column], /, *, tainted: bool) -> RowPlan:
        """The plan for one result, guarded too."""
        plan = guarded(self._gate, lambda: self._mask.plan(columns, tainted=tainted))
        return _GuardedPlan(self._gate, plan)

    def text(self, data: bytes, /) -> bytes:
        """Free text."""
        return self._gate.masking(self._mask.text, data)

    def copy_stream(self) -> Mask:
        """A masker for COPY data."""
        return _GuardedStream(self._gate, guarded(self._gate, self._mask.copy_stream))

    def take_counts(self) -> dict[str, int]:
        """What was masked since the last call."""
        return guarded(self._gate, self._mask.take_counts)


class _GuardedPlan:
    def __init__(self, gate: Gate, plan: RowPlan) -> None:
        self._gate = gate
        self._plan = plan
        self.active = guarded(gate, lambda: plan.active)

    def rows(self, block: bytes, /) -> bytes:
        """Rows that are none are the target's fault, and no failure of masking."""
        broken: list[ProtocolError] = []

        def act() -> bytes:
            try:
                return self._plan.rows(block)
            except ProtocolError as error:
                broken.append(error)
                return b""

        shown = self._gate.masking(act)
        if broken:
            raise broken[0]
        return shown


class _GuardedStream:
    def __init__(self, gate: Gate, stream: Mask) -> None:
        self._gate = gate
        self._stream = stream

    def feed(self, data: bytes) -> bytes:
        return self._gate.masking(self._stream.feed, data)

    def idle(self) -> bytes:
        return self._gate.masking(self._stream.idle)

    def close(self) -> bytes:
        return self._gate.masking(self._stream.close)

    def take_counts(self) -> dict[str, int]:
        return guarded(self._gate, self._stream.take_counts)
