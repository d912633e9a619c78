"""A session's row masker behind its gate: when masking fails, the gate is shut for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.gate import Gate
    from broker.model import Column
    from broker.ports import Mask
    from broker.wire.rows import RowMask, RowPlan


class GuardedMask:
    """The RowMask that a conversation is given."""

    def __init__(self, gate: Gate, mask: RowMask) -> None:
        self._gate = gate
        self._mask = mask

    def plan(self, columns: Sequence[Column], /, *, tainted: bool) -> RowPlan:
        """The plan for one result, guarded too."""
        plan = self._gate.masking(self._mask.plan, columns, tainted=tainted)
        return _GuardedPlan(self._gate, plan)

    def text(self, data: bytes, /) -> bytes:
        """Free text."""
        return self._gate.masking(self._mask.text, data)

    def copy_stream(self) -> Mask:
        """A masker for COPY data."""
        return _GuardedStream(self._gate, self._gate.masking(self._mask.copy_stream))

    def take_counts(self) -> dict[str, int]:
        """What was masked since the last call."""
        return self._gate.masking(self._mask.take_counts)


class _GuardedPlan:
    def __init__(self, gate: Gate, plan: RowPlan) -> None:
        self._gate = gate
        self._plan = plan
        self.active = gate.masking(lambda: plan.active)

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
        return self._gate.masking(self._stream.take_counts)
