"""The fast path is used with one asyncssh, to the byte, and with no other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import asyncssh
import pytest

from broker.transport import known

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    """The answer is kept for a process's life; not from one test to the next."""
    known.is_known.cache_clear()
    yield
    known.is_known.cache_clear()


def test_the_locked_version_is_known(caplog: pytest.LogCaptureFixture) -> None:
    assert known.is_known()
    assert caplog.records == []


def test_a_newer_version_is_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(asyncssh, "__version__", "2.24.2")
    assert not known.is_known()
    assert not known.is_known()
    assert [r.message for r in caplog.records] == [
        "the fast SSH path is off: it was not written for asyncssh 2.24.2"
    ]


def test_an_altered_file_is_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    altered = tmp_path / "channel.py"
    altered.write_bytes(Path(str(known.MODULES[1].__file__)).read_bytes() + b"# patched\n")
    monkeypatch.setattr(known.MODULES[1], "__file__", str(altered))
    assert not known.is_known()


def test_a_missing_file_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known.MODULES[1], "__file__", "/nonexistent")
    assert not known.is_known()


@pytest.mark.parametrize(("owner", "method"), known.LEANED_ON)
def test_a_replaced_method_is_not(
    owner: type[object], method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replaced(*args: object) -> None: ...

    monkeypatch.setattr(owner, method, replaced)
    assert not known.is_known()
