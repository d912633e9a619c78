"""Statements that wait for people: asked, answered, withdrawn, expired; and who may answer."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.fixtures.demo import Demo

pytestmark = pytest.mark.peer


def test_an_approved_statement_runs_exactly_once_and_exactly_as_shown(demo: Demo) -> None:
    delete = "DELETE FROM refunds WHERE id = 6 AND status = 'dup'"
    asking = demo.begin("-o", "SetEnv=INTERLOCK_REASON=INC-1", "orders@agent", delete)
    card = demo.waiting("id = 6")
    assert card["statement"].rstrip(";\n") == delete
    assert card["why"] == "INC-1"
    assert card["identity"] == "agent:acme/shop@ci"
    assert card["acting_for"] == "alice@example.com"
    assert card["state"] == "pending"
    assert not demo.database_saw("id = 6")
    answered = demo.ssh("broker@approver", f"approve {card['id']} --digest {card['digest']}")
    assert answered.returncode == 0, answered.stderr
    out, err = asking.communicate(timeout=30)
    assert asking.returncode == 0, err
    assert "DELETE 1" in out
    assert demo.json("broker@approver", f"show --json {card['id']}")[0]["state"] == "used"
    again = demo.ssh("broker@approver", f"approve {card['id']}")
    assert again.returncode in {64, 77}
    assert "bob@example.com" in again.stderr


def test_a_person_says_no_and_the_asker_reads_why(demo: Demo) -> None:
    asking = demo.begin("orders@engineer", "UPDATE orders SET cents = 1 WHERE id = 9")
    card = demo.waiting("id = 9")
    told = demo.ssh("broker@approver", f"deny {card['id']} --reason 'ask in the morning'")
    assert told.returncode == 0, told.stderr
    _, err = asking.communicate(timeout=30)
    assert asking.returncode == 77
    assert "ask in the morning" in err
    assert "bob@example.com" in err
    assert not demo.database_saw("id = 9")


@pytest.mark.parametrize("persona", ["engineer", "agent", "auditor"])
def test_nobody_else_can_answer(demo: Demo, persona: str) -> None:
    asking = demo.begin("orders@agent", "UPDATE orders SET cents = 1 WHERE id = 10")
    card = demo.waiting("id = 10")
    told = demo.ssh(f"broker@{persona}", f"approve {card['id']}")
    assert told.returncode in {64, 77}
    assert "interlock: " in told.stderr
    asking.send_signal(signal.SIGTERM)
    asking.communicate(timeout=30)
    assert not demo.database_saw("id = 10")


def test_an_answer_to_another_text_is_refused(demo: Demo) -> None:
    asking = demo.begin("orders@agent", "UPDATE orders SET cents = 1 WHERE id = 11")
    card = demo.waiting("id = 11")
    told = demo.ssh("broker@approver", f"approve {card['id']} --digest sha256:{'0' * 64}")
    assert told.returncode in {64, 77}
    assert demo.json("broker@approver", f"show --json {card['id']}")[0]["state"] == "pending"
    asking.terminate()
    asking.communicate(timeout=30)


def test_ending_the_client_withdraws_the_request(demo: Demo) -> None:
    asking = demo.begin("orders@agent", "UPDATE orders SET cents = 1 WHERE id = 12")
    card = demo.waiting("id = 12")
    asking.kill()
    asking.communicate(timeout=30)
    for _ in range(100):
        state = demo.json("broker@approver", f"show --json {card['id']}")[0]["state"]
        if state != "pending":
            break
    assert state == "withdrawn"
    told = demo.ssh("broker@approver", f"approve {card['id']}")
    assert told.returncode in {64, 77}
    assert not demo.database_saw("id = 12")


def test_a_wait_as_json_is_one_object_of_the_contract(demo: Demo) -> None:
    asking = demo.begin(
        "-o", "SetEnv=INTERLOCK_FORMAT=json", "orders@agent", "DELETE FROM refunds WHERE id = 9"
    )
    card = demo.waiting("refunds WHERE id = 9")
    demo.ssh("broker@approver", f"deny {card['id']} --reason no")
    _, err = asking.communicate(timeout=30)
    wait, denial = (json.loads(line) for line in err.strip().splitlines())
    assert wait["verdict"] == "review"
    assert wait["review"] == card["id"]
    assert wait["expires"] == card["expires"]
    assert wait["digest"] == card["digest"]
    assert denial["verdict"] == "deny"
    assert denial["review"] == card["id"]
    assert asking.returncode == 77


def test_the_recording_and_the_log_tell_of_it(demo: Demo) -> None:
    asking = demo.begin("orders@agent", "DELETE FROM refunds WHERE id = 12 AND status = 'x'")
    card = demo.waiting("status = 'x'")
    demo.ssh("broker@approver", f"approve {card['id']}")
    asking.communicate(timeout=30)
    cast = demo.ssh("broker@auditor", f"play {card['session']}").stdout
    markers = [e[2] for line in cast.splitlines()[1:] if (e := json.loads(line))[1] == "m"]
    assert f"review {card['id']} asked" in markers
    assert any(m.startswith(f"review {card['id']} approved by bob@example.com") for m in markers)
    kinds = [e["type"] for e in demo.events() if e.get("review") == card["id"]]
    assert kinds.index("review.asked") < kinds.index("review.answered")
    assert kinds.index("review.answered") < kinds.index("statement.judged")
