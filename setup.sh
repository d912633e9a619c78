#!/bin/sh
# Makes the virtual environment with the locked versions: with uv when it is there or can be had
# from PyPI, and with pip as the last resort.
set -eu
venv=$1
python=${PYTHON:-}
if [ -z "$python" ]; then
    for one in python3 python3.13 python3.12 python3.11; do
        if command -v "$one" >/dev/null 2>&1 &&
            "$one" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$one
            break
        fi
    done
fi
[ -n "$python" ] || { echo "interlock: Python 3.11 or newer is needed" >&2; exit 69; }

if [ -e "$(dirname "$0")/.git" ]; then groups=; else groups=--no-dev; fi
uv=$(command -v uv || true)
if [ -z "$uv" ]; then
    if [ ! -x "$venv/bin/python" ]; then
        "$python" -m venv "$venv" 2>/dev/null || {
            rm -rf "$venv"
            "$python" -m pip install --quiet --user --break-system-packages uv 2>/dev/null || true
            uv=$("$python" -c 'import sysconfig; print(sysconfig.get_path("scripts", "posix_user"))')/uv
            [ -x "$uv" ] || {
                echo "interlock: this Python has neither venv nor pip; install python3-venv" >&2
                exit 69
            }
        }
    fi
    if [ -z "$uv" ]; then
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check uv
        uv=$venv/bin/uv
    fi
fi
UV_PROJECT_ENVIRONMENT=$venv UV_PYTHON_DOWNLOADS=never \
    "$uv" sync --quiet --frozen --inexact --reinstall-package interlock --python "$python" $groups
