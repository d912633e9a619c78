"""What a command line does: a part for each simple command, each file, each way out.

The parts that a rule must cover are the commands as typed (paths made normal) and the files of
redirections. Beside them stand `implied` parts which only a deny can touch: wrappers whose inner
command is judged by itself, and each path among the arguments.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any, assert_never

from broker.errors import Unparsable
from broker.model import CONSTRUCT, Facts, Part
from broker.policy.patterns import ALL, MARK
from broker.policy.shell import carried, paths, ways_out, wrappers
from broker.policy.shell.bounds import check_text
from broker.policy.shell.build import build
from broker.policy.shell.mentions import coded, mentioned, other_names
from broker.policy.shell.resources import touched
from broker.policy.shell.scope import SETTERS, is_format
from broker.policy.shell.tree import (
    AndOr,
    Assign,
    Case,
    Export,
    File,
    For,
    Group,
    If,
    Not,
    Pipeline,
    Refused,
    Sequence,
    Simple,
    Subshell,
    Timed,
    Value,
    While,
    Word,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from broker.policy.shell.tree import Compound, Node, Redirect

    Parse = Callable[[str], Mapping[str, Any]]
    Dirs = frozenset[str]
    Outcome = tuple[Dirs, Dirs]  # the directories after success, and after failure

HARMLESS = frozenset(
    (
        *(":", "break", "cd", "continue", "exit", "false", "history", "logout", "pwd", "true"),
        *("umask", "unset"),
    )
)
FROM_INPUT = "⟨input⟩"  # stands for the words that xargs adds
DIRECTORIES = 8  # possible directories in one line
NESTING = 4  # sh -c inside sh -c
UNKNOWN = "what a pattern stands for is not known here; write the names, or begin it with ./"
PARTS = 20_000  # of one line
MARKED = 16_384  # characters of paths that are patterns, which are slow to compare
CODE_OPTION = re.compile(r"-[eux]*c")


def facts(
    tree: Mapping[str, Any], text: str, cwd: str | None, *, parse: Parse | None = None
) -> Facts:
    """Take a parsed line apart. `parse` is the grammar, for the code in ``sh -c '...'``.

    A construct that we do not judge becomes one part that no rule can name, so it is denied.
    """
    check_text(text)
    walk = _Walk(parse)
    try:
        walk.node(build(tree), frozenset([cwd or paths.START]))
    except Refused as refused:
        return Facts((_construct(refused),))
    return Facts(tuple(walk.parts), touched=tuple(walk.touched))


def _construct(refused: Refused) -> Part:
    about = f"{CONSTRUCT}{refused.construct}"
    return Part(action="exec", object=about, explicit=True, why=str(refused))


class _Walk:
    """One pass over a tree, in the order of running; parts are kept once."""

    def __init__(self, parse: Parse | None) -> None:
        self.parts: dict[Part, None] = {}
        self.touched: dict[tuple[str, str], None] = {}
        self.parse = parse
        self.nesting = 0
        self.marked = 0  # characters of paths that are patterns

    def add(self, part: Part) -> None:
        self.parts[part] = None

    def node(self, node: Node, dirs: Dirs) -> Outcome:
        if len(dirs) > DIRECTORIES:
            raise Refused("this many cd", "put them on lines of their own")
        match node:
            case Simple():
                return self.simple(node, dirs)
            case Timed(body):
                return self.simple(body, dirs)
            case Export() | Assign():
                self.variables(node, dirs)
                return dirs, dirs
            case Not(body):
                ok, failed = self.node(body, dirs)
                return failed, ok
            case AndOr():
                return self.and_or(node, dirs)
            case _:
                return self.nested(node, dirs)

    def variables(self, node: Export | Assign, dirs: Dirs) -> None:
        if isinstance(node, Export):
            for name, value in node.variables:
                self.add(_command(("export", f"{name}={value}"), implied=True))
            return
        self.bodies(tuple(word for _, word in node.variables), dirs)
        for name, word in node.variables:
            self.add(_command((f"{name}={word.text}",), implied=True))

    def nested(self, node: Pipeline | Sequence | Compound, dirs: Dirs) -> Outcome:
        match node:
            case Pipeline(stages):
                after = dirs.union(*(_either(self.node(stage, dirs)) for stage in stages))
                return after, after
            case Sequence(items):
                return self.sequence(items, dirs)
            case Subshell(body, redirects):
                self.redirects(redirects, dirs)
                self.node(body, dirs)
                return dirs, dirs
            case Group(body, redirects):
                self.redirects(redirects, dirs)
                return self.node(body, dirs)
            case If() | While() | For() | Case():
                self.redirects(node.redirects, dirs)
                after = self.repeated(node, dirs)
                return after, after
            case _:
                assert_never(node)

    def sequence(self, items: tuple[Node, ...], dirs: Dirs) -> Outcome:
        outcome = dirs, dirs
        for item in items:
            outcome = self.node(item, _either(outcome))
        return outcome

    def and_or(self, node: AndOr, dirs: Dirs) -> Outcome:
        ok, failed = self.node(node.left, dirs)
        if node.op == "&&":
            right_ok, right_failed = self.node(node.right, ok)
            return right_ok, failed | right_failed
        right_ok, right_failed = self.node(node.right, failed)
        return ok | right_ok, right_failed

    def branches(self, node: If, dirs: Dirs) -> Dirs:
        after: Dirs = frozenset()
        for condition, body in node.branches:
            met, dirs = self.node(condition, dirs)
            after |= _either(self.node(body, met))
        return after | (_either(self.node(node.otherwise, dirs)) if node.otherwise else dirs)

    def repeated(self, node: If | While | For | Case, dirs: Dirs) -> Dirs:
        match node:
            case If():
                return self.branches(node, dirs)
            case Case(subject, branches):
                self.bodies((subject,), dirs)
                return dirs.union(*(_either(self.node(body, dirs)) for _, body in branches))
            case _:
                return self.loop(node, dirs)

    def loop(self, node: While | For, dirs: Dirs) -> Dirs:
        after = dirs
        if isinstance(node, For):
            self.bodies(node.words, dirs)
        else:
            after = _either(self.node(node.condition, dirs))
        after |= _either(self.node(node.body, after))
        if after - dirs:
            raise Refused("cd in a loop", "the directory is not certain")
        return after

    def simple(self, node: Simple, dirs: Dirs) -> Outcome:
        self.redirects(node.redirects, dirs)
        self.bodies(node.words, dirs)
        if not node.words:
            return dirs, dirs
        for directory in sorted(dirs):
            self.command(node.words, directory)
        words = _unwrapped(node.words)
        if words[0].text in ("pushd", "popd"):
            raise Refused(words[0].text, "use cd")
        if words[0].text == "cd":
            return frozenset(_changed(words[1:], each) for each in dirs), dirs
        return dirs, dirs

    def bodies(self, words: tuple[Word, ...], dirs: Dirs) -> None:
        """What runs in ``$(...)``, in a shell of its own."""
        for word in words:
            for body in word.bodies:
                self.node(body, dirs)

    def redirects(self, redirects: tuple[Redirect, ...], dirs: Dirs) -> None:
        for redirect in redirects:
            if isinstance(redirect, File) and redirect.path != "/dev/null":
                action = "read" if redirect.op == "<" else "write"
                for directory in sorted(dirs):
                    path = paths.resolve(directory, redirect.path)
                    self.touched[action, path] = None
                    self.add(Part(action=action, path=path, explicit=_device(path)))
                    for other in other_names(path):
                        self.add(Part(action=action, path=other, implied=True))

    def command(self, words: tuple[Word, ...], directory: str, *, piped: bool = False) -> None:
        """One simple command run in one directory; `piped` by xargs, with words from its input."""
        command = _words(words, directory)
        if piped:
            command = (*command, FROM_INPUT)
            self.add(Part(action=paths.access(words[0].text), path=f"/{ALL}", implied=True))
        if command[0] == "exec":
            raise Refused("exec", "it replaces the shell; run the command itself")
        at = wrappers.inner(tuple(word.text for word in words))
        if at is not None:
            wrapper = wrappers.WRAPPERS[ways_out.base(command[0])]
            why = wrapper.why or ways_out.why_explicit(command) or ""
            self.add(_command(command, why=why, implied=not why))
            if words[at].literal is None:
                raise Refused("a command name that is not literal", "write the program's name")
            if any(word.is_unknown for word in words[:at]):
                raise Refused(f"{command[0]} with this", "which command it runs is not certain")
            piped = piped or ways_out.base(command[0]) == "xargs"
            self.command(words[at:], directory, piped=piped)
        elif self.code(words, command, directory):
            return
        else:
            why = ways_out.why_explicit(command) or ""
            why = _unknown(words, command, why) or _glob(words, command) or why
            self.add(_command(command, why=why, implied=not why and command[0] in HARMLESS))
            self.touched.update(dict.fromkeys(touched(words, directory)))
            self.carried(words, directory)
        if any(word.has_glob or word.is_unknown for word in words):  # a deny must meet all of it
            filled = (command[0], *map(coded, words[1:]))
            self.add(Part(action="exec", command=filled, implied=True, why=UNKNOWN))
        self.mentions(command[0], words[1:], directory)

    def code(self, words: tuple[Word, ...], command: tuple[str, ...], directory: str) -> bool:
        """Judge the code of ``sh -c 'code'`` in place of the shell, if it can be read."""
        name = ways_out.base(command[0])
        texts = [word.literal for word in words]
        if name not in ("sh", "bash", "dash", "ash") or len(texts) < 3 or self.parse is None:
            return False
        option, code = texts[1], texts[2]  # words after them are parameters, which it cannot use
        if option is None or code is None or not CODE_OPTION.fullmatch(option):
            return False
        if len(texts) > 3 and code.startswith(("-", "+")):  # perhaps another option
            return False
        if "/" in command[0] and posixpath.dirname(command[0]) not in ways_out.SYSTEM:
            return False
        self.add(_command(command, implied=True))
        self.text(f"{name} -c", code, directory)
        return True

    def text(self, what: str, code: str, directory: str) -> None:
        """Judge code that a shell will be given as it is."""
        assert self.parse is not None  # noqa: S101 - its callers ask
        self.nesting += 1
        if self.nesting > NESTING:
            raise Refused("this many shells in one another", "run the command itself")
        try:
            inner = build(self.parse(code), portable=True)
        except Unparsable as error:
            raise Refused(what, f"its code is not understood: {error}") from error
        self.node(inner, frozenset([directory]))
        self.nesting -= 1

    def carried(self, words: tuple[Word, ...], directory: str) -> None:
        """Judge what find and ssh run, too."""
        for inner in carried.by_find(words):
            if not inner or inner[0].literal is None or inner[0].text == carried.FOUND:
                raise Refused("find -exec of this", "write the program's name")
            filled = (Word((Value("found"),)) if w.text == carried.FOUND else w for w in inner)
            self.command(tuple(filled), paths.LOST if "-execdir" in _texts(words) else directory)
        code = carried.by_ssh(words)
        if code is not None and self.parse is not None:
            self.text("ssh", code, paths.START)

    def mentions(self, program: str, arguments: tuple[Word, ...], directory: str) -> None:
        """A deny on a path also holds for the arguments of commands."""
        action = paths.access(ways_out.base(program))
        for path in mentioned(program, arguments, directory):
            self.add(Part(action=action, path=path, implied=True))
            self.marked += len(path) if MARK in path else 0
            if self.marked > MARKED or len(self.parts) > PARTS:
                raise Refused("this many words", "put them on several lines")


def _command(command: tuple[str, ...], *, why: str = "", implied: bool = False) -> Part:
    return Part(action="exec", command=command, explicit=bool(why), implied=implied, why=why)


def _words(words: tuple[Word, ...], directory: str) -> tuple[str, ...]:
    program = words[0].text
    if "/" in program:
        program = paths.resolve(directory, program)
    return (program, *(paths.normal(word, directory) for word in words[1:]))


def _glob(words: tuple[Word, ...], command: tuple[str, ...]) -> str:
    for word, text in zip(words, command, strict=False):
        if word.has_glob and ways_out.options_matter(command) and coded(word)[0] in f"-{MARK}":
            return f"a file that {text} names may be read as an option; quote it or write ./{text}"
        if word.has_glob and "/" in word.text:
            return f"which files {text} names is not certain"
    return ""


def _unknown(words: tuple[Word, ...], command: tuple[str, ...], why: str) -> str:
    """Why a rule must name a command with words that only the target knows."""
    found = next((word for word in words if word.is_unknown), None)
    if found is None:
        return ""
    name = ways_out.base(command[0])
    if name in ways_out.SHELLS:
        raise Refused(f"{found.text} in the words of a shell", "it may run it; write it out")
    if is_format(words) or name == "echo":
        return why  # all that they do with it is print it
    if name in SETTERS:
        raise Refused(f"{found.text} in the words of {name}", "it may set any variable")
    return why or f"what {found.text} is, only the target knows"


def _texts(words: tuple[Word, ...]) -> set[str]:
    return {word.text for word in words}


def _device(path: str) -> bool:
    """Some shells open the network for ``/dev/tcp``; disks are devices too."""
    return path.startswith("/dev/")


def _unwrapped(words: tuple[Word, ...]) -> tuple[Word, ...]:
    """The words of a builtin that runs in this shell, without ``command`` or ``builtin``."""
    while words[0].text in ("command", "builtin"):
        at = wrappers.inner(tuple(word.text for word in words))
        if at is None:
            return words
        words = words[at:]
    return words


def _either(outcome: Outcome) -> Dirs:
    return outcome[0] | outcome[1]


def _changed(arguments: tuple[Word, ...], directory: str) -> str:
    """The directory after a successful cd."""
    rest = [word for word in arguments if word.text not in ("-P", "-L", "--", "-e")]
    if len(rest) != 1 or rest[0].literal is None or rest[0].text.startswith("-"):
        if any(word.has_glob or ".." in word.text.split("/") for word in rest):
            raise Refused("cd to this", "where it leads is not certain")
        return paths.LOST
    if directory == paths.START and not rest[0].text.startswith("/"):
        return paths.LOST
    return paths.resolve(directory, rest[0].text)
