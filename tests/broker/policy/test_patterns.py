"""Patterns: what allows matches exactly; what denies cannot be dodged by spelling."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.policy import patterns
from broker.policy.patterns import Fit


@pytest.mark.parametrize(
    ("pattern", "table", "matches"),
    [
        ("public.*", "public.users", True),
        ("public.*", "app.users", False),
        ("public.order_*", "public.order_items", True),
        ("*", "app.users", True),
        ("**", "app.users", True),
        ("*.*", "app.users", True),
        ("*.secret", "app.secret", True),
        ("*.secret", "app.secrets", False),
        ("users", "public.users", True),
        ("users", "app.users", False),
        ("Users", "public.users", False),
        ("public.u?ers", "public.users", False),
        ('public."a.b"', 'public."a.b"', True),
        ("public.a.b", 'public."a.b"', False),
    ],
)
def test_tables(pattern: str, table: str, matches: bool) -> None:
    assert patterns.table(pattern, table) is matches


@pytest.mark.parametrize(
    ("pattern", "function", "allows", "denies"),
    [
        ("purge", "purge", True, True),
        ("purge", "public.purge", True, True),
        ("purge", "app.purge", False, True),
        ("app.purge", "app.purge", True, True),
        ("app.*", "app.purge", True, True),
        ("dblink*", "ext.dblink_exec", False, True),
        ("purge", "purge_all", False, False),
        ("purge", "PURGE", False, False),
    ],
)
def test_functions(pattern: str, function: str, allows: bool, denies: bool) -> None:
    assert patterns.function(pattern, function) is allows
    assert patterns.function(pattern, function, loose=True) is denies


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/var/log/**", "/var/log/a/b", True),
        ("/var/log/*", "/var/log/a/b", False),
        ("/var/log/*", "/var/log/a", True),
        ("/etc/shadow", "/etc/shadow", True),
        ("/etc/shadow", "/etc/shadow-", False),
    ],
)
def test_paths(pattern: str, path: str, matches: bool) -> None:
    assert patterns.path(pattern, path) is matches


@pytest.mark.parametrize(
    ("pattern", "line", "matches"),
    [
        ("ls", "ls", True),
        ("ls", "ls -l", False),
        ("*", "ls", True),
        ("*", "ls -l", False),
        ("**", "ls -l a", True),
        ("ls **", "ls", True),
        ("ls **", "ls -l a b", True),
        ("systemctl status *", "systemctl status a/b", True),
        ("systemctl status *", "systemctl status", False),
        ("systemctl status *", "systemctl status a b", False),
        ("systemctl status *", "systemctl start a", False),
        ("cat /tmp/*.log", "cat /tmp/a.log", True),
        ("cat /tmp/*.log", "cat /tmp/a/b.log", False),
        ("cat /var/log/**", "cat /var/log/a /var/log/b/c", True),
        ("cat /var/log/**", "cat", False),
        ("cat /var/log/**", "cat /var/log/a /etc/shadow", False),
        ("cat /var/log/**", "cat /var/log/../../etc/shadow", False),
        ("cat /var/log/**", "cat -n /var/log/a", False),
        ("cp ** /tmp/*", "cp a b /tmp/c", True),
        ("cp ** /tmp/*", "cp a b /etc/c", False),
        ("rm -rf **", "rm -fr x", False),
        ("a.c", "abc", False),
        ("", "ls", False),
    ],
)
def test_commands_that_are_allowed(pattern: str, line: str, matches: bool) -> None:
    assert patterns.command(pattern, line.split()) is matches


@pytest.mark.parametrize(
    ("pattern", "line", "denied"),
    [
        ("rm -rf **", "rm -r -f x", True),
        ("rm -rf **", "rm -fr x", True),
        ("rm -rf **", "rm -vrf -- x", True),
        ("rm -rf **", "rm --recursive --force x", True),
        ("rm -rf **", "rm --rec --fo x", True),
        ("rm -rf **", "rm x -Rf", True),
        ("rm -rf **", "/bin/rm -rf x", True),
        ("rm --recursive **", "rm -r x", True),
        ("rm -rf **", "rm -r x", False),
        ("rm -rf **", "rm -- -rf", False),
        ("rm -rf **", "ls -rf x", False),
        ("rm -rf /", "rm -rf /tmp/x /", True),
        ("rm -rf /", "rm -rf //", True),
        ("rm -rf /", "rm -rf /tmp/..", True),
        ("rm -rf /", "rm -rf /tmp/x", False),
        ("cat /etc/shadow", "cat /etc/passwd /etc//../etc/shadow", True),
        ("cp -r **", "cp -a x y", True),
        ("chmod -R 777 **", "chmod --recursive 777 x", True),
        ("kill -9 **", "kill -KILL 1", True),
        ("find ** -delete", "find . -name x -delete", True),
        ("find ** -delete", "find . -d -e -l -t", False),
        ("systemctl restart *", "systemctl -H host restart nginx", True),
        ("systemctl restart *", "systemctl restart a b", True),
        ("systemctl restart *", "systemctl status restart", False),
        ("rm -rf **", "man rm", False),
    ],
)
def test_commands_that_are_denied(pattern: str, line: str, denied: bool) -> None:
    assert patterns.command(pattern, line.split(), Fit.WITHIN) is denied


def test_a_review_may_be_asked_for_what_the_pattern_means_and_no_more() -> None:
    pattern = "systemctl restart *"
    assert patterns.command(pattern, ["systemctl", "--no-pager", "restart", "a"], Fit.MEANING)
    assert not patterns.command(pattern, ["systemctl", "stop", "restart", "a"], Fit.MEANING)


@pytest.mark.parametrize(("pattern", "names"), [("ls **", True), ("*", False), ("**", False)])
def test_which_patterns_name_a_program(pattern: str, names: bool) -> None:
    assert patterns.names_program(pattern) is names


SPELLINGS = st.lists(
    st.sampled_from(["-r", "-R", "--recursive", "-rv", "-iR"]), min_size=1, max_size=2
)
FORCES = st.lists(st.sampled_from(["-f", "--force", "-vf", "-fi"]), min_size=1, max_size=2)


@settings(max_examples=200)
@given(SPELLINGS, FORCES, st.lists(st.sampled_from(["x", "/y", "-v", "-"])), st.randoms())
def test_no_order_of_options_dodges_a_deny(
    recursive: list[str], force: list[str], rest: list[str], random: object
) -> None:
    words = [*recursive, *force, *rest]
    random.shuffle(words)  # type: ignore[attr-defined]
    assert patterns.command("rm -rf **", ["rm", *words], Fit.WITHIN)


@settings(max_examples=200)
@given(st.lists(st.text(max_size=6), min_size=1, max_size=6))
def test_a_literal_pattern_allows_itself_alone(words: list[str]) -> None:
    line = " ".join(words).replace("*", "")
    literal = line.split()
    assert patterns.command(line, literal) is True
    assert patterns.command(line, [*literal, "more"]) is False


def test_many_wildcards_against_many_words_end_soon() -> None:
    assert not patterns.command("a " + "** x " * 30, ["a"] + ["y"] * 300, Fit.WITHIN)


@pytest.mark.parametrize(
    ("pattern", "text", "may"),
    [
        ("/etc/shadow", "/etc/sh⟨*⟩", True),
        ("/etc/shadow", "/⟨?⟩tc/⟨*⟩w", True),
        ("/etc/shadow", "/etc/⟨*⟩x", False),
        ("/etc/shadow", "/⟨*⟩", False),
        ("/etc/shadow", "/⟨**⟩", True),
        ("/srv/*/x", "/srv/⟨*⟩", False),
        ("/srv/**", "/⟨*⟩/a", True),
        ("**/.ssh/**", "/home/⟨*⟩/.ssh/id", True),
        ("**/.ssh/**", "/home/⟨*⟩/id", True),
        ("**/.ssh/**", "/home/⟨?⟩/id", False),
        ("/a/*", "/a/⟨**⟩", True),
        ("/a", "/a⟨", False),
    ],
)
def test_what_a_marked_path_may_be(pattern: str, text: str, may: bool) -> None:
    assert patterns.meets(pattern, text) is may


PIECES = st.lists(
    st.sampled_from(
        [
            *(("a", "a", "a"), ("/", "/", "/"), ("b", "*", "b"), ("", "*", ""), ("ab", "*", "⟨*⟩")),
            *(("b", "b", "⟨?⟩"), ("", "", "⟨*⟩"), ("a/b", "**", "a/b"), ("/a/", "/a/", "⟨**⟩")),
        ]
    ),
    max_size=10,
)


@settings(max_examples=200)
@given(PIECES)
def test_a_file_that_both_accept_is_never_missed(pieces: list[tuple[str, str, str]]) -> None:
    file, pattern, text = ("".join(piece[at] for piece in pieces) for at in range(3))
    assert patterns.path(pattern, file)
    assert patterns.meets(pattern, text)


def test_a_long_marked_path_is_compared_soon() -> None:
    assert not patterns.meets("**/.ssh/**", "/a⟨*⟩" * 2000)


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("cat **", True),
        ("cat *", True),
        ("cat /var/log/**", False),
        ("cat /var/log/*", False),
        ("cat *x*", False),
        ("cat", False),
    ],
)
def test_what_nobody_knows_is_allowed_only_by_what_names_anything(pattern: str, fits: bool) -> None:
    words = ["cat", "/var/log/⟨$x⟩"]
    assert patterns.command(pattern, words) is fits
    assert patterns.command(pattern, words, patterns.Fit.MEANING) is fits
