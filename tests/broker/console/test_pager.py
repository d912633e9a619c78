"""The pager, as a person at windows of many sizes meets it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.console.client import Terminal
from broker.console.pager import Pager
from broker.console.pages import Pages
from tests.broker.console.fake_client import FakeClient
from tests.broker.shell.fakes import Desk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SIZES = [(20, 5), (80, 24), (300, 100)]


class Reader:
    """A person with a pager, and the screen in front of them."""

    def __init__(self, columns: int, rows: int) -> None:
        self.client = FakeClient(terminal=Terminal("xterm", columns, rows))
        self.desk = Desk()
        self.pager = Pager(self.client, self.desk.gate)
        self.fed = b""

    async def give(self, output: bytes) -> None:
        """Output in large chunks, as psql writes it, to its end."""
        rest = output
        while rest:
            data, rest = rest[:65536], rest[65536:]
            while data:
                piece, data = await self.pager.next(data)
                self.fed += piece
                await self.pager.write(piece)
        await self.pager.end()

    @property
    def screen(self) -> list[str]:
        terminal = self.client.terminal
        assert terminal is not None
        screen = pyte.Screen(terminal.columns, terminal.rows)
        pyte.ByteStream(screen).feed(self.client.output)
        return [line.rstrip() for line in screen.display]

    async def press(self, keys: str, status: str) -> list[str]:
        """Press keys and wait until a status is drawn anew."""
        before = self.client.output.count(status.encode())
        self.pager.feed(keys.encode())
        await self.client.sees(status, before + 1)
        return self.screen


@asynccontextmanager
async def reading(columns: int, rows: int, output: bytes) -> AsyncIterator[Reader]:
    reader = Reader(columns, rows)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        task = group.create_task(reader.give(output))
        yield reader
        await task


def lines(count: int, width: int = 8) -> bytes:
    return b"".join(b"%*d\r\n" % (width, n) for n in range(1, count + 1))


@pytest.mark.parametrize(("columns", "rows"), SIZES)
async def test_pages_forward_and_back(columns: int, rows: int) -> None:
    page = rows - 1
    async with reading(columns, rows, lines(page * 3)) as reader:
        await reader.client.sees("--More--")
        assert [int(line) for line in reader.screen[:page]] == list(range(1, page + 1))
        assert reader.fed == lines(page), "only what was asked for is taken"
        shown = await reader.press(" ", "--More--")
        assert [int(line) for line in shown[:page]] == list(range(page + 1, page * 2 + 1))
        shown = await reader.press("b", "--More--")
        assert [int(line) for line in shown[:page]] == list(range(1, page + 1))
        shown = await reader.press("\r", "--More--")
        assert int(shown[0]) == 2
        shown = await reader.press("G", "(END)")
        assert int(shown[page - 1]) == page * 3
        shown = await reader.press("g", "(END)")
        assert int(shown[0]) == 1
        reader.pager.feed(b"q")


async def test_what_fits_is_not_paged() -> None:
    async with reading(80, 24, lines(22)) as reader:
        pass
    assert b"(END)" not in reader.client.output
    assert reader.client.output == lines(22)


async def test_space_at_the_end_leaves() -> None:
    async with reading(80, 24, lines(30)) as reader:
        await reader.client.sees("--More--")
        await reader.press(" ", "(END)")
        reader.pager.feed(b" ")


async def test_wide_rows_are_wrapped_and_counted_or_cut_and_moved() -> None:
    wide = b"".join(b"%03d %s end\r\n" % (n, b"x" * 50) for n in range(40))
    async with reading(20, 9, wide) as reader:
        await reader.client.sees("--More--")
        assert reader.screen[0].startswith("000")
        assert len(reader.fed.splitlines()) == 2  # of three rows each: the page is never passed
        shown = await reader.press("\x1b[C", "--More--")
        assert shown[0] == "x" * 19 + ">"
        shown = await reader.press("\x1b[C\x1b[C", "--More--")
        await reader.client.sees("--More--")
        assert b"end" in reader.client.output
        await reader.press("\x1b[D\x1b[D\x1b[D", "--More--")
        reader.pager.feed(b"q")


async def test_a_word_is_sought_forward_back_and_beyond_what_came() -> None:
    async with reading(80, 10, lines(500)) as reader:
        await reader.client.sees("--More--")
        shown = await reader.press("/ 250\r", "--More--")
        assert shown[0].split() == ["250"]
        assert len(reader.fed.splitlines()) < 270
        await reader.press("/25\x7f\x7fnothing\r", "not found (END)")
        shown = await reader.press("/17\r", "(END)")
        reader.pager.feed(b"q")


async def test_leaving_drops_the_rest_of_this_result_only() -> None:
    output = lines(50) + b"(50 rows)\r\n\r\n" + b"DELETE 1\r\n"
    async with reading(80, 10, output) as reader:
        await reader.client.sees("--More--")
        reader.pager.feed(b"q")
    assert reader.client.output.endswith(b"\r\nDELETE 1\r\n")
    assert b"      12" not in reader.client.output


async def test_a_window_change_draws_the_page_anew() -> None:
    async with reading(80, 24, lines(100)) as reader:
        await reader.client.sees("--More--")
        reader.client.terminal = Terminal("xterm", 20, 5)
        reader.pager.resized()
        await reader.client.sees("--More--", 2)
        assert [line.strip() for line in reader.screen[:4]] == ["1", "2", "3", "4"]
        assert reader.screen[4].startswith("--More--")
        reader.pager.feed(b"q")


async def test_a_paste_is_no_command_and_letters_beyond_are_kept() -> None:
    async with reading(80, 10, lines(100)) as reader:
        await reader.client.sees("--More--")
        reader.pager.feed(b"\x1b[200~qqq\x1b[201~")
        await reader.client.sees("\x07")
        reader.pager.feed(b"qselect 1;\r")
    assert reader.pager.unread() == b"select 1;\r"


async def test_what_is_drawn_again_is_recorded_masked_and_inert() -> None:
    output = b"secret \x1b]0;title\x07 x\r\n" * 50
    async with reading(80, 10, output) as reader:
        await reader.client.sees("--More--")
        reader.pager._pages._lines[0] += " secret"  # as a masker that missed one would
        await reader.press("\x0c", "--More--")
        reader.pager.feed(b"q")
    drawn = reader.client.output.partition(b"\x1b[2J")[2]
    assert b"\x1b]0;" not in drawn
    assert b"secret" not in drawn
    assert b"****** ]0;title x" in reader.desk.recorder.shown


@given(st.lists(st.text(alphabet="ab日\u0301 ", max_size=60), max_size=30), st.integers(5, 40))
@settings(max_examples=80)
def test_a_view_never_passes_its_window(texts: list[str], columns: int) -> None:
    pages = Pages()
    for text in texts:
        pages.add(text, in_view=False)
    for top in range(len(texts)):
        pages.place(top, 6, columns)
        assert pages.bottom == top + 1 or pages.rows_in_view(columns) <= 6
        pages.ending_at(top, 6, columns)
        assert pages.bottom - pages.top <= 6


def test_lines_beyond_measure_are_forgotten() -> None:
    pages = Pages()
    for _ in range(60_000):
        pages.add("x", in_view=True)
    assert len(pages) <= 50_000
    assert pages.at_end
