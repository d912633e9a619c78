"""Rows by the block, by the compiled module when it was built for this version of it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from broker.errors import ProtocolError
from broker.rows import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

    Row = Callable[[bytes], bytes]

VERSION = 1  # of native.c: an old build that was left behind is not used

T = TypeVar("T")


class Way(Protocol):
    """What plain and the compiled module have in common."""

    Malformed: type[Exception]

    def hop(
        self, data: bytes | bytearray, at: int, kind: int, at_most: int, limit: int, /
    ) -> tuple[int, int]: ...

    def show(self, block: bytes, columns: int, odd: Callable[[bytes], bytes], /) -> bytes: ...

    def mask(
        self,
        block: bytes,
        columns: int,
        styles: bytes,
        bits: int,
        suspects: Callable[[bytes], Iterable[int]],
        row: Row,
        /,
    ) -> tuple[bytes, int]: ...


def load() -> ModuleType | None:
    """The compiled module, or None where there is none."""
    try:
        found = import_module("broker.rows._native")
    except ImportError:
        return None
    return found if getattr(found, "VERSION", 0) == VERSION else None


native = load()
_chosen: Way = cast("Way", native or plain)


def hop(data: bytes | bytearray, at: int, kind: int, at_most: int, limit: int) -> tuple[int, int]:
    """How many whole messages of one type are here, at most so many (-1: all), and their end.

    It stops before one whose body is longer than `limit`, or whose length is none.
    """
    return _chosen.hop(data, at, kind, at_most, limit)


def show(block: bytes, columns: int, odd: Callable[[bytes], bytes]) -> bytes:
    """Rows as lines of cells; `odd` shows a cell that is not short printable ASCII."""
    return _checked(lambda: _chosen.show(block, columns, odd))


def mask(
    block: bytes,
    columns: int,
    styles: bytes,
    bits: int,
    suspects: Callable[[bytes], Iterable[int]],
    row: Row,
) -> tuple[bytes, int]:
    """Rows masked, and in how many cells stars were put; `row` masks one that has to be read.

    `styles` has one of plain's for each column. `bits` say which detectors there are, and
    `suspects` where these could find anything in some rows: one of the two is used.
    """
    return _checked(lambda: _chosen.mask(block, columns, styles, bits, suspects, row))


def _checked(act: Callable[[], T]) -> T:
    try:
        return act()
    except _chosen.Malformed as error:
        raise ProtocolError(str(error)) from error
