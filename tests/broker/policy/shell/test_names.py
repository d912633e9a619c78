"""Variables that change what programs run or load are known as such."""

from __future__ import annotations

import pytest

from broker.policy.shell.names import is_dangerous


@pytest.mark.parametrize(
    "name",
    [
        *("LD_PRELOAD", "LD_LIBRARY_PATH", "PATH", "BASH_ENV", "ENV", "IFS", "PS1", "PS4"),
        *("PROMPT_COMMAND", "SHELLOPTS", "BASHOPTS", "PAGER", "GIT_SSH_COMMAND", "EDITOR"),
        *("VISUAL", "PYTHONPATH", "PERL5OPT", "NODE_OPTIONS", "LESSOPEN", "HOME", "GCONV_PATH"),
        *("TERMINFO", "path", "http_proxy", "MANPAGER", "RUBYOPT", "JAVA_TOOL_OPTIONS"),
    ],
)
def test_dangerous(name: str) -> None:
    assert is_dangerous(name)


@pytest.mark.parametrize("name", ["APP_MODE", "DEBUG", "TZ", "LANG", "LC_ALL", "RELEASE", "A"])
def test_harmless(name: str) -> None:
    assert not is_dangerous(name)
