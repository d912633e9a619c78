"""Which values are masked, and how: the `masking:` section, after it was checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DETECTORS = ("email", "credit_card", "us_ssn", "iban", "phone", "secrets")


class Style(Enum):
    """How a masked value is shown."""

    REDACT = "redact"
    PARTIAL = "partial"
    PSEUDONYM = "pseudonym"


@dataclass(frozen=True, slots=True)
class Reveal:
    """Who may see which detectors' values on which targets; `review` when a person must agree."""

    who: tuple[str, ...]
    targets: tuple[str, ...]
    detect: tuple[str, ...]
    review: bool = True


@dataclass(frozen=True, slots=True)
class Masking:
    """The section as a whole. `columns` maps ``target:schema.table.column`` patterns to a style."""

    detect: tuple[str, ...] = ()
    columns: Mapping[str, Style] = field(default_factory=dict)
    reveal: tuple[Reveal, ...] = ()
