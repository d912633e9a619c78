"""The shell grammar: mvdan/sh, through the shfmt program, one short process a text."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker.errors import EvidenceFailure, Unparsable
from broker.policy.shell.bounds import check_text

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT = 2.0  # seconds for one text
CACHED = 64  # texts: a line is parsed by the session, then by the judge
ANSWER = 24 * 1024 * 1024  # bytes of JSON; more is a text made to hurt
CONTINUATIONS = ("\n:", "\nthen :", "\ndo :", "\n{ :; }")

_MESSAGE = re.compile(r"(?:<standard input>:)?(\d+):(\d+): (.*)", re.DOTALL)
_NEEDS_MORE = re.compile(r"reached EOF|must end with|unclosed here-document")
_HERE_DOCUMENT = re.compile(r"unclosed here-document `(.*)`")
_QUOTE = re.compile(r"closing quote `(.*)`")


class ShellParser:
    """Calls shfmt; gives its typed JSON tree for bash's grammar."""

    def __init__(self, program: str | None = None) -> None:
        self._program = program or _find()
        self._cache: OrderedDict[str, Mapping[str, Any]] = OrderedDict()

    def __call__(self, text: str) -> Mapping[str, Any]:
        """The tree of a text; Unparsable when the grammar does not accept it."""
        cached = self._cache.get(text)
        if cached is not None:
            self._cache.move_to_end(text)
            return cached
        check_text(text)
        tree = self._run(text)
        self._cache[text] = tree
        if len(self._cache) > CACHED:
            self._cache.popitem(last=False)
        return tree

    def unfinished(self, text: str) -> str | None:
        """What a text still needs before it can be judged, or None when it is complete or wrong.

        The answer is a string that the coming line must hold to be worth another look; it is
        empty when any line may complete the text.
        """
        if _continued(text):
            return ""
        try:
            self(text)
        except Unparsable as error:
            return self._missing(text, str(error))
        return None

    def _missing(self, text: str, message: str) -> str | None:
        if match := _HERE_DOCUMENT.search(message) or _QUOTE.search(message):
            return match[1]
        if _NEEDS_MORE.search(message):
            return ""
        if "must be followed by" not in message:
            return None
        # `a &&` may go on; `if a; then fi` stays wrong whatever follows.
        return "" if any(self._differs(text + more, message) for more in CONTINUATIONS) else None

    def _differs(self, text: str, message: str) -> bool:
        try:
            self(text)
        except Unparsable as error:
            return str(error) != message
        return True

    def _run(self, text: str) -> Mapping[str, Any]:
        try:
            done = subprocess.run(
                [self._program, "--to-json", "-ln", "bash"],
                input=text.encode(),
                capture_output=True,
                timeout=TIMEOUT,
                env={},
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            msg = "the line takes too long to read"
            raise Unparsable(msg) from error
        except OSError as error:
            msg = "the shell grammar (shfmt) cannot be run"
            raise EvidenceFailure(msg) from error
        if done.returncode != 0:
            raise _unparsable(text, done.stderr.decode(errors="replace"))
        return _tree(done.stdout)


def _find() -> str:
    beside = Path(sys.executable).with_name("shfmt")
    found = str(beside) if beside.is_file() else shutil.which("shfmt")
    if found is None:
        msg = "shfmt was not found beside python nor on PATH; install shfmt-py"
        raise EvidenceFailure(msg)
    return found


def _tree(answer: bytes) -> Mapping[str, Any]:
    if len(answer) > ANSWER:
        msg = "the line has too many words"
        raise Unparsable(msg)
    try:
        tree = json.loads(answer)
    except (ValueError, RecursionError) as error:
        msg = "commands are nested too deeply"
        raise Unparsable(msg) from error
    if not isinstance(tree, dict) or tree.get("Type") != "File":
        msg = "the grammar's answer has a form that is not known"
        raise Unparsable(msg)
    return tree


def _unparsable(text: str, message: str) -> Unparsable:
    """Its message without the file name; its line and column as a position."""
    match = _MESSAGE.fullmatch(message.strip())
    if match is None:
        return Unparsable("the line is not understood")
    line, column, reason = int(match[1]), int(match[2]), match[3]
    before = "".join(text.splitlines(keepends=True)[: line - 1])
    rest = text[len(before) :].encode()[: column - 1]
    return Unparsable(reason, len(before) + len(rest.decode(errors="ignore")))


def _continued(text: str) -> bool:
    """Does the last line end in a backslash that joins it to the next?"""
    last = text.removesuffix("\n")
    return (len(last) - len(last.rstrip("\\"))) % 2 == 1
