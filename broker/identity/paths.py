"""Names of claims as configuration writes them: ``email``, ``a.b``, ``"kubernetes.io".pod.name``.

A name without quotes is a claim by exactly that name, or else steps into objects with dots
between. Steps that hold dots themselves are written in double quotes; a name with quotes is always
steps, so that no claim of the token's top level can pass for an inner one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MISSING = object()

QUOTED = r'"[^"{}\s]+"'
PLAIN = r'[^".{}\s]+'
STEP = re.compile(f"{QUOTED}|{PLAIN}")
STEPS = re.compile(rf"(?:{QUOTED}|{PLAIN})(?:\.(?:{QUOTED}|{PLAIN}))*")


def path_problem(name: str) -> str | None:
    """What is wrong with a claim's name, or None."""
    if '"' in name and STEPS.fullmatch(name) is None:
        return 'is not a claim\'s name; steps with dots in them are quoted: "kubernetes.io".pod'
    return None


def look_up(name: str, claims: Mapping[str, object]) -> object:
    """The value of a claim, or MISSING."""
    if name in claims and '"' not in name:
        return claims[name]
    value: object = claims
    for step in _steps(name):
        if not isinstance(value, dict) or step not in value:
            return MISSING
        value = value[step]
    return value


def _steps(name: str) -> list[str]:
    if '"' not in name:
        return name.split(".")
    return [step.strip('"') for step in STEP.findall(name)]
