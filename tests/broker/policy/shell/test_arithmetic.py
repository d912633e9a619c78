"""What is computed here is what a shell computes; all else is refused."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from broker.policy.shell import Refused, emit
from broker.policy.shell import build as built
from broker.shell.parser import ShellParser

PARSE = ShellParser()


def computed(text: str, **known: str) -> str:
    return emit(built(PARSE(f"echo $(({text}))"), known=known)).removeprefix("echo ")


def test_known_variables_count() -> None:
    assert computed("n * 2 + ${m}", n="3", m="-1") == "5"


@pytest.mark.parametrize(
    "text",
    [
        "n",
        "1/0",
        "1%0",
        "2147483647+1",
        "08",
        "0x1",
        "1 ? 2 : 3",
        "n++",
        "a[0]",
        "1,2",
        "2**3",
        "'1'",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(Refused):
        computed(text, a="x")


def test_a_value_that_is_an_expression_is_not_computed() -> None:
    with pytest.raises(Refused):
        computed("n", n="1+1")


numbers = st.integers(0, 99).map(str)
sums = st.recursive(
    numbers,
    lambda inner: st.one_of(
        st.builds("({})".format, inner),
        st.builds("- {}".format, inner),
        st.builds("{} {} {}".format, inner, st.sampled_from(["+", "-", "*", "/", "%"]), inner),
    ),
    max_leaves=5,
)


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is the judge")
@settings(max_examples=60, deadline=None)
@given(sums)
def test_bash_computes_the_same(text: str) -> None:
    try:
        mine = computed(text)
    except Refused:
        assume(False)
    ran = subprocess.run(
        ["bash", "-c", f"echo $(({text}))"], capture_output=True, timeout=10, check=True
    )
    assert ran.stdout.decode().strip() == mine
