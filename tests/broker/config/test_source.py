from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.config.source import SIZE_LIMIT, Items, Keys, Problems, Scalar, nearest, parse


def problems_of(text: str | bytes) -> list[str]:
    problems = Problems("f")
    parse(text.encode() if isinstance(text, str) else text, problems)
    return [f"{problem.line}: {problem.message}" for problem in problems.in_order()]


def test_values_keep_their_lines_and_what_yaml_takes_them_for() -> None:
    tree = parse(b"a:\n  - no\n  - '1'\nb: 1\n", Problems("f"))
    assert tree == Keys(
        {
            "a": Items((Scalar("no", "bool", 2), Scalar("1", "str", 3)), 2),
            "b": Scalar("1", "int", 4),
        },
        {"a": 1, "b": 4},
        1,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "3: the key `a` is here twice (first on line 1)"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", "3: merge keys (<<) are not accepted; write the keys out"),
        ("a: 1\n---\nb: 2\n", "2: not YAML: but found another document"),
        ("a: [1\n", "2: not YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: !!python/object/apply:os.system [x]\n", "1: the tag tag:yaml.org,2002:python"),
        ("a: !secret x\n", "1: the tag !secret is not accepted here"),
        ("a: !!binary eA==\n", "1: the tag tag:yaml.org,2002:binary is not accepted here"),
        ("a: !!set {x}\n", "1: the tag tag:yaml.org,2002:set is not accepted here"),
        ("1: x\n", "1: the key 1 is not a text to YAML"),
        ("[a]: x\n", "1: a key must be a text"),
        ("? {a: b}\n: x\n", "1: a key must be a text"),
        ("", "1: the file is empty"),
        (b"a: \xff\n", "1: not YAML: the file has bytes or characters that YAML does not allow"),
        ("a: *x\n", "1: not YAML: found undefined alias 'x'"),
        ("a: &x [*x]\n", "1: nested too deeply"),
        ("[" * 100_000, "1: nested too deeply"),
        ("[" * 30 + "]" * 30, "1: nested too deeply"),
        (b"#" * (SIZE_LIMIT + 1), f"1: the file is larger than {SIZE_LIMIT} bytes"),
    ],
)
def test_refused(text: str | bytes, said: str) -> None:
    found = problems_of(text)
    assert len(found) == 1
    assert found[0].startswith(said)


def test_a_bomb_of_aliases_is_counted_in_full() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "more than 50000 values" in problems_of("\n".join(lines))[0]


def test_an_alias_may_save_typing() -> None:
    problems = Problems("f")
    tree = parse(b"a: &x [1]\nb: *x\n", problems)
    assert isinstance(tree, Keys)
    assert tree.values["a"] == tree.values["b"]
    assert not problems.found


@settings(max_examples=150)
@given(st.one_of(st.binary(max_size=60), st.text("[]{}:,-&*!|>'\"#\n ab<?%@", max_size=60)))
def test_garbage_is_a_tree_or_a_problem(data: bytes | str) -> None:
    problems = Problems("f")
    tree = parse(data if isinstance(data, bytes) else data.encode(), problems)
    assert tree is not None or problems.found


def test_the_nearest_word() -> None:
    assert nearest("isuers", ["issuers", "rules"]) == "did you mean `issuers`?"
    assert nearest("zzz", ["issuers"]) == ""
