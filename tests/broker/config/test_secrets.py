from __future__ import annotations

import pickle
import traceback
from typing import TYPE_CHECKING

import pytest

from broker.config import secrets
from broker.config.secrets import Secret, check, open_to_others, resolve
from broker.errors import InterlockError
from broker.targets import SecretSource

if TYPE_CHECKING:
    from pathlib import Path


def program(folder: Path, script: str) -> SecretSource:
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return SecretSource(command=(str(path), "one", "$HOME; two"))


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret("hunter2")
    shown = f"{secret} {secret!r} {[secret]} %s" % secret
    assert "hunter2" not in shown
    assert shown.count("***") == 4
    assert secret.reveal() == "hunter2"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_from_the_environment_that_is_given() -> None:
    source = SecretSource(env="NAME")
    assert resolve(source, {"NAME": "hunter2"}).reveal() == "hunter2"
    assert check(source, {}) == "the environment variable NAME is not set"
    assert check(source, {"NAME": ""}) is not None


@pytest.mark.parametrize(
    ("content", "secret"),
    [(b"x\n", "x"), (b"x\r\n", "x"), (b"x\n\n", "x\n"), (b" x ", " x "), ("ü".encode(), "ü")],
)
def test_from_a_file_without_its_line_end(tmp_path: Path, content: bytes, secret: str) -> None:
    path = tmp_path / "f"
    path.write_bytes(content)
    assert resolve(SecretSource(file=path), {}).reveal() == secret


@pytest.mark.parametrize("content", [b"", b"\n", b"a\0b", b"\xffhunter2", b"x" * 70_000])
def test_a_file_that_holds_no_secret(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f"
    path.write_bytes(content)
    problem = check(SecretSource(file=path), {})
    assert problem is not None
    assert "hunter2" not in problem


def test_a_file_that_is_not_one(tmp_path: Path) -> None:
    assert "is not there" in str(check(SecretSource(file=tmp_path / "none"), {}))
    assert "is not a file" in str(check(SecretSource(file=tmp_path), {}))


def test_from_a_program_without_shell_or_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAK", "leaked")
    source = program(tmp_path, 'echo "$# $2 [$LEAK]"')
    assert resolve(source, {"LEAK": "leaked"}).reveal() == "2 $HOME; two []"


def test_a_check_does_not_run_the_program(tmp_path: Path) -> None:
    source = program(tmp_path, f"touch {tmp_path}/ran; echo x")
    assert check(source, {}) is None
    assert not (tmp_path / "ran").exists()
    assert "cannot be run" in str(check(SecretSource(command=("no-such-program",)), {}))
    assert check(SecretSource(command=()), {}) is not None


@pytest.mark.parametrize(
    "script", ["echo hunter2; exit 3", "echo hunter2 >&2", "printf 'hunter2\\377'", "exec sleep 60"]
)
def test_a_program_that_fails_does_not_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr(secrets, "TIMEOUT_S", 0.5)
    with pytest.raises(InterlockError) as caught:
        resolve(program(tmp_path, script), {})
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_no_source_is_no_secret() -> None:
    with pytest.raises(InterlockError):
        resolve(SecretSource(), {})


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o644, 0o660, 0o604])
def test_a_private_file_is_closed_to_others(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "key"
    file.write_text("x")
    file.chmod(mode)
    assert (open_to_others(file) is None) == (mode in {0o600, 0o400})
