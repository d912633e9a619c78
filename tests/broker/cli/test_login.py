"""The small decisions of `interlock login`: which broker, which key, and how fast it is."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from broker.cli import login
from broker.cli.main import main, parser

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("broker.example.com", ("broker.example.com", 2222)),
        ("broker:22", ("broker", 22)),
        ("10.0.0.7:2200", ("10.0.0.7", 2200)),
        ("[::1]:2200", ("::1", 2200)),
        ("[fe80::1]", ("fe80::1", 2222)),
    ],
)
def test_the_address_of_a_broker(address: str, place: tuple[str, int]) -> None:
    assert login._place(address) == place


@pytest.mark.parametrize(
    "words",
    [
        ["-oProxyCommand=true"],
        ["--", "-oProxyCommand=true"],
        ["broker:0"],
        ["broker:70000"],
        ["::1"],
        ["ann@broker"],
        ["*.example.com"],
        ["broker example"],
        ["broker\nHost *"],
        ["--issuer", "-oProxyCommand=true", "broker"],
        ["--issuer", "a b", "broker"],
        ["broker", "--print", "-o", "ProxyJump"],
        ["broker", "--print", "--key", 'a"b'],
        ["broker", "--print", "--renew"],
        [],
    ],
)
def test_wrong_words_are_a_sentence_and_64(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["login", *words])
    except SystemExit as ended:
        code = int(str(ended.code))
    assert code == 64
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("interlock: ")


def test_the_first_key_that_is_not_rsa(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".ssh"
    folder.mkdir()
    (folder / "id_rsa").touch()
    assert login._chosen(None) == folder / "id_ed25519"
    (folder / "id_ecdsa").touch()
    assert login._chosen(None) == folder / "id_ecdsa"
    (folder / "id_ed25519").touch()
    assert login._chosen(None) == folder / "id_ed25519"


def test_a_public_half_means_its_key(tmp_path: Path) -> None:
    assert login._chosen(tmp_path / "key.pub") == tmp_path / "key"


def test_print_shows_the_block_and_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["login", "broker:22", "--print", "--token", "/run/token"]) == 0
    shown = capsys.readouterr()
    assert "Match originalhost broker !user login exec " in shown.out
    assert "login --renew --key" in shown.out
    assert "--token /run/token broker:22" in shown.out
    assert shown.err == ""
    assert list(tmp_path.iterdir()) == []


def test_a_second_login_says_that_it_waits_for_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = threading.Event()

    def second() -> None:
        with login._alone(tmp_path):
            ended.set()

    with login._alone(tmp_path):
        waiting = threading.Thread(target=second)
        waiting.start()
        while "another login with a key in" not in capsys.readouterr().err:
            assert not ended.is_set()
    waiting.join(10)
    assert ended.is_set()


def test_help_lists_it_with_the_others() -> None:
    text = parser().format_help()
    assert "login" in text
    assert "serve" in text


def test_a_renewal_pays_for_no_imports_of_the_broker(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom broker.cli.main import main\n"
        f"main(['login', '--renew', '--key', {str(tmp_path / 'key')!r}, 'broker'])\n"
        "print(sorted({'asyncio', 'asyncssh', 'httpx', 'yaml', 'postgast'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,
    )
    assert ran.stdout == "[]\n"
