"""Reviews between people of different groups: who may answer, how often, and what is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.fixtures.company import Company

pytestmark = pytest.mark.peer

CARD = {
    "id", "state", "session", "identity", "acting_for", "target", "rule", "reason", "statement",
    "digest", "asked", "expires", "approvals", "quorum",
}  # fmt: skip


def test_two_people_are_two_people(company: Company) -> None:
    asking = company.engineer.begin(
        "-o", "SetEnv=INTERLOCK_REASON=INC-9", "orders", "TRUNCATE audit"
    )
    card = company.dba.waiting("TRUNCATE audit")
    assert set(card) >= CARD
    assert (card["state"], card["quorum"], card["approvals"]) == ("pending", 2, [])
    assert (card["identity"], card["acting_for"]) == ("human:ann@acme.example@corp", None)
    assert card["why"] == "INC-9"
    answer = f"approve {card['id']}"
    assert company.engineer.ssh("broker", answer).returncode == 77
    assert company.outsider.ssh("broker", f"show {card['id']}").returncode == 64
    assert company.agent.ssh("broker", answer).returncode == 77
    assert company.dba.ssh("broker", f"{answer} --reason looks fine").returncode == 0
    assert company.dba.ssh("broker", answer).returncode == 77
    (shown,) = company.auditor.json("show", card["id"])
    assert [given["by"] for given in shown["approvals"]] == ["human:bob@acme.example@corp"]
    assert shown["approvals"][0]["reason"] == "looks fine"
    assert set(shown["approvals"][0]) == {"by", "at", "reason"}
    assert not company.postgres.execute(
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'TRUNCATE%'"
    )
    assert company.dba2.ssh("broker", f"{answer} --digest {card['digest']}").returncode == 0
    out, err = asking.communicate(timeout=30)
    assert asking.returncode == 0, err
    assert "TRUNCATE TABLE" in out
    late = company.dba2.ssh("broker", f"deny {card['id']} --reason late")
    assert late.returncode == 77
    assert "already used by" in late.stderr


def test_approvers_by_name_are_those_people_alone(company: Company) -> None:
    asking = company.engineer.begin("orders", "COMMENT ON TABLE audit IS 'by name'")
    card = company.dba.waiting("by name")
    assert company.dba2.ssh("broker", f"approve {card['id']}").returncode == 64
    asking.communicate(timeout=30)
    assert asking.returncode == 75


def test_nobody_answers_for_an_agent_that_acts_for_them(company: Company) -> None:
    asking = company.agent.begin("orders", "UPDATE orders SET note = 'x' WHERE id = 1")
    card = company.dba.waiting("note = 'x'")
    assert card["acting_for"] == "ann@acme.example"
    promoted = company.corp.token(email="ann@acme.example", groups=["dba"])
    own = company.corp.token(email="ann@acme.example", groups=["engineers"])
    company.engineer.log_in(promoted)
    try:
        for answer in (f"approve {card['id']}", f"deny {card['id']} --reason mine"):
            ran = company.engineer.ssh("broker", answer)
            assert ran.returncode == 77
            assert "in your name" in ran.stderr
    finally:
        company.engineer.log_in(own)
    assert company.dba.ssh("broker", f"deny {card['id']} --reason it's wrong").returncode == 0
    _, err = asking.communicate(timeout=30)
    assert asking.returncode == 77
    assert "it's wrong" in err


@pytest.mark.parametrize(
    ("target", "command", "statement"),
    [
        ("cache", "SET a 1", "SET a 1"),
        ("box", "touch a'b c'", "touch 'ab c'"),
        ("web", "touch /tmp/interlock-never-there/x", "touch /tmp/interlock-never-there/x"),
    ],
)
def test_a_command_that_was_approved_runs(
    company: Company, target: str, command: str, statement: str
) -> None:
    asking = company.engineer.begin(target, command)
    card = company.dba.waiting(statement)
    assert card["statement"] == statement
    assert company.dba.ssh("broker", f"approve {card['id']}").returncode == 0
    out, err = asking.communicate(timeout=30)
    assert "waiting for approval" in err
    if target == "box":
        assert (company.box / "ab c").exists()
    elif target == "cache":
        assert out == "SET a 1\n"
    else:
        assert asking.returncode == 1


def test_check_judges_without_running(company: Company) -> None:
    told = company.engineer.json("check", "orders", "DELETE FROM audit")
    assert {"verdict", "rule", "reason", "actions", "tables", "commands"} <= set(told)
    assert (told["verdict"], told["rule"]) == ("deny", "no-unbounded")
    assert (told["actions"], told["tables"]) == (["delete"], ["public.audit"])
    given = company.engineer.ssh("broker", "check --json box", given="ls; rm x\n")
    assert '"rm x"' in given.stdout
    assert company.engineer.json("pending") == []


def test_sessions_as_the_contract_lists_them(company: Company) -> None:
    company.engineer.ssh("box", "echo once")
    newest = company.auditor.json("sessions")[0]
    assert set(newest) >= {
        "id", "identity", "acting_for", "target", "kind", "started", "ended", "status", "recording",
    }  # fmt: skip
    assert (newest["target"], newest["kind"], newest["status"]) == ("box", "command", "ended")
    assert newest["ended"].endswith("Z")
    assert company.outsider.ssh("broker", f"play {newest['id']}").returncode == 64
