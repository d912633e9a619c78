"""The grammar program: what it accepts, where it stops, and what still needs more lines."""

from __future__ import annotations

import pytest

from broker.errors import EvidenceFailure, Unparsable
from broker.shell.parser import ShellParser

PARSE = ShellParser()


def test_a_text_becomes_a_tree() -> None:
    assert PARSE("ls | cat")["Stmts"][0]["Cmd"]["Op"] == "|"


@pytest.mark.parametrize(
    ("text", "position"), [("echo )", 5), ("ls\nécho )", 8), ("echo 'a", 5), ("a;;", 1)]
)
def test_an_error_says_where_and_names_no_file(text: str, position: int) -> None:
    with pytest.raises(Unparsable) as error:
        PARSE(text)
    assert error.value.position == position
    assert "standard input" not in str(error.value)
    assert not str(error.value)[0].isdigit()


@pytest.mark.parametrize("text", ["r\0m", "ls\r", "\x1b[A", "x" * 65_537, "\udcff", "(" * 5000])
def test_what_no_grammar_should_see_is_refused(text: str) -> None:
    with pytest.raises(Unparsable):
        PARSE(text)


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        ("ls\n", None),
        ("ls \\\n", ""),
        ("ls \\\\\n", None),
        ("echo 'a\n", "'"),
        ('echo "a\n', '"'),
        ("cat <<EOF\nx\n", "EOF"),
        ("if a\n", ""),
        ("if a; then\n", ""),
        ("if a; then b\n", ""),
        ("while a; do\n", ""),
        ("(a\n", ""),
        ("{ a\n", ""),
        ("a &&\n", ""),
        ("a |\n", ""),
        ("if a; then fi\n", None),
        ("a )\n", None),
        ("a;;\n", None),
    ],
)
def test_what_a_text_still_needs(text: str, needs: str | None) -> None:
    assert PARSE.unfinished(text) == needs


def test_without_the_program_the_session_fails_closed() -> None:
    with pytest.raises(EvidenceFailure):
        ShellParser("/nonexistent/shfmt")("ls")


def test_a_text_is_parsed_once() -> None:
    assert PARSE("ls -l once") is PARSE("ls -l once")
