"""deploy/tickwire.service: what it lets a server do, and that its settings are there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tickwire.config import ENV_PREFIX, Settings

UNIT = Path(__file__).parent.parent / "deploy/tickwire.service"
ANALYZE = shutil.which("systemd-analyze")


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    return subprocess.run([ANALYZE, *arguments, UNIT], capture_output=True, text=True, check=False)


@pytest.mark.skipif(ANALYZE is None, reason="no systemd-analyze")
def test_it_is_exposed_below_3() -> None:
    done = analyze("security", "--offline=yes", "--no-pager", "--threshold=29")  # tenths
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd looks at no files")
    assert done.returncode == 0, done.stdout[-200:]


@pytest.mark.skipif(ANALYZE is None, reason="no systemd-analyze")
def test_systemd_understands_it() -> None:
    """All but what this machine lacks, or its systemd is too old for."""
    said = analyze("verify").stderr.splitlines()
    ours = [line for line in said if UNIT.name in line]
    assert [line for line in ours if "notify-reload" not in line and "not executable" not in line] == []


def test_settings_that_it_names_exist() -> None:
    text = UNIT.read_text("utf-8")
    named = re.findall(rf"\b{ENV_PREFIX}(\w+)=", text)
    assert named == ["DATA_DIR"]
    assert {name.lower() for name in named} <= Settings.model_fields.keys()
