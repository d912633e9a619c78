"""Writes on the fast path: never more than the peer's window, and refused as asyncssh refuses."""

from __future__ import annotations

import asyncssh
import pytest

from tests.fixtures.ssh_pair import ssh_pair


@pytest.mark.parametrize("fast", [True, False])
async def test_a_reader_that_pauses_is_sent_its_window_and_no_more(fast: bool) -> None:
    async with ssh_pair(fast_server=fast, window=100_000) as pair:
        pair.near.chan.pause_reading()
        for _ in range(50):
            pair.far.chan.write(bytes(10_000))
        chan = pair.far.chan
        assert chan.get_write_buffer_size() == 400_000
        assert not pair.far.writable.is_set()
        pair.near.chan.resume_reading()
        await pair.far.writable.wait()
        assert await pair.near.until(500_000) == bytes(500_000)


@pytest.mark.parametrize("fast", [True, False])
async def test_refusals_are_asyncsshs_own(fast: bool) -> None:
    async with ssh_pair(fast_server=fast, fast_client=fast) as pair:
        with pytest.raises(OSError, match="Invalid extended data type"):
            pair.near.chan.write(b"x", asyncssh.EXTENDED_DATA_STDERR)
        pair.far.chan.write(b"")
        pair.far.chan.write_eof()
        with pytest.raises(BrokenPipeError):
            pair.far.chan.write(b"x")
        pair.near.chan.close()
        await pair.far.ended.wait()
        with pytest.raises(BrokenPipeError):
            pair.near.chan.write(b"x")


async def test_what_waits_is_sent_before_the_end_and_the_end_before_the_close() -> None:
    async with ssh_pair(window=50_000) as pair:
        pair.far.chan.write(bytes(300_000))
        pair.far.chan.write_eof()
        pair.far.chan.close()
        await pair.near.ended.wait()
        assert pair.near.bytes() == bytes(300_000)


async def test_a_buffer_may_be_used_again_after_the_write() -> None:
    async with ssh_pair(window=20_000) as pair:
        buffer = bytearray(b"a" * 50_000)
        pair.far.chan.write(buffer)
        buffer[:] = b"b" * 50_000
        assert await pair.near.until(50_000) == b"a" * 50_000
