"""Records events: from the event loop into memory, from there into a journal, and from that into Parquet."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from ...errors import StartError
from ...model import Book, Correction, Event, Market, Trade
from ..lock import Lock
from .folder import Folder
from .gaps import GapReason, add_gap, moment
from .journal import Journal, Waiting, encode
from .needs import need_pyarrow
from .positions import Positions, advance, read_positions, write_positions
from .pulse import Pulse
from .refused import Refused
from .sealer import Sealer
from .status import RecorderStatus, StopReason, reason_of, text_of

FLUSH_EVERY = 0.25
"""Seconds between writes to the journal. With the time that a write takes, less than a second is at risk
when the process is killed."""
LOOK_EVERY = 1.0
"""Seconds between looks whether a recording that stopped can go on. If a look takes long, since there is much
to seal, the next one comes later: looking takes a twentieth of the time at most."""
HANG = 10.0
"""Seconds without an answer of the disk after which the recording stops: nobody is to wait for it."""
END = 60.0
"""Seconds that the end of a recording waits for its threads."""
VALUES = 4
"""Values of an event that waits for the journal."""
CHUNK = 128
"""Events of a record: the event loop waits for no more than their encoding."""
WAITING_LIMIT = 500_000
"""Trades and levels of books that may wait for the journal: some 250 MB, several seconds of a slow disk."""
SEAL_BYTES = 64 << 20
SEAL_SECONDS = 900.0
HANGS = "its disk does not answer"

log = structlog.get_logger()


class Recorder:
    """Records the events of one source into a folder.

    `record` only puts an event into memory. A thread of its own writes the journal, so that neither a busy
    event loop nor other work in the loop's threads adds to what is at risk; another syncs, seals and lets go
    of old files, so that none of that keeps the journal waiting. A failure of the disk stops the recording,
    never the caller: `status` and one line of the log say so. As soon as the folder can be written again the
    recording goes on, and what it missed is listed as a gap.

    When the process is killed, what came in its last second is lost at most; when the machine is, its last
    ten seconds. What was sealed is lost in neither case.
    """

    def __init__(
        self,
        folder: Path,
        source: str,
        *,
        lines: bool = False,
        clock: Callable[[], float] = time.time,
        seal_bytes: int = SEAL_BYTES,
        seal_seconds: float = SEAL_SECONDS,
        keep_days: int | None = None,
        keep_bytes: int | None = None,
    ) -> None:
        """Makes the folder if need be, seals what an earlier run left, and begins.

        `lines` says that events come in lines of publishers, which are told by `reach`. `clock` is
        the wall clock, in seconds since the epoch. A journal is sealed when it has `seal_bytes`, is
        `seal_seconds` old, or when the date changes. `keep_days` and `keep_bytes` are those of `prune`.

        Raises StartError if another recorder has the folder, if it cannot be written, or without pyarrow.
        """
        need_pyarrow(StartError)
        from .recovery import recover

        self._source = source
        self._clock = clock
        self._seal_bytes, self._seal_seconds = seal_bytes, seal_seconds
        self._folder = Folder(folder)
        # No more than thirty attributes: beyond, CPython looks all of them up in a slower way.
        # What `record` and `reach` were called with, value after value: tuples that live this long would cost
        # the garbage collector of the whole process more than they are worth.
        self._waiting: deque[Any] = deque()
        self._marks: deque[None] = deque()  # one for each call of `reach` in it
        self._lines = lines
        self._open: list[Waiting] = []  # before the next `reach`
        # Each of these two is written by one thread only; what waits is the difference.
        self._put = self._taken = 0
        self._events = 0
        self._refused = Refused()
        self._limit = WAITING_LIMIT
        self._passed: dict[str, int] = {}  # positions of lines that came while it had stopped
        self._pending: dict[str, int] = {}  # those that the next record says
        self._whole = False  # whether no position is missing in the journal
        self._reason: StopReason | None = None
        self._text = ""
        self._look_at = 0.0
        self._stopping = threading.Lock()
        self._journal: Journal | None = None
        self._left: Journal | None = None  # the one that was written when it stopped
        self._pulse = Pulse()
        self._ending = threading.Event()
        try:
            self._folder.own.mkdir(parents=True, exist_ok=True)
            self._lock = self._take()
            try:
                reason = GapReason.BROKEN_OFF if self._lock.left else GapReason.STOPPED
                self._order, _ = recover(
                    self._folder, source, now=self._now(), size=seal_bytes, reason=reason
                )
                self._positions = read_positions(self._folder.positions)
                self._sealer = Sealer(
                    self._folder,
                    clock=clock,
                    seal_bytes=seal_bytes,
                    keep_days=keep_days,
                    keep_bytes=keep_bytes,
                    failed=self._stop,
                )
            except BaseException:
                self._lock.release(clean=not self._lock.left)
                raise
        except OSError as error:
            raise StartError(
                f"Cannot record into {folder}: {_said(error)}. Mend it, or choose another folder."
            ) from error
        self._writer = threading.Thread(target=self._write_on, name="recording-journal", daemon=True)
        self._writer.start()
        self._sealer.start()
        log.info("recording", folder=str(folder), source=source)

    def record(self, event: Event | Correction, market: Market, received: int, seq: int) -> None:
        """Takes an event that was received at that microsecond since the epoch, with our `seq`.

        Called by one thread, in the order of arrival. Neither waits nor raises: what cannot be taken is
        counted, and listed as a gap.
        """
        if self._put - self._taken < self._limit:
            self._put += 1 if type(event) is Trade else _weight(event)
            self._waiting.extend((event, market, received, seq))
        else:
            self._refused.add(received, listed=not self._ending.is_set())

    def reach(self, publisher: str, seq: int) -> None:
        """What was recorded since the last call are whole lines of a publisher, up to that `seq` (0: none).

        It gets into one record, or nothing of it does. Called by the thread that records.
        """
        if self._limit > 0:
            self._marks.append(None)
            self._waiting.extend((None, publisher, 0, seq))
        elif seq:
            self._passed[publisher] = seq

    def reached(self, publisher: str) -> int:
        """The `seq` up to which the lines of a publisher are in the journal or sealed, so that no kill loses
        them; what came while the recording had stopped counts as well. Any thread may ask."""
        return self._positions.publishers.get(publisher, 0)

    @property
    def path(self) -> Path:
        """The folder that is recorded into."""
        return self._folder.path

    @property
    def id(self) -> str:
        """Which recording this is, for notes beside the bars; empty while it misses what is published."""
        return self._positions.id if self._whole and self._reason is None else ""

    def follow(self, recording: str | None) -> str:
        """Goes on from the positions of the folder if it is that recording, as the notes beside the bars say,
        and begins them anew otherwise. Returns which recording it is.

        To be called before the first event. Raises StartError if the folder cannot be written.
        """
        if self._positions.id != recording:
            self._positions = Positions()
            try:
                write_positions(self._folder.positions, self._positions)
            except OSError as error:
                raise StartError(f"Cannot record into {self._folder.path}: {_said(error)}.") from error
        return self._positions.id

    @property
    def behind(self) -> bool:
        """Whether half of the room for what waits is taken: who can wait should."""
        if self._put - self._taken <= self._limit // 2 or self._limit < 0:
            return False
        self._check_answers()
        return self._reason is None

    def status(self) -> RecorderStatus:
        """How it goes. Any thread may ask."""
        self._check_answers()
        journal = self._journal
        waiting = max(0, len(self._waiting) // VALUES - len(self._marks) + len(self._open))
        return RecorderStatus(
            self._reason is None,
            self._reason,
            self._text,
            self._events - self._sealer.unfit,
            self._refused.total + self._sealer.unfit,
            self._sealer.bytes,
            0 if journal is None else journal.size,
            waiting,
            self._pulse.lag if waiting else 0.0,
        )

    def close(self) -> None:
        """Seals everything and ends: it may take seconds. May be called again."""
        if self._ending.is_set():
            return
        self._limit = -1
        self._ending.set()
        self._writer.join(END)
        if self._writer.is_alive() or not self._sealer.close(END):
            self._stop(TimeoutError(HANGS))  # its threads end with the process
            return
        if self._reason is not None:  # there may be room by now; if not, the next start seals what is left
            self._go_on(ending=True)
        if self._reason is None:
            self._text, self._reason = "it was ended", StopReason.CLOSED
            log.info("recording ended", folder=str(self._folder.path), events=self._events)
        self._lock.release(clean=self._reason is StopReason.CLOSED)

    def _take(self) -> Lock:
        """The lock of the folder. Raises StartError if another recorder has it, and OSError."""
        taken = f"records into {self._folder.path}"
        try:
            return Lock(self._folder.lock, taken, "End it, or record into another folder.")
        except OSError as error:
            error.filename = error.filename or str(self._folder.lock)
            raise

    def _now(self) -> int:
        return int(self._clock() * 1e6)

    def _check_answers(self) -> None:
        """Stops the recording if the disk has not answered for long: it goes on once it does."""
        if not self._ending.is_set() and self._pulse.silent(HANG, LOOK_EVERY):
            self._stop(TimeoutError(HANGS))

    # The thread of the journal.
    def _write_on(self) -> None:
        ending = False
        while not ending:
            ending = self._ending.wait(FLUSH_EVERY)
            self._pulse.beat()
            try:
                self._turn(ending=ending)
            except Exception as error:  # whatever it is, it is tried again
                self._stop(error)

    def _turn(self, *, ending: bool) -> None:
        if self._reason is not None:
            self._drop()
            if not ending and time.monotonic() >= self._look_at:
                self._go_on()
            return
        self._flush(ending=ending)
        self._list_refused(ending=ending)
        if self._journal is not None and (ending or self._is_due(self._journal)):
            self._hand_on(self._journal)

    def _flush(self, *, ending: bool = False) -> None:
        """Writes what waits now, up to the end of lines."""
        began = time.monotonic()
        if self._journal is not None:
            self._journal.check()
        while self._passed:
            advance(self._pending, dict((self._passed.popitem(),)))
        rows: list[Waiting] = []
        take = self._waiting.popleft
        for _ in range(len(self._waiting) // VALUES):
            event, market, received, seq = take(), take(), take(), take()
            if event is None:
                self._marks.popleft()
                if seq > self._pending.get(market, 0):
                    self._pending[market] = seq
                rows += self._open
                self._open.clear()
            elif self._lines:
                self._open.append((event, market, received, seq))
                continue
            else:
                rows.append((event, market, received, seq))
            if len(rows) >= CHUNK:
                self._write(rows)
                rows = []
        if ending:
            rows += self._open
            self._open.clear()
        if rows or self._pending:
            self._write(rows)
        if not self._open:
            self._pulse.caught_up(began)
        self._whole = True

    def _write(self, rows: list[Waiting]) -> None:
        """Writes a record of these, and of the positions that are reached with them."""
        try:
            if self._journal is None:
                path = self._folder.journal(self._order)
                self._journal = Journal(path, self._source, now=self._now(), first=self._order)
            journal = self._sealer.writing = self._journal
            journal.append(encode(self._order, rows, self._pending, self._now()))
        except Exception:
            self._lose(rows)
            raise
        journal.events += len(rows)
        self._order += len(rows)
        self._events += len(rows)
        self._taken += sum(_weight(row[0]) for row in rows)
        self._pulse.beat()
        advance(self._positions.publishers, self._pending)
        self._pending = {}
        if journal.size >= self._seal_bytes and self._sealer.idle:
            self._hand_on(journal)

    def _list_refused(self, *, ending: bool = False, reason: GapReason = GapReason.OVERRUN) -> None:
        if (stretch := self._refused.over(ending=ending)) is not None:
            add_gap(self._folder.gaps, stretch.gap(reason, self._source))
            self._refused.list(stretch)

    def _is_due(self, journal: Journal) -> bool:
        # One that goes on growing while another is sealed makes several segments.
        if not self._sealer.idle:
            return False
        now = self._now()
        return (
            journal.size >= self._seal_bytes
            or now - journal.head.began >= self._seal_seconds * 1e6
            or moment(now).date() != moment(journal.head.began).date()
        )

    def _hand_on(self, journal: Journal) -> None:
        self._journal = self._sealer.writing = None
        self._sealer.seal(journal)

    # While it has stopped.
    def _stop(self, error: Exception) -> None:
        """Records nothing for now. Said once, by whichever thread fails first."""
        with self._stopping:
            if self._reason is not None:
                return
            self._limit = -1
            self._look_at = time.monotonic() + LOOK_EVERY
            self._text = text_of(error)
            self._reason = reason_of(error)
        log.error(
            "recording stopped, the server goes on",
            folder=str(self._folder.path),
            reason=self._text,
            exc_info=None if isinstance(error, OSError) else error,
        )

    def _drop(self) -> None:
        """Lets go of what waits: it is in the gap."""
        if self._journal is not None:
            with contextlib.suppress(OSError):
                self._journal.close()
            self._left = self._journal
            self._journal = self._sealer.writing = None
        self._lose(self._open)
        self._open = []
        take = self._waiting.popleft
        for _ in range(len(self._waiting) // VALUES):
            event, market, received, seq = take(), take(), take(), take()
            if event is not None:
                self._lose([(event, market, received, seq)])
                continue
            self._marks.popleft()
            if seq > self._pending.get(market, 0):
                self._pending[market] = seq

    def _lose(self, rows: list[Waiting]) -> None:
        for event, _, received, _ in rows:
            self._refused.add(received)
            self._taken += _weight(event)

    def _go_on(self, *, ending: bool = False) -> None:
        """Records again if that can be: seals what was left, and begins a journal unless this is the end."""
        from .recovery import check_room, recover

        self._drop()
        if not self._sealer.idle:
            return
        began = time.monotonic()
        try:
            check_room(self._folder, self._seal_bytes)
            if not self._lock.in_place:
                self._lock.release(clean=False)
                self._lock = self._take()
            order, lost = recover(
                self._folder,
                self._source,
                now=self._now(),
                size=self._seal_bytes,
                reason=None,
                left=self._left,
            )
            self._left = None
            self._order = max(self._order, order)
            if lost > 0:  # what is in a gap counts as reached, in the next journal as in the one before
                self._events -= lost
                self._refused.lose(lost)
                advance(self._pending, self._positions.publishers)
            self._sealer.count()
            if not ending:
                self._write([])
            self._list_refused(ending=True, reason=GapReason.INTERRUPTED)
        except Exception as error:
            self._text, self._reason = text_of(error), reason_of(error)
            self._drop()
            now = time.monotonic()
            self._look_at = now + max(LOOK_EVERY, 19 * (now - began))
            return
        with self._stopping:
            self._reason, self._text, self._whole = None, "", False
            self._limit = -1 if ending or self._ending.is_set() else WAITING_LIMIT
        if not ending:
            log.warning("recording goes on", folder=str(self._folder.path))


def _said(error: OSError) -> str:
    """What failed, and with which file."""
    said = str(error.strerror or (error.args[0] if error.args else error))
    return f"{said} ({error.filename})" if error.filename else said


def _weight(event: Event | Correction) -> int:
    """What an event takes of the room for those that wait."""
    return 1 + len(event.bids) + len(event.asks) if isinstance(event, Book) else 1
