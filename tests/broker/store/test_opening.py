"""The store that the configuration names, and the names of the nodes on it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from broker.errors import EvidenceFailure, ExitCode, StoreAway
from broker.store.opening import opened
from broker.store.sqlite import FILE
from tests.fixtures.postgres import free_port

if TYPE_CHECKING:
    from pathlib import Path


def test_sqlite_is_one_file_of_one_node(tmp_path: Path) -> None:
    with opened("sqlite", tmp_path) as stores:
        assert (tmp_path / FILE).exists()
        assert (stores.nodes.name, stores.own) == (socket.gethostname(), None)
    with pytest.raises(EvidenceFailure):
        stores.store.list_sessions()


def test_two_nodes_of_one_host_have_two_names_that_a_restart_keeps(
    tmp_path: Path, shared_dsn: str
) -> None:
    names = []
    for state in ("a", "b", "a"):
        (tmp_path / state).mkdir(exist_ok=True)
        with opened(shared_dsn, tmp_path / state) as stores:
            names.append(stores.nodes.name)
            assert stores.own == stores.nodes.name
    assert names[0] == names[2] != names[1]
    assert all(name.startswith(socket.gethostname() + "-") for name in names)
    assert not (tmp_path / "a" / FILE).exists()


def test_without_a_place_for_its_name_there_is_no_node(tmp_path: Path, shared_dsn: str) -> None:
    with (
        pytest.raises(EvidenceFailure, match="the node has no name"),
        opened(shared_dsn, tmp_path / "nowhere"),
    ):
        pytest.fail("it was opened")


def test_a_store_that_is_not_there_is_a_sentence_without_its_password(tmp_path: Path) -> None:
    dsn = f"postgresql://u:hunter2@127.0.0.1:{free_port()}/x?sslmode=disable"
    with (
        pytest.raises(StoreAway, match="the store cannot be reached: ") as failed,
        opened(dsn, tmp_path),
    ):
        pytest.fail("it was opened")
    assert failed.value.code is ExitCode.TRY_LATER
    assert "hunter2" not in str(failed.value)
    assert failed.value.__cause__ is None
