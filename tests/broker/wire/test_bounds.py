"""Bounded writes, message by message: what goes to the server, and what the client sees."""

from __future__ import annotations

import pytest

from broker.errors import ProtocolError
from broker.model import Answer, Facts, Impact, Part, Verdict
from broker.wire import bounds, frontend, messages, notices
from broker.wire.actions import Deliver, Settled, ToServer, Undo
from tests.broker.wire.talk import (
    EXECUTE,
    NO_DATA,
    ONE,
    PLAIN_BIND,
    TWO,
    Z_IDLE,
    Talk,
    error_of,
    kinds,
    syntax_error,
)

FACTS = Facts((Part("update", table="public.orders"),))
BOUNDED = Verdict(Answer.ALLOW, "r", "", FACTS, impact=Impact(max_affected=2))
IN_TRANSACTION, FAILED = messages.ready("T"), messages.ready("E")
UPDATE = messages.query("UPDATE orders SET note = 'x'  -- exactly this")
OVER = ("54000", "interlock: undone: it changed 3 rows, and at most 2 were approved (r)")


def done(tag: str) -> bytes:
    return messages.command_complete(tag)


def sent(talk: Talk) -> list[bytes]:
    return [message.frame for message in talk.sent()]


def begun(*, status: bytes = Z_IDLE) -> Talk:
    """A conversation at that status, with a bounded Query under way."""
    talk = Talk().says(messages.query("SELECT 1")).judged().answers(done("SELECT 0"), status)
    talk.sent(), talk.seen()
    return talk.says(UPDATE).judged(BOUNDED)


def run() -> Talk:
    talk = begun()
    assert sent(talk) == [messages.query("BEGIN")]
    talk.answers(done("BEGIN"), IN_TRANSACTION)
    assert sent(talk) == [UPDATE]
    assert talk.seen() == []
    return talk


def test_within_its_bound_it_is_committed_and_only_then_told() -> None:
    talk = run().answers(done("UPDATE 2"), IN_TRANSACTION)
    assert sent(talk) == [messages.query("COMMIT")]
    assert talk.seen() == []
    talk.answers(done("COMMIT"), Z_IDLE)
    assert [m.frame for m in talk.seen()] == [done("UPDATE 2"), Z_IDLE]
    assert kinds(talk.says(messages.query("SELECT 1")).judged().sent()) == "Q"


def test_beyond_its_bound_it_is_rolled_back_and_the_error_has_both_numbers() -> None:
    talk = run().answers(done("UPDATE 3"), IN_TRANSACTION)
    assert sent(talk) == [messages.query("ROLLBACK")]
    assert talk.seen() == []
    talk.answers(done("ROLLBACK"), Z_IDLE)
    told, ready = talk.seen()
    assert error_of(told) == OVER
    assert ready.frame == Z_IDLE


def test_that_it_is_undone_is_on_the_record_before_it_is() -> None:
    actions: list[object] = list(run().conversation.from_server(done("UPDATE 3") + IN_TRANSACTION))
    undo, rollback = (a for a in actions if not isinstance(a, (Deliver, Settled)))
    assert isinstance(undo, Undo)
    assert undo.statement.text == "UPDATE orders SET note = 'x'  -- exactly this"
    assert (undo.verdict.answer, undo.verdict.rule) == (Answer.DENY, "r")
    assert rollback == ToServer(messages.query("ROLLBACK"))


def test_its_own_error_is_told_and_nothing_is_committed() -> None:
    talk = run().answers(notices.error("22012", "division by zero"), FAILED)
    assert sent(talk) == [messages.query("ROLLBACK")]
    talk.answers(done("ROLLBACK"), Z_IDLE)
    assert kinds(talk.seen()) == "EZ"


def test_a_commit_that_fails_is_told_in_place_of_success() -> None:
    talk = run().answers(done("UPDATE 1"), IN_TRANSACTION)
    talk.answers(notices.error("23503", "deferred"), Z_IDLE)
    assert [error_of(m)[0] for m in talk.seen() if m.kind == "E"] == ["23503"]
    talk = run().answers(done("UPDATE 1"), IN_TRANSACTION)
    with pytest.raises(ProtocolError):  # a COMMIT that did not commit
        talk.answers(done("ROLLBACK"), Z_IDLE)


def test_a_begin_that_fails_is_told_and_the_write_is_not_sent() -> None:
    talk = begun().answers(notices.error("57P01", "going away"), Z_IDLE)
    assert sent(talk) == [messages.query("BEGIN")]
    assert kinds(talk.seen()) == "EZ"


def test_a_rollback_that_a_cancel_hits_is_tried_again() -> None:
    talk = run().answers(done("UPDATE 3"), IN_TRANSACTION)
    talk.answers(notices.error("57014", "canceling statement"), FAILED)
    assert sent(talk) == [messages.query("ROLLBACK")] * 2
    talk.answers(done("ROLLBACK"), Z_IDLE)
    told, _ = talk.seen()
    assert error_of(told) == OVER
    talk = run().answers(done("UPDATE 3"), IN_TRANSACTION)
    hit = (notices.error("57014", "canceling statement"), FAILED)
    with pytest.raises(ProtocolError, match="did not end"):
        talk.answers(*hit * bounds.TRIES)


def test_nothing_of_the_client_comes_in_between() -> None:
    talk = run().says(messages.query("SELECT 2"))
    talk.answers(done("UPDATE 1"), IN_TRANSACTION, done("COMMIT"), Z_IDLE)
    assert sent(talk) == [messages.query("COMMIT")]
    talk.judged()
    assert sent(talk) == [messages.query("SELECT 2")]


def test_in_the_clients_transaction_the_server_is_made_to_fail() -> None:
    talk = begun(status=IN_TRANSACTION)
    assert sent(talk) == [UPDATE]
    talk.answers(done("UPDATE 3"), IN_TRANSACTION)
    (stand_in,) = talk.sent()
    assert error_of(talk.seen()[0]) == OVER
    talk.answers(syntax_error(stand_in), FAILED)
    assert [m.frame for m in talk.seen()] == [FAILED]


def test_in_the_clients_transaction_within_the_bound_nothing_is_added() -> None:
    talk = begun(status=IN_TRANSACTION).answers(done("UPDATE 2"), IN_TRANSACTION)
    assert [m.frame for m in talk.seen()] == [done("UPDATE 2"), IN_TRANSACTION]
    assert sent(talk) == [UPDATE]


def extended(execute: bytes = EXECUTE) -> Talk:
    talk = Talk().says(messages.parse("", "UPDATE orders SET note = $1")).deferred()
    talk.says(PLAIN_BIND).judged(BOUNDED).says(execute, messages.SYNC)
    return talk


def test_extended_it_ends_before_its_sync_is_sent() -> None:
    talk = extended()
    assert kinds(talk.sent()) == "PBDEH"
    talk.answers(ONE, TWO, NO_DATA, done("UPDATE 2"))
    assert kinds(talk.sent()) == "S"
    assert kinds(talk.answers(Z_IDLE).seen()) == "12CZ"


def test_extended_and_over_the_server_is_made_to_fail_before_the_sync() -> None:
    talk = extended()
    talk.sent()
    talk.answers(ONE, TWO, NO_DATA, done("UPDATE 3"))
    stand_in, flush = talk.sent()
    assert (stand_in.kind, flush.kind) == ("B", "H")
    talk.answers(syntax_error(stand_in))
    assert kinds(talk.sent()) == "S"
    talk.answers(Z_IDLE)
    found = talk.seen()
    assert kinds(found) == "12EZ"
    assert error_of(found[2]) == OVER


def test_extended_it_may_not_be_run_in_parts() -> None:
    """A Sync after the first part would commit it before its count is known."""
    talk = extended(frontend.execute(b"", 1))
    assert kinds(talk.sent()) == "PB"
    assert "whole" in str(talk.other[-1])


def test_a_bounded_query_behind_what_no_sync_has_ended_is_refused() -> None:
    talk = Talk().says(messages.parse("", "BEGIN")).judged().says(PLAIN_BIND, EXECUTE)
    talk.sent()
    talk.says(UPDATE).judged(BOUNDED)
    assert b"interlock_refused_" in talk.sent()[0].frame


def test_rows_cut_off_too_late_fail_the_clients_transaction() -> None:
    talk = Talk().says(messages.query("BEGIN")).judged().answers(done("BEGIN"), IN_TRANSACTION)
    talk.says(messages.query("SELECT n FROM t"))
    talk.judged(Verdict(Answer.ALLOW, "r", "", max_rows=1))
    talk.sent(), talk.seen()
    row = messages.data_row([b"1"])
    columns = messages.row_description([("n", 0, 0, 23, False)])
    talk.answers(columns, row, row, done("SELECT 2"), IN_TRANSACTION)
    (stand_in,) = talk.sent()
    assert kinds(talk.seen()) == "TDE"
    talk.answers(syntax_error(stand_in), FAILED)
    assert [m.frame for m in talk.seen()] == [FAILED]


@pytest.mark.parametrize(
    ("tag", "count"),
    [("UPDATE 3", 3), ("INSERT 0 12", 12), ("COPY 7", 7), ("MERGE 0", 0), ("BEGIN", None)],
)
def test_what_a_tag_counts(tag: str, count: int | None) -> None:
    assert bounds.affected(tag.encode() + b"\0") == count
