"""One server at a time in a data directory."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tickwire.errors import StartError
from tickwire.machine import REAL
from tickwire.store import DataDirectory

from .test_data_directory import NOW, events

HOLDER = """
import os, subprocess, sys
from pathlib import Path
from tickwire.machine import REAL
from tickwire.store import DataDirectory
directory = DataDirectory(Path(sys.argv[1]), REAL.disk)
if "with children" in sys.argv:
    subprocess.Popen([sys.executable, "-c", "input()"], close_fds=False)
    if os.fork():
        os.wait()
print("held", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def holder(folder: Path, *how: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the directory; killed at the end, while its children wait on."""
    command = [sys.executable, "-c", HOLDER, str(folder), *how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()
        process.wait()
        DataDirectory(folder, REAL.disk).close()


def test_it_is_refused_to_a_second_one_until_it_is_let_go_of(tmp_path: Path) -> None:
    first = DataDirectory(tmp_path, REAL.disk)
    with pytest.raises(StartError) as caught:
        DataDirectory(tmp_path, REAL.disk)
    assert str(caught.value) == (
        f"Another Tickwire (process {os.getpid()}) serves from the data directory {tmp_path}. "
        "Stop it, or give this one a directory of its own: --data-dir DIR."
    )
    first.close()
    first.close()
    DataDirectory(tmp_path, REAL.disk).close()


def test_a_process_that_was_killed_holds_it_no_more(tmp_path: Path) -> None:
    with holder(tmp_path) as process, pytest.raises(StartError, match=rf"process {process.pid}\)"):
        DataDirectory(tmp_path, REAL.disk)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_children_of_a_process_that_was_killed_do_not_hold_it(tmp_path: Path) -> None:
    with holder(tmp_path, "with children"), pytest.raises(StartError):
        DataDirectory(tmp_path, REAL.disk)


def test_what_has_the_name_of_its_lock_is_told(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(StartError, match=r"Cannot use .*lock: Is a directory\. Remove"):
        DataDirectory(tmp_path, REAL.disk)
    (tmp_path / "lock").rmdir()
    os.mkfifo(tmp_path / "lock")
    with pytest.raises(StartError, match=r"Cannot use .*lock: "):
        DataDirectory(tmp_path, REAL.disk)


def test_a_file_system_without_locks_is_told_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:  # no such file system can be had here
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with capture_logs() as logs:
        directory = DataDirectory(tmp_path, REAL.disk)
        directory.note(directory.begin(NOW))
    assert ["knows no locks" in one for one in events([*logs])] == [True]
    directory.close()
