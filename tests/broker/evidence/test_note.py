"""Signed notes and checkpoints: the published example is accepted, every changed byte refused."""

from __future__ import annotations

import random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.evidence.note import Checkpoint, NoteError, VerifierKey, opened, signed

# The example of the format's Go implementation (golang.org/x/mod/sumdb/note).
KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
NOTE = (
    TEXT + "\n\N{EM DASH} PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    "\n"
)

PRIVATE = Ed25519PrivateKey.generate()
OURS = VerifierKey.of("interlock/node1", PRIVATE)
HEAD = Checkpoint("interlock/node1", 300, bytes(range(32)))


def test_the_published_note_and_key_are_accepted() -> None:
    assert opened(NOTE.encode(), VerifierKey.parse(KEY)) == TEXT


def test_what_we_sign_is_read_back() -> None:
    note = signed(HEAD.text, OURS.name, PRIVATE)
    assert Checkpoint.parse(opened(note, VerifierKey.parse(str(OURS)))) == HEAD


def test_no_changed_byte_goes_unseen() -> None:
    note = signed(HEAD.text, OURS.name, PRIVATE)
    dice = random.Random(7)  # noqa: S311
    for at in range(len(note)):
        for changed in (
            note[:at] + bytes([note[at] ^ 1 << dice.randrange(8)]) + note[at + 1 :],
            note[:at] + note[at + 1 :],
            note[:at] + b"\n" + note[at:],
            note[:at] + b"A" + note[at:],
        ):
            if changed != note:
                with pytest.raises(NoteError):
                    opened(changed, OURS)


@pytest.mark.parametrize("tail", [b"\n", b" ", b"\xe2\x80\x94 witness AAAAAAAA\n"])
def test_nothing_may_follow_our_signature(tail: bytes) -> None:
    with pytest.raises(NoteError):
        opened(signed(HEAD.text, OURS.name, PRIVATE) + tail, OURS)


def test_another_key_under_our_name_is_refused() -> None:
    note = signed(HEAD.text, OURS.name, Ed25519PrivateKey.generate())
    with pytest.raises(NoteError):
        opened(note, OURS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\n",
        "a\n01\n" + "A" * 43 + "=\n",
        "a\n-1\n" + "A" * 43 + "=\n",
        "a\n1\nAAAA\n",
        "a\n1\n" + "A" * 42 + "B=\n",
        "a\n1\n" + "A" * 43 + "=\nmore\n",
        "\n1\n" + "A" * 43 + "=\n",
        "a\n" + "9" * 30 + "\n" + "A" * 43 + "=\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    "line", ["", "a+b", KEY + "=", KEY + "\n", KEY.replace("c7", "C7"), "x" + KEY, KEY[:-4]]
)
def test_what_is_no_key_is_refused(line: str) -> None:
    with pytest.raises(NoteError):
        VerifierKey.parse(line)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\n"])
def test_a_name_that_could_not_be_read_back_is_refused(name: str) -> None:
    with pytest.raises(NoteError):
        VerifierKey.of(name, PRIVATE)


def test_the_private_key_is_in_no_repr() -> None:
    assert "private" not in repr(OURS).lower()
