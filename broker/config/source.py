"""YAML text to a small tree that keeps its lines; nothing is interpreted beyond YAML itself.

One document, at most 1 MiB, no merge keys, no duplicate keys, no tags of other languages.
Anchors and aliases may save typing; what they stand for is counted in full, so that a small file
cannot stand for a huge one.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import yaml

from broker.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SIZE_LIMIT = 1024 * 1024
NODE_LIMIT = 50_000
DEPTH_LIMIT = 20
TAG = "tag:yaml.org,2002:"


class Problems:
    """Everything found wrong so far in one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[Problem] = []

    def add(self, line: int, message: str, hint: str = "") -> None:
        """Note one more, once."""
        problem = Problem(self.file, line, message, hint)
        if problem not in self.found:
            self.found.append(problem)

    def in_order(self) -> list[Problem]:
        """All of them, as they come in the file."""
        return sorted(self.found, key=lambda problem: problem.line)


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value; `type` is what YAML takes it for: str, int, float, bool, null or timestamp."""

    text: str
    type: str
    line: int


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Node, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Keys:
    """A mapping; `lines` says where each key is."""

    values: Mapping[str, Node]
    lines: Mapping[str, int]
    line: int


Node: TypeAlias = Scalar | Items | Keys


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint at the known word that was probably meant, or nothing."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else ""


def parse(data: bytes, problems: Problems) -> Node | None:
    """The document's tree; None, and a problem, when there is none to speak of."""
    if len(data) > SIZE_LIMIT:
        problems.add(1, f"the file is larger than {SIZE_LIMIT} bytes")
        return None
    try:
        root = yaml.compose(data.decode("utf-8-sig"), Loader=yaml.SafeLoader)
        if root is None:
            problems.add(1, "the file is empty")
            return None
        return _Reader(problems).read(root, 0)
    except _TooMuch as error:
        problems.add(error.line, str(error))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problems.add(mark.line + 1 if mark else 1, f"not YAML: {error.problem or error.context}")
    except RecursionError:
        problems.add(1, "nested too deeply")
    except (yaml.YAMLError, UnicodeDecodeError):
        problems.add(1, "not YAML: the file has bytes or characters that YAML does not allow")
    return None


class _TooMuch(Exception):
    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(slots=True)
class _Reader:
    problems: Problems
    count: int = field(default=0)

    def read(self, node: yaml.Node, depth: int) -> Node:
        line = node.start_mark.line + 1
        self.count += 1
        if self.count > NODE_LIMIT:
            msg = f"more than {NODE_LIMIT} values, aliases counted in full"
            raise _TooMuch(msg, line)
        if depth > DEPTH_LIMIT:
            msg = "nested too deeply"
            raise _TooMuch(msg, line)
        if isinstance(node, yaml.MappingNode):
            self._check_tag(node, "map", line)
            return self._keys(node, depth, line)
        if isinstance(node, yaml.SequenceNode):
            self._check_tag(node, "seq", line)
            return Items(tuple(self.read(item, depth + 1) for item in node.value), line)
        return self._scalar(node, line)

    def _scalar(self, node: yaml.Node, line: int) -> Scalar:
        kind = str(node.tag).removeprefix(TAG)
        if kind not in ("str", "int", "float", "bool", "null", "timestamp"):
            self.problems.add(line, f"the tag {node.tag} is not accepted here")
        return Scalar(str(node.value), kind, line)

    def _check_tag(self, node: yaml.Node, kind: str, line: int) -> None:
        if node.tag != TAG + kind:
            self.problems.add(line, f"the tag {node.tag} is not accepted here")

    def _keys(self, node: yaml.MappingNode, depth: int, line: int) -> Keys:
        values: dict[str, Node] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            at = key.start_mark.line + 1
            name = self._key(key, at)
            if name is None:
                continue
            if name in values:
                self.problems.add(
                    at, f"the key `{name}` is here twice (first on line {lines[name]})"
                )
                continue
            lines[name] = at
            values[name] = self.read(value, depth + 1)
        return Keys(values, lines, line)

    def _key(self, key: yaml.Node, line: int) -> str | None:
        if not isinstance(key, yaml.ScalarNode):
            self.problems.add(line, "a key must be a text")
        elif key.tag == TAG + "merge":
            self.problems.add(line, "merge keys (<<) are not accepted; write the keys out")
        elif key.tag != TAG + "str":
            self.problems.add(
                line, f"the key {key.value} is not a text to YAML", f'write it as "{key.value}"'
            )
        else:
            return str(key.value)
        return None
