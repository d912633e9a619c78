"""Compiles broker/rows/native.c when the package is built; where that cannot be, it is left out.

Everything works without it: broker.rows.plain does the same in Python. What is built needs
CPython 3.11 or newer and nothing else. `CC` names another compiler, and an empty `CC` none.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = "broker/rows/native.c"
BUILT = "broker/rows/_native.abi3.so"


class CompiledRows(BuildHookInterface[Any]):
    """Called by hatchling before a wheel is made, an editable one (`make setup`) too."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build in place; say in one line why not, and go on."""
        root = Path(self.root)
        (root / BUILT).unlink(missing_ok=True)
        try:
            compile_into(root / SOURCE, root / BUILT)
        except (OSError, subprocess.SubprocessError) as error:
            why = str(error).strip().splitlines()[:1]
            self.app.display_warning(f"broker.rows stays in Python: {' '.join(why)}")
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["artifacts"].append(BUILT)


def compile_into(source: Path, built: Path) -> None:
    """One file, one command; it appears whole, under its name."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if not compiler:
        msg = "no compiler is wanted"
        raise OSError(msg)
    options = ["-O2", "-fPIC", "-shared", "-fstack-protector-strong"]
    options += ["-Wl,-undefined,dynamic_lookup"] if sys.platform == "darwin" else []
    include = f"-I{sysconfig.get_path('include')}"
    scratch = built.with_suffix(".new")
    command = [*compiler, *options, include, str(source), "-o", str(scratch)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    scratch.replace(built)
