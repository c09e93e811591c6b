"""What starts the server and looks after it, such as systemd: told how it is, as sd_notify(3) has it."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

import structlog

log = structlog.get_logger()


SOONEST = 0.1
"""Seconds that a watchdog waits at the least, whatever the environment says: else the server did nothing but
answer it."""


class Supervisor:
    """The other end of a Unix datagram socket, if there is one.

    `watchdog` is in how many seconds it must be told again that all is well, 0 if it does not ask.
    """

    def __init__(self, address: str = "", watchdog: float = 0.0) -> None:
        """`address` is a path, or begins with @ and has no file (unix(7), "abstract")."""
        self.watchdog = watchdog
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket: socket.socket | None = None
        self._failed = False
        if address and hasattr(socket, "AF_UNIX"):
            with suppress(OSError):
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._socket.setblocking(False)

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Supervisor:
        """The one that the environment of this process names."""
        meant = environment.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        microseconds = environment.get("WATCHDOG_USEC", "")
        asked = meant and microseconds.isdecimal() and int(microseconds) > 0
        watchdog = max(int(microseconds) / 1e6, SOONEST) if asked else 0.0
        address = environment.get("NOTIFY_SOCKET", "")
        return cls(address if address.startswith(("/", "@")) else "", watchdog)

    @property
    def listens(self) -> bool:
        """Whether there is one."""
        return self._socket is not None

    def tell(self, **said: object) -> bool:
        """Tells it, such as `READY=1`; returns whether it could be told. Never waits, and never fails: what
        cannot be told is said once in the log."""
        if self._socket is None:
            return False
        text = "\n".join(f"{name}={value}".replace("\n", " ") for name, value in said.items())
        try:
            self._socket.sendto(text.encode("utf-8", "replace"), self._address)
        except OSError as error:
            if not self._failed:
                log.warning(
                    "the service manager cannot be told how the server is",
                    reason=error.strerror or str(error),
                )
            self._failed = True
            return False
        self._failed = False
        return True

    def close(self) -> None:
        """Tells nothing any more. May be called again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


ALONE = Supervisor()
"""Of a server that nobody looks after."""
