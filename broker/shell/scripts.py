"""``ssh TARGET 'bash -s' < script``: a shell that reads its commands from its input.

Such a script is judged statement by statement like one without the command, and no shell of the
target's ever reads it.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from broker.policy.shell.tree import Simple
from broker.policy.shell.ways_out import SYSTEM

if TYPE_CHECKING:
    from broker.policy.shell.tree import Node

SHELLS = frozenset(("sh", "bash", "dash", "ash"))
ARGUMENTS = 9  # $1 to $9


def arguments_of(node: Node) -> tuple[str, ...] | None:
    """The script's arguments, when the command is a shell without a script of its own; else None.

    Only ``-s`` is understood: another option changes how the shell reads.
    """
    if not isinstance(node, Simple) or node.redirects or node.variables or not node.words:
        return None
    words = [word.literal for word in node.words]
    texts = [word for word in words if word is not None]
    if len(texts) != len(words) or posixpath.basename(texts[0]) not in SHELLS:
        return None
    if "/" in texts[0] and posixpath.dirname(texts[0]) not in SYSTEM:
        return None
    options, arguments = texts[1:2], texts[2:]
    if options != ["-s"]:
        return None
    if arguments[:1] == ["--"]:
        arguments = arguments[1:]
    elif arguments and arguments[0].startswith(("-", "+")):
        return None
    return tuple(arguments) if len(arguments) <= ARGUMENTS else None
