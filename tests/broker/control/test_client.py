"""The client against the other end of a socket: answers, refusals, pushes, a link that breaks."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from broker.control import messages
from broker.control.client import (
    Changed,
    Clock,
    ControlClient,
    LinkLost,
    Refused,
    connected,
)
from broker.control.messages import decode_request
from tests.broker.control.test_results import CARD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from broker.control.client import Push
    from broker.control.messages import Request


class Broker:
    """The other end, played by the test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def asked(self) -> Request:
        """The next question."""
        async with asyncio.timeout(5):
            return decode_request(await self._reader.readline())

    def say(self, line: bytes) -> None:
        """One line."""
        self.writer.write(line)


@asynccontextmanager
async def a_link() -> AsyncIterator[tuple[ControlClient, Broker]]:
    ours, theirs = socket.socketpair()
    broker = Broker(*await asyncio.open_connection(sock=theirs))
    try:
        async with connected(ours) as client:
            yield client, broker
    finally:
        broker.writer.close()
        with suppress(ConnectionError):
            await broker.writer.wait_closed()


async def test_an_approval_carries_id_digest_and_reason() -> None:
    async with a_link() as (client, broker), asyncio.TaskGroup() as tasks:
        approving = tasks.create_task(client.approve("7f3a", "sha256:00", "looks right"))
        request = await broker.asked()
        assert request.do == "approve"
        assert request.args == {"id": "7f3a", "digest": "sha256:00", "reason": "looks right"}
        broker.say(messages.encode_result(request.id, CARD))
        assert (await approving).id == "7f3a"


async def test_answers_find_their_questions_in_any_order() -> None:
    async with a_link() as (client, broker), asyncio.TaskGroup() as tasks:
        first = tasks.create_task(client.show("a"))
        one = await broker.asked()
        second = tasks.create_task(client.show("b"))
        two = await broker.asked()
        broker.say(messages.encode_result(two.id, CARD | {"id": "b"}))
        broker.say(messages.encode_result(999, CARD | {"id": "nobody asked"}))
        broker.say(messages.encode_result(one.id, CARD | {"id": "a"}))
        assert (await first).id == "a"
        assert (await second).id == "b"


async def test_a_refusal_is_the_brokers_own_sentence() -> None:
    async with a_link() as (client, broker), asyncio.TaskGroup() as tasks:

        async def denied() -> None:
            with pytest.raises(Refused, match="carol was faster") as refused:
                await client.deny("7f3a", "sha256:00", "no")
            assert refused.value.code == 77

        tasks.create_task(denied())
        request = await broker.asked()
        broker.say(messages.encode_error(request.id, "carol was faster", 77))


async def test_an_answer_that_makes_no_sense_is_a_refusal_and_the_link_goes_on() -> None:
    async with a_link() as (client, broker), asyncio.TaskGroup() as tasks:

        async def confused() -> None:
            with pytest.raises(Refused, match="makes no sense"):
                await client.pending()

        tasks.create_task(confused())
        broker.say(messages.encode_result((await broker.asked()).id, [{"id": 1}]))
        asking = tasks.create_task(client.pending())
        broker.say(messages.encode_result((await broker.asked()).id, [CARD]))
        assert len(await asking) == 1


async def test_a_flood_of_pushes_is_told_once() -> None:
    async with a_link() as (client, broker):
        for _ in range(50):
            broker.say(messages.encode_push_changed("reviews"))
        broker.say(messages.encode_push_clock("2026-01-01T12:00:00Z"))
        broker.writer.write_eof()
        heard: list[Push] = []
        async with asyncio.timeout(5):
            heard = [push async for push in client.pushes()]
        assert heard.count(Changed("reviews")) == 1
        assert isinstance(heard[-1], Clock)


@pytest.mark.parametrize(
    "last_words", [b"", b"nonsense\n", b'{"push":"clock","now":"noon"}\n', b"x" * 100]
)
async def test_when_the_link_breaks_nobody_waits_any_longer(last_words: bytes) -> None:
    async with a_link() as (client, broker), asyncio.TaskGroup() as tasks:

        async def lost() -> None:
            with pytest.raises(LinkLost):
                await client.pending()

        waiting = tasks.create_task(lost())
        await broker.asked()
        broker.say(last_words)
        broker.writer.write_eof()
        async with asyncio.timeout(5):
            await waiting
            assert [push async for push in client.pushes()] == []
        await lost()  # and no later question waits, either


async def test_a_line_without_end_is_not_collected_for_ever() -> None:
    async with a_link() as (client, broker):
        async with asyncio.timeout(20):
            try:
                for _ in range(3 * messages.LINE_LIMIT // 65536):
                    broker.say(b"x" * 65536)
                    await broker.writer.drain()
            except ConnectionError:
                pass
            assert [push async for push in client.pushes()] == []


async def test_a_broker_that_does_not_answer_is_not_waited_for_without_end() -> None:
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    client = ControlClient(reader, writer, patience=0.01)
    with pytest.raises(LinkLost):
        await client.pending()
    writer.close()
    await writer.wait_closed()
    theirs.close()
