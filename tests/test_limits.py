"""What Interlock does not protect against, shown: each limit that the README confesses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.mask.rules import Masking
from broker.mask.values import Redactor
from broker.model import Answer, Language, Statement
from broker.policy.judge import judge
from broker.policy.rules import Block, Rule
from broker.policy.sql.catalogue import Catalogue, Relation, Routine
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


ORDERS = Relation()
HIDING = Catalogue(
    "1",
    {
        "public.orders": ORDERS,
        "public.v_everything": Relation("v", "SELECT s.k FROM secret.s"),
    },
    {"app.purge_users": (Routine("plpgsql", "v"),)},
)


def answer(rule: Rule, text: str, catalogue: Catalogue | None) -> Answer:
    statement = Statement(Language.SQL, text)
    return judge([rule], ALICE, "orders", statement, no_shell, catalogue).answer


def test_without_a_target_a_view_is_judged_by_its_name() -> None:
    """`interlock explain` and `test` have no target to ask; a session has."""
    assert answer(READ, "SELECT * FROM v_everything", None) is Answer.ALLOW
    assert answer(READ, "SELECT * FROM v_everything", HIDING) is Answer.DENY


def test_triggers_and_defaults_belong_to_their_table() -> None:
    """Nothing of them is in the catalogue that the judge sees: the table stands for them."""
    write = Rule("write", ("*",), ("*",), allow=Block(actions=("insert",), tables=("orders",)))
    assert answer(write, "INSERT INTO orders VALUES (1)", HIDING) is Answer.ALLOW
    assert set(Relation.__slots__) == {
        *("kind", "query", "rules", "instead", "partitions", "children", "parents")
    }


def test_a_function_that_cannot_be_looked_into_has_to_be_named() -> None:
    for catalogue in (None, HIDING):
        assert answer(READ, "SELECT app.purge_users()", catalogue) is Answer.DENY
