from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from broker.config.model import Example
from broker.mask.rules import Reveal
from tests.broker.config.samples import ISSUERS, TARGETS, loaded, only

if TYPE_CHECKING:
    from pathlib import Path

BASE = ISSUERS + TARGETS
REVEAL = "who: [ann], targets: [db], detect: [email]"
CASE = "as: ann, target: db, statement: SELECT 1, verdict: allow"


@pytest.mark.parametrize(
    ("masking", "said"),
    [
        ("detect: [emial]", "masking.detect[0]: `emial` is not one of email, credit_card"),
        ("columns: {'db:public.t.c': hide}", "masking.columns.db:public.t.c: `hide` is not one of"),
        ("columns: {'t.c': redact}", "masking.columns: `t.c` is not TARGET:SCHEMA.TABLE.COLUMN"),
        ("columns: {'web:*.*.c': redact}", "masking.columns: `web:*.*.c` can never match"),
        ("columns: {'bd:*.*.c': redact}", "masking.columns: `bd:*.*.c` can never match"),
        (f"reveal: [{{{REVEAL}}}]", "masking.reveal[0]: `email` is not in masking.detect"),
        (
            f"detect: [email], reveal: [{{{REVEAL.replace('db', 'xx')}}}]",
            "masking.reveal[0].targets: there is no target `xx`",
        ),
        (
            f"detect: [email], reveal: [{{{REVEAL.replace('ann', 'issuer:x')}}}]",
            "masking.reveal[0].who: `issuer:x` names no issuer here",
        ),
    ],
)
def test_masking_that_can_never_apply_is_an_error(tmp_path: Path, masking: str, said: str) -> None:
    assert only(tmp_path, f"{BASE}masking: {{{masking}}}\n").startswith(f"8: {said}")


def test_masking(tmp_path: Path) -> None:
    text = f"{BASE}masking: {{detect: [email, email], columns: {{'d*:*.*.c': pseudonym}}, "
    masking = loaded(tmp_path, f"{text} reveal: [{{{REVEAL}}}]}}\n").masking
    assert masking.detect == ("email",)
    assert list(masking.columns) == ["d*:*.*.c"]
    assert masking.reveal == (Reveal(("ann",), ("db",), ("email",), review=True),)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("db", "dbb", "examples[0]: there is no target `dbb` (did you mean `db`?)"),
        ("ann", "[]", "examples[0].as: must not be empty"),
        ("allow", "maybe", "examples[0].verdict: `maybe` is not one of allow, review, deny"),
        ("allow", "allow, rule: none", "examples[0]: there is no rule `none`"),
    ],
)
def test_an_example_that_cannot_be_tried(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = f"{BASE}examples:\n  - {{{CASE.replace(old, new)}}}\n"
    assert only(tmp_path, text) == f"9: {said}"


def test_examples(tmp_path: Path) -> None:
    text = (
        f"{BASE}examples:\n  - {{{CASE}}}\n  - {{{CASE.replace('allow', 'deny')}, rule: grammar}}\n"
    )
    assert loaded(tmp_path, text).examples == (
        Example("SELECT 1", "db", ("ann",), "allow", None, 9),
        Example("SELECT 1", "db", ("ann",), "deny", "grammar", 10),
    )
