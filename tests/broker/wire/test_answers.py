"""What the server answers: matched, masked, bounded."""

from __future__ import annotations

import pytest

from broker.errors import Denied, ProtocolError
from broker.model import Answer, Facts, Part, Verdict
from broker.wire import messages, notices
from broker.wire.actions import CancelUpstream, Judge
from tests.broker.wire.masker import SeenMask
from tests.broker.wire.talk import (
    EXECUTE,
    ONE,
    PLAIN_BIND,
    TWO,
    Z_IDLE,
    Talk,
    error_of,
    kinds,
    syntax_error,
)


@pytest.mark.parametrize("kind", ["W", "V", "R", "K", "D", "1", "Z", "C"])
def test_answers_to_what_was_not_asked_end_everything(kind: str) -> None:
    with pytest.raises(ProtocolError, match=r"answered|out of bounds"):
        Talk().answers(messages.frame(kind, b"I"))


def test_a_changed_pinned_setting_ends_everything() -> None:
    talk = Talk().says(messages.query("SELECT f()")).judged()
    talk.answers(messages.parameter_status("is_superuser", "off"))
    with pytest.raises(Denied, match="is_superuser"):
        talk.answers(messages.parameter_status("is_superuser", "on"))


ROWS = messages.row_description([("email", 7, 1, 25, False), ("n", 0, 0, 23, False)])


def test_rows_are_masked_and_tainted_columns_known() -> None:
    talk = Talk(SeenMask(), dbname="db")
    facts = Facts((Part("select", table="public.customers"),))
    talk.says(messages.query("SELECT email, n FROM customers"))
    talk.judged(Verdict(Answer.ALLOW, "r", "", facts))
    talk.answers(ROWS, messages.data_row([b"ann@x.org", b"5"]), messages.data_row([None, None]))
    assert [m.frame for m in talk.seen()[1:]] == [
        messages.data_row([b"***", b"***"]),
        messages.data_row([None, None]),
    ]
    assert talk.mask.planned == [(["email", "n"], True)]
    assert b"ann" not in talk.transcript
    assert talk.transcript.startswith(
        b"db=> SELECT email, n FROM customers\r\nemail\tn\r\n***\t***"
    )


def test_later_reads_of_a_cursor_stay_tainted() -> None:
    talk = Talk(SeenMask())
    facts = Facts((Part("cursor", table="public.customers"),))
    talk.says(messages.query("DECLARE c CURSOR FOR SELECT reverse(email) FROM customers"))
    talk.judged(Verdict(Answer.ALLOW, "r", "", facts))
    talk.answers(messages.command_complete("DECLARE CURSOR"), Z_IDLE)
    talk.says(messages.query("FETCH c"))
    talk.judged(Verdict(Answer.ALLOW, "r", "", Facts((Part("cursor"),)))).answers(ROWS)
    assert talk.mask.planned == [(["email", "n"], True)]


def test_a_describe_is_added_where_the_client_sent_none_and_its_answer_swallowed() -> None:
    talk = Talk(SeenMask())
    talk.says(messages.parse("", "SELECT"), PLAIN_BIND, EXECUTE, messages.SYNC).judged()
    assert kinds(talk.sent()) == "PBDES"
    talk.answers(ONE, TWO, ROWS, messages.data_row([b"ann@x.org", b"5"]))
    talk.answers(messages.command_complete("SELECT 1"), Z_IDLE)
    assert kinds(talk.seen()) == "12DCZ"
    assert talk.mask.planned


def test_rows_without_a_description_end_everything() -> None:
    talk = Talk().says(messages.query("SELECT 1")).judged()
    with pytest.raises(ProtocolError):
        talk.answers(messages.data_row([b"1"]))


def test_a_row_of_another_width_ends_everything() -> None:
    talk = Talk(SeenMask()).says(messages.query("SELECT 1")).judged().answers(ROWS)
    with pytest.raises(ProtocolError, match="3 cells for 2 columns"):
        talk.answers(messages.data_row([b"1", b"2", b"3"]))


def row(n: int) -> bytes:
    return messages.data_row([b"%d" % n, None])


LIMITED = Verdict(Answer.ALLOW, "r", "", max_rows=2)


def test_too_many_rows_are_cut_stopped_and_told_in_place_of_the_cancellation() -> None:
    talk = Talk().says(messages.query("SELECT n FROM t")).judged(LIMITED)
    talk.answers(ROWS, row(1), row(2), row(3), row(4))
    assert kinds(talk.seen()) == "TDD"
    assert CancelUpstream() in talk.other
    talk.answers(row(5), notices.error("57014", "canceling statement"), messages.ready("E"))
    told, ready = talk.seen()
    assert error_of(told)[0] == "54000"
    assert ready.body == b"E"
    talk.says(messages.query("SELECT 1"))
    assert not any(isinstance(a, Judge) for a in talk.other[2:])  # it could be hit by the cancel
    talk._take(list(talk.conversation.cancelled()))
    assert isinstance(talk.other[-1], Judge)


def test_a_query_that_ended_before_it_could_be_stopped_is_still_an_error() -> None:
    talk = Talk().says(messages.query("SELECT n FROM t; SELECT 2")).judged(LIMITED)
    talk.answers(ROWS, row(1), row(2), row(3), messages.command_complete("SELECT 3"))
    talk.answers(ROWS, row(9), messages.command_complete("SELECT 1"), messages.ready("I"))
    found = talk.seen()
    assert kinds(found) == "TDDEZ"
    assert found[-1].body == b"I"


def test_an_execute_that_ended_before_it_could_be_stopped_makes_the_server_fail() -> None:
    talk = Talk().says(messages.parse("", "SELECT n")).judged(LIMITED)
    talk.says(PLAIN_BIND, messages.describe("P", ""), EXECUTE, messages.SYNC)
    assert kinds(talk.sent()) == "PBDEH"  # Sync waits: it would commit
    talk.answers(ONE, TWO, ROWS, row(1), row(2), row(3), messages.command_complete("SELECT 3"))
    stand_in, flush = talk.sent()
    assert flush.kind == "H"
    talk.answers(syntax_error(stand_in))
    talk._take(list(talk.conversation.cancelled()))
    assert kinds(talk.sent()) == "S"
    talk.answers(Z_IDLE)
    assert kinds(talk.seen()) == "12TDDEZ"


def test_copy_out_is_masked_over_message_borders() -> None:
    talk = Talk(SeenMask()).says(messages.query("COPY t TO STDOUT")).judged()
    talk.answers(messages.frame("H", b"\0\0\1\0\0"), messages.frame("d", b"1\tann@"))
    talk.answers(messages.frame("d", b"x.org\n"), messages.frame("c"))
    assert b"".join(m.body for m in talk.seen() if m.kind == "d") == b"1\t***\n"


@pytest.mark.parametrize(
    ("header", "facts"),
    [
        (b"\1\0\1\0\1", Facts(())),
        (b"\0\0\1\0\0", Facts((Part("copy_to", table="public.customers"),))),
    ],
    ids=["binary", "masked columns"],
)
def test_copy_out_that_cannot_be_masked_is_not_delivered(header: bytes, facts: Facts) -> None:
    talk = Talk(SeenMask()).says(messages.query("COPY customers TO STDOUT"))
    talk.judged(Verdict(Answer.ALLOW, "r", "", facts))
    talk.answers(messages.frame("H", header), messages.frame("d", b"078-05-1120\n"))
    talk.answers(messages.frame("c"), messages.command_complete("COPY 1"), Z_IDLE)
    assert kinds(talk.seen()) == "EZ"


def test_notifications_are_masked() -> None:
    talk = Talk().answers(messages.frame("A", messages.int32(5) + b"ch\0ann@x.org\0"))
    assert talk.seen()[0].body == messages.int32(5) + b"ch\0***\0"
