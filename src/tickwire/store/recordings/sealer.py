"""Seals journals beside the writing: in a thread of its own, which also syncs, and lets go of old files."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial

from .folder import Folder, sync
from .journal import Journal
from .retention import prune

SYNC_EVERY = 5.0
"""Seconds after which what is in the journal is forced onto the disk: what is at risk when the power goes."""


class Sealer:
    """What a recorder does with its folder beside writing the journal."""

    def __init__(
        self,
        folder: Folder,
        *,
        clock: Callable[[], float],
        seal_bytes: int,
        keep_days: int | None,
        keep_bytes: int | None,
        failed: Callable[[Exception], None],
    ) -> None:
        """The parameters are those of a Recorder; `failed` is called when something could not be done."""
        self._folder = folder
        self._clock = clock
        self._seal_bytes = seal_bytes
        self._keep_days, self._keep_bytes = keep_days, keep_bytes
        self._failed = failed
        self._pruned_on: date | None = None
        self._journals: queue.SimpleQueue[Journal | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="recording-sealing", daemon=True)
        self.idle = True
        """Whether there is nothing to seal. A journal is handed over only then."""
        self.writing: Journal | None = None
        """The journal that is being written, which is synced."""
        self.bytes = sum(file.path.stat().st_size for file in folder.files())
        """Bytes of all sealed files."""
        self.unfit = 0
        """Events with values that the columns do not hold."""
        self.prune()

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def seal(self, journal: Journal) -> None:
        """Seals a journal that is written no more. One that cannot be sealed stays in the folder."""
        self.idle = False
        self._journals.put(journal)

    def close(self, timeout: float) -> bool:
        """Returns when all is sealed, or with False after so many seconds."""
        self._journals.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def count(self) -> None:
        """Looks anew at how many bytes the sealed files have: others have sealed some. Raises OSError."""
        self.bytes = sum(file.path.stat().st_size for file in self._folder.files())

    def prune(self) -> None:
        """Lets go of old files, if that is wanted and there may be such. Raises OSError."""
        today = datetime.fromtimestamp(self._clock(), UTC).date()
        too_many = self._keep_bytes is not None and self.bytes > self._keep_bytes
        if too_many or (self._keep_days is not None and today != self._pruned_on):
            self.bytes -= prune(self._folder, today, keep_days=self._keep_days, keep_bytes=self._keep_bytes)
            self._pruned_on = today

    def _run(self) -> None:
        while True:
            try:
                journal = self._journals.get(timeout=SYNC_EVERY)
            except queue.Empty:
                journal = self.writing
                if journal is not None:
                    self._try(journal.sync)
                    self._try(partial(sync, self._folder.own))
                continue
            if journal is None:
                return
            self._try(partial(self._seal, journal))
            self._try(self.prune)
            self.idle = True

    def _seal(self, journal: Journal) -> None:
        from .recovery import note_cut, note_losses
        from .sealing import seal

        try:
            journal.sync()
        finally:
            journal.close()
        sealed = seal(journal.path, journal.head, self._folder, self._seal_bytes)
        self.bytes += sealed.bytes
        self.unfit += sealed.unfit
        note_losses(self._folder, journal.head, sealed)
        note_cut(self._folder, journal, sealed, int(self._clock() * 1e6))

    def _try(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:
            self._failed(error)
