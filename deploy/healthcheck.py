"""Whether the server of this container is ready: exit status 0 if so, else 1.

`tickwire wait` says the same and more, yet takes most of a second of a core, each time it is asked.
"""

from __future__ import annotations

import os
import socket
import ssl
import sys

PATIENCE = 4.0
"""Seconds."""


def ready(port: int, *, tls: bool) -> bool:
    """Whether /readyz answers 200. Raises OSError."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as plain:
        connection: socket.socket = plain
        if tls:  # it is we ourselves, under whatever name the certificate has
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = context.wrap_socket(plain)
        connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return connection.recv(64).startswith(b"HTTP/1.1 200 ")


if __name__ == "__main__":
    of = os.environ.get
    try:
        sys.exit(
            not ready(
                int(of("TICKWIRE_PORT", "8600")),
                tls=bool(of("TICKWIRE_TLS_CERT") or of("TICKWIRE_TLS_SELF_SIGNED")),
            )
        )
    except OSError as error:
        sys.exit(f"It does not answer: {error}")
