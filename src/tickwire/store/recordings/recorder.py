"""Records events: from the event loop into memory, from there into a journal, and from that into Parquet."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from ...errors import StartError
from ...model import Event, Market, Trade
from .durable import sync_folder
from .folder import Folder
from .gaps import Gap, GapReason, add_gap, moment
from .journal import Journal, Waiting, encode
from .lock import Lock
from .needs import need_pyarrow
from .refused import Refused
from .retention import prune
from .status import RecorderStatus, StopReason, reason_of, text_of

FLUSH_EVERY = 0.25
"""Seconds between writes to the journal. With the time that a write takes, less than a second is at risk
when the process is killed."""
SYNC_EVERY = 5.0
"""Seconds after which what is in the journal is forced onto the disk: what is at risk when the power goes."""
VALUES = 4
"""Values of an event that waits for the journal."""
CHUNK = 128
"""Events of a record: the event loop waits for no more than their encoding."""
WAITING_LIMIT = 500_000
"""Trades and levels of books that may wait for the journal: some 250 MB, several seconds of a slow disk."""
SEAL_BYTES = 64 << 20
SEAL_SECONDS = 900.0

log = structlog.get_logger()


class Recorder:
    """Records the events of one source into a folder.

    `record` only puts an event into memory. A thread of its own writes the journal, so that neither a busy
    event loop nor other work in the loop's threads adds to what is at risk; another syncs, seals and lets go
    of old files, so that none of that keeps the journal waiting. A failure of the disk stops the recording,
    never the caller: `status` and one line of the log say so.

    When the process is killed, what came in its last second is lost at most; when the machine is, its last
    ten seconds. What was sealed is lost in neither case.
    """

    def __init__(
        self,
        folder: Path,
        source: str,
        *,
        clock: Callable[[], float] = time.time,
        seal_bytes: int = SEAL_BYTES,
        seal_seconds: float = SEAL_SECONDS,
        keep_days: int | None = None,
        keep_bytes: int | None = None,
    ) -> None:
        """Makes the folder if need be, seals what an earlier run left, and begins.

        `clock` is the wall clock, in seconds since the epoch. A journal is sealed when it has `seal_bytes`,
        is `seal_seconds` old, or when the date changes. `keep_days` and `keep_bytes` are those of `prune`.

        Raises StartError if another recorder has the folder, if it cannot be written, or without pyarrow.
        """
        need_pyarrow(StartError)
        from .recovery import recover

        self._source = source
        self._clock = clock
        self._seal_bytes, self._seal_seconds = seal_bytes, seal_seconds
        self._keep_days, self._keep_bytes = keep_days, keep_bytes
        self._folder = Folder(folder)
        # What `record` was called with, value after value: tuples that live this long would cost the garbage
        # collector of the whole process more than they are worth.
        self._waiting: deque[Any] = deque()
        # Each of these two is written by one thread only; what waits is the difference.
        self._put = self._taken = 0
        self._events = self._unfit = 0
        self._refused = Refused()
        self._limit = WAITING_LIMIT
        self._reason: StopReason | None = None
        self._text = ""
        self._stopping = threading.Lock()
        self._journal: Journal | None = None
        self._to_seal: queue.SimpleQueue[Journal | None] = queue.SimpleQueue()
        self._sealer_waits = True
        self._ending = threading.Event()
        self._closed = False
        try:
            self._folder.own.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(self._folder.lock)
            try:
                self._order = recover(
                    self._folder, source, now=self._now(), size=seal_bytes, broken_off=self._lock.left
                )
                self._sealed_bytes = sum(file.path.stat().st_size for file in self._folder.files())
                self._pruned_on: date | None = None
                self._prune()
            except BaseException:
                self._lock.release(clean=not self._lock.left)
                raise
        except OSError as error:
            said = error.strerror or error
            raise StartError(
                f"Cannot record into {folder}: {said}. Mend it, or choose another folder."
            ) from error
        self._writer = threading.Thread(target=self._write_on, name="recording-journal", daemon=True)
        self._sealer = threading.Thread(target=self._seal_on, name="recording-sealing", daemon=True)
        self._writer.start()
        self._sealer.start()
        log.info("recording", folder=str(folder), source=source)

    def record(self, event: Event, market: Market, received: int, seq: int) -> None:
        """Takes an event that was received at that microsecond since the epoch, with our `seq`.

        Called by one thread, in the order of arrival. Neither waits nor raises: what cannot be taken is
        counted, and listed as a gap.
        """
        if self._put - self._taken < self._limit:
            self._put += 1 if type(event) is Trade else _weight(event)
            self._waiting.extend((event, market, received, seq))
        else:
            self._refused.add(received)

    @property
    def behind(self) -> bool:
        """Whether half of the room for what waits is taken: who can wait should."""
        return self._put - self._taken > self._limit // 2 > 0

    def status(self) -> RecorderStatus:
        """How it goes. Any thread may ask."""
        journal = self._journal
        return RecorderStatus(
            self._reason is None,
            self._reason,
            self._text,
            self._events - self._unfit,
            self._refused.total + self._unfit,
            self._sealed_bytes,
            0 if journal is None else journal.size,
        )

    def close(self) -> None:
        """Seals everything and ends: it may take seconds. May be called again."""
        if self._closed:
            return
        self._closed = True
        self._refuse_all()
        self._ending.set()
        self._writer.join()
        self._to_seal.put(None)
        self._sealer.join()
        if self._reason is None:
            self._text, self._reason = "it was ended", StopReason.CLOSED
            log.info("recording ended", folder=str(self._folder.path), events=self._events)
        self._lock.release(clean=self._reason is StopReason.CLOSED)

    def _now(self) -> int:
        return int(self._clock() * 1e6)

    def _refuse_all(self) -> None:
        self._refused.listed = False  # it is no overrun
        self._limit = -1

    # The thread of the journal.
    def _write_on(self) -> None:
        ending = False
        while self._reason is None and not ending:
            ending = self._ending.wait(FLUSH_EVERY)
            try:
                self._flush()
                self._list_refused(ending=ending)
                if self._journal is not None and (ending or self._is_due(self._journal)):
                    self._hand_on(self._journal)
            except Exception as error:
                self._stop(error)
        self._ending.wait()
        self._refused.total += len(self._waiting) // VALUES  # of a recording that stopped
        self._waiting.clear()
        if self._journal is not None:
            self._hand_on(self._journal)

    def _flush(self) -> None:
        """Writes what waits now."""
        if self._journal is not None:
            self._journal.check()
        left, take = len(self._waiting) // VALUES, self._waiting.popleft
        while left:
            rows: list[Waiting] = [(take(), take(), take(), take()) for _ in range(min(left, CHUNK))]
            left -= len(rows)
            try:
                journal = self._journal = self._journal or self._begin()
                journal.append(encode(self._order, rows))
            except Exception:
                for row in reversed(rows):  # so that they are counted
                    self._waiting.extendleft(reversed(row))
                raise
            self._order += len(rows)
            self._events += len(rows)
            self._taken += sum(_weight(row[0]) for row in rows)
            if journal.size >= self._seal_bytes and self._sealer_waits:
                self._hand_on(journal)

    def _begin(self) -> Journal:
        path = self._folder.journal(self._order)
        return Journal(path, self._source, now=self._now(), first=self._order)

    def _list_refused(self, *, ending: bool) -> None:
        if (refused := self._refused.over(ending=ending)) is not None:
            begin, end, events = refused
            gap = Gap(GapReason.OVERRUN, moment(begin), moment(end), events, self._source)
            add_gap(self._folder.gaps, gap)

    def _is_due(self, journal: Journal) -> bool:
        # One that goes on growing while another is sealed makes several segments.
        if not self._sealer_waits:
            return False
        now = self._now()
        return (
            journal.size >= self._seal_bytes
            or now - journal.head.began >= self._seal_seconds * 1e6
            or moment(now).date() != moment(journal.head.began).date()
        )

    def _hand_on(self, journal: Journal) -> None:
        self._journal = None
        self._sealer_waits = False
        self._to_seal.put(journal)

    # The thread of the sealing.
    def _seal_on(self) -> None:
        left: list[Journal] = []
        while True:
            try:
                journal = self._to_seal.get(timeout=SYNC_EVERY)
            except queue.Empty:
                journal = self._journal
                if journal is not None and self._reason is None:
                    self._try(journal.sync)
                    self._try(partial(sync_folder, self._folder.own))
                continue
            if journal is None:
                break
            if not self._try(partial(self._seal, journal)):
                left.append(journal)
            self._sealer_waits = True
            self._try(self._prune)
        for journal in left:  # there may be room by now; if not, the next start seals it
            self._try(partial(self._seal, journal))

    def _seal(self, journal: Journal) -> None:
        from .recovery import note_losses
        from .sealing import seal

        journal.sync()
        journal.close()
        sealed = seal(journal.path, journal.head, self._folder, self._seal_bytes)
        self._sealed_bytes += sealed.bytes
        self._unfit += sealed.unfit
        note_losses(self._folder, journal.head, sealed)

    def _prune(self) -> None:
        """Lets go of old files, if that is wanted and there may be such."""
        today = datetime.fromtimestamp(self._clock(), UTC).date()
        too_many = self._keep_bytes is not None and self._sealed_bytes > self._keep_bytes
        if too_many or (self._keep_days is not None and today != self._pruned_on):
            self._sealed_bytes -= prune(
                self._folder, today, keep_days=self._keep_days, keep_bytes=self._keep_bytes
            )
            self._pruned_on = today

    def _try(self, action: Callable[[], None]) -> bool:
        """Whether it could be done; if not, the recording stops."""
        try:
            action()
        except Exception as error:
            self._stop(error)
            return False
        return True

    def _stop(self, error: Exception) -> None:
        """Records nothing more. Said once, by whichever thread fails first."""
        with self._stopping:
            if self._reason is not None:
                return
            self._refuse_all()
            self._text = text_of(error)
            self._reason = reason_of(error)
        log.error(
            "recording stopped, the server goes on",
            folder=str(self._folder.path),
            reason=self._text,
            exc_info=None if isinstance(error, OSError) else error,
        )


def _weight(event: Event) -> int:
    """What an event takes of the room for those that wait."""
    return 1 if isinstance(event, Trade) else 1 + len(event.bids) + len(event.asks)
