"""What is fuzzed of files: each target takes any bytes, and raises only where something is wrong.

What it may raise of what is bad, it takes as an answer; whatever else is a find.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from tickwire import config
from tickwire.errors import InputError, SettingsError, StartError
from tickwire.market.importer import BarFile, Reading, Report
from tickwire.sandbox.scenario import read_scenario
from tickwire.sources.recording import Recording
from tickwire.store import load_catalogue
from tickwire.store.recordings import journal
from tickwire.store.suspension_file import read_suspensions

CATALOGUE = load_catalogue()
NOW = 1_794_839_400_000
"""The wall clock, in milliseconds."""


@cache
def folder() -> Path:
    """Where the files of targets are written."""
    path = Path(tempfile.mkdtemp(prefix="tickwire-fuzz-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def file_of(data: bytes, name: str) -> Path:
    """A file that holds these bytes."""
    path = folder() / name
    path.write_bytes(data)
    return path


def settings(data: bytes) -> None:
    """A file of settings."""
    with suppress(SettingsError, InputError):
        config.load({}, file_of(data, "settings.toml"), {})


def scenario(data: bytes) -> None:
    """A scenario."""
    with suppress(InputError):
        read_scenario(data.decode("utf-8", "replace"), "it")


def recording(data: bytes) -> None:
    """A recording of ticks in CSV, plain or packed."""
    one = Recording([file_of(data, "ticks.csv")], CATALOGUE)
    try:
        one.scan()
        for _ in one.lines():
            pass
    except InputError:
        pass


def _bars(path: Path) -> None:
    one = BarFile(path, CATALOGUE, NOW, Reading(), Report())
    try:
        one.measure()
        for _ in one.rows(ascending=False):
            pass
    except InputError:
        pass


def bars(data: bytes) -> None:
    """Bars in CSV, plain or packed."""
    _bars(file_of(data, "bars.csv"))


def parquet(data: bytes) -> None:
    """Bars in Parquet."""
    _bars(file_of(data, "bars.parquet"))


def instruments(data: bytes) -> None:
    """Instruments of one's own, in TOML or CSV."""
    name = "own.toml" if data[:1] == b"[" else "own.csv"
    with suppress(InputError):
        load_catalogue([file_of(data, name)])


def suspensions(data: bytes) -> None:
    """Halts of stocks, in JSON or CSV."""
    try:
        for _ in read_suspensions(file_of(data, "halts"), None):
            pass
    except InputError:
        pass


def journals(data: bytes) -> None:
    """The journal of a recording."""
    path = file_of(data, "journal")
    try:
        if journal.read_head(path) is not None:
            last = 0
            for one in journal.read(path):
                if isinstance(one, journal.Damage):
                    assert last <= one.begin < one.end <= len(data)
                    last = one.end
    except StartError:
        pass
