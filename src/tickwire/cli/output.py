"""How commands print what they have read: tables for people, JSON lines for pipes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, TextIO

import msgspec
import typer

from ..errors import TickwireError

if TYPE_CHECKING:
    from ..client import Progress

PIECE = 4096
"""Bytes that a pipe takes whole or not at all: PIPE_BUF of Linux (pipe(7))."""
NOTHING = "–"
GAP = "  "


class Style(StrEnum):
    """What ends a style, and the styles."""

    PLAIN = "\x1b[0m"
    BOLD = "\x1b[1m"
    RED = "\x1b[31m"
    GREEN = "\x1b[32m"
    YELLOW = "\x1b[33m"


class Format(StrEnum):
    """What K-lines are written as."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def plain(number: Decimal | None) -> str | None:
    """A number with the decimals that the server gave it, never in exponent form; None for None."""
    return None if number is None else f"{number:f}"


def utc(milliseconds: int | None) -> str | None:
    """A time in milliseconds since the epoch as ISO 8601 in UTC: 2026-11-22T09:30:00.125Z; None for None."""
    if milliseconds is None:
        return None
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{rest:03}Z"


def json_line(record: object) -> str:
    """A record as one line of JSON; numbers of money are texts in it, see `plain`."""
    return msgspec.json.encode(record).decode() + "\n"


def visible(text: str) -> str:
    """A server's text without what could steer a terminal."""
    return text if text.isprintable() else "".join(one if one.isprintable() else "�" for one in text)


def fields(value: msgspec.Struct) -> dict[str, Any]:
    """The fields of a value as a record: times in UTC, money as texts, see `plain`."""
    found: dict[str, Any] = {}
    for name in value.__struct_fields__:
        one = getattr(value, name)
        if type(one) is Decimal:
            found[name] = f"{one:f}"
        elif name.endswith("_ms"):
            found[name[:-3]] = utc(one)
        else:
            found[name] = one
    return found


def coloured(stream: TextIO) -> bool:
    """Whether colours are wanted there: on a terminal, unless NO_COLOR is set (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def styled(text: str, style: Style, *, wanted: bool) -> str:
    """The text in that style where colours are wanted."""
    return f"{style}{text}{Style.PLAIN}" if wanted and text else text


def table(header: Sequence[str], rows: Iterable[Sequence[str | None]], right: Collection[str] = ()) -> str:
    """Rows in columns as wide as they must be, below a header; those that `right` names are numbers.

    >>> print(table(["CODE", "LAST"], [["GOLD", "4415.32"], ["EURUSD", None]], right={"LAST"}), end="")
    CODE       LAST
    GOLD    4415.32
    EURUSD        –
    """
    from rich.cells import cell_len

    cells = [[*header], *([NOTHING if one is None else visible(one) for one in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        padded = (
            " " * (size - cell_len(cell)) + cell if name in right else cell + " " * (size - cell_len(cell))
            for name, cell, size in zip(header, row, widths, strict=True)
        )
        lines.append(GAP.join(padded).rstrip())
    lines[0] = styled(lines[0], Style.BOLD, wanted=coloured(sys.stdout))
    return "\n".join(lines) + "\n"


def put(text: str) -> None:
    """Prints to standard output. A reader that has had enough (`| head`) ends the program, quietly."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        had_enough()


def had_enough() -> None:
    """Ends the program: nobody reads what it prints."""
    # What is still in the buffer goes nowhere, lest the interpreter complains when it ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit


def note(text: str) -> None:
    """Tells something beside the output, on standard error."""
    print(f"tickwire: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def progress_bar() -> Iterator[Callable[[Progress], None] | None]:
    """Shows how far a download is, on standard error, once it takes more than one request; None where that
    is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[bars]:,} bars"),
        TimeRemainingColumn(),
    )
    bar = Bar(*columns, console=Console(stderr=True), transient=True)

    def show(progress: Progress) -> None:
        if progress.part < 1 and not bar.tasks:
            bar.add_task(progress.code, total=1.0, bars=0)
            bar.start()
        for task in bar.task_ids:
            bar.update(task, completed=progress.part, bars=progress.bars)

    try:
        yield show
    finally:
        bar.stop()


class Outlet:
    """Standard output for what never ends: written at once, by a thread of its own.

    So a reader that pauses (a terminal that is scrolled back, `less`) does not keep the connection from
    being read, nor its heartbeats from being sent; nor the program from ending. A pipe takes whole lines, as
    long as they have no more than `PIECE` bytes: it is never left with a part of one.
    """

    def __init__(self) -> None:
        self._waiting: SimpleQueue[tuple[bytes, Callable[[], None], Future[None]]] = SimpleQueue()
        self._taken = 0
        self._stopped = False
        self._file = sys.stdout.fileno()
        sys.stdout.flush()
        Thread(target=self._write, name="output", daemon=True).start()

    async def write(self, text: str, written: Callable[[], None] = lambda: None) -> None:
        """Returns when it is written, and `written` has been called behind it in the same thread. Raises what
        that does, and OSError, BrokenPipeError among them."""
        done: Future[None] = Future()
        self._waiting.put((self.encoded(text), written, done))
        await asyncio.wrap_future(done)

    def encoded(self, text: str) -> bytes:
        """The bytes that are written of it."""
        return text.encode(sys.stdout.encoding, "replace")

    def stop(self) -> int:
        """Writes nothing more. Returns how many bytes were taken of the text that was written last."""
        self._stopped = True
        return self._taken

    def _write(self) -> None:
        while True:
            data, written, done = self._waiting.get()
            awaited = done.set_running_or_notify_cancel()
            failure: Exception | None = None
            self._taken = 0
            try:
                while self._taken < len(data):
                    if self._stopped:
                        return
                    piece = data[self._taken : _end_of_piece(data, self._taken)]
                    self._taken += os.write(self._file, piece)
                written()
            except (OSError, TickwireError) as error:
                failure = error
            if awaited and failure is not None:
                done.set_exception(failure)
            elif awaited:
                done.set_result(None)


def _end_of_piece(data: bytes, begin: int) -> int:
    """Up to where the next of it is written at once: whole lines, if there is one in so many bytes."""
    return data.rfind(b"\n", begin, begin + PIECE) + 1 or begin + PIECE
