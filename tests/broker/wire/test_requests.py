"""What the client sends, and above all what of it does not go."""

from __future__ import annotations

import pytest

from broker.errors import ProtocolError
from broker.model import Answer, Facts, Part, Verdict
from broker.wire import frontend, messages, notices
from broker.wire.actions import Close, Judge, Refuse, Withdraw
from tests.broker.wire.masker import SeenMask
from tests.broker.wire.talk import (
    ALLOW,
    DENY,
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


def test_a_query_goes_only_after_its_verdict_and_exactly_as_it_came() -> None:
    talk = Talk().says(messages.query("SELECT 1"))
    assert talk.sent() == []
    assert talk.other[0].statement.text == "SELECT 1"  # type: ignore[attr-defined]
    talk.judged()
    assert [m.frame for m in talk.sent()] == [messages.query("SELECT 1")]


def test_nothing_overtakes_a_statement_that_is_held() -> None:
    talk = Talk().says(messages.query("SELECT 1"), messages.query("DELETE FROM t"))
    assert len(talk.other) == 1
    talk.judged().answers(messages.command_complete("SELECT 1"), Z_IDLE)
    assert kinds(talk.sent()) == "Q"
    assert [a.statement.text for a in talk.other if isinstance(a, Judge)][1] == "DELETE FROM t"


def test_a_refused_query_is_refused_by_the_server_in_its_place() -> None:
    talk = Talk().says(messages.query("DELETE FROM t")).judged(DENY)
    (stand_in,) = talk.sent()
    assert b"DELETE" not in stand_in.frame
    talk.answers(syntax_error(stand_in), Z_IDLE)
    told, ready = talk.seen()
    assert error_of(told) == ("42501", "interlock: denied by no-deletes: not here")
    assert ready.kind == "Z"


def test_a_marker_counts_only_in_the_error_that_is_owed() -> None:
    """Text from the database that looks like a refusal is told as what it is."""
    talk = Talk().says(messages.query("SELECT 1")).judged()
    forged = notices.error("P0001", "interlock_refused_" + "0" * 32)
    talk.answers(forged, Z_IDLE)
    assert error_of(talk.seen()[0])[0] == "P0001"


def test_another_error_at_the_place_of_a_refusal_is_told_as_it_is() -> None:
    talk = Talk().says(messages.query("DELETE FROM t")).judged(DENY)
    talk.sent()
    talk.answers(notices.fatal("57P01", "terminating connection"))
    assert error_of(talk.seen()[0]) == ("57P01", "terminating connection")


@pytest.mark.parametrize("answer", [messages.command_complete("DELETE 3"), Z_IDLE])
def test_a_refused_query_that_succeeds_ends_everything(answer: bytes) -> None:
    talk = Talk().says(messages.query("DELETE FROM t")).judged(DENY)
    with pytest.raises(ProtocolError):
        talk.answers(answer)


def test_a_pipeline_behind_a_refusal_is_skipped_until_sync() -> None:
    talk = Talk().says(messages.parse("a", "DELETE FROM t"), frontend.bind(b"", b"a"), EXECUTE)
    talk.says(messages.parse("b", "SELECT 1"), frontend.bind(b"", b"b"), EXECUTE, messages.SYNC)
    talk.judged(DENY)
    stand_in, sync = talk.sent()
    assert sync.kind == "S"
    assert len(talk.other) == 1  # the second statement was never asked about
    talk.answers(syntax_error(stand_in))
    talk.answers(Z_IDLE)
    assert kinds(talk.seen()) == "EZ"


def test_a_review_of_what_will_not_run_is_withdrawn() -> None:
    talk = Talk().says(messages.parse("", "SELECT 1/0"), PLAIN_BIND, EXECUTE).judged()
    talk.says(messages.query("UPDATE t SET x = 1"))
    asked = talk.other[-1]
    talk.answers(ONE, TWO, NO_DATA, notices.error("22012", "division by zero"))
    assert isinstance(asked, Judge)
    assert talk.other[-1] == Withdraw(asked.ticket)
    assert talk.conversation.answer(asked.ticket, ALLOW) == []


def test_the_old_statement_stays_when_a_parse_fails() -> None:
    talk = Talk().says(messages.parse("s1", "SELECT 1")).judged().says(messages.SYNC)
    talk.answers(ONE, Z_IDLE).says(messages.parse("s1", "UPDATE t SET x = 1")).deferred()
    talk.says(messages.SYNC).answers(notices.error("42P05", "s1 exists"), Z_IDLE)
    talk.sent()
    talk.says(frontend.bind(b"", b"s1"))
    assert kinds(talk.sent()) == "B"  # SELECT 1 is what the server still has


def test_a_name_follows_close_and_parse() -> None:
    talk = Talk().says(messages.parse("s1", "SELECT 1")).judged().says(messages.SYNC)
    talk.answers(ONE, Z_IDLE)
    talk.says(messages.frame("C", b"Ss1\0"), messages.parse("s1", "UPDATE t SET x = 1")).deferred()
    talk.sent()
    talk.says(frontend.bind(b"", b"s1", (b"7",)))
    assert talk.sent() == []
    asked = talk.other[-1]
    assert isinstance(asked, Judge)
    assert asked.statement.text == "UPDATE t SET x = 1"
    assert asked.statement.values == (b"7",)


def test_one_approval_is_for_one_run() -> None:
    talk = Talk().says(messages.parse("s1", "UPDATE t SET x = $1")).deferred()
    bind = frontend.bind(b"", b"s1", (b"7",))
    talk.says(bind).judged().says(EXECUTE, bind, EXECUTE)
    assert kinds(talk.sent()) == "PBDE"
    assert len([a for a in talk.other if isinstance(a, Judge)]) == 3


def test_sql_cannot_run_a_statement_that_waits_for_approval() -> None:
    talk = Talk().says(messages.parse("s1", "UPDATE t SET x = 1")).deferred().says(messages.SYNC)
    talk.answers(ONE, Z_IDLE)
    talk.sent()
    talk.says(messages.query('/**/EXECUTE"s1"'))
    assert isinstance(talk.other[-1], Refuse)


def test_an_execute_prepared_before_cannot_run_it_either() -> None:
    talk = Talk().says(messages.parse("e", "EXECUTE s1")).judged()
    talk.says(messages.parse("s1", "UPDATE t SET x = 1")).deferred()
    talk.says(frontend.bind(b"", b"e"), EXECUTE)
    assert isinstance(talk.other[-1], Refuse)
    assert kinds(talk.sent()) == "PPB"
    assert b"interlock_refused_" in talk.judged(DENY).sent()[0].body


def test_sql_cannot_put_another_statement_behind_a_known_name() -> None:
    talk = Talk().says(messages.parse("s1", "SELECT 1")).judged().says(messages.SYNC)
    talk.answers(ONE, Z_IDLE).says(messages.query("DEALLOCATE s1; PREPARE s1 AS DELETE FROM t"))
    talk.judged().answers(messages.command_complete("PREPARE"), Z_IDLE)
    talk.sent()
    talk.says(frontend.bind(b"", b"s1"))
    (stand_in,) = talk.sent()
    assert b"interlock_refused_" in stand_in.body


@pytest.mark.parametrize(
    "message",
    [
        frontend.bind(b"", b"x"),
        frontend.execute(b"cursor"),
        messages.describe("S", "x"),
    ],
)
def test_names_made_by_sql_cannot_be_used_by_messages(message: bytes) -> None:
    talk = Talk().says(message)
    (stand_in,) = talk.sent()
    assert b"interlock_refused_" in stand_in.body
    talk.answers(syntax_error(stand_in)).says(messages.SYNC).answers(Z_IDLE)
    assert error_of(talk.seen()[0])[0] in {"26000", "34000"}


def test_a_cursor_of_sql_may_be_described_but_not_run() -> None:
    talk = Talk().says(messages.describe("P", "cursor"), frontend.execute(b"cursor"))
    described, stand_in = talk.sent()
    assert described.frame == messages.describe("P", "cursor")
    assert b"interlock_refused_" in stand_in.body


def test_a_copy_is_waited_for_so_that_it_can_be_refused_in_its_place() -> None:
    talk = Talk().says(messages.parse("", "COPY t TO STDOUT"), PLAIN_BIND, EXECUTE, messages.SYNC)
    assert kinds(talk.judged().sent()) == "PBDEH"
    talk.answers(ONE, TWO, NO_DATA, messages.frame("H", b"\1\0\0"))
    talk.answers(messages.frame("c"), messages.command_complete("COPY 0"))
    talk._take(list(talk.conversation.cancelled()))
    stand_in = talk.sent()[0]
    talk.answers(syntax_error(stand_in))
    assert kinds(talk.sent()) == "S"
    talk.answers(Z_IDLE)
    assert kinds(talk.seen()) == "12EZ"


def test_a_statement_prepared_early_has_the_terms_of_what_ran_since() -> None:
    talk = Talk(SeenMask())
    later = Verdict(Answer.ALLOW, "r", "", Facts((Part("cursor"),)))
    talk.says(messages.parse("f", "FETCH c"), messages.SYNC).judged(later).answers(ONE, Z_IDLE)
    secret = Facts((Part("cursor", table="public.customers"),))
    talk.says(messages.query("DECLARE c CURSOR FOR SELECT reverse(email) FROM customers"))
    talk.judged(Verdict(Answer.ALLOW, "r", "", secret, max_rows=1))
    talk.answers(messages.command_complete("DECLARE CURSOR"), messages.ready("T"))
    talk.says(frontend.bind(b"", b"f"), EXECUTE)
    rows = messages.row_description([("reverse", 0, 0, 25, False)])
    talk.answers(TWO, rows, *[messages.data_row([b"gro.x"])] * 2)
    assert talk.mask.planned == [(["reverse"], True)]
    assert kinds(talk.seen()).count("D") == 1


def test_the_marker_of_a_console_is_refused_without_repeating_it() -> None:
    talk = Talk(marker=b"s3cret")
    talk.says(messages.query("SELECT 's3cret1%R'"))
    (refuse,) = talk.other
    assert isinstance(refuse, Refuse)
    assert refuse.verdict.answer is Answer.DENY
    assert "s3cret" not in refuse.statement.text + refuse.verdict.reason
    assert not talk.sent()


def test_names_that_the_server_would_cut_are_refused() -> None:
    with pytest.raises(ProtocolError, match="63"):
        Talk().says(messages.parse("a" * 64, "SELECT 1"))


@pytest.mark.parametrize(
    ("body", "why"), [(b"SELECT 1\0; DROP TABLE users\0", "NUL"), (b"SELECT '\xff'\0", "UTF-8")]
)
def test_text_that_we_and_the_server_read_differently_is_refused(body: bytes, why: str) -> None:
    talk = Talk().says(messages.frame("Q", body))
    assert talk.sent() == []
    assert why in talk.other[0].verdict.reason  # type: ignore[attr-defined]


def test_function_calls_are_refused() -> None:
    talk = Talk().says(messages.frame("F", bytes(14)))
    assert isinstance(talk.other[0], Refuse)
    (stand_in,) = talk.judged(DENY).sent()
    assert stand_in.kind == "Q"


def test_goodbye_while_a_statement_waits_withdraws_it_and_runs_nothing() -> None:
    talk = Talk().says(messages.query("UPDATE t SET x = 1"), messages.query("DELETE FROM t"))
    talk.says(messages.TERMINATE)
    assert kinds(talk.sent()) == "X"
    assert [type(a) for a in talk.other[-2:]] == [Withdraw, Close]
    assert talk.conversation.answer(1, ALLOW) == []


def test_copy_data_goes_only_when_the_server_asked_for_it() -> None:
    data = messages.frame("d", b"9\tx\n")
    talk = Talk().says(messages.query("COPY t FROM STDIN"), data, messages.frame("c"))
    talk.judged(DENY)
    (stand_in,) = talk.sent()
    talk.answers(syntax_error(stand_in), Z_IDLE)
    assert talk.sent() == []


def test_copy_in_takes_nothing_but_data() -> None:
    talk = Talk().says(messages.query("COPY t FROM STDIN")).judged()
    talk.answers(messages.frame("G", b"\0\0\0"))
    talk.says(messages.frame("d", b"9\n"), messages.SYNC, messages.frame("c"))
    assert kinds(talk.sent()) == "QdcH"
    talk.answers(messages.command_complete("COPY 1"), Z_IDLE)
    assert kinds(talk.seen()) == "GCZ"


def test_a_statement_in_the_middle_of_copy_data_ends_everything() -> None:
    talk = Talk().says(messages.query("COPY t FROM STDIN")).judged()
    talk.answers(messages.frame("G", b"\0\0\0"))
    with pytest.raises(ProtocolError, match="COPY"):
        talk.says(messages.query("DELETE FROM t"))


def test_a_wait_is_told_between_messages_and_bounds_what_may_queue() -> None:
    talk = Talk().says(messages.query("UPDATE t SET x = 1"))
    talk._take(
        list(talk.conversation.notice(1, "interlock: waiting for approval (r), review 7f3a"))
    )
    assert "7f3a" in notices.read(talk.seen()[0].body)["M"].decode()
    with pytest.raises(ProtocolError, match="too much"):
        talk.says(messages.query("x" * 700_000), messages.query("x" * 700_000))
