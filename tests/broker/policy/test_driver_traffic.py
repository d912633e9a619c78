"""What drivers send by themselves is allowed to whoever may read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from broker.errors import Unparsable
from broker.model import Identity, Kind, Language, Statement
from broker.policy.judge import judge
from broker.policy.rules import Block, Rule
from broker.shell.parser import ShellParser

FILE = Path(__file__).parents[2] / "corpus" / "driver_traffic.yaml"
ROWS: list[dict[str, Any]] = yaml.safe_load(FILE.read_text())
ME = Identity("bot", Kind.AGENT, "github", "s", groups=("ci",))
READ = Rule(
    "read", ("*",), ("*",), allow=Block(actions=("select",), tables=("public.*", "sales.*"))
)


def answer(sql: str) -> str:
    try:
        statement = Statement(Language.SQL, sql)
        return judge([READ], ME, "shop", statement, ShellParser()).answer.value
    except Unparsable:
        return "unparsable"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['from']}: {row['sql'][:50]}")
def test_traffic_of_drivers(row: dict[str, Any]) -> None:
    found = answer(row["sql"])
    if "pending" in row:  # a limit that is known, with its reason
        assert found != row["expected"], "it is allowed now: take the word `pending` away"
    else:
        assert found == row["expected"]
