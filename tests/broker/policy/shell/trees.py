"""Trees of the accepted language, for properties that must hold over all of it."""

from __future__ import annotations

from hypothesis import strategies as st

from broker.policy.shell.tree import (
    AndOr,
    Assign,
    Case,
    Duplicate,
    File,
    For,
    Glob,
    Group,
    Here,
    Home,
    If,
    Node,
    Not,
    Output,
    Pipeline,
    Sequence,
    Simple,
    Subshell,
    Text,
    Timed,
    Value,
    While,
    Word,
)

NASTY = st.sampled_from("'\"\\$`!#&|;<>(){}[]*?~=^%@,:+- \t\n\u00a0é日ab0/.")
CHARS = NASTY | st.characters(exclude_categories=["Cc", "Cs"])
TEXTS = st.text(CHARS, max_size=8)
RESERVED = st.sampled_from(["if", "!", "time", "{", "}", "[[", "[", "]", "-n", "A=1", "2", "%1"])


def word(text: str) -> Word:
    """A literal word."""
    return Word((Text(text),) if text else ())


literals = st.builds(word, TEXTS | RESERVED)


@st.composite
def patterns(draw: st.DrawFn) -> Word:
    """A word with globs, and perhaps the home directory before a slash."""
    pieces: list[Text | Glob | Home] = []
    for part in draw(st.lists(TEXTS | st.sampled_from([Glob("*"), Glob("?"), Glob("[a-z]")]))):
        if isinstance(part, Glob):
            pieces.append(part)
        elif part and not (pieces and isinstance(pieces[-1], Text)):
            pieces.append(Text(part))
    if draw(st.booleans()):
        first = [Home()] if not pieces else [Home(), Text("/")]
        if len(first) == 2 and isinstance(pieces[0], Text):
            pieces[0] = Text("/" + pieces[0].text)
            first.pop()
        pieces = [*first, *pieces]
    return Word(tuple(pieces))


values = st.builds(Value, st.sampled_from(["x", "USER", "?"]))


@st.composite
def unknown(draw: st.DrawFn, split: bool = False) -> Word:
    """A word that only the target knows: variables (never assigned here), outputs, text."""
    printing = st.builds(
        Simple, st.tuples(st.just(word("/usr/bin/printf")), st.just(word("%s")), literals)
    )
    outputs = st.builds(Output, printing)
    found = draw(st.lists(TEXTS | values | outputs, max_size=3))
    pieces: list[Text | Value | Output] = []
    for part in [*found, draw(values | outputs)]:
        if isinstance(part, Value):
            pieces.append(Value(part.name, split=split and part.name != "?"))
        elif isinstance(part, Output):
            pieces.append(Output(part.body, split=split))
        elif part and not (pieces and isinstance(pieces[-1], Text)):
            pieces.append(Text(part))
    return Word(tuple(pieces))


def redirects(paths: st.SearchStrategy[str]) -> st.SearchStrategy[File | Duplicate | Here]:
    """Every kind of redirection."""
    descriptors = st.integers(0, 9)
    bodies = st.text(CHARS, max_size=20).map(lambda text: text and text.rstrip("\n") + "\n")
    return st.one_of(
        st.builds(File, descriptors, st.sampled_from(["<", ">", ">>"]), paths),
        st.builds(
            Duplicate, descriptors, st.sampled_from(["<&", ">&"]), st.sampled_from([*"0123456789-"])
        ),
        st.builds(Here, descriptors, bodies | st.just("EOF\nEOF1\n")),
    )


def _extended(
    simples: st.SearchStrategy[Simple], wrapped: st.SearchStrategy[Node]
) -> st.SearchStrategy[Node]:
    bodies = wrapped
    compounds = st.one_of(
        st.builds(Subshell, bodies),
        st.builds(Group, bodies),
        st.builds(
            If,
            st.lists(st.tuples(bodies, bodies), min_size=1, max_size=2).map(tuple),
            st.none() | bodies,
        ),
        st.builds(While, st.just(Simple((word("false"),))), bodies, st.just(False)),
        st.builds(
            For,
            st.sampled_from(["f", "name"]),
            st.tuples(literals, unknown(split=True)),
            bodies,
        ),
        st.builds(
            Case,
            literals | unknown(),
            st.lists(
                st.tuples(st.lists(literals, min_size=1, max_size=2).map(tuple), bodies),
                max_size=2,
            ).map(tuple),
        ),
    )
    stages = st.lists(simples | compounds, min_size=2, max_size=3).map(tuple)
    pipelines = st.builds(Pipeline, stages)
    operands = st.one_of(simples, compounds, pipelines, st.builds(Not, simples | pipelines))
    chains = st.builds(AndOr, st.sampled_from(["&&", "||"]), operands, operands)
    longer = st.builds(AndOr, st.sampled_from(["&&", "||"]), chains, operands)
    lists = st.lists(operands | chains, min_size=2, max_size=3).map(tuple)
    return st.one_of(operands, chains, longer, st.builds(Sequence, lists))


def trees(simples: st.SearchStrategy[Simple]) -> st.SearchStrategy[Node]:
    """Any tree over these simple commands."""
    base: st.SearchStrategy[Node] = simples
    return st.recursive(base, lambda wrapped: _extended(simples, wrapped), max_leaves=6)


any_simple = st.builds(
    Simple,
    st.tuples(literals, patterns() | literals | unknown(), literals),
    st.lists(redirects(TEXTS.filter(bool)), max_size=2).map(tuple),
    st.lists(st.tuples(st.sampled_from(["LANG", "LC_ALL", "TZ"]), TEXTS), max_size=1).map(tuple),
)
any_tree = st.one_of(
    trees(any_simple),
    st.builds(Timed, any_simple.filter(lambda each: not each.variables), st.booleans()),
    st.builds(
        Assign,
        st.lists(
            st.tuples(st.sampled_from("ABC"), literals | unknown()), min_size=1, max_size=2
        ).map(tuple),
    ),
)

shown = st.lists(literals, min_size=1, max_size=3).map(
    lambda words: Simple((word("/usr/bin/printf"), word("<%s>\\0"), *words))
)
spoken = (
    redirects(st.just("/dev/null"))
    .filter(lambda each: isinstance(each, Here))
    .map(lambda here: Simple((word("cat"),), (Here(0, getattr(here, "body", "")),)))
)
runnable = trees(shown | spoken)
