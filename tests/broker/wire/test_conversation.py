"""Both halves together, however the bytes are split."""

from __future__ import annotations

import contextlib
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.errors import Denied, ProtocolError
from broker.wire import frontend, messages
from broker.wire.actions import Close, Judge
from broker.wire.messages import FROM_CLIENT
from tests.broker.wire.talk import (
    ALLOW,
    DENY,
    Z_IDLE,
    Talk,
    syntax_error,
    taken,
)

SCRIPT = b"".join(
    (
        messages.query("SELECT 1"),
        messages.parse("s", "DELETE FROM t"),
        frontend.bind(b"p", b"s"),
        frontend.execute(b"p"),
        messages.SYNC,
        messages.query("DELETE FROM u"),
        messages.TERMINATE,
    )
)


@settings(max_examples=50)
@given(st.lists(st.integers(0, len(SCRIPT)), max_size=12))
def test_however_the_bytes_are_split_only_judged_statements_go(cuts: list[int]) -> None:
    talk, places = Talk(), sorted({0, len(SCRIPT), *cuts})
    for start, end in pairwise(places):
        talk.says(SCRIPT[start:end])
        settle(talk)
    assert b"DELETE" not in talk.server
    assert b"SELECT 1" in talk.server or b"X" in talk.server
    assert any(isinstance(action, Close) for action in talk.other)


def settle(talk: Talk) -> None:
    """Judge and answer whatever can be, as a server would."""
    while True:
        if talk.conversation.waiting is not None:
            last = [a for a in talk.other if isinstance(a, Judge)][-1]
            talk.judged(DENY if "DELETE" in last.statement.text else ALLOW)
            continue
        sent = taken(talk.server, FROM_CLIENT)
        news, talk.settled = sent[talk.settled :], len(sent)
        if not news:
            return
        for message in news:
            if message.kind == "Q" and b"interlock_refused" not in message.body:
                talk.answers(messages.command_complete("SELECT 1"), Z_IDLE)
            elif message.kind == "Q":
                talk.answers(syntax_error(message), Z_IDLE)
            elif message.kind == "P":
                talk.answers(syntax_error(message))
            elif message.kind == "S":
                talk.answers(Z_IDLE)


@given(st.binary(max_size=80))
def test_garbage_of_either_side_raises_only_protocol_errors(data: bytes) -> None:
    for side in ("from_client", "from_server"):
        with contextlib.suppress(ProtocolError, Denied):
            getattr(Talk().conversation, side)(data)
