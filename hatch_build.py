"""Builds the accelerator with the package, where there is a C compiler and the headers of Python.

Where there is none, or it fails, the package is complete without: all that the C does is there in Python.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path("src/tickwire/machine")
SOURCE, BUILT = HERE / "_fanout.c", HERE / "_fanout.abi3.so"
TAG = "cp311-abi3"
"""What it runs on: see Py_LIMITED_API in the source."""
PATIENCE = 120
"""Seconds that a compiler may take."""


class Accelerator(BuildHookInterface[Any]):
    """The build hook."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Builds it into the tree where that is installed to be edited, else into the wheel alone."""
        root = Path(self.root)
        if version == "editable":
            built = root / BUILT
            built.unlink(missing_ok=True)  # one of an earlier source
            compiled(root / SOURCE, built)
            return
        self._folder = tempfile.TemporaryDirectory()
        built = Path(self._folder.name) / BUILT.name
        if compiled(root / SOURCE, built):
            build_data["force_include"][str(built)] = BUILT.relative_to("src").as_posix()
            build_data["pure_python"] = False
            build_data["tag"] = f"{TAG}-{platform()}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """The wheel has been written."""
        if version != "editable":
            self._folder.cleanup()


def platform() -> str:
    """The machine, as tags of wheels name it."""
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")


def compiled(source: Path, target: Path) -> bool:
    """Compiles it; returns whether that went well."""
    if sys.platform == "win32" or sys.implementation.name != "cpython":
        return False
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return False  # it needs the lock
    linker = shlex.split(sysconfig.get_config_var("LDSHARED") or "cc -shared")
    if shutil.which(linker[0]) is None:  # Python was built by another one than is here
        linker[0] = "cc"
    flags = shlex.split(sysconfig.get_config_var("CCSHARED") or "")
    headers = sysconfig.get_paths()["include"]
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder) / target.name
        command = [*linker, *flags, "-O2", f"-I{headers}", str(source), "-o", str(made)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)  # noqa: S603
            made.replace(target)
        except (OSError, subprocess.SubprocessError):
            return False
    return True
