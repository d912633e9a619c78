"""Attacks on a PostgreSQL target, by stock clients and raw sockets; its own log is the witness."""

from __future__ import annotations

import json
import socket
import struct
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.fixtures.forward import forwarded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.demo import Demo

pytestmark = pytest.mark.peer

CORPUS = Path(__file__).parents[1] / "corpus"
_PSQL_ONLY = """pg-010 pg-038 pg-039 pg-040 pg-041 pg-044 pg-048 pg-051 pg-052 pg-055 pg-056
    pg-058 pg-060 pg-061 pg-062 pg-064"""
PSQL_ONLY = _PSQL_ONLY.split()


def _scripts() -> dict[str, str]:
    """What the corpora type into psql, and what nobody may let through."""
    found = {}
    for case in yaml.safe_load((CORPUS / "evasions.yaml").read_text())["cases"]:
        if case["id"] in PSQL_ONLY:
            found[case["id"]] = case["input"]
    for case in yaml.safe_load((CORPUS / "sql_evasions.yaml").read_text())["cases"]:
        typed = [str(each) for each in case.get("messages", ())]
        if typed and all(each.startswith("psql: ") for each in typed):
            found[case["id"]] = "".join(each.removeprefix("psql: ") + "\n" for each in typed)
    return found


SCRIPTS = _scripts()


@pytest.mark.parametrize("case", sorted(SCRIPTS))
def test_no_trick_of_psql_gets_past_the_relay(demo: Demo, case: str) -> None:
    after = f"SELECT 'after {case}';\n"
    ran = demo.ssh("orders@agent", given=SCRIPTS[case] + after)
    assert ran.returncode in {65, 77}, ran.stderr
    assert "interlock: " in ran.stderr
    assert not demo.database_saw(f"after {case}")
    assert not demo.database_saw("DROP TABLE")
    assert not demo.database_saw("DELETE FROM users")


@pytest.mark.parametrize("text", ["SELECT :'PROMPT1'", "SELECT 1 AS :PROMPT1", "SELECT :PROMPT2"])
def test_the_marker_of_the_prompts_is_not_told_to_anybody(demo: Demo, text: str) -> None:
    ran = demo.ssh("orders@agent", text, json_format=True)
    assert ran.returncode == 77
    denial = json.loads(ran.stderr)
    assert "marker" in denial["reason"]
    assert "[marker]" in denial["statement"]
    assert "%R" in denial["statement"], "psql no longer shows its prompt: the test proves nothing"
    assert not demo.database_saw("%R%x")


# -- raw messages ---------------------------------------------------------------------------------


def frame(kind: str, body: bytes = b"") -> bytes:
    return kind.encode() + struct.pack(">I", len(body) + 4) + body


def query(text: bytes) -> bytes:
    return frame("Q", text + b"\0")


def parse(name: bytes, text: bytes) -> bytes:
    return frame("P", name + b"\0" + text + b"\0\0\0")


def bind(portal: bytes, name: bytes) -> bytes:
    return frame("B", portal + b"\0" + name + b"\0" + bytes(6))


def execute(portal: bytes) -> bytes:
    return frame("E", portal + bytes(5))


SYNC = frame("S")


class Raw:
    """A socket that says what it likes."""

    def __init__(self, wire: socket.socket) -> None:
        self.wire = wire
        self._held = b""

    def start(self, **parameters: str) -> list[tuple[str, bytes]]:
        pairs = {"user": "me", **parameters}
        text = b"".join(f"{name}\0{value}\0".encode() for name, value in pairs.items())
        packet = struct.pack(">I", 3 << 16) + text + b"\0"
        self.wire.sendall(struct.pack(">I", len(packet) + 4) + packet)
        return self.until_ready()

    def ask(self, *messages: bytes) -> list[tuple[str, bytes]]:
        self.wire.sendall(b"".join(messages))
        return self.until_ready()

    def until_ready(self) -> list[tuple[str, bytes]]:
        """Messages up to ReadyForQuery, or to the end of the connection."""
        found: list[tuple[str, bytes]] = []
        while not found or found[-1][0] != "Z":
            while len(self._held) < 5 or len(self._held) < 1 + self._size():
                data = self.wire.recv(65536)
                if not data:
                    return found
                self._held += data
            size = 1 + self._size()
            found.append((chr(self._held[0]), self._held[5:size]))
            self._held = self._held[size:]
        return found

    def _size(self) -> int:
        return int(struct.unpack(">I", self._held[1:5])[0])


@contextmanager
def raw(demo: Demo) -> Iterator[Raw]:
    with forwarded(demo, "agent") as port, socket.create_connection(("127.0.0.1", port)) as wire:
        wire.settimeout(20)
        yield Raw(wire)


DELETE = b"DELETE FROM refunds /* raw */"
SMUGGLED: dict[str, list[bytes]] = {
    "pw-002": [parse(b"", DELETE), bind(b"", b""), execute(b""), SYNC],
    "pw-005": [
        *(parse(b"", b"SELECT 1"), bind(b"", b""), execute(b"")),
        *(parse(b"", DELETE), bind(b"", b""), execute(b""), SYNC),
    ],
    "pw-007": [query(b"COPY refunds FROM STDIN"), frame("d", b"99\t1\traw\n"), frame("c")],
    "pw-015": [query(b"SELECT 1\0; " + DELETE)],
    "pw-020": [parse(b"d", DELETE), frame("D", b"Sd\0"), SYNC],
    "ext-pipeline-after-deny": [
        *(parse(b"a", DELETE), bind(b"", b"a"), execute(b"")),
        *(parse(b"b", b"SELECT 'raw'"), bind(b"", b"b"), execute(b""), SYNC),
    ],
    "ext-reuse-name": [
        *(parse(b"s", b"SELECT 1"), SYNC, frame("C", b"Ss\0"), parse(b"s", DELETE)),
        *(bind(b"p", b"s"), execute(b"p"), SYNC),
    ],
    "ext-sql-prepare-protocol-bind": [
        query(b"PREPARE x AS " + DELETE),
        *(bind(b"", b"x"), execute(b""), SYNC),
    ],
    "fastpath": [frame("F", struct.pack(">IhhIih", 964, 0, 1, 4, 16400, 0))],
    "lex-scs-off": [
        query(b"SET standard_conforming_strings = off"),
        query(b"SELECT '\\'; " + DELETE + b"; --'"),
    ],
}


@pytest.mark.parametrize("case", sorted(SMUGGLED))
def test_no_order_of_messages_smuggles_a_statement(demo: Demo, case: str) -> None:
    with raw(demo) as client:
        client.start()
        heard: list[tuple[str, bytes]] = []
        client.wire.sendall(b"".join(SMUGGLED[case]))
        for _ in range(sum(message[:1] in b"QSF" for message in SMUGGLED[case])):
            heard += client.until_ready()
        assert any(kind == "E" and b"interlock: " in body for kind, body in heard), heard
        assert any(kind == "D" and b"12" in body for kind, body in client.ask(COUNT)), "unusable"
    assert not demo.database_saw("/* raw */")
    assert not demo.database_saw("COPY refunds FROM")


COUNT = query(b"SELECT count(*) FROM (SELECT 1 FROM generate_series(1, 12)) AS twelve")


@pytest.mark.parametrize(
    "parameters",
    [
        {"options": "-c default_transaction_read_only=off -c role=admin"},
        {"options": "-c standard_conforming_strings=off"},
        {"client_encoding": "SJIS"},
        {"client_encoding": "BIG5"},
        {"replication": "database"},
        {"search_path": "pg_temp"},
        {"DateStyle": "ISO'; DROP TABLE orders --"},
    ],
    ids=lambda parameters: str(parameters)[:40],
)
def test_nothing_that_matters_can_be_set_at_the_start(
    demo: Demo, parameters: dict[str, str]
) -> None:
    with raw(demo) as client:
        ((kind, body),) = client.start(**parameters)
    assert kind == "E"
    assert b"interlock: " in body


def test_the_user_of_the_start_is_not_believed(demo: Demo) -> None:
    with raw(demo) as client:
        client.start(user="postgres", database="template1")
        heard = client.ask(query(b"SELECT current_user || '@' || current_database()"))
    assert [body[6:] for kind, body in heard if kind == "D"] == [b"app@orders"]


def test_bytes_sent_along_with_a_request_for_tls_are_refused(demo: Demo) -> None:
    packet = struct.pack(">II", 8, 80877103)
    with raw(demo) as client:
        client.wire.sendall(packet + packet)
        assert b"interlock: " in client.wire.recv(4096)


def test_a_second_statement_does_not_overtake_one_that_waits(demo: Demo) -> None:
    with raw(demo) as client:
        client.start()
        first, second = b"UPDATE orders SET cents = 7 WHERE id = 21", b"SELECT 'overtakes 21'"
        client.wire.sendall(query(first) + query(second))
        assert demo.waiting("id = 21")["state"] == "pending"
        assert not demo.database_saw("overtakes 21")
        client.wire.sendall(frame("X"))
        assert client.until_ready()[-1][0] == "N"
    assert not demo.database_saw("id = 21")
    assert not demo.database_saw("overtakes 21")


def test_an_approval_is_for_the_bound_values_and_for_one_run(demo: Demo) -> None:
    def bound(value: bytes) -> bytes:
        sized = struct.pack(">i", len(value)) + value
        return frame("B", b"\0u\0" + struct.pack(">hh", 0, 1) + sized + b"\0\0")

    def card(value: bytes) -> dict[str, Any]:
        client.wire.sendall(bound(value) + execute(b"") + SYNC)
        return demo.waiting("$1 WHERE id = 22")

    with raw(demo) as client:
        client.start()
        client.ask(parse(b"u", b"UPDATE orders SET cents = $1 WHERE id = 22"), SYNC)
        first = card(b"1")
        demo.ssh("broker@approver", f"approve {first['id']} --digest {first['digest']}")
        assert [kind for kind, _ in client.until_ready()] == ["N", "2", "C", "Z"]
        second = card(b"2")
        assert second["digest"] != first["digest"]
        old = demo.ssh("broker@approver", f"approve {second['id']} --digest {first['digest']}")
        assert old.returncode in {64, 77}
        demo.ssh("broker@approver", f"deny {second['id']} --reason no")
        assert [kind for kind, _ in client.until_ready()] == ["N", "E", "Z"]
        again = card(b"1")  # the same values once more: an approval is used up
        assert again["id"] not in {first["id"], second["id"]}
        client.wire.sendall(frame("X"))
