"""The sources that the settings name, before a server runs on them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ..serving import program_environment

BUILT = """
import sys
from pathlib import Path
from tickwire.assembly import build
from tickwire.config import Settings
from tickwire.machine import REAL

build(Settings(source=["alltick"], upstream_token="x", data_dir=Path(sys.argv[1])), REAL)
print(*({"httpcore", "httpx", "websockets.asyncio.client"} - sys.modules.keys()))
"""


def test_a_relay_has_imported_what_takes_long_before_the_loop_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BUILT, str(tmp_path)],
        env=program_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "\n"), done.stderr
