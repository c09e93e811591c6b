"""Imports `tickwire`, then forks for each process that is asked for. See `forks`."""

from __future__ import annotations

import array
import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
from importlib import import_module
from typing import Any

MODULES = """
tickwire.cli.main tickwire.cli.serve tickwire.machine.logs tickwire.server.serve tickwire.assembly
tickwire.cli.token
tickwire.cli.tail tickwire.cli.quote tickwire.cli.kline tickwire.cli.record tickwire.cli.import_bars
tickwire.cli.instruments tickwire.cli.markets tickwire.cli.check tickwire.cli.suspend tickwire.cli.scenario
tickwire.cli.wait tickwire.cli.watch tickwire.cli.checking.run tickwire.cli.keeping tickwire.cli.kline_files
tickwire.cli.records tickwire.cli.tailing tickwire.cli.copy
pydantic.type_adapter encodings.idna uvloop httpx httpcore anyio._backends._asyncio websockets.asyncio.client
""".split()


def serve(asked: socket.socket) -> list[str]:
    """Forks until nobody asks any more; in each child returns what it is to run."""
    woken, wake = socket.socketpair()
    woken.setblocking(False)
    wake.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # that is the tests' own
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    told: dict[int, int] = {}  # by child, the pipe into which its end goes
    while True:
        ready, _, _ = select.select([asked, woken], [], [])
        if woken in ready:
            with contextlib.suppress(BlockingIOError):
                woken.recv(4096)
            _reap(told)
        if asked not in ready:
            continue
        message, given, _, _ = asked.recvmsg(2**20, socket.CMSG_SPACE(12))
        if not message:
            for pid in told:
                os.kill(pid, signal.SIGKILL)
            sys.exit()
        files = array.array("i")
        files.frombytes(given[0][2])
        out, err, tell = files
        if pid := os.fork():
            os.write(tell, b"%d\n" % pid)
            told[pid] = tell
            os.close(out)
            os.close(err)
            continue
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for one in (asked, woken, wake):
            one.close()
        os.dup2(out, 1)
        os.dup2(err, 2)
        for pipe in (*told.values(), tell, out, err):
            os.close(pipe)
        return _child(json.loads(message))


def _reap(told: dict[int, int]) -> None:
    while told:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        tell = told.pop(pid)
        with contextlib.suppress(BrokenPipeError):
            os.write(tell, b"%d\n" % os.waitstatus_to_exitcode(status))
        os.close(tell)


def _child(wanted: dict[str, Any]) -> list[str]:
    os.environ.clear()
    os.environ.update(wanted["env"])
    os.chdir(wanted["cwd"])
    found: list[str] = wanted["arguments"]
    return found


if __name__ == "__main__":
    for module in MODULES:
        import_module(module)
    gc.collect()
    gc.freeze()
    sys.argv = serve(socket.socket(fileno=int(sys.argv[1])))
    from tickwire.__main__ import run

    run()
