"""Which files a tree is made of: the published names, and a frontier that agrees with the tree."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.evidence import merkle
from broker.evidence.tiles import (
    ENTRIES,
    WIDTH,
    Frontier,
    Tile,
    bundle,
    parse_path,
    required,
    unbundle,
)


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0, 256), "tile/0/000"),
        (Tile(0, 1, 44), "tile/0/001.p/44"),
        (Tile(ENTRIES, 1234067, 256), "tile/entries/x001/x234/067"),
        (Tile(2, 1000, 1), "tile/2/x001/000.p/1"),
        (Tile(63, 999, 255), "tile/63/999.p/255"),
    ],
)
def test_names_are_those_of_the_format(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert parse_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/1",
        "tile/00/000",
        "tile/0/x000/001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/64/000",
        "tile/0/000/",
        "tile/0/000\n",
        "tile/0/٠٠٠",
        "checkpoint",
    ],
)
def test_no_other_name_is_a_tile(path: str) -> None:
    assert parse_path(path) is None


@given(st.integers(0, 255), st.integers(0, 10**9), st.integers(1, 256))
def test_every_name_is_read_back(level: int, index: int, width: int) -> None:
    tile = Tile(level % 64, index, width)
    assert parse_path(tile.path) == tile


def test_required_files_of_the_format_s_own_example() -> None:
    tiles = {tile.path for tile in required(70_000)}
    assert {"tile/0/272", "tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17"} <= tiles
    assert {"tile/2/000.p/1", "tile/entries/273.p/112"} <= tiles
    assert len(tiles) == 2 * 274 + 3
    assert required(0) == set()


@settings(max_examples=20)
@given(st.integers(0, 2 * WIDTH + 3))
def test_a_frontier_is_the_tree_and_tells_of_exactly_the_files_required(size: int) -> None:
    leaves = [merkle.leaf_hash(b"%d" % number) for number in range(size)]
    frontier, tiles = Frontier(), set()
    for leaf in leaves:
        tiles |= {Tile(level, index, len(hashes)) for level, index, hashes in frontier.add(leaf)}
    tiles |= {Tile(level, index, len(hashes)) for level, index, hashes in frontier.partials()}
    assert frontier.root() == merkle.root(leaves)
    assert tiles == {tile for tile in required(size) if tile.level != ENTRIES}


def test_three_levels_grow_as_the_tree_does() -> None:
    frontier, size = Frontier(), WIDTH * WIDTH + WIDTH + 1
    leaf = merkle.leaf_hash(b"x")
    for _ in range(size):
        frontier.add(leaf)
    assert [len(hashes) for hashes in frontier.levels] == [1, 1, 1]
    assert frontier.root() == merkle.root([leaf] * size)


@given(st.lists(st.binary(max_size=300)))
def test_bundles_come_out_even(entries: list[bytes]) -> None:
    assert unbundle(bundle(entries)) == entries


@pytest.mark.parametrize("data", [b"\0", b"\0\1", b"\0\3ab", b"\0\0\0"])
def test_a_bundle_cut_short_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="cut off"):
        unbundle(data)
