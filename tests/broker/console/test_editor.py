"""The line editor, as a person at a terminal meets it."""

from __future__ import annotations

import asyncio

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.console.client import Terminal
from broker.console.colours import sql
from broker.console.completing import Found
from broker.console.editor import Editor, Interrupted
from broker.errors import EvidenceFailure
from tests.broker.console.fake_client import FakeClient


def person(columns: int = 80, rows: int = 24) -> FakeClient:
    return FakeClient(terminal=Terminal("xterm-256color", columns, rows))


def ends_with_semicolon(text: str) -> bool:
    return text.rstrip().endswith(";")


def editor_of(client: FakeClient, **more: object) -> Editor:
    return Editor(client, is_complete=ends_with_semicolon, **more)  # type: ignore[arg-type]


def shown_now(client: FakeClient) -> list[str]:
    """What is on the person's screen, without empty lines at the end."""
    assert client.terminal is not None
    screen = pyte.Screen(client.terminal.columns, client.terminal.rows)
    pyte.ByteStream(screen).feed(client.output)
    lines = [line.rstrip() for line in screen.display]
    while lines and not lines[-1]:
        lines.pop()
    return lines


async def test_a_line_is_shown_and_accepted() -> None:
    client = person()
    client.type("select 1;\r")
    assert await editor_of(client).line("orders=> ") == "select 1;"
    assert shown_now(client) == ["orders=> select 1;"]
    assert b"\x1b[6n" not in client.output, "asked for the cursor's position"


async def test_an_unfinished_statement_goes_on_in_the_next_line() -> None:
    client = person()
    client.type("select\r1;\r")
    assert await editor_of(client).line("orders=> ", continuation="orders-> ") == "select\n1;"
    assert shown_now(client) == ["orders=> select", "orders-> 1;"]


async def test_lines_typed_at_once_meet_one_prompt_each() -> None:
    client = person()
    editor = editor_of(client)
    client.type("one;\rtwo;\rthr")
    assert await editor.line("=> ") == "one;"
    assert await editor.line("=> ") == "two;"
    assert editor.take_pending() == b"thr"
    assert editor.take_pending() == b""
    assert shown_now(client) == ["=> one;", "=> two;"]


async def test_a_bracketed_paste_is_one_text_and_submits_nothing_by_itself() -> None:
    client = person()
    client.type("\x1b[200~one;\rtwo;\r\x1b[201~")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(editor_of(client).line("=> "))
        await client.sees("two;")
        assert not task.done()
        client.type("\r")
    assert task.result() == "one;\ntwo;\n"


async def test_what_was_typed_unseen_is_shown_and_waits_for_enter() -> None:
    client = person()
    editor = editor_of(client)
    editor.type_ahead(b"drop table a;\r\x03drop table b;\r")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(editor.line("=> "))
        await client.sees("table b;")
        assert not task.done()
        client.type("\r")
    assert task.result() == "drop table a;\ndrop table b;"


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("ab\x01x\x05y;\r", "xaby;"),
        ("abc\x01\x0bnew;\r", "new;"),
        ("gone\x15kept;\r", "kept;"),
        ("one two\x17three;\r", "one three;"),
        ("ac\x1b[Db\x05;\r", "abc;"),
        ("ab\x7fc;\r", "ac;"),
        ("ab\x01\x1b[3~\x05;\r", "b;"),
        ("cut\x15\x19\x19;\r", "cutcut;"),
        ("x\x1b5;\r", "x5;"),
        ("a\tb;\r", "a\tb;"),
        ("\x1b[A\r", "second;"),
        ("\x1b[A\x1b[A\r", "first;"),
        ("\x1b[A\x1b[A\x1b[B\r", "second;"),
        ("\x12fir\r\r", "first;"),
        ("\x10\x10\x0e\r", "second;"),
    ],
)
async def test_the_keys_that_people_use(keys: str, expected: str) -> None:
    client = person()
    client.type(keys)
    assert await editor_of(client, history=["first;", "second;"]).line("=> ") == expected


async def test_accepted_lines_become_history() -> None:
    client = person()
    mine: list[str] = []
    editor = editor_of(client, history=mine)
    client.type("one;\rone;\r\r\x1b[A\r")
    assert [await editor.line("=> ") for _ in range(4)] == ["one;", "one;", "", "one;"]
    assert mine == ["one;"]


async def test_ctrl_c_drops_the_line_and_the_next_prompt_is_clean() -> None:
    client = person()
    editor = editor_of(client)
    client.type("drop table\x03select;\r")
    with pytest.raises(Interrupted):
        await editor.line("=> ")
    assert await editor.line("=> ") == "select;"


async def test_ctrl_d_ends_only_an_empty_line() -> None:
    client = person()
    editor = editor_of(client)
    client.type("ab\x01\x04;\x04\x04\x04\x05\x04;\r\x04")
    assert await editor.line("=> ") == ";;"
    assert await editor.line("=> ") is None


async def test_the_end_of_input_is_the_end_also_later() -> None:
    client = person()
    editor = editor_of(client)
    client.type("half")
    client.end()
    assert await editor.line("=> ") is None
    assert await editor.line("=> ") is None


async def test_a_lost_connection_is_said() -> None:
    client = person()
    client.vanish()
    with pytest.raises(ConnectionError):
        await editor_of(client).line("=> ")


async def test_completion_inserts_what_all_candidates_share() -> None:
    client = person()
    client.type("select * from cus\t;\r")
    editor = editor_of(client, complete=lambda _: Found("cus", ("customers", "customers_old")))
    assert await editor.line("=> ") == "select * from customers;"


async def test_a_completion_that_comes_later_does_not_hold_up_typing() -> None:
    client = person()
    release = asyncio.Event()
    wanted: list[str] = []

    async def found(before: str) -> Found:
        wanted.append(before)
        await release.wait()
        return Found("no", ("notes.txt",))

    async with asyncio.TaskGroup() as group:
        task = group.create_task(editor_of(client, complete=found).line("=> "))
        client.type("cat no\tt;")
        await client.sees("t;")
        release.set()  # too late: the text is another one now
        client.type("\x15ls no\t")
        await client.sees("tes.txt")  # "no" is there already
        client.type(";\r")
    assert task.result() == "ls notes.txt ;"
    assert wanted == ["cat no", "ls no"]


async def test_a_listing_is_told_before_it_is_drawn_and_goes_with_the_next_key() -> None:
    client = person()
    told: list[str] = []

    def shown(listing: str) -> str:
        told.append(listing)
        return listing.replace("secret", "******")

    editor = editor_of(
        client, complete=lambda _: Found("", ("orders", "secret", "refunds")), shown=shown
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(editor.line("=> "))
        client.type("select \t")
        await client.sees("refunds")
        assert shown_now(client) == ["=> select", "orders   ******   refunds"]
        client.type(";\r")
    assert task.result() == "select ;"
    assert shown_now(client) == ["=> select ;"]
    assert told == ["orders   secret   refunds"]
    assert b"secret" not in client.output


async def test_a_completion_that_fails_ends_the_line_with_its_error() -> None:
    client = person()

    async def found(_before: str) -> Found:
        raise EvidenceFailure("no")

    client.type("ls \t")
    with pytest.raises(EvidenceFailure):
        await editor_of(client, complete=found).line("=> ")


async def test_sql_is_coloured_and_still_the_same_text() -> None:
    client = person()
    client.type("select 'a' from b;\r")
    assert await editor_of(client, paint=sql).line("=> ") == "select 'a' from b;"
    assert b"\x1b[0;1;34;49mselect" in client.output or b"34" in client.output
    assert shown_now(client) == ["=> select 'a' from b;"]


async def test_a_terminal_without_colours_gets_none() -> None:
    client = FakeClient(terminal=Terminal("vt100", 80, 24))
    client.type("select 1;\r")
    await editor_of(client, paint=sql).line("=> ")
    assert b"34" not in client.output


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("hello;\x1b0iX\r", "Xhello;"),
        ("hello;\x1b0x\r", "ello;"),
        ("one two;\x1bbbcwnew\r", "new two;"),
        ("a b c d;\x1b02dw\r", "c d;"),
        ("abc;\x1bhhrX\r", "aXc;"),
        ("x;\x1bk\r", "second;"),
        ("x;\x1bkk\r", "first;"),
        ("x;\x1b/fir\r\r", "first;"),
        ("one;\x1b0D:u\r", "one;"),
        ("one;\x1bIz\x1bAq\x1b0\r;\r", "zone;q\n;"),
        ("ab cd;\x1b0cwx\x1b\r", "x cd;"),
        ("ab;\x1b[D\x1b[DX\r", "aXb;"),
        ("a;\x1b99999999999p0qq@q\r", "a;"),
        ("a;\x1b0i\x1b[200~dd\x1b[201~\r", "dda;"),
        ("a;\x1b0\x1b[200~dd\x1b[201~\x1b\r", "dda;"),
    ],
)
async def test_the_keys_of_vi(keys: str, expected: str) -> None:
    client = person()
    client.type(keys)
    editor = editor_of(client, history=["first;", "second;"])
    editor.vi = True
    assert await editor.line("=> ") == expected


async def test_an_escape_that_nothing_follows_is_the_key() -> None:
    client = person()
    editor = editor_of(client)
    editor.vi = True
    async with asyncio.TaskGroup() as group:
        task = group.create_task(editor.line("=> "))
        client.type("ab;\x1b")
        await client.sees("ab;")
        await asyncio.wait([task], timeout=0.2)  # no key comes, and that says which key it was
        client.type("0x")
        await client.sees("b;", times=2)
        client.type("\r")
    assert task.result() == "b;"


@pytest.mark.parametrize("columns", [20, 80])
async def test_wide_and_combining_characters(columns: int) -> None:
    client = person(columns, 5)
    client.type("日本 e\u0301 😀 ok;\x01X\r")
    assert await editor_of(client).line("=> ") == "X日本 e\u0301 😀 ok;"
    screen = "".join("".join(shown_now(client)).split())
    assert "X日本" in screen
    assert screen.endswith("ok;")


async def test_order_and_invisible_characters_of_a_paste_do_not_arrive() -> None:
    client = person()
    client.type("\x1b[200~a\u202e\u200bb\u2066\ufeff;\x1b[201~\r")
    assert await editor_of(client).line("=> ") == "ab;"


async def test_two_people_edit_at_the_same_time_and_see_only_their_own() -> None:
    clients = [person() for _ in range(5)]
    editors = [editor_of(client) for client in clients]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(editor.line(f"{i}> ")) for i, editor in enumerate(editors)]
        for i, client in enumerate(clients):
            await client.sees(f"{i}> ")
            client.type(f"text {i}\x12\x07")
        for i, client in enumerate(clients):
            await client.sees(f"text {i}")
            client.type(";\r")
    for i, (client, task) in enumerate(zip(clients, tasks, strict=True)):
        assert task.result() == f"text {i};"
        assert shown_now(client) == [f"{i}> text {i};"]


@pytest.mark.parametrize(("columns", "rows"), [(20, 5), (40, 10), (80, 24), (120, 30), (300, 100)])
async def test_every_size_shows_the_line(columns: int, rows: int) -> None:
    client = person(columns, rows)
    text = "select a_rather_long_column_name from b;"
    client.type(text + "\r")
    assert await editor_of(client).line("=> ") == text
    assert "".join(shown_now(client)) == "=> " + text


@pytest.mark.parametrize(("columns", "rows"), [(0, 0), (1, 1), (100000, 100000)])
async def test_sizes_that_no_terminal_has_do_no_harm(columns: int, rows: int) -> None:
    client = person(columns, rows)
    client.type("select 1;\r")
    assert await editor_of(client).line("=> ") == "select 1;"


async def test_a_window_change_redraws_and_is_passed_on() -> None:
    client = person()
    told: list[Terminal] = []
    editor = editor_of(client, on_resize=told.append)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(editor.line("=> "))
        client.type("select something long enough;")
        await client.sees("enough;")
        before = client.output
        client.resize(20, 5)
        await client.sees(b"=> ", times=before.count(b"=> ") + 1)
        client.type("\r")
    assert task.result() == "select something long enough;"
    assert [(t.columns, t.rows) for t in told] == [(20, 5)]
    client.resize(30, 5)  # between prompts nothing is drawn
    assert client.output.count(b"=> ") >= 2


async def test_text_beyond_the_limit_is_not_taken() -> None:
    client = person()
    for _ in range(40):
        client.type("x" * 4096)
    client.type("\x01\x0b\x19\x19\x19\r\x7f;\r")
    text = await editor_of(client).line("=> ")
    assert text is not None
    assert 28 * 1024 < len(text) <= 32 * 1024


async def test_without_a_terminal_lines_are_read_and_nothing_is_drawn() -> None:
    client = FakeClient()
    editor = editor_of(client)
    client.type(b"select\r\n1;\nselect 2;\n\nha")
    client.type(b"lf \xff")
    client.end()
    lines = [await editor.line("=> ") for _ in range(5)]
    assert lines == ["select\n1;", "select 2;", "", "half �", None]
    assert client.output == b""


TYPED = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=20).map(str.encode),
    st.sampled_from([b"\x1b", b"\x1bgg", b"dd", b"yyp", b"99p", b"\x1bo", b"/a\r", b"v", b"\t"]),
)


@pytest.mark.parametrize("vi", [False, True])
@given(st.lists(TYPED, max_size=8))
@settings(max_examples=60, deadline=None)
def test_no_bytes_break_it(vi: bool, pieces: list[bytes]) -> None:
    async def typed() -> None:
        client = person(40, 8)
        editor = editor_of(client, paint=sql, complete=lambda _: Found("", ("a", "b")))
        editor.vi = vi
        for piece in pieces:
            if piece:
                client.type(piece)
        client.end()
        while True:
            try:
                if await editor.line("=> ") is None:
                    return
            except Interrupted:
                continue

    asyncio.run(asyncio.wait_for(typed(), 10))
