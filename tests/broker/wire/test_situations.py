"""What people should know of a statement that is held: its transaction, its values."""

from __future__ import annotations

from broker.model import Answer, Parameter, Verdict
from broker.wire import frontend, messages
from broker.wire.actions import Situation
from tests.broker.wire.talk import DENY, EXECUTE, PLAIN_BIND, TWO, Z_IDLE, Talk, syntax_error

IN_TRANSACTION = messages.ready("T")
APPROVED = Verdict(Answer.ALLOW, "r", "", review="7f3a")


def held(talk: Talk) -> Situation:
    return talk.says(messages.query("UPDATE t SET a = 1")).conversation.situation()


def ran(talk: Talk, text: str, status: bytes, verdict: Verdict = APPROVED) -> None:
    talk.says(messages.query(text)).judged(verdict)
    talk.answers(messages.command_complete("DONE"), status)


def test_outside_of_a_transaction_there_is_nothing_before() -> None:
    talk = Talk()
    ran(talk, "SELECT 1", Z_IDLE)
    assert held(talk) == Situation(None)


def test_what_ran_in_the_transaction_and_how_it_was_judged() -> None:
    talk = Talk().says(messages.query("BEGIN")).judged()
    talk.answers(messages.command_complete("BEGIN"), IN_TRANSACTION)
    ran(talk, "DELETE FROM t WHERE a = 1", IN_TRANSACTION)
    talk.sent()
    talk.says(messages.query("DROP TABLE t")).judged(DENY)
    talk.answers(syntax_error(talk.sent()[0]), IN_TRANSACTION)
    assert held(talk).before == (
        ("allow", "BEGIN"),
        ("review 7f3a approved", "DELETE FROM t WHERE a = 1"),
        ("deny", "DROP TABLE t"),
    )


def test_a_transaction_that_is_over_is_forgotten() -> None:
    talk = Talk()
    ran(talk, "BEGIN", IN_TRANSACTION)
    ran(talk, "COMMIT", Z_IDLE)
    assert held(talk).before is None


def test_what_no_sync_has_ended_counts() -> None:
    talk = Talk().says(messages.parse("", "INSERT INTO t")).judged().says(PLAIN_BIND, EXECUTE)
    assert held(talk).before == (("allow", "INSERT INTO t"),)


def test_values_with_the_types_and_forms_that_the_client_said() -> None:
    talk = Talk().says(frontend.parse("UPDATE t SET a = $1, b = $2", [23])).deferred()
    bind = frontend.bind(b"", b"", (b"\0\0\0\1", b"x"), binary=(True, False))
    talk.answers(TWO.replace(b"2", b"1")).says(bind)
    found = talk.conversation.situation()
    assert found.parameters == (Parameter(23, binary=True), Parameter(0))
