"""What carries over from line to line: directory, variables, umask."""

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
    variables: tuple[tuple[str, str], ...] = ()
    home: str | None = None

    def moved(self, cwd: str) -> Place:
        """In another directory; the old one is remembered for ``cd -``."""
        return replace(self, cwd=cwd, previous=self.cwd)

    @property
    def known(self) -> dict[str, str]:
        """Every variable that this session set."""
        return dict(self.exports) | dict(self.variables)

    def exporting(self, variables: tuple[tuple[str, str], ...]) -> Place:
        """With these variables in the environment, too."""
        exports = tuple((dict(self.exports) | dict(variables)).items())
        return replace(self.without(tuple(dict(variables))), exports=exports)

    def assigning(self, variables: tuple[tuple[str, str], ...]) -> Place:
        """With these variables set; one that is exported stays so."""
        exports, own = dict(self.exports), dict(self.variables)
        for name, value in variables:
            (exports if name in exports else own)[name] = value
        return replace(self, exports=tuple(exports.items()), variables=tuple(own.items()))

    def without(self, names: tuple[str, ...]) -> Place:
        """Without these variables."""
        exports = tuple((name, value) for name, value in self.exports if name not in names)
        own = tuple((name, value) for name, value in self.variables if name not in names)
        return replace(self, exports=exports, variables=own)

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
        for name, value in self.variables:
            if f"${name}" in command:  # all others were written out
                before += f"{name}={quoted(value)}; "
        return before + command
