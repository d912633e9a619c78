"""RFC 6962 trees: known roots, and proofs that prove exactly what they should."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.evidence import merkle
from broker.evidence.merkle import (
    consistency_proof,
    consistent,
    includes,
    inclusion_proof,
    leaf_hash,
    root,
)

# The reference inputs and roots of the Certificate Transparency test vectors.
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"]
INPUTS.append("606162636465666768696a6b6c6d6e6f")
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

sizes = st.integers(1, 70)


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(b"%d" % number) for number in range(count)]


@pytest.mark.parametrize("count", range(1, 9))
def test_roots_are_the_published_ones(count: int) -> None:
    hashes = [leaf_hash(bytes.fromhex(text)) for text in INPUTS[:count]]
    assert root(hashes).hex() == ROOTS[count - 1]


def test_the_empty_tree_is_the_hash_of_nothing() -> None:
    assert root([]) == hashlib.sha256().digest()


@given(sizes, st.data())
def test_a_leaf_is_proved_where_it_is_and_nowhere_else(size: int, data: st.DataObject) -> None:
    tree, index = leaves(size), data.draw(st.integers(0, size - 1))
    proof, top = inclusion_proof(index, tree), root(tree)
    assert includes(tree[index], index, size, proof, top)
    elsewhere = data.draw(st.integers(-1, size))
    if elsewhere != index:
        assert not includes(tree[index], elsewhere, size, proof, top)
    assert not includes(leaf_hash(b"forged"), index, size, proof, top)
    assert not includes(tree[index], index, size, [*proof, bytes(32)], top)
    for at in range(len(proof)):
        forged = [*proof[:at], bytes(32), *proof[at + 1 :]]
        assert not includes(tree[index], index, size, forged, top)
        assert not includes(tree[index], index, size, proof[:at], top)


@given(sizes, st.data())
def test_a_prefix_is_proved_and_a_changed_past_is_not(size: int, data: st.DataObject) -> None:
    tree, old = leaves(size), data.draw(st.integers(1, size))
    proof, before, after = consistency_proof(old, tree), root(tree[:old]), root(tree)
    assert consistent(old, size, before, after, proof)
    changed = list(tree)
    changed[data.draw(st.integers(0, old - 1))] = leaf_hash(b"forged")
    assert not consistent(old, size, before, root(changed), consistency_proof(old, changed))
    assert not consistent(old, size, before, after, [*proof, bytes(32)])
    for at in range(len(proof)):
        assert not consistent(old, size, before, after, [*proof[:at], bytes(32), *proof[at + 1 :]])


def test_there_is_no_proof_of_what_is_not_there() -> None:
    for index in (-1, 3):
        with pytest.raises(ValueError, match="no such leaf"):
            inclusion_proof(index, leaves(3))
    for old in (0, 4):
        with pytest.raises(ValueError, match="no such earlier tree"):
            consistency_proof(old, leaves(3))
    assert not consistent(0, 3, merkle.EMPTY, root(leaves(3)), [])
    assert not consistent(4, 3, merkle.EMPTY, root(leaves(3)), [])
    assert not consistent(3, 5, merkle.EMPTY, merkle.EMPTY, [])
