"""The shape of `max_affected`: a number of rows, ``estimate``, or ``estimate*N``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from broker.config.shapes import BAD, Whole
from broker.config.source import Scalar
from broker.model import AffectedBound

if TYPE_CHECKING:
    from broker.config.shapes import Schema
    from broker.config.source import Node, Problems

ROWS = Whole(0, 1_000_000_000)
MARGIN = 11  # tenths: `estimate` alone leaves a tenth of room
_ESTIMATE = r"estimate(?:\*(?P<times>[1-9][0-9]?))?"


@dataclass(frozen=True, slots=True)
class Affected:
    """How many rows an approved write may change."""

    def check(self, node: Node, path: str, problems: Problems) -> Any:  # noqa: ANN401 - as any shape
        """An AffectedBound."""
        if isinstance(node, Scalar) and node.type == "int":
            rows = ROWS.check(node, path, problems)
            return rows if rows is BAD else AffectedBound(most=rows)
        found = re.fullmatch(_ESTIMATE, node.text) if isinstance(node, Scalar) else None
        if found is None:
            problems.add(node.line, f"{path}: must be a number of rows, `estimate` or `estimate*N`")
            return BAD
        times = found["times"]
        return AffectedBound(tenths=MARGIN if times is None else 10 * int(times))

    def schema(self) -> Schema:
        """A number or the words."""
        words = {"type": "string", "pattern": "^estimate(\\*[1-9][0-9]?)?$"}
        return {"anyOf": [ROWS.schema(), words]}
