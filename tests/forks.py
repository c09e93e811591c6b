"""`tickwire` as a process of its own, without the half second in which Python imports it.

A process that has imported everything, the nest, forks for each that is asked for. What comes of it runs as
`python -m tickwire` does: its own process, environment, files, signals and end.
"""

from __future__ import annotations

import array
import asyncio
import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol

from tickwire.machine.fanout import SWITCH

NEST = Path(__file__).with_name("nest.py")
AT_IMPORT = ("FORCE_COLOR", "GITHUB_ACTIONS", "LC_ALL", "LD_", "PYTHON", "TERMINAL_WIDTH", "TICKWIRE_ACC")
"""Begin the variables that are looked at when modules are imported, or before."""


def plain_environment() -> dict[str, str]:
    """The environment without settings of Tickwire's."""
    names = [name for name in os.environ if not name.startswith("TICKWIRE_") or name == SWITCH]
    return {name: os.environ[name] for name in names}


class Process(Protocol):
    """What tests need of `asyncio.subprocess.Process`."""

    stdout: asyncio.StreamReader | None
    stderr: asyncio.StreamReader | None

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    async def wait(self) -> int: ...
    async def communicate(self) -> tuple[bytes, bytes]: ...
    def send_signal(self, signal: int) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


class Forked:
    """A process that the nest has forked."""

    def __init__(self, told: int) -> None:
        """`told` is a pipe that says its number, and how it ended."""
        self.stdout: asyncio.StreamReader | None = None
        self.stderr: asyncio.StreamReader | None = None
        self.returncode: int | None = None
        self._told = os.fdopen(told, "rb")
        self.pid = int(self._told.readline())
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(told, self._end)

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._told.fileno())
        with self._told as told:
            self.returncode = int(told.readline() or -signal.SIGKILL)
        self._ended.set()

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    async def communicate(self) -> tuple[bytes, bytes]:
        streams = (self.stdout, self.stderr)
        out, err = await asyncio.gather(*(_all_of(stream) for stream in streams))
        await self.wait()
        return out, err

    def send_signal(self, signal: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


async def _all_of(stream: asyncio.StreamReader | None) -> bytes:
    return b"" if stream is None else await stream.read()


class Nest:
    """The process that forks."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(NEST), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=plain_environment(),
            )
        atexit.register(self._ours.close)

    def fork(self, name: str, arguments: tuple[str, ...], env: dict[str, str], out: int, err: int) -> int:
        """Has it fork; returns the pipe that tells of the process."""
        told, tell = os.pipe()
        asked = json.dumps({"arguments": [name, *arguments], "env": env, "cwd": str(Path.cwd())})
        passed = array.array("i", [out, err, tell])
        try:
            self._ours.sendmsg([asked.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)])
        finally:
            os.close(tell)
        return told


_nests: dict[int, Nest] = {}


def _nest() -> Nest:
    """That of this process."""
    return _nests.get(os.getpid()) or _nests.setdefault(os.getpid(), Nest())


def _can_fork(env: dict[str, str]) -> bool:
    """Whether modules that are imported in that environment are as they are in the nest. Elsewhere than on
    Linux what they bring may not survive a fork."""
    looked_at = [name for name in env if name.startswith(AT_IMPORT)]
    return sys.platform == "linux" and all(os.environ.get(name) == env[name] for name in looked_at)


async def spawn(
    *arguments: str,
    name: str = "tickwire",
    stdout: int | IO[bytes] = asyncio.subprocess.PIPE,
    stderr: int | IO[bytes] = asyncio.subprocess.PIPE,
    env: dict[str, str],
) -> Process:
    """Starts `tickwire` with these arguments."""
    if not _can_fork(env):
        run = f"import sys; sys.argv[0] = {name!r}; from tickwire.__main__ import run; run()"
        command = (sys.executable, "-c", run, *arguments)
        return await asyncio.create_subprocess_exec(*command, stdout=stdout, stderr=stderr, env=env)
    ends: list[Any] = []
    readers: list[asyncio.StreamReader | None] = []
    with contextlib.ExitStack() as stack:
        for to in (stdout, stderr):
            if to == asyncio.subprocess.PIPE:
                mine, its = os.pipe()
                stack.callback(os.close, its)
                readers.append(await _reader(mine))
                ends.append(its)
            else:
                readers.append(None)
                ends.append(to if isinstance(to, int) else to.fileno())
        process = Forked(_nest().fork(name, arguments, env, *ends))
    process.stdout, process.stderr = readers
    return process


async def _reader(pipe: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    protocol = partial(asyncio.StreamReaderProtocol, reader)
    await asyncio.get_running_loop().connect_read_pipe(protocol, os.fdopen(pipe, "rb", 0))
    return reader


def run(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs `tickwire` with these arguments to its end."""
    if not _can_fork(env):
        command = [sys.executable, "-m", "tickwire", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        told = _nest().fork("tickwire", arguments, env, out.fileno(), err.fileno())
        with os.fdopen(told, "rb") as process:
            pid = int(process.readline())
            if not select.select([process], [], [], 120)[0]:
                os.kill(pid, signal.SIGKILL)
            status = int(process.readline())
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode())
    return subprocess.CompletedProcess(["tickwire", *arguments], status, *said)
