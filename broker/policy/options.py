"""What options of well-known programs mean the same, so that a rule about one is about all."""

from __future__ import annotations

SAME: dict[str, dict[str, tuple[str, ...]]] = {
    "rm": {
        "-R": ("-r",),
        "--recursive": ("-r",),
        "--force": ("-f",),
        "--dir": ("-d",),
        "--verbose": ("-v",),
        "--no-preserve-root": ("--no-preserve-root",),
        "--one-file-system": ("--one-file-system",),
    },
    "cp": {
        "-R": ("-r",),
        "--recursive": ("-r",),
        "-a": ("-a", "-r", "-d", "-p"),
        "--archive": ("-a", "-r", "-d", "-p"),
        "--force": ("-f",),
        "--preserve": ("-p",),
        "--no-dereference": ("-P",),
        "--target-directory": ("-t",),
        "--remove-destination": ("--remove-destination",),
    },
    "mv": {"--force": ("-f",), "--target-directory": ("-t",), "--no-clobber": ("-n",)},
    "ln": {"--force": ("-f",), "--symbolic": ("-s",), "--target-directory": ("-t",)},
    "chmod": {"--recursive": ("-R",), "--reference": ("--reference",)},
    "chown": {"--recursive": ("-R",), "--reference": ("--reference",)},
    "chgrp": {"--recursive": ("-R",), "--reference": ("--reference",)},
    "kill": {"--signal": ("-s",), "-KILL": ("-9",), "-SIGKILL": ("-9",)},
    "pkill": {"--signal": ("-s",), "-KILL": ("-9",), "-SIGKILL": ("-9",), "--full": ("-f",)},
    "killall": {"--signal": ("-s",), "-KILL": ("-9",), "-SIGKILL": ("-9",)},
    "tar": {"--extract": ("-x",), "--get": ("-x",), "--create": ("-c",), "--file": ("-f",)},
    "git": {"--force": ("-f",)},
    "shred": {"--remove": ("-u",), "--force": ("-f",)},
    "rsync": {"--recursive": ("-r",), "--archive": ("-a", "-r"), "-a": ("-a", "-r")},
    "systemctl": {"--force": ("-f",), "--host": ("-H",), "--machine": ("-M",)},
}
"""For each program, its options and the ones that they amount to."""

WORDY = frozenset({"find", "java", "openssl", "terraform", "ffmpeg", "kill", "pkill", "killall"})
"""Programs whose options are whole words behind one dash; `-delete` is not five letters."""


def atoms(program: str, word: str) -> frozenset[str]:
    """What one option word asks for: `-rf` is -r and -f, `--recursive` of rm is -r.

    An abbreviated long option stands for every one that it may be short for.
    """
    same = SAME.get(program, {})
    word, _, _ = word.partition("=")
    if word.startswith("--"):
        matches = [option for option in same if option.startswith(word)]
        return frozenset({word}).union(*(same[option] for option in matches))
    if program in WORDY:
        return frozenset({word, *same.get(word, ())})
    letters = {f"-{letter}" for letter in word[1:]}
    return frozenset({word}).union(letters, *(same.get(letter, ()) for letter in letters))


def asked(program: str, word: str) -> frozenset[str]:
    """What an option word of a *pattern* asks for: each of these must be there."""
    found = atoms(program, word)
    if word.startswith("--"):
        known = {short for short in found if short != word}
        return frozenset(known) or frozenset({word})
    if program in WORDY or len(word) == 2:
        return frozenset(SAME.get(program, {}).get(word, (word,))[:1])
    letters = {f"-{letter}" for letter in word[1:]}
    return frozenset(SAME.get(program, {}).get(letter, (letter,))[0] for letter in letters)
