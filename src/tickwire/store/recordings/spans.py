"""What of streams is recorded in some folders, and from when to when, without reading any of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ...errors import InputError
from ...model import Kind
from . import journal
from .folder import Folder
from .growing import look_again
from .journal import Record
from .needs import need_pyarrow
from .recordings import ALL, folders_in, told, told_if_there

if TYPE_CHECKING:  # it needs pyarrow
    from .footer import Footer

Streamed: TypeAlias = tuple[Kind, str]
"""A stream of a code."""


class Span(NamedTuple):
    """The streams that something is recorded of, from the first to the last of it, in milliseconds since the
    epoch (0 if nothing is), and the most (price, volume) decimals of each code."""

    begin: int
    end: int
    streams: frozenset[Streamed]
    decimals: dict[str, tuple[int, int]]


class Spans:
    """Looks at the folders of recordings."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """Each is the folder of a recording, or of several. Raises InputError if there is none, or without
        pyarrow."""
        found: dict[Path, Folder] = {}
        for path in paths:
            need_pyarrow(InputError)
            for folder in folders_in(path):
                found.setdefault(folder.path.resolve(), folder)
        self.folders = [*found.values()]
        self._there = {folder.path: folder.exists() for folder in self.folders}
        self._footers: dict[Path, Footer] = {}  # files do not change

    def of(self, streams: Collection[Streamed], unsealed: Mapping[Streamed, int]) -> Span:
        """What there is of these; `unsealed` are those of which something may stand in a journal, with the
        time of their last event. Waits for the disk. Raises InputError that names a bad file."""
        for folder in self.folders:
            self._there[folder.path] = look_again(folder, self._there[folder.path])
        begins, ends = [], [*unsealed.values()]
        found = set(unsealed)
        decimals: dict[str, tuple[int, int]] = {}
        for kind, footer in self._sealed():
            codes = [code for code in footer.codes if (kind, code) in streams]
            for code in codes:
                note, (price, volume) = footer.codes[code], decimals.get(code, (0, 0))
                decimals[code] = max(price, note.price_decimals), max(volume, note.volume_decimals)
                found.add((kind, code))
            if codes:
                begins.append(footer.first_time)
                ends.append(footer.last_time)
        if unsealed:
            begins += self._unsealed() or unsealed.values()
        return Span(min(begins, default=0), max(ends, default=0), frozenset(found), decimals)

    def _unsealed(self) -> list[int]:
        """When the first event in each of the journals that there are was, by the source."""
        from .page import first_time, load_records

        found: list[int] = []
        for folder in self.folders:
            with told(folder):
                for _, path in folder.journals():
                    with suppress(FileNotFoundError):  # it has been sealed since
                        some = (one for one in journal.read(path) if isinstance(one, Record) and one.events)
                        if (record := next(some, None)) is not None:
                            found += [first_time(page) for page in load_records([record], ALL).pages(ALL)]
        return found

    def _sealed(self) -> Iterator[tuple[Kind, Footer]]:
        from .footer import read_footer

        for folder in self.folders:
            with told(folder):
                files = folder.complete_files()
            for file in files:
                if (footer := self._footers.get(file.path)) is None:
                    try:
                        with told_if_there([file]):
                            footer = read_footer(file.path)
                    except FileNotFoundError:
                        continue
                    self._footers[file.path] = footer
                yield file.partition.kind, footer
