"""The shapes that values may have: each one checks a value, and describes itself to editors.

`check` gives back the plain value, or BAD after it has added a problem. A Section gives back
Fields, which say whether all of it was good; what is good in a partly bad section is still there,
so that one mistake does not hide the others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from broker.config.source import Items, Keys, Node, Problems, Scalar, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Schema = dict[str, Any]


class _Bad(Enum):
    BAD = "bad"


BAD = _Bad.BAD
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
WHOLE = re.compile(r"0|-?[1-9][0-9_]*")


class Shape(Protocol):
    """What a value must look like."""

    def check(self, node: Node, path: str, problems: Problems) -> Any:  # noqa: ANN401 - any value
        """The value, or BAD after adding a problem that names `path`."""

    def schema(self) -> Schema:
        """The same as JSON Schema."""


class Fields(dict[str, Any]):
    """The good values of a section, with the lines of its keys."""

    def __init__(self, keys: Keys, path: str) -> None:
        super().__init__()
        self.line = keys.line
        self.path = path
        self.whole = True
        self._lines = keys.lines

    @property
    def names(self) -> tuple[str, ...]:
        """Every key that was written, with a good value or a bad one."""
        return tuple(self._lines)

    def line_of(self, key: str) -> int:
        """Where a key is, or where the section begins."""
        return self._lines.get(key, self.line)


@dataclass(frozen=True, slots=True)
class Text:
    """A text; of `choices`, or matching `pattern` (said as `form`), or without `problem`."""

    choices: tuple[str, ...] = ()
    pattern: str | None = None
    form: str = ""
    problem: Callable[[str], str | None] | None = None

    def check(self, node: Node, path: str, problems: Problems) -> Any:  # noqa: ANN401
        """A real text only: YAML takes `no`, `12:30` and `2024-01-01` for something else."""
        if not isinstance(node, Scalar) or node.type != "str":
            problems.add(node.line, f"{path}: {_not_a_text(node)}")
            return BAD
        if message := self._wrong(node.text):
            problems.add(node.line, f"{path}: {message}", nearest(node.text, self.choices))
            return BAD
        return node.text

    def _wrong(self, text: str) -> str | None:
        if not text or any(ord(c) < ord(" ") and c not in "\n\t" for c in text):
            return "must not be empty or hold control characters"
        if self.choices and text not in self.choices:
            return f"`{text}` is not one of {', '.join(self.choices)}"
        if self.pattern is not None and re.fullmatch(self.pattern, text) is None:
            return f"`{text}` is not {self.form}"
        return self.problem(text) if self.problem is not None else None

    def schema(self) -> Schema:
        """A string, with its choices or pattern."""
        if self.choices:
            return {"type": "string", "enum": list(self.choices)}
        if self.pattern is not None:
            return {"type": "string", "pattern": f"^(?:{self.pattern})$"}
        return {"type": "string", "minLength": 1}


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number in decimal."""

    least: int
    most: int

    def check(self, node: Node, path: str, problems: Problems) -> Any:  # noqa: ANN401
        """Octal, hexadecimal and base-60 numbers are not guessed at."""
        if not isinstance(node, Scalar) or node.type != "int" or not WHOLE.fullmatch(node.text):
            problems.add(node.line, f"{path}: must be a whole number in decimal")
            return BAD
        value = int(node.text)
        if not self.least <= value <= self.most:
            problems.add(node.line, f"{path}: must be from {self.least} to {self.most}")
            return BAD
        return value

    def schema(self) -> Schema:
        """An integer within bounds."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True)
class Truth:
    """`true` or `false`."""

    def check(self, node: Node, path: str, problems: Problems) -> Any:  # noqa: ANN401
        """Not `yes`, `on` or "true"."""
        if not isinstance(node, Scalar) or node.type != "bool" or node.text not in TRUTHS:
            problems.add(node.line, f"{path}: must be true or false")
            return BAD
        return TRUTHS[node.text]

    def schema(self) -> Schema:
        """A boolean."""
        return {"type": "boolean"}


TRUTHS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Duration:
    """A number with a unit: ``10s``, ``15m``, ``1h``, ``2d``."""

    least: timedelta
    most: timedelta

    def check(self, node: Node, path: str, problems: Problems) -> Any:  # noqa: ANN401
        """A unit is always needed."""
        found = isinstance(node, Scalar) and re.fullmatch(r"([0-9]{1,9})([smhd])", node.text)
        if not found:
            problems.add(node.line, f"{path}: must be a duration such as 10s, 15m, 1h or 2d")
            return BAD
        value = timedelta(seconds=int(found.group(1)) * UNITS[found.group(2)])
        if not self.least <= value <= self.most:
            problems.add(node.line, f"{path}: must be from {self.least} to {self.most} (h:mm:ss)")
            return BAD
        return value

    def schema(self) -> Schema:
        """A string with a unit."""
        return {"type": "string", "pattern": "^[0-9]{1,9}[smhd]$"}


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim must be: a text, a whole number, true or false; compared as text."""

    def check(self, node: Node, path: str, problems: Problems) -> Any:  # noqa: ANN401
        """`email_verified: true` means the text ``true``."""
        if isinstance(node, Scalar):
            if node.type == "str" and node.text:
                return node.text
            if node.type == "int" and WHOLE.fullmatch(node.text):
                return str(int(node.text))
            if node.type == "bool" and node.text in TRUTHS:
                return node.text
        problems.add(node.line, f"{path}: must be a text, a whole number, true or false")
        return BAD

    def schema(self) -> Schema:
        """A scalar."""
        return {"type": ["string", "integer", "boolean"]}


@dataclass(frozen=True, slots=True)
class Several:
    """A list of at least one (unless `may_be_empty`); with `or_one`, a lone value stands for it."""

    item: Shape
    or_one: bool = False
    may_be_empty: bool = False

    def check(self, node: Node, path: str, problems: Problems) -> Any:  # noqa: ANN401
        """A tuple; bad items are left out, for each has its problem already."""
        if isinstance(node, Scalar) and self.or_one:
            node = Items((node,), node.line)
        if not isinstance(node, Items):
            problems.add(node.line, f"{path}: must be a list")
            return BAD
        if not node.items and not self.may_be_empty:
            problems.add(node.line, f"{path}: must not be empty")
            return BAD
        checked = (
            self.item.check(item, f"{path}[{number}]", problems)
            for number, item in enumerate(node.items)
        )
        return tuple(value for value in checked if value is not BAD)

    def schema(self) -> Schema:
        """An array, or one item."""
        array: Schema = {"type": "array", "items": self.item.schema()}
        if not self.may_be_empty:
            array["minItems"] = 1
        return {"anyOf": [array, self.item.schema()]} if self.or_one else array


@dataclass(frozen=True, slots=True)
class Named:
    """A mapping whose keys are names of the writer's choice; `name` is the shape of a name."""

    name: Text
    item: Shape

    def check(self, node: Node, path: str, problems: Problems) -> Any:  # noqa: ANN401
        """A dict of name to value, without the bad values; `lines` of Fields says where."""
        if not isinstance(node, Keys):
            problems.add(node.line, f"{path}: must be a mapping")
            return BAD
        fields = Fields(node, path)
        for name, value in node.values.items():
            key = Scalar(name, "str", node.lines[name])
            checked = self.item.check(value, f"{path}.{name}", problems)
            if self.name.check(key, f"{path}.{name}", problems) is BAD or checked is BAD:
                fields.whole = False
            else:
                fields[name] = checked
        return fields

    def schema(self) -> Schema:
        """An object with free names."""
        return {
            "type": "object",
            "propertyNames": self.name.schema(),
            "additionalProperties": self.item.schema(),
        }


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping with known keys."""

    fields: Mapping[str, Shape]
    required: tuple[str, ...] = ()
    doc: str = ""
    else_say: str = "must be a mapping"
    exactly_one: bool = False
    fixed: Mapping[str, str] = field(default_factory=dict)

    def check(self, node: Node, path: str, problems: Problems) -> Any:  # noqa: ANN401
        """Fields; a key that is unknown, missing or bad makes them less than `whole`."""
        if not isinstance(node, Keys):
            problems.add(node.line, f"{path or 'the file'}: {self.else_say}")
            return BAD
        before = len(problems.found)
        fields = Fields(node, path)
        for key, value in node.values.items():
            where = f"{path}.{key}" if path else key
            if key not in self.fields:
                hint = nearest(key, self.fields)
                problems.add(node.lines[key], f"{where}: unknown key `{key}`", hint)
            elif (checked := self.fields[key].check(value, where, problems)) is not BAD:
                fields[key] = checked
        self._check_present(node, path, problems)
        fields.whole = len(problems.found) == before
        return fields

    def _check_present(self, node: Keys, path: str, problems: Problems) -> None:
        for key in self.required:
            if key not in node.values:
                problems.add(node.line, f"{path or 'the file'}: the key `{key}` is missing")
        if self.exactly_one and len(node.values) != 1:
            problems.add(node.line, f"{path}: exactly one of {', '.join(self.fields)} is needed")

    def schema(self) -> Schema:
        """A closed object."""
        properties = {key: shape.schema() for key, shape in self.fields.items()}
        closed: Schema = {
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
        }
        for key, value in self.fixed.items():
            properties[key] = {"const": value}
        if self.required:
            closed["required"] = list(self.required)
        if self.exactly_one:
            closed |= {"minProperties": 1, "maxProperties": 1}
        if self.doc:
            closed["description"] = self.doc
        return closed


@dataclass(frozen=True, slots=True)
class ByKind:
    """One of several sections: the key `kind` says which."""

    sections: Mapping[str, Section]

    def check(self, node: Node, path: str, problems: Problems) -> Any:  # noqa: ANN401
        """The Fields of the section that `kind` names."""
        if not isinstance(node, Keys):
            problems.add(node.line, f"{path}: must be a mapping")
            return BAD
        kind = node.values.get("kind")
        if kind is None:
            problems.add(node.line, f"{path}: the key `kind` is missing")
            return BAD
        name = Text(choices=tuple(self.sections)).check(kind, f"{path}.kind", problems)
        return BAD if name is BAD else self.sections[name].check(node, path, problems)

    def schema(self) -> Schema:
        """Any of the sections."""
        return {"oneOf": [section.schema() for section in self.sections.values()]}


@dataclass(frozen=True, slots=True)
class TextOr:
    """A text, or else a section."""

    text: Text
    section: Section

    def check(self, node: Node, path: str, problems: Problems) -> Any:  # noqa: ANN401
        """Either."""
        shape: Shape = self.text if isinstance(node, Scalar) else self.section
        return shape.check(node, path, problems)

    def schema(self) -> Schema:
        """Either."""
        return {"anyOf": [self.text.schema(), self.section.schema()]}


def _not_a_text(node: Node) -> str:
    if not isinstance(node, Scalar):
        return "must be a text"
    if node.type == "bool":  # the only ones shown: a number might be a password without quotes
        return f'YAML takes {node.text} for true or false; for a text write "{node.text}"'
    names = {"null": "nothing", "timestamp": "a date"}
    seen = names.get(node.type, "a number")
    return f"YAML takes this for {seen}; for a text put it in quotes"
