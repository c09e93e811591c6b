"""The data directory: made, held against a second server, and where sequences begin."""

from __future__ import annotations

import contextlib
import errno
import tempfile
import threading
from pathlib import Path

import structlog

from ..errors import StartError
from ..files.private import keep_private
from ..machine import Disk
from .epoch import EpochFile
from .lock import Lock
from .tokens import KEY_FILE

LOCK = "lock"
NO_LOCKS = {
    getattr(errno, name) for name in ("ENOLCK", "ENOTSUP", "EOPNOTSUPP", "ENOSYS") if hasattr(errno, name)
}
"""What a file system says that knows no locks, as some network file systems do."""

log = structlog.get_logger()


def make_data_directory(path: Path) -> None:
    """Makes the folder if need be. Raises StartError if it cannot be used."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise StartError(
            f"Cannot write to the data directory {path}: {error.strerror}. Choose another with --data-dir."
        ) from error


class DataDirectory:
    """The data directory of a server that runs, which no other server may use meanwhile.

    Commands that read it, or change tokens, bars and suspensions in it, work beside the server: SQLite keeps
    their order.
    """

    def __init__(self, path: Path, disk: Disk) -> None:
        """Makes the folder if need be. Raises StartError if it cannot be used, or another server uses it."""
        self._path = path
        self._epoch_file = EpochFile(path, disk)
        self._trouble = ""
        self._closed = False
        self._noting = threading.Lock()
        make_data_directory(path)
        try:
            self._lock = self._take()
        except OSError as error:
            raise StartError(
                f"Cannot use {path / LOCK}: {error.strerror or str(error).rstrip('.')}. Remove what has that "
                "name, or choose another --data-dir."
            ) from error
        with contextlib.suppress(OSError):  # whoever needs the key says so
            keep_private(path / KEY_FILE)

    def check_unused(self) -> None:
        """Raises StartError if a server ran here: the bars and the sequences of another one would go on from
        there. Tokens, instruments and imported bars may be there already."""
        used = False
        with contextlib.suppress(OSError):  # `begin` says so
            used = self._epoch_file.is_there()
        if used:
            raise StartError(
                f"A server ran on the data directory {self._path}, and --start begins anew: give a fresh one "
                '(--data-dir "$(mktemp -d)"), or leave out --start.'
            )

    def begin(self, now: int) -> int:
        """The epoch of a run that starts now; both in microseconds since the Unix epoch.

        Raises StartError if the file of the last one cannot be read or set aside.
        """
        try:
            epoch = self._epoch_file.begin(now)
        except OSError as error:
            raise StartError(
                f"Cannot use {error.filename or self._path}: {error.strerror or error}. Make it readable and "
                "writable, or choose another --data-dir."
            ) from error
        self.note(epoch)
        return epoch

    def note(self, reached: int) -> None:
        """Notes how far sequences have come, in microseconds since the Unix epoch; makes sure of the lock.

        It waits for the disk: not to be called in an event loop. What fails is said once in the log, and once
        when it works again.
        """
        with self._noting:
            if self._closed:  # it may be another server's by now
                return
            try:
                self._hold()
                self._epoch_file.note(reached)
            except StartError as error:
                self._say(str(error))
            except OSError as error:
                self._say(f"{error.strerror or error}: {error.filename or self._path}")
            else:
                if self._trouble:
                    log.info("the data directory can be used again", folder=str(self._path))
                self._trouble = ""

    def hold(self) -> None:
        """Makes sure that no other server has the directory that stands there now. Raises StartError if one
        has."""
        with self._noting, contextlib.suppress(OSError):  # what cannot be locked cannot be written either
            if not self._closed:
                self._hold()

    def close(self) -> None:
        """Lets another server have it. May be called again."""
        with self._noting:
            self._closed = True
            if self._lock is not None:
                self._lock.release(clean=True)

    def _take(self) -> Lock | None:
        """The lock; None where there are none. Raises StartError if another server has it, and OSError."""
        try:
            return Lock(
                self._path / LOCK,
                f"serves from the data directory {self._path}",
                "Stop it, or give this one a directory of its own: --data-dir DIR.",
            )
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            log.warning(
                "the file system of the data directory knows no locks: a second server on it would not be "
                "noticed, and both would lose data",
                folder=str(self._path),
            )
            return None

    def _hold(self) -> None:
        """Takes the lock of a directory that has come in the place of the one that was held."""
        if self._lock is None or self._lock.in_place:
            return
        fresh = self._take()
        self._lock.release(clean=False)
        self._lock = fresh
        log.warning("the lock of the data directory was gone, and was taken anew", folder=str(self._path))

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            log.error(
                "the data directory cannot be used: what is kept may be lost, and sequences may begin too "
                "low after a restart",
                reason=trouble,
            )
        self._trouble = trouble
