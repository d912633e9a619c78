"""RFC 6962 Merkle trees over SHA-256: roots, inclusion proofs, consistency proofs; pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EMPTY = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """The hash of an entry; the prefix keeps leaves and nodes apart."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def peaks(hashes: Iterable[bytes]) -> list[bytes]:
    """The roots of the largest perfect subtrees over equally high hashes, left to right."""
    stack: list[tuple[int, bytes]] = []
    for leaf in hashes:
        height, current = 0, leaf
        while stack and stack[-1][0] == height:
            height, current = height + 1, node_hash(stack.pop()[1], current)
        stack.append((height, current))
    return [peak for _, peak in stack]


def fold(ordered: Sequence[bytes]) -> bytes:
    """The root over peaks, the highest first."""
    if not ordered:
        return EMPTY
    result = ordered[-1]
    for peak in reversed(ordered[:-1]):
        result = node_hash(peak, result)
    return result


def root(leaves: Sequence[bytes]) -> bytes:
    """The root of a tree with these leaf hashes."""
    return fold(peaks(leaves))


def inclusion_proof(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """The hashes that lead from one leaf to the root, the lowest first (RFC 6962 2.1.1)."""
    if not 0 <= index < len(leaves):
        msg = "no such leaf"
        raise ValueError(msg)
    if len(leaves) == 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*inclusion_proof(index, leaves[:split]), root(leaves[split:])]
    return [*inclusion_proof(index - split, leaves[split:]), root(leaves[:split])]


def consistency_proof(old: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Proof that the tree of the first `old` leaves is a prefix of this one (RFC 6962 2.1.2)."""
    if not 0 < old <= len(leaves):
        msg = "no such earlier tree"
        raise ValueError(msg)
    return _consistency(old, leaves, whole=True)


def _consistency(old: int, leaves: Sequence[bytes], *, whole: bool) -> list[bytes]:
    if old == len(leaves):
        return [] if whole else [root(leaves)]
    split = _split(len(leaves))
    if old <= split:
        return [*_consistency(old, leaves[:split], whole=whole), root(leaves[split:])]
    return [*_consistency(old - split, leaves[split:], whole=False), root(leaves[:split])]


def includes(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes
) -> bool:
    """Does the proof show that `leaf` is at `index` in the tree? (RFC 9162 2.1.3.2)"""
    if not 0 <= index < size:
        return False
    place, last, result = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            result = node_hash(sibling, result)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and result == expected_root


def consistent(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Does the proof show that the older tree is a prefix of the newer? (RFC 9162 2.1.4.2)"""
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        return False
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    older = newer = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            older, newer = node_hash(sibling, older), node_hash(sibling, newer)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            newer = node_hash(newer, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and older == old_root and newer == new_root


def _split(size: int) -> int:
    """The largest power of two smaller than `size`."""
    return 1 << (size - 1).bit_length() - 1
