"""What is left behind, read by programs that share nothing with ours."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pexpect
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.fixtures.oidc import provider
from tests.fixtures.served import Served, interlock, issuers, serving, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.company import Company

pytestmark = pytest.mark.peer

SMALL = """\
listen: 127.0.0.1:0
state: state
drain: 1s
%s
targets:
  box: {kind: command, argv: [/bin/sh], cwd: /}
rules:
  - {name: all, who: ["*"], targets: [box], allow: {commands: ["echo **", "sleep *"]}}
masking: {detect: [email]}
"""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Served]:
    """A broker of the test's own with one session in its log, and `one` who made it."""
    with (
        provider("ES256") as corp,
        provider("RS256") as ci,
        serving(tmp_path, SMALL % issuers(corp, ci)) as broker,
    ):
        one = broker.person("one", corp.token(email="one@acme.example", groups=["auditors"]))
        assert one.ssh("box", "echo mail to one@example.com").returncode == 0
        yield broker


# -- C2SP, from the specifications --------------------------------------------------------------


def _hash(kind: bytes, data: bytes) -> bytes:
    return hashlib.sha256(kind + data).digest()


def _root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return _hash(b"\1", _root(leaves[:split]) + _root(leaves[split:]))


def _path(n: int) -> str:
    name = f"{n % 1000:03d}"
    while n := n // 1000:
        name = f"x{n % 1000:03d}/{name}"
    return name


def _tile(log: Path, level: str, n: int, width: int) -> bytes:
    path = log / "tile" / level / _path(n)
    return (path if width == 256 else path.with_name(path.name + ".p") / str(width)).read_bytes()


def _signed_head(state: Path) -> tuple[int, bytes]:
    name, key_id, key = (state / "keys" / "log.pub").read_text().strip().split("+", 2)
    public = base64.b64decode(key)
    assert public[:1] == b"\1"
    assert bytes.fromhex(key_id) == hashlib.sha256(f"{name}\n".encode() + public).digest()[:4]
    text, _, signatures = (state / "log" / "checkpoint").read_text().partition("\n\n")
    by, signature = re.fullmatch(r"— (\S+) (\S+)\n", signatures).groups()  # type: ignore[union-attr]
    raw = base64.b64decode(signature)
    assert (by, raw[:4].hex()) == (name, key_id)
    Ed25519PublicKey.from_public_bytes(public[1:]).verify(raw[4:], f"{text}\n".encode())
    origin, size, root = text.split("\n")[:3]
    assert origin == name
    return int(size), base64.b64decode(root)


def _entries(state: Path) -> list[dict[str, Any]]:
    """Every entry, after the whole tree was checked against the signed head."""
    size, root = _signed_head(state)
    raw: list[bytes] = []
    for n in range((size + 255) // 256):
        width = min(256, size - 256 * n)
        bundle, level0 = _tile(state / "log", "entries", n, width), b""
        while bundle:
            length = int.from_bytes(bundle[:2], "big")
            raw.append(bundle[2 : 2 + length])
            level0 += _hash(b"\0", raw[-1])
            bundle = bundle[2 + length :]
        assert level0 == _tile(state / "log", "0", n, width)
    assert len(raw) == size
    assert _root([_hash(b"\0", entry) for entry in raw]) == root
    for entry in raw:
        value = json.loads(entry, parse_float=pytest.fail)
        assert entry == json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    return [json.loads(entry) for entry in raw]


def test_the_log_is_what_the_specifications_say(small: Served) -> None:
    assert small.stop() == 0
    entries = _entries(small.state)
    kinds = [entry["type"] for entry in entries]
    for kind in ("login.granted", "session.opened", "statement.judged", "recording.close"):
        assert kind in kinds
    assert kinds.index("session.opened") < kinds.index("statement.judged")
    leaks = [entry for entry in entries if "one@example.com" in json.dumps(entry)]
    assert leaks == []
    chunks = [entry["rec"] for entry in entries if entry["type"] == "recording.chunk"]
    (cast,) = (small.state / "recordings").rglob("*.cast")
    whole = cast.read_bytes()
    for chunk in chunks:
        data = whole[chunk["off"] : chunk["off"] + chunk["len"]]
        assert chunk["sha256"] == hashlib.sha256(data).hexdigest()
    assert sum(chunk["len"] for chunk in chunks) == len(whole)


def test_any_flipped_cut_or_removed_byte_is_found(small: Served) -> None:
    assert small.verify() == {"ok": True, "entries": _count(small), "recordings": 1, "problems": []}
    small.stop()
    _attack(small, random.Random(2))  # noqa: S311 - flips, not secrets
    assert small.verify()["ok"]


def test_a_flip_is_found_while_the_broker_runs(small: Served) -> None:
    (cast,) = (small.state / "recordings").rglob("*.cast")
    until(lambda: small.verify()["ok"])
    _flipped(cast, random.Random(3))  # noqa: S311 - flips, not secrets
    report = small.verify()
    assert not report["ok"]
    assert any(cast.name in problem for problem in report["problems"])


def _count(broker: Served) -> int:
    until(lambda: broker.verify()["entries"] == len(broker.events()))
    return len(broker.events())


def _flipped(path: Path, chance: random.Random) -> bytes:
    before = path.read_bytes()
    changed = bytearray(before)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    path.write_bytes(bytes(changed))
    return before


def _attack(broker: Served, chance: random.Random) -> None:
    from broker.evidence.verify import verify  # in this process: a hundred interpreters are slow

    files = [
        path
        for folder in ("log", "recordings")
        for path in (broker.state / folder).rglob("*")
        if path.is_file() and path.stat().st_size
    ]
    for path in files:
        for _ in range(12):
            before = _flipped(path, chance)
            assert not verify(broker.state).ok, path
            path.write_bytes(before)
        for changed in (before[:-1], before + b"\n", b""):
            path.write_bytes(changed)
            assert not verify(broker.state).ok, (path, changed[-20:])
        path.unlink()
        assert not verify(broker.state).ok, path
        path.write_bytes(before)


def test_the_recording_says_who_where_and_what(company: Company) -> None:
    words = ("-o", "SetEnv=INTERLOCK_REASON=INC-77", "box")
    script = "echo one\ncat notes.txt\nrm x\n"
    assert company.engineer.ssh(*words, given=script).returncode == 77
    header, *events = company.engineer.recording()
    assert header["version"] == 2
    told = header["interlock"]
    assert told["identity"] == "human:ann@acme.example@corp"
    assert (told["target"], told["reason"], told["acting_for"]) == ("box", "INC-77", None)
    assert told["config"] == hashlib.sha256(company.broker.file.read_bytes()).hexdigest()
    assert told["node"]
    labels = [data for _, code, data in events if code == "m"]
    assert labels == [
        "allow shells: echo one",
        "allow shells: cat notes.txt",
        "mask credit_card x1",
        "mask email x1",
        "deny default: rm x",
    ]
    assert [code for _, code, _ in events][-1] == "x"
    assert events[-1][2] == "77"
    times = [time for time, _, _ in events]
    assert times == sorted(times)
    shown = "".join(data for _, code, data in events if code == "o")
    assert "ann@example.com" not in shown
    assert "4111" not in shown


def test_a_recording_without_a_terminal_plays_straight(company: Company) -> None:
    assert company.engineer.ssh("box", "printf 'a\\nb\\r\\nc\\n'; ls /nowhere").returncode == 2
    shown = "".join(e[2] for e in company.engineer.recording()[1:] if e[1] == "o")
    assert "a\r\nb\r\nc\r\n" in shown
    assert not re.search(r"(?<!\r)\n", shown)
    played = _played(company)
    assert "\r\nb\r\nc\r\n" in played


def _played(company: Company) -> str:
    session = company.engineer.json("sessions")[0]["id"]
    (path,) = (company.broker.state / "recordings").rglob(f"{session}.cast")
    stock = Path(sys.executable).with_name("asciinema")
    player = pexpect.spawn(str(stock), ["play", str(path)], timeout=20, encoding="utf-8")
    player.expect(pexpect.EOF)
    player.close()
    assert player.exitstatus == 0
    return str(player.before)


def test_playing_goes_on_when_nothing_is_typed(company: Company) -> None:
    company.engineer.ssh("box", "echo played")
    session = company.auditor.json("sessions")[0]["id"]
    words = ("-tt", "broker", f"play {session} --speed 20")
    ran = company.auditor.ssh(*words, given="")
    assert ran.returncode == 0
    assert "played\r\n" in ran.stdout
    piped = company.auditor.ssh("broker", f"play {session}")
    assert json.loads(piped.stdout.splitlines()[0])["version"] == 2


def test_the_files_are_enough_without_secrets_or_a_good_configuration(small: Served) -> None:
    small.stop()
    small.file.write_text(small.file.read_text() + "rulez: []\n")
    assert interlock("verify", "--config", str(small.file)).returncode == 0
    session = next(iter((small.state / "recordings").rglob("*.cast"))).stem
    played = interlock("play", session, "--config", str(small.file))
    assert played.returncode == 0
