"""Runs a program where `quote.alltick.co` leads to a Tickwire on port 443 that made its own certificate.

    unshare --map-root-user --mount --net python as_vendor.py FOLDER LANGUAGE COMMAND…

The program's environment is what the server prints for that language, carried out by a shell.
"""

from __future__ import annotations

import fcntl
import re
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

HOST = "quote.alltick.co"
SIOCSIFFLAGS, UP = 0x8914, 0x1


def main(folder: Path, language: str, command: list[str]) -> int:
    """The exit status of the program."""
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost {HOST}\n")
    subprocess.run(["mount", "--bind", str(hosts), "/etc/hosts"], check=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", UP))
    serve = [sys.executable, "-m", "tickwire", "serve", "--port", "443", "--tls-self-signed", HOST]
    serve += ["--data-dir", str(folder / "data"), "--log-level", "warning"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            said = ""
            while (line := server.stdout.readline()) and "Ctrl-C" not in line:
                said += line
            lines = re.search(rf"^  {language} +(.+(?:\n {{11}}.+)*)", said, re.MULTILINE)
            assert lines is not None, said
            script = f'{lines[1]}\nexec "$@"'
            return subprocess.run(["sh", "-ec", script, "sh", *command], cwd=folder, check=False).returncode
        finally:
            server.send_signal(signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
