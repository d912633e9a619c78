"""Known secrets, byte for byte, in front of another mask: what a target was given never comes back.

A mask of patterns cannot know that `hunter2` is a password; the broker does, for it gave it out.
The output is the same however the bytes were split: what may be the beginning of a secret waits
for the rest, and what was shown before the rest came (`idle`) still counts as its beginning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.ports import Mask

SHORTEST = 4  # bytes: a shorter one would hide half of everything
NAME = "secret"


class Literals:
    """Implements ports.Mask. The sequence of secrets may grow while it is in use."""

    def __init__(self, inner: Mask, secrets: Sequence[bytes]) -> None:
        self._inner = inner
        self._secrets = secrets
        self._held = b""
        self._covered = 0  # bytes of what is held that belong to a secret which has begun before
        self._shown = 0  # bytes of what is held that were delivered already
        self._count = 0

    def feed(self, data: bytes) -> bytes:
        """Take bytes, give back what is certain to be final."""
        if not self._secrets and not self._held:
            return self._inner.feed(data)
        return self._inner.feed(self._passed(data, final=False))

    def idle(self) -> bytes:
        """Give back what is held only because more might come."""
        early = self._stars(self._held, bytes(len(self._held)), self._covered)[self._shown :]
        self._shown = len(self._held)
        return (self._inner.feed(early) if early else b"") + self._inner.idle()

    def close(self) -> bytes:
        """The rest."""
        return self._inner.feed(self._passed(b"", final=True)) + self._inner.close()

    def take_counts(self) -> dict[str, int]:
        """How many values of each type were masked since the last call."""
        counts = self._inner.take_counts()
        if self._count:
            counts[NAME] = counts.get(NAME, 0) + self._count
            self._count = 0
        return counts

    def _passed(self, data: bytes, *, final: bool) -> bytes:
        before, buffer = len(self._held), self._held + data
        flags = bytearray(len(buffer))
        flags[: self._covered] = b"\1" * self._covered
        for secret in self._secrets:
            at = buffer.find(secret)
            while at >= 0:
                end = at + len(secret)
                flags[at:end] = b"\1" * len(secret)
                self._count += end > before
                at = buffer.find(secret, at + 1)
        cut = len(buffer) if final else self._certain(buffer)
        out = self._stars(buffer[:cut], bytes(flags[:cut]), 0)[self._shown :]
        self._shown = max(0, self._shown - cut)
        self._held = buffer[cut:]
        rest = bytes(flags[cut:])
        self._covered = len(rest) - len(rest.lstrip(b"\1"))
        return out

    def _certain(self, buffer: bytes) -> int:
        """How many bytes cannot belong to a secret of which more is to come."""
        longest = max(map(len, self._secrets), default=1)
        for at in range(max(0, len(buffer) - longest + 1), len(buffer)):
            rest = buffer[at:]
            if any(len(secret) > len(rest) and secret.startswith(rest) for secret in self._secrets):
                return at
        return len(buffer)

    @staticmethod
    def _stars(data: bytes, flags: bytes, covered: int) -> bytes:
        if not covered and 1 not in flags:
            return data
        return bytes(
            0x2A if index < covered or flag else byte
            for index, (byte, flag) in enumerate(zip(data, flags, strict=True))
        )
