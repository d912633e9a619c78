"""Both halves together, however the bytes are split."""

from __future__ import annotations

import contextlib
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.errors import Denied, ProtocolError
from broker.wire import frontend, messages
from broker.wire.actions import Close, Judge, Refuse, Step
from broker.wire.messages import FROM_CLIENT
from tests.broker.wire.masker import SeenMask
from tests.broker.wire.talk import (
    ALLOW,
    DENY,
    ONE,
    TWO,
    Z_IDLE,
    Talk,
    syntax_error,
    taken,
)

if TYPE_CHECKING:
    from collections.abc import Callable

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


# -- every message, in every state ---------------------------------------------------------------

ROW = messages.data_row([b"ann@x.org", None, b"3"])
ROWS = messages.row_description([(name, 0, 0, 25, False) for name in "abc"])
FIELD = b"SERROR\0VERROR\0C42601\0Mno\0"
ANSWERS = [
    *(messages.frame(kind) for kind in "123nsIc"),
    *(messages.ready(status) for status in "ITEX"),
    messages.command_complete("SELECT 1"),
    messages.frame("C", b"SELECT"),
    ROWS,
    ROW,
    messages.data_row([b"1"]),
    messages.frame("D", b"\0\3\0\0"),
    messages.frame("t", b"\0\1\0\0\0\x17"),
    messages.frame("t", b"\0\2"),
    messages.frame("G", b"\0\0\1\0\0"),
    messages.frame("H", b"\0\0\1\0\0"),
    messages.frame("H", b"\1\0\1\0\1"),
    messages.frame("H", b"\0"),
    messages.frame("d", b"ann@x.org\t1\n"),
    messages.frame("A", b"\0\0\0\1channel\0payload\0"),
    messages.frame("A", b"\0"),
    messages.parameter_status("TimeZone", "UTC"),
    messages.frame("S", b"\xff\0\xfe\0"),
    messages.frame("E", FIELD + b"\0"),
    messages.frame("E", FIELD),
    messages.frame("N", FIELD + b"\0"),
    *(messages.frame(kind, b"\0\0\0\0") for kind in "RKvVW"),
    b"\x16\3\1",
]
ASKED = [
    messages.query("SELECT 1"),
    messages.query("DELETE FROM t"),
    messages.query("COPY t FROM STDIN"),
    messages.parse("", "SELECT 1"),
    messages.parse("s", "DELETE FROM t"),
    messages.frame("P", b"s\0SELECT 1\0\0\2"),
    frontend.bind(b"", b"", (b"1", None)),
    frontend.bind(b"p", b"s"),
    messages.frame("B", b"\0\0\0\1\0\7\0\0\0\0"),
    messages.describe("S", "s"),
    messages.describe("P", ""),
    messages.frame("D", b"X\0"),
    frontend.execute(b""),
    frontend.execute(b"p", 2),
    messages.frame("C", b"Ss\0"),
    messages.frame("C", b"P\0"),
    messages.frame("F", b"\0\0\0\1"),
    messages.frame("d", b"1\n"),
    messages.frame("c"),
    messages.frame("f", b"no\0"),
    messages.frame("p", b"secret\0"),
    messages.FLUSH,
    messages.SYNC,
    messages.TERMINATE,
]
steps = st.lists(
    st.tuples(st.just("client"), st.sampled_from(ASKED))
    | st.tuples(st.just("server"), st.sampled_from(ANSWERS))
    | st.tuples(st.sampled_from(["judge", "judge", "defer", "cancel"]), st.just(b"")),
    max_size=25,
)


@settings(max_examples=1000, deadline=None)
@given(steps)
def test_any_message_in_any_state_is_taken_or_ends_it_and_what_is_refused_never_goes(
    script: list[tuple[str, bytes]],
) -> None:
    talk = Talk(SeenMask(), dbname="orders")
    with contextlib.suppress(ProtocolError, Denied):
        for side, data in script:
            step(talk, side, data)
    assert b"DELETE" not in talk.server
    assert b"ann@x.org" not in talk.client + talk.transcript


def step(talk: Talk, side: str, data: bytes) -> None:
    asked = [a for a in talk.other if isinstance(a, (Judge, Refuse))]
    if side == "client":
        talk.says(data)
    elif side == "server":
        talk.answers(data)
    elif talk.conversation.waiting is not None:
        last = asked[-1]
        if side == "cancel":
            talk._take(list(talk.conversation.cancel(talk.conversation.waiting)))
        elif isinstance(last, Refuse):
            talk.judged(last.verdict)
        elif (  # what the rules deny is never put off until it runs
            side == "defer" and last.step is Step.PARSE and "DELETE" not in last.statement.text
        ):
            talk.deferred()
        else:
            talk.judged(DENY if "DELETE" in last.statement.text else ALLOW)


SESSION: list[tuple[str, bytes]] = [
    ("client", messages.query("SELECT * FROM t")),
    ("server", ROWS + ROW * 3 + messages.command_complete("SELECT 3") + Z_IDLE),
    (
        "client",
        messages.parse("s", "SELECT 1") + frontend.bind(b"", b"s") + messages.describe("P", ""),
    ),
    ("client", frontend.execute(b"", 2) + messages.SYNC),
    ("server", ONE + TWO + ROWS + ROW * 2 + messages.frame("s") + messages.ready("T")),
    ("client", messages.query("COPY t TO STDOUT")),
    ("server", messages.frame("H", b"\0\0\1\0\0") + messages.frame("d", b"1\tann@x") * 2),
    ("server", messages.frame("d", b".org\n") + messages.frame("c")),
    ("server", messages.command_complete("COPY 2") + messages.frame("N", FIELD + b"\0") + Z_IDLE),
    ("client", messages.query("COPY t FROM STDIN")),
    ("server", messages.frame("G", b"\0\0\1\0\0")),
    ("client", messages.frame("d", b"7\n") + messages.frame("c")),
    ("server", messages.command_complete("COPY 1") + Z_IDLE),
]


def played(pieces: Callable[[bytes], list[bytes]]) -> tuple[bytes, bytes, bytes]:
    """What went each way, and the transcript, when each part of the session comes in pieces."""
    talk = Talk(SeenMask(), dbname="orders")
    for side, data in SESSION:
        for piece in pieces(data):
            (talk.says if side == "client" else talk.answers)(piece)
            while talk.conversation.waiting is not None:
                talk.judged(ALLOW)
    return talk.server, talk.client, talk.transcript


def test_a_session_byte_by_byte_is_the_session_whole() -> None:
    whole = played(lambda data: [data])
    assert b"COPY 1" in whole[1]
    assert whole[2].count(b"***\tNULL\t3\r\n") == 5
    assert played(lambda data: [data[at : at + 1] for at in range(len(data))]) == whole
