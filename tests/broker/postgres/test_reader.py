"""Large statements: read in a process of their own, with the same answer, and nobody waits."""

from __future__ import annotations

import asyncio
import contextlib
import io
import struct
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from broker.errors import Unparsable
from broker.model import Answer, Language, Statement
from broker.policy import judge, sql
from broker.policy.rules import Block, Rule
from broker.policy.sql import grammar
from broker.postgres import reader
from broker.postgres.reader import Reader
from tests.fakes import ALICE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

READ = Rule("read", ("*",), ("*",), allow=Block(actions=("select",), tables=("public.*",)))
HELD = 0.05  # seconds that the event loop may be kept from its other work


@pytest.fixture
async def process() -> AsyncIterator[Reader]:
    """The process, started by the first large text."""
    made = Reader()
    yield made
    await made.close()


def filled(begin: str, unit: str, end: str = "", size: int = grammar.MAX_BYTES) -> str:
    return begin + unit * ((size - len(begin) - len(end)) // len(unit)) + end


def nested(begin: str, end: str, inner: str, depth: int, size: int) -> str:
    return begin * depth + " OR ".join([inner] * max(1, (size - depth * 8) // 8)) + end * depth


WORST: dict[str, tuple[str, ...]] = {
    "in a list": ("SELECT 1 WHERE 1 IN (1", ",1", ")"),
    "rows of values": ("INSERT INTO t VALUES (1)", ",(1)"),
    "statements": ("SELECT 1", ";SELECT"),
    "columns": ("SELECT 1", ",a.b"),
    "casts": ("SELECT 1", ",a::t"),
    "calls": ("SELECT 1", ",f()"),
    "comparisons": ("DELETE FROM t WHERE a=1", " OR a=1"),
    "tables": ("SELECT 1 FROM t", ",t"),
    "one string": ("SELECT '", "x", "'"),
    "escapes": ("SELECT U&'", "\\0041", "'"),
    "unions": ("SELECT 1", " UNION SELECT 1"),
    "operators": ("SELECT 1", "+1"),
    "signs": ("SELECT ", "- ", "1"),
    "parentheses": ("SELECT ", "(", "1"),
    "comments": ("SELECT 1 ", "/* */"),
    "lines of comments": ("SELECT 1 ", "--\n"),
}


def no_shell(text: str) -> Mapping[str, object]:
    raise AssertionError(text)


def judged(text: str) -> None:
    statement = Statement(Language.SQL, text)
    with contextlib.suppress(Unparsable):
        judge.judge([READ], ALICE, "orders", statement, no_shell)


@pytest.mark.parametrize("shape", sorted(WORST))
async def test_no_statement_holds_the_event_loop(process: Reader, shape: str) -> None:
    """As large as may be, and as large as is still read at once: the best of three, for the
    machine may be busy."""
    for size in (grammar.MAX_BYTES, judge.LARGE):
        begin, unit, *end = WORST[shape]
        text = filled(begin, unit, "".join(end), size)
        held = []
        for _ in range(3):
            await process.prepare(text)
            assert judge.is_read(text) or size == grammar.MAX_BYTES
            began = time.process_time()
            judged(text)
            held.append(time.process_time() - began)
        assert min(held) < HELD


@pytest.mark.parametrize("depth", [50, 100, 150, 200])
@pytest.mark.parametrize(
    "around", [("NOT (", ")"), ("(a=1 AND ", ")"), ("CASE WHEN a THEN ", " END")]
)
def test_no_nesting_holds_it_either(depth: int, around: tuple[str, str]) -> None:
    text = "DELETE FROM t WHERE " + nested(*around, "a=1", depth, judge.LARGE)[: judge.LARGE]
    held = []
    for _ in range(3):
        began = time.process_time()
        judged(text)
        held.append(time.process_time() - began)
    assert min(held) < HELD


async def test_the_loop_goes_on_while_a_large_statement_is_read(process: Reader) -> None:
    text = filled("SELECT 1", ",a::t")
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    beating = asyncio.ensure_future(beat())
    await process.prepare(text)
    beating.cancel()
    assert longest < HELD


TEXTS = [
    filled("SELECT 1", ",a.b, f(c), d + e, g::h FROM i", size=0),
    filled("SELECT a.b, f(c), d + e, g::h, (i).j FROM k WHERE 1 IN (1", ",1", ")", 20_000),
    filled("CREATE TABLE x AS SELECT 1", ",1", "", 20_000),
    filled("SELECT 'ü'", ",'ü'", "", 20_000),
    filled("-- nothing", "-", "", 20_000),
]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
async def test_it_reads_the_same(process: Reader, text: str) -> None:
    expected = sql.read(text)
    answer = msgspec.json.decode(msgspec.json.encode(reader.read(text)), type=reader.Answer)
    assert answer.reading == expected
    await process.prepare(text)
    assert judge.is_read(text)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        (filled("SELECT 1", ",1", " FROM WHERE", 20_000), 19_994),
        (filled("SELECT 1", "||'a'", "", 20_000), None),
        (filled("SELECT '", "x", "\0'", 20_000), 19_998),
        (filled("SELECT '", "x", "'", grammar.MAX_BYTES + 10), None),
    ],
    ids=["syntax", "depth", "nul", "size"],
)
async def test_it_refuses_the_same(process: Reader, text: str, position: int | None) -> None:
    with pytest.raises(Unparsable) as here:
        sql.read(text)
    await process.prepare(text)
    with pytest.raises(Unparsable) as there:
        judge.judge([READ], ALICE, "orders", Statement(Language.SQL, text), no_shell)
    assert (str(there.value), there.value.position) == (str(here.value), here.value.position)
    assert there.value.position == position


async def test_a_process_that_dies_is_a_refusal_and_the_next_one_is_new(process: Reader) -> None:
    one, other = (filled(f"SELECT {n}", ",1", "", 20_000) for n in (1, 2))
    await process.prepare(filled("SELECT 0", ",1", "", 20_000))
    running = process._process
    assert running is not None
    running.kill()
    await running.wait()
    await process.prepare(one)
    with pytest.raises(Unparsable, match="too long to read"):
        judge.judge([READ], ALICE, "orders", Statement(Language.SQL, one), no_shell)
    await process.prepare(other)
    verdict = judge.judge([READ], ALICE, "orders", Statement(Language.SQL, other), no_shell)
    assert verdict.answer is Answer.ALLOW


def test_the_process_answers_text_by_text_until_the_end() -> None:
    given = b"".join(
        struct.pack(">I", len(text)) + text for text in (b"TABLE a", b"SELECT FROM x y z")
    )
    sink = io.BytesIO()
    reader.main(io.BytesIO(given), sink)
    told, answers = sink.getvalue(), []
    while told:
        (size,) = struct.unpack(">I", told[:4])
        answers.append(msgspec.json.decode(told[4 : 4 + size], type=reader.Answer))
        told = told[4 + size :]
    assert answers[0].reading is not None
    assert [str(part) for part in answers[0].reading.parts] == ["select public.a"]
    assert answers[1].reading is None
    assert answers[1].wrong
