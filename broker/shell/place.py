"""What carries over from line to line: directory, exported variables, umask."""

from __future__ import annotations

from dataclasses import dataclass, replace

from broker.policy.shell.emit import quoted


@dataclass(frozen=True, slots=True)
class Place:
    """`start` is where the target puts us, `cwd` where the session is; all may be unknown."""

    start: str | None = None
    cwd: str | None = None
    previous: str | None = None
    umask: str | None = None
    exports: tuple[tuple[str, str], ...] = ()
    home: str | None = None

    def moved(self, cwd: str) -> Place:
        """In another directory; the old one is remembered for ``cd -``."""
        return replace(self, cwd=cwd, previous=self.cwd)

    def exporting(self, variables: tuple[tuple[str, str], ...]) -> Place:
        """With these variables, too."""
        return replace(self, exports=tuple((dict(self.exports) | dict(variables)).items()))

    def without(self, names: tuple[str, ...]) -> Place:
        """Without these variables."""
        kept = tuple((name, value) for name, value in self.exports if name not in names)
        return replace(self, exports=kept)

    def wrap(self, command: str) -> str:
        """The command with what puts it in this place before it: fixed by us, not judged."""
        before = ""
        if self.cwd is not None and self.cwd != self.start:
            before += f"cd -- {quoted(self.cwd)} || exit; "
        if self.umask is not None:
            before += f"umask {self.umask}; "
        if self.exports:
            pairs = " ".join(f"{name}={quoted(value)}" for name, value in self.exports)
            before += f"export {pairs}; "
        return before + command
