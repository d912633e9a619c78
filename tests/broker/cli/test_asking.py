"""ssh's ways to end, as the exit codes of the contract; a program stands in for ssh."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from broker.cli.asking import ask
from broker.errors import InterlockError


def asked(token: bytes = b"", issuer: str | None = None) -> tuple[bytes, str]:
    narration = io.BytesIO()
    answer = ask(
        host="broker",
        port=2222,
        key=Path("/k"),
        token=token,
        issuer=issuer,
        options=["ProxyJump=x"],
        narration=narration,
    )
    return answer, narration.getvalue().decode()


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program named ssh, first on the PATH; the test writes what it does."""
    file = tmp_path / "ssh"
    file.touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return file


def test_a_token_goes_by_standard_input_and_never_by_the_command_line(ssh: Path) -> None:
    ssh.write_text('#!/bin/sh\necho "$@"; cat\n')
    answer, _ = asked(b"secret", issuer="corp")
    words, given = answer.split(b"\n", 1)
    assert given == b"secret"
    assert b"secret" not in words
    assert words.decode() == (
        "-F none -p 2222 -i /k -o IdentitiesOnly=yes -o ProxyJump=x -T -l login -- broker"
    )


def test_without_a_token_a_terminal_is_asked_for_and_the_issuer_named(ssh: Path) -> None:
    ssh.write_text('#!/bin/sh\necho "$@"; cat\n')
    answer, _ = asked(issuer="corp")
    assert answer.decode().split()[-5:] == ["-l", "login", "--", "broker", "corp"]
    assert b"-tt" in answer


@pytest.mark.parametrize(
    ("says", "ends", "code"),
    [
        ("interlock: no", 77, 77),
        ("interlock: later", 75, 75),
        ("interlock: what", 64, 64),
        ("odd", 3, 70),
        ("u@broker: Permission denied (publickey).", 255, 77),
        ("Host key verification failed.", 255, 77),
        ("ssh: connect to host broker port 2222: Connection refused", 255, 69),
    ],
)
def test_every_end_has_its_code_and_what_was_said_is_passed_on(
    ssh: Path, says: str, ends: int, code: int
) -> None:
    ssh.write_text(f'#!/bin/sh\necho "{says}" >&2; exit {ends}\n')
    narration = io.BytesIO()
    with pytest.raises(InterlockError) as failed:
        ask(
            host="broker",
            port=1,
            key=Path("/k"),
            token=b"t" * 20_000,
            issuer=None,
            options=[],
            narration=narration,
        )
    assert failed.value.code == code
    assert narration.getvalue().decode() == f"{says}\n"


def test_line_ends_are_plain_and_ssh_says_no_farewell(ssh: Path) -> None:
    ssh.write_text(
        "#!/bin/sh\nprintf 'one\\r\\ntwo\\r\\nConnection to broker closed.\\r\\n' >&2\n"
        "head -c 200000 /dev/zero\n"
    )
    answer, said = asked()
    assert said == "one\ntwo\n"
    assert len(answer) == 64 * 1024, "no more is taken, and nobody waits for somebody"


def test_no_ssh_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InterlockError, match="there is no ssh program here") as failed:
        asked()
    assert failed.value.code == 64
