"""A server of NATS of our own, in a folder and on ports of its own, that a test may halt and kill."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sysconfig
import tempfile
import time
from pathlib import Path

from tickwire.bus.cluster import Wire

PATIENCE = 60.0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class NatsServer:
    """It runs from its making to `close`, but for the time between `kill` and `start`."""

    def __init__(self, *, more: str = "", port: int | None = None) -> None:
        """`more` is added to its configuration."""
        self.port = port or free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="nats"))
        self._process: subprocess.Popen[bytes] | None = None
        self.config = self.folder / "nats.conf"
        self.config.write_text(
            f'listen: "127.0.0.1:{self.port}"\n'
            f'jetstream {{ store_dir: "{self.folder / "js"}", max_mem: 64M, max_file: 64M }}\n{more}\n'
        )
        self.start()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self, *, wait: bool = True) -> None:
        """Returns when it takes connections."""
        program = Path(sysconfig.get_path("scripts")) / "nats-server"
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([program, "-c", self.config], stdout=log, stderr=log)
        if wait:
            self.wait()

    def wait(self) -> None:
        """Until it takes connections."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            assert self._process is not None
            assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as one:
                    one.recv(1)
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise TimeoutError(self.url)

    def send(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self.send(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


async def settled(wire: Wire) -> None:
    """The server has taken all that was sent, subscriptions too. The library sends a ping before what waits:
    its answer says nothing of that, the second one does."""
    await wire.client.flush()
    await wire.client.flush()


def three() -> list[NatsServer]:
    """Three that are one cluster."""
    routes = [free_port() for _ in range(3)]
    shown = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
    servers = []
    for number, port in enumerate(routes, 1):
        more = f'server_name: n{number}\ncluster {{ name: c, listen: "127.0.0.1:{port}", routes: [{shown}] }}'
        servers.append(NatsServer(more=more))
    return servers
