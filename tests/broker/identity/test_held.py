"""A client's certificate is read as ssh-keygen made it, and garbage is no certificate."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING

import pytest
from asyncssh.packet import String
from hypothesis import given
from hypothesis import strategies as st

from broker.identity import held
from broker.identity.openssh import EXTENSION
from tests.broker.identity.forging import Forged, security_key
from tests.broker.identity.forging import forge as forge_field_by_field
from tests.broker.identity.samples import ssh_key
from tests.e2e.certified import forge, make_key

if TYPE_CHECKING:
    from pathlib import Path

KEYS = [
    ("-t", "ed25519"),
    ("-t", "ecdsa", "-b", "256"),
    ("-t", "ecdsa", "-b", "384"),
    ("-t", "ecdsa", "-b", "521"),
    ("-t", "rsa", "-b", "2048"),
]


@pytest.mark.parametrize("words", KEYS, ids=lambda words: "-".join(words[1:]))
@pytest.mark.peer
def test_it_is_read_as_ssh_keygen_made_it(tmp_path: Path, words: tuple[str, ...]) -> None:
    key, ca = make_key(tmp_path, "id", *words), make_key(tmp_path, "ca")
    forge(tmp_path / ca, tmp_path / key, "-V", "+0s:+5m")
    read = held.read((tmp_path / "id-cert.pub").read_text())
    assert read is not None
    assert read.ours
    assert read.key == held.public((tmp_path / "id.pub").read_text())
    assert 0 <= read.ends - time.time() <= 301
    assert 299 <= read.ends - read.begins <= 301


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_fido_keys_too(kind: str) -> None:
    key = security_key(kind)
    made = ssh_key(name="ca").generate_user_certificate(key, "who", principals=["ann"])
    read = held.read(made.export_certificate().decode())
    assert read is not None
    assert read.key == held.public(key.export_public_key().decode())
    assert not read.ours, "it lacks our extension"


@pytest.mark.parametrize(("kind", "ours"), [(1, True), (2, False)])
def test_a_host_certificate_is_not_ours(kind: int, *, ours: bool) -> None:
    marked = String(EXTENSION) + String("{}")
    made = forge_field_by_field(
        ssh_key(name="ca"), ssh_key(), Forged("x", ("ann",), 0, 9, marked, kind=kind)
    )
    read = held.read(made.export_certificate().decode())
    assert read is not None
    assert read.ours is ours


def test_the_mark_is_the_extension_that_the_broker_signs() -> None:
    assert held.MARK.decode() == EXTENSION


@pytest.mark.parametrize(
    ("life", "left", "good"),
    [(900, 61, True), (900, 59, False), (900, -1, False), (4, 1, True), (4, 0.3, False)],
)
def test_it_is_renewed_before_it_ends_but_not_all_the_time(
    life: int, left: float, *, good: bool
) -> None:
    one = held.Held(b"", begins=1000, ends=1000 + life, ours=True)
    assert one.good(1000 + life - left) is good


def line(data: bytes) -> str:
    return f"type {base64.b64encode(data).decode()} comment"


@given(st.one_of(st.text(max_size=200), st.binary(max_size=300).map(line)))
def test_garbage_is_no_certificate(text: str) -> None:
    assert held.read(text) is None
    assert isinstance(held.public(text), bytes)


GOOD = (
    ssh_key(name="ca")
    .generate_user_certificate(ssh_key(), "who", principals=["ann"])
    .export_certificate()
    .decode()
)


@given(st.integers(0, 400))
def test_a_part_of_a_certificate_is_none_or_tells_the_same(size: int) -> None:
    data = base64.b64decode(GOOD.split()[1])
    read = held.read(line(data[:size]))
    assert read in (None, held.read(GOOD))
    assert held.read(GOOD) is not None
