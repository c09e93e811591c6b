"""The epoch of a server's run: where its sequences begin."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import structlog

from ..machine import Damaged, Disk

FILE = "epoch"
MARGIN = 60_000_000
"""Microseconds added to what the last run may have reached since it noted its time."""
LATEST_CLOCK = 7_258_118_400_000_000
"""Microseconds up to the year 2200: a clock that shows more is not believed, for sequences never go back."""
LATEST = 2**53 - 1
"""The last number that every client can tell from its neighbours, those written in JavaScript too. It lies 55
years beyond `LATEST_CLOCK`, so no epoch of ours reaches it."""
EARLIEST_BARE = 1_577_836_800_000_000
"""Microseconds up to the year 2020: a smaller number without a checksum is what is left of a larger one."""
AHEAD = 86_400_000_000
"""Microseconds by which an epoch may be ahead of the clock before the log says more about it."""

_NOTE = re.compile(rb"(\d{1,19})(?: ([0-9a-f]{8}))?\n?")
"""A number and its checksum, which those before 0.2 do not have."""

log = structlog.get_logger()


class EpochFile:
    """Notes how far the sequences of a data directory may have come, so that `seq` grows across restarts even
    if the clock was set back in between (section 2, "Push").

    Numbers are microseconds since the Unix epoch.
    """

    def __init__(self, data_dir: Path, disk: Disk) -> None:
        self._path, self._disk = data_dir / FILE, disk

    def is_there(self) -> bool:
        """Whether a run has noted anything."""
        try:
            self._disk.look(self._path)
        except FileNotFoundError:
            return False
        return True

    def begin(self, now: int) -> int:
        """The epoch of a run that starts now: above all that earlier runs may have given. It is to be noted.

        A file that is damaged is set aside. Raises OSError if it cannot be read.
        """
        try:
            seen = self._read()
        except FileNotFoundError:
            seen = 0
        except Damaged as damage:
            seen = self._set_aside(damage)
        if now > LATEST_CLOCK:
            log.warning(
                "the clock is beyond the year 2200 and not believed: sequences go on from where they were. "
                "Set it right",
                clock=now / 1e6,
            )
            return seen + MARGIN
        if now > seen:
            return now
        if seen - now > AHEAD:
            log.warning(
                "sequences begin far ahead of the clock, above those of an earlier run: its clock was ahead, "
                "or this one is behind. If the clock is right there is nothing to do",
                days=round((seen - now) / AHEAD, 1),
            )
        else:
            log.warning(
                "the clock was set back: sequences go on from where they were", seconds=(seen - now) / 1e6
            )
        return seen + MARGIN

    def note(self, reached: int) -> None:
        """The run has come so far. Returns when that is on the disk. Raises OSError."""
        number = str(reached).encode("ascii")
        self._disk.replace(self._path, b"%b %08x\n" % (number, zlib.crc32(number)))

    def _read(self) -> int:
        content = self._disk.read(self._path)
        match = _NOTE.fullmatch(content)
        if match is None:
            raise Damaged("it is empty" if not content.strip() else "it holds no number")
        number, checksum = match.groups()
        if checksum is not None and int(checksum, 16) != zlib.crc32(number):
            raise Damaged("its checksum is wrong")
        if checksum is None and int(number) < EARLIEST_BARE:
            raise Damaged("it ends in the middle of its number")
        if int(number) > LATEST:
            raise Damaged("its number is too large")
        return int(number)

    def _set_aside(self, damage: Damaged) -> int:
        """What is known without the file: it was last written when the run before it had come so far."""
        written = self._disk.look(self._path)[0] // 1000
        aside = self._disk.set_aside(self._path)
        log.error(
            "the file that says how far sequences have come was damaged and is set aside: they go on from "
            "the clock. If the clock was set back, stop the server and put the file of a backup in its place",
            file=str(self._path),
            reason=str(damage),
            kept_as=aside.name,
        )
        return written if written <= LATEST_CLOCK else 0
