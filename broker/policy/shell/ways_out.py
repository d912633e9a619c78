"""Programs that give a way out of what was judged, as data: why a rule must name them.

A listed program may run other code or other files than its words show. It is not refused: a rule
must name it literally, so that ``commands: ["**"]`` does not allow it by accident. Listing too
much costs nothing to rules that name their programs; listing too little is a hole.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from broker.policy.shell.names import is_dangerous

if TYPE_CHECKING:
    from collections.abc import Callable

SHELLS = frozenset(["sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "rbash", "fish", "csh"])
SYSTEM = frozenset(["/bin", "/usr/bin", "/sbin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"])

_GROUPS = {
    "is a shell: it runs whatever it reads": [*SHELLS, "tcsh", "pwsh", "busybox", "toybox"],
    "is an interpreter: it runs whatever it reads": [
        *("python", "perl", "ruby", "node", "nodejs", "deno", "bun", "php", "lua", "luajit"),
        *("tclsh", "wish", "expect", "guile", "scheme", "sbcl", "clisp", "java", "jshell"),
        *("groovy", "scala", "kotlin", "erl", "elixir", "iex", "ghci", "runghc", "ocaml", "R"),
        *("Rscript", "julia", "octave", "gawk", "mawk", "nawk", "awk", "m4", "dc", "go"),
        *("slsh", "jjs", "jrunscript", "elvish", "nu", "xonsh", "yash", "posh", "rc", "es"),
        *("irb", "pry", "ipython", "pypy", "swift", "osascript", "gnuplot", "psysh"),
    ],
    "is an editor: it writes files and runs commands": [
        *("vi", "vim", "vimdiff", "view", "rvim", "nvim", "ex", "ed", "red", "emacs", "nano"),
        *("pico", "joe", "mcedit", "micro", "helix", "hx", "kak", "sudoedit", "visudo", "vipw"),
        *("vigr", "crontab", "edit", "sensible-editor", "editor"),
    ],
    "shows text in a pager that can run commands": [
        *("less", "more", "most", "pg", "lv", "man", "info", "pinfo", "zless", "zmore", "pager"),
        *("journalctl", "systemctl", "git", "bat", "mutt", "mail", "lynx", "w3m", "links"),
        *("mc", "ranger", "vifm", "nnn", "top", "htop", "tig", "loginctl", "timedatectl"),
    ],
    "runs other programs": [
        *("make", "gmake", "ninja", "cmake", "just", "rake", "ant", "mvn", "gradle", "npm"),
        *("npx", "yarn", "pnpm", "pip", "pipx", "uv", "uvx", "gem", "bundle", "cargo", "rustc"),
        *("gcc", "cc", "g++", "c++", "clang", "ld", "gdb", "lldb", "strace", "ltrace", "perf"),
        *("valgrind", "script", "watch", "entr", "parallel", "flock", "chroot", "unshare"),
        *("nsenter", "setpriv", "capsh", "setarch", "linux32", "linux64", "runcon", "runuser"),
        *("su", "sg", "newgrp", "pkexec", "run0", "systemd-run", "start-stop-daemon", "setsid"),
        *("daemon", "daemonize", "at", "batch", "anacron", "run-parts", "ansible", "puppet"),
        *("salt", "chef-client", "docker", "podman", "nerdctl", "ctr", "crictl", "kubectl"),
        *("helm", "lxc", "lxc-attach", "machinectl", "virsh", "vagrant", "terraform", "bwrap"),
        *("firejail", "fakeroot", "dpkg", "apt", "apt-get", "aptitude", "yum", "dnf", "rpm"),
        *("zypper", "apk", "pacman", "snap", "flatpak", "ldd", "ld.so", "ip", "tcpdump", "nmap"),
        *("logrotate", "tar", "bsdtar", "rsync", "zip", "cpio", "pv", "socat", "openvpn"),
        *("dmsetup", "taskset", "chrt", "numactl", "prlimit", "softlimit", "catchsegv"),
        *("eatmydata", "xvfb-run", "dbus-send", "gdbus", "busctl", "insmod", "modprobe"),
        *("sysctl", "mount", "pdb", "install", "update-alternatives", "faketime", "proot"),
        *("tsocks", "proxychains", "torsocks", "torify", "cpulimit", "choom", "rlwrap", "grc"),
        *("logsave", "multitime", "setlock", "chpst", "runsv", "setuidgid", "envdir", "envuidgid"),
        *("tini", "dumb-init", "catatonit", "gosu", "su-exec", "chronic", "ifne", "sponge", "vipe"),
        *("pee", "unbuffer", "direnv", "nsjail", "systemd-inhibit", "systemd-cat", "pexec", "sem"),
        *("systemd-nspawn", "dbus-run-session", "dbus-launch", "cgexec", "schedtool", "uclampset"),
        *("coreutils", "moreutils", "pidstat", "dstat", "iftop", "ncdu", "bpftrace", "fzf", "fd"),
        *(
            "fdfind",
            "hping3",
            "opkg",
            "ksu",
            "certbot",
            "composer",
            "cpan",
            "cabal",
            "ghc",
            "latex",
        ),
        *("pdflatex", "tex", "pdftex", "xelatex", "lualatex", "groff", "troff", "nroff", "tshark"),
        *("msgfilter", "ginsh", "csvtool", "unsquashfs", "scanmem", "tasksh", "knife", "dosbox"),
        *("tcpserver", "incrond", "inotifywait", "watchexec", "nodemon", "aws-vault", "doppler"),
    ],
    "reaches another machine or database, where nothing is judged": [
        *("ssh", "slogin", "scp", "sftp", "mosh", "autossh", "sshpass", "telnet", "rlogin", "rsh"),
        *("rexec", "nc", "ncat", "netcat", "ftp", "lftp", "tftp", "curl", "wget", "aria2c"),
        *("psql", "mysql", "mariadb", "sqlite", "mongo", "mongosh", "redis-cli", "sqlplus"),
        *("clickhouse-client", "cqlsh", "isql", "tsql", "sqlcmd", "openssl", "ssh-agent"),
        *("ssh-add", "ssh-keygen", "ssh-copy-id", "minicom", "screen", "tmux", "byobu", "dtach"),
        *("abduco", "zellij", "reptyr", "tmate", "sshfs", "sshuttle", "lwp-request", "socat"),
    ],
    "gives a file another name, which rules on paths do not know": ["ln", "link"],
    "changes how the shell reads or finds commands": [
        *("eval", "source", ".", "trap", "alias", "unalias", "set", "shopt", "enable", "hash"),
        *("bind", "complete", "compgen", "compopt", "declare", "typeset", "local", "readonly"),
        *("export", "mapfile", "readarray", "getopts", "let", "fc", "pushd", "popd"),
        *("dirs", "fg", "bg", "jobs", "disown", "suspend", "coproc", "return", "nameref"),
        *("autoload", "zmodload", "emulate", "functions", "setopt", "unsetopt", "caller"),
    ],
}
LISTED = {name: why for why, listed in _GROUPS.items() for name in listed}


def why_explicit(words: tuple[str, ...]) -> str | None:
    """Why must a rule name this command? None when its words say what it does."""
    name = base(words[0])
    listed = LISTED.get(name) or LISTED.get(name.rstrip("0123456789.-"))
    if listed:
        return f"{name} {listed}"
    directory = posixpath.dirname(words[0])
    if "/" in words[0] and directory not in SYSTEM:
        return f"{words[0]} is not in a directory of the system's programs"
    check = _BY_ARGUMENT.get(name)
    return check(words) if check else None


def base(command: str) -> str:
    """The program's name without its directory."""
    return posixpath.basename(command) or command


def options_matter(words: tuple[str, ...]) -> bool:
    """Do some options make the command one that a rule must name?"""
    return base(words[0]) in _BY_ARGUMENT


def _options(pattern: str) -> Callable[[tuple[str, ...]], str | None]:
    """`pattern` is of whole words; an option may stand behind others without a value."""

    def check(words: tuple[str, ...]) -> str | None:
        for each in words[1:]:
            if re.fullmatch(pattern, each, re.DOTALL):
                return f"{base(words[0])} {each.split('=', 1)[0]} does more than its words show"
        return None

    return check


_SED_SAFE = re.compile(
    r"\s*(?:(?:\d+|\$|/[^/\\\n]*/)(?:,(?:\d+|\$|/[^/\\\n]*/))?)?\s*"
    r"(?:[pdq=]|s([/|#,:@])(?:(?!\1)[^\\\n]|\\.)*\1(?:(?!\1)[^\\\n]|\\.)*\1[gpiI0-9]*)?\s*"
)
_SED_PLAIN = re.compile(r"-[nErsuz]+|--(?:quiet|silent|regexp-extended|separate|null-data)|--posix")


def _sed(words: tuple[str, ...]) -> str | None:
    """sed's `e` runs commands, `w` writes files: only plain scripts are understood."""
    rest = list(words[1:])
    while rest and _SED_PLAIN.fullmatch(rest[0]):
        rest.pop(0)
    scripts = []
    while rest[:1] == ["-e"]:
        scripts.append(rest[1] if len(rest) > 1 else "e")
        rest = rest[2:]
    if not scripts and rest:
        scripts.append(rest.pop(0))
    options = any(each.startswith("-") and each != "-" for each in rest)
    if options or not all(_SED_SAFE.fullmatch(script) for script in scripts):
        return "this sed script or option may write files or run commands"
    return None


def _read(words: tuple[str, ...]) -> str | None:
    if all(re.fullmatch(r"-r|[a-z][a-z0-9]{0,15}", each) for each in words[1:]):
        return None
    return "read sets a variable, which may change what the shell does"


def _unset(words: tuple[str, ...]) -> str | None:
    if all(re.fullmatch(r"[A-Za-z_]\w*", each) and not is_dangerous(each) for each in words[1:]):
        return None
    return "unset of this changes what programs run"


_TEST_VARIABLE = _options("-[vR].*")
_BY_ARGUMENT: dict[str, Callable[[tuple[str, ...]], str | None]] = {
    "find": _options("-(?:exec|ok|delete|fprint|fls|files0-from).*"),
    "sort": _options("--(?:co|o|fil).*|-[bcCdfghiMmnRrsuVz]*o.*"),
    "wc": _options("--f.*"),
    "du": _options("--f.*"),
    "split": _options("--f.*"),
    "rg": _options("--(?:pre|hostname-bin).*"),
    "sed": _sed,
    "read": _read,
    "unset": _unset,
    "printf": _options("-v.*"),
    "test": _TEST_VARIABLE,
    "[": _TEST_VARIABLE,
    "wait": _options("-p.*"),
    "history": _options("[-/.].*"),
    "date": _options("-[uR]*s.*|--s.*"),
    "hostname": _options("-[A-Za-z]*[Fb].*|--(?:fi|b).*"),
    "dmesg": _options("-[A-Za-z]*[HCc].*|--(?:hu|cl|read-c).*"),
}
