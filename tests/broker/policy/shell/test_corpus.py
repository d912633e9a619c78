"""The shell cases of the corpus that a judge alone can decide: none gets through by spelling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from broker.errors import Unparsable
from broker.model import Identity, Kind, Language, Statement
from broker.policy.judge import judge
from broker.policy.rules import Block, Rule
from broker.policy.shell import build, emit, facts
from broker.policy.shell.tree import Refused
from broker.shell.parser import ShellParser

CORPUS = Path(__file__).parents[3] / "corpus" / "evasions.yaml"
PARSE = ShellParser()

# The corpus' own policies as rules: everything is allowed that no rule must name, some is denied.
DENIED = {
    "deny rm -rf": Block(commands=("rm -rf **",)),
    "deny recursive delete": Block(commands=("rm -r **",)),
    "approve sleep; deny rm -rf": Block(commands=("rm -rf **",)),
    "deny rm -rf; no shell escape from full-screen programs": Block(commands=("rm -rf **",)),
    "deny read /etc/shadow": Block(paths=("/etc/shadow",)),
    "operator view is inert": Block(commands=("rm -rf **",)),
    "approve any command; approver sees it all": Block(commands=("rm -rf **",)),
}
# The must-pass cases' programs that a rule must name: one opens a database, one opens a pager.
NAMED = Block(commands=("mysql **", "man **"))
# "May pass": its blanks are no blanks, so its command is a path, which a rule must name.
STRICTER = {"sh-230"}
ANYBODY = Identity("u", Kind.HUMAN, "corp", "u")

# Keys of a line editor on the target, or of an ssh channel: in line mode the target has neither.
ELSEWHERE = {"lineedit", "history", "ssh-channel"}


def answer(text: str, policy: str) -> str:
    """The real judge's answer."""
    rules = [
        Rule("all", ("*",), ("*",), allow=Block()),
        Rule("named", ("*",), ("*",), allow=NAMED),
        Rule("denied", ("*",), ("*",), deny=DENIED[policy]),
    ]
    statement = Statement(Language.SHELL, text, cwd="/home/u")
    try:
        return judge(rules, ANYBODY, "web1", statement, PARSE).answer.value
    except Unparsable:
        return "deny"


def statements(typed: str) -> list[str]:
    """What our own editor would accept: texts, each ended by Enter where the grammar is content."""
    texts, text = [], ""
    for line in typed.rstrip("\r\n").split("\r"):
        text += line.rstrip("\n") + "\n"
        if PARSE.unfinished(text) is None:
            texts.append(text)
            text = ""
    return [*texts, text] if text else texts


def cases() -> list[Any]:
    if not CORPUS.exists():
        return []
    corpus = yaml.safe_load(CORPUS.read_text())
    return [
        pytest.param(case, id=case["id"])
        for case in corpus["cases"]
        if case["channel"] == "shell"
        and case["class"] not in ELSEWHERE
        and case["policy"] in DENIED
    ]


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus is not in this tree")
@pytest.mark.parametrize("case", cases())
def test_the_corpus_case_gets_its_verdict(case: dict[str, Any]) -> None:
    answers = [answer(text, case["policy"]) for text in statements(case["input"])]
    if case["verdict"] == "allow" and case["id"] not in STRICTER:
        assert set(answers) == {"allow"}
    else:
        assert "deny" in answers


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus is not in this tree")
@pytest.mark.parametrize("case", cases())
def test_what_would_run_says_the_same_as_what_was_typed(case: dict[str, Any]) -> None:
    for text in statements(case["input"]):
        try:
            node = build(PARSE(text))
        except (Refused, Unparsable):
            continue
        sent = emit(node)
        assert facts(PARSE(sent), sent, "/d") == facts(PARSE(text), text, "/d")
