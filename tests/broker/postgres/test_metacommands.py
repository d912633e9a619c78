"""Meta-commands: a list, whole lines, plain words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.errors import Denied
from broker.postgres import metacommands


@pytest.mark.parametrize(
    ("line", "canonical"),
    [
        ("\\d", "\\d"),
        ("  \\d  orders  ", "\\d orders"),
        ("\\d+ public.orders*", "\\d+ public.orders*"),
        ("\\dt", "\\dt"),
        ("\\dtvS+ *.*", "\\dtvS+ *.*"),
        ("\\dn", "\\dn"),
        ("\\df now", "\\df now"),
        ("\\dx", "\\dx"),
        ("\\du", "\\du"),
        ("\\l+", "\\l+"),
        ("\\x", "\\x"),
        ("\\x\tauto", "\\x auto"),
        ("\\timing on", "\\timing on"),
        ("\\pset null (none)", "\\pset null (none)"),
        ("\\pset format csv", "\\pset format csv"),
        ("\\a", "\\a"),
        ("\\t", "\\t"),
        ("\\conninfo", "\\conninfo"),
        ("\\encoding", "\\encoding"),
        ("\\echo hello, world!", "\\echo hello, world!"),
        ("\\q", "\\q"),
        ("\\?", "\\?"),
        ("\\h create table", "\\h create table"),
    ],
)
def test_what_is_allowed(line: str, canonical: str) -> None:
    assert metacommands.parse(line).line == canonical


@pytest.mark.parametrize(
    "line",
    [
        "\\! id",
        "\\",
        "\\\\",
        "\\d \\! id",
        "\\d t; drop table t",
        "\\d `id`",
        '\\d "a"',
        "\\d 'a'",
        "\\d :HOME",
        "\\d t|sh",
        "\\dl",
        "\\df+\\! id",
        "\\echo `id`",
        "\\echo :PROMPT1",
        "\\echo -n x",
        "\\echo a \\g |sh",
        "\\x on\\! id",
        "\\pset pager always",
        "\\pset format aligned \\! id",
        "\\pset title x",
        "\\pset fieldsep |",
        "\\encoding LATIN1",
        "\\o /tmp/x",
        "\\g |sh",
        "\\gx x",
        "\\w x",
        "\\i /etc/passwd",
        "\\ir x",
        "\\e",
        "\\ef",
        "\\copy t from program 'id'",
        "\\c host=evil",
        "\\connect x",
        "\\setenv A b",
        "\\getenv A b",
        "\\set PROMPT1 x",
        "\\unset PROMPT1",
        "\\prompt x",
        "\\password",
        "\\cd /",
        "\\lo_import /etc/passwd",
        "\\s /tmp/x",
        "\\watch 0",
        "\\gexec",
        "\\gset",
        "\\if 1",
        "\\unrestrict k",
        "\\restrict k",
        "\\sf f",
        "\\H",
        "\\bind",
        "\\D",
        "\\d\n\\! id",
        "\\d\x0b\\! id",
        "\\d a\u2028b",
        "\\d ｏ",
        "\\d " + "x" * 400,
    ],
)
def test_what_is_refused(line: str) -> None:
    with pytest.raises(Denied, match="available"):
        metacommands.parse(line)


def test_the_refusal_names_the_command_and_nothing_odd() -> None:
    with pytest.raises(
        Denied, match=r"^the meta-command \\copy is not available here; .*those that are$"
    ):
        metacommands.parse("\\copy t from program 'id'")
    with pytest.raises(Denied, match=r"^the meta-command \\ is not available here;"):
        metacommands.parse("\\\x1b[31m")


ALPHABET = st.sampled_from(list("\\dtxlqSabc pset echo `|:'\"$;!\n\0\t.*?-é"))


@given(st.one_of(st.text(ALPHABET, max_size=30).map(lambda t: "\\" + t), st.text(max_size=30)))
@settings(max_examples=200)
def test_no_accepted_line_holds_anything_but_plain_words(line: str) -> None:
    try:
        command = metacommands.parse(line)
    except Denied:
        return
    assert metacommands.SAFE.issuperset(command.line)
    assert command.line.startswith("\\")
    assert "\\" not in command.line[1:]
