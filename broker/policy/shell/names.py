"""Names of environment variables: which are harmless, and which change what programs run."""

from __future__ import annotations

import re

HARMLESS = {"LANG", "LANGUAGE", "TZ"}  # and LC_*

_DANGEROUS = re.compile(
    r"LD_.*|DYLD_.*|_.*|.*PATH|.*PRELOAD.*|.*_COMMAND|.*OPT|.*OPTS|.*OPTIONS|.*FLAGS|.*_RC|.*RC"
    r"|.*PAGER|.*EDITOR|VISUAL|BROWSER|.*SHELL.*|.*HOOK.*|.*INIT.*|.*STARTUP.*|.*CONFIG.*"
    r"|.*_DIR|.*HOME|.*PROXY|.*PROMPT.*|.*WRAPPER.*|.*ASKPASS|.*EXEC.*|.*MODULE.*|.*PLUGIN.*"
    r"|BASH.*|ENV|IFS|PS\d|CDPATH|PWD|OLDPWD|OPTARG|OPTIND|FCEDIT|HIST.*|INPUTRC|TMPDIR|TMOUT"
    r"|PYTHON.*|PERL.*|RUBY.*|NODE.*|JAVA.*|JDK.*|_JAVA.*|GIT_.*|SSH_.*|LESS.*|MAN.*|MORE"
    r"|GCONV.*|NLS.*|LOC.*|TERMINFO.*|TERMCAP|RES_.*|HOSTALIASES|MALLOC.*|GLIBC.*|SUDO.*|PG.*"
    r"|DOCKER.*|KUBE.*|SYSTEMD.*|DBUS.*|AWS_.*|CURL_.*|MAKE.*|GLOBIGNORE|POSIXLY_CORRECT"
)


def is_dangerous(name: str) -> bool:
    """May this variable change what a shell or another program runs or loads?"""
    return _DANGEROUS.fullmatch(name.upper()) is not None
