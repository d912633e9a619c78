"""What Interlock does not protect against, shown: each limit that the README confesses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from broker.mask.rules import Masking
from broker.mask.values import Redactor
from broker.model import Answer, Language, Statement
from broker.policy.judge import judge
from broker.policy.rules import Block, Rule
from tests.fakes import ALICE

if TYPE_CHECKING:
    from collections.abc import Mapping

READ = Rule("read", ("*",), ("*",), allow=Block(actions=("select",), tables=("public.*",)))


def no_shell(text: str) -> Mapping[str, object]:
    raise AssertionError(text)


def test_a_reader_may_encode_what_they_may_read() -> None:
    redact = Redactor(Masking(detect=("email",))).redact
    assert "ada" not in redact("ada.byron@example.com")
    assert redact("moc.elpmaxe ta noryb.ada") == "moc.elpmaxe ta noryb.ada"
    assert redact("YWRhLmJ5cm9uQGV4YW1wbGUuY29t") == "YWRhLmJ5cm9uQGV4YW1wbGUuY29t"


@pytest.mark.parametrize("view", ["v_everything", "orders_with_secrets"])
def test_a_view_is_judged_by_its_name(view: str) -> None:
    statement = Statement(Language.SQL, f"SELECT * FROM {view}")
    verdict = judge([READ], ALICE, "orders", statement, no_shell)
    assert verdict.answer is Answer.ALLOW


def test_a_function_of_the_target_is_not_looked_into_but_has_to_be_named() -> None:
    statement = Statement(Language.SQL, "SELECT app.purge_users()")
    assert judge([READ], ALICE, "orders", statement, no_shell).answer is Answer.DENY
