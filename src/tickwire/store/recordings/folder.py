"""The folder of a recording: what lies where, and under which name.

```
kind=trade|book|correction/market=…/date=YYYY-MM-DD/FIRST-LAST.parquet    what is sealed
_tickwire/FIRST.journal                                        what is not sealed yet
_tickwire/gaps.jsonl                                           what is missing
_tickwire/positions.json                                       how far publishers are in what is sealed
_tickwire/damaged/                                             bytes of journals that could not be read
_tickwire/sealing/                                             files being written
_tickwire/lock                                                 held by the one that records
```

FIRST and LAST count the events of the recording in their order of arrival. The files of one segment, that is
of one stretch of the order, have the same name in different partitions. What is ours alone begins with an
underscore, so that readers of Parquet datasets pass over it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple, NoReturn

from ...errors import InputError
from ...model import Kind, Market

KINDS = {"trade": Kind.TRADE, "book": Kind.DEPTH, "correction": Kind.CORRECTION}
"""The kinds that are recorded, by their name in paths."""
HIDDEN = ("_", ".")
"""What readers of Parquet datasets pass over begins with one of these."""
NAMES = {kind: name for name, kind in KINDS.items()}

_JOURNAL = re.compile(r"(\d{15,19})\.journal")
_SEALED = re.compile(
    rf"kind=({'|'.join(KINDS)})/market=({'|'.join(Market)})/date=(\d{{4}}-\d\d-\d\d)/"
    r"(\d{15,19})-(\d{15,19})\.parquet",
    re.ASCII,
)


class Partition(NamedTuple):
    """Where a file of the recording belongs. The date is that of the source's time, in UTC."""

    kind: Kind
    market: Market
    date: date

    def __str__(self) -> str:
        return f"kind={NAMES[self.kind]}/market={self.market}/date={self.date.isoformat()}"


class SealedFile(NamedTuple):
    """A Parquet file of the recording; its events are among the `first` to the `last` of the order."""

    path: Path
    partition: Partition
    first: int
    last: int


class Folder:
    """The names of a recording's files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.own = path / "_tickwire"
        self.lock = self.own / "lock"
        self.gaps = self.own / "gaps.jsonl"
        self.positions = self.own / "positions.json"
        self.damaged = self.own / "damaged"
        self.sealing = self.own / "sealing"

    def journal(self, first: int) -> Path:
        """The journal that begins with that event of the order."""
        return self.own / f"{first:015}.journal"

    def sealed(self, partition: Partition, first: int, last: int) -> Path:
        """A sealed file of a segment."""
        return self.path / str(partition) / f"{first:015}-{last:015}.parquet"

    def journals(self) -> list[tuple[int, Path]]:
        """All journals and where each begins, in their order. Raises OSError."""
        if not self.own.is_dir():
            return []
        found = ((_JOURNAL.fullmatch(path.name), path) for path in self.own.iterdir())
        return sorted((int(match[1]), path) for match, path in found if match)

    def files(self, *, strict: bool = False) -> list[SealedFile]:
        """All sealed files in their order.

        With `strict` a Parquet file that is none of ours raises InputError; otherwise it is passed over.
        Raises OSError.
        """
        found = []
        for path in self._parquet():
            file = _sealed_file(path, path.relative_to(self.path).as_posix())
            if file is not None:
                found.append(file)
            elif strict:
                raise InputError(f"{path} is no file of a recording. Move it out of {self.path}.")
        return sorted(found, key=lambda file: (file.first, file.path))

    def complete_files(self) -> list[SealedFile]:
        """The files of all segments that were complete when it was called, in their order.

        A recorder may be sealing meanwhile. Raises InputError and OSError.
        """
        # A journal stays until all files of its segments have their names, and later ones follow it in the
        # order. So what was there before the look at the journals is complete unless a journal claims it; of
        # that all files are there now.
        seen = {file.first for file in self.files()}
        unsealed = min((first for first, _ in self.journals()), default=None)
        return [
            file
            for file in self.files(strict=True)
            if file.first in seen and (unsealed is None or file.first < unsealed)
        ]

    def exists(self) -> bool:
        """Whether anything of a recording is here."""
        return any(path.is_dir() for path in (self.own, *self._kinds()))

    def _kinds(self) -> list[Path]:
        return [self.path / f"kind={name}" for name in KINDS]

    def _parquet(self) -> Iterator[Path]:
        for top in self._kinds():
            if not top.is_dir():
                continue
            for parent, folders, names in os.walk(top, onerror=_raise):
                folders[:] = [name for name in folders if not name.startswith(HIDDEN)]
                found = (name for name in names if name.endswith(".parquet"))
                yield from (Path(parent, name) for name in found if not name.startswith(HIDDEN))


def _sealed_file(path: Path, relative: str) -> SealedFile | None:
    match = _SEALED.fullmatch(relative)
    if match is None:
        return None
    kind, market, day, first, last = match.groups()
    try:
        partition = Partition(KINDS[kind], Market(market), date.fromisoformat(day))
    except ValueError:
        return None
    return SealedFile(path, partition, int(first), int(last))


def sync(path: Path) -> None:
    """Returns when the content of a file, or the names in a folder, are on the disk. Raises OSError."""
    folder = path.is_dir()
    if folder and os.name == "nt":  # which opens no folders, and keeps names in a journal of its own
        return
    descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _raise(error: OSError) -> NoReturn:
    raise error
