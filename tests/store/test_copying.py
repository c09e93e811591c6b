"""A database copied into another one, of the same kind and of the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tickwire.errors import InputError
from tickwire.model import Suspension, SuspensionList
from tickwire.store import Copied, File, GapStore, SuspensionStore, TokenStore, copy, copying, klines_of
from tickwire.store.opening import open_file
from tickwire.store.tokens import KEY_FILE

from ..postgres import Postgres
from ..stores import change_in
from .damaging import BARS, CODES, SOURCE, TYPES, Stores
from .files import a_bar

Open = Callable[[str], File]


@pytest.fixture
def opening(tmp_path: Path, postgres: Postgres) -> Iterator[Open]:
    """A database of a kind, new at first, the same then."""
    urls: dict[str, str] = {}
    with ExitStack() as held:

        def opened(kind: str) -> File:
            if kind.startswith("postgresql") and kind not in urls:
                urls[kind] = postgres.database()
            return held.enter_context(closing(open_file(tmp_path / f"{kind}.db", urls.get(kind))))

        yield opened


@pytest.fixture
def fill(tmp_path: Path) -> Callable[[File], Stores]:
    def made(file: File) -> Stores:
        (tmp_path / KEY_FILE).write_bytes(b"k" * 32)
        stores = Stores(file, tmp_path / KEY_FILE)
        stores.fill()
        klines_of(file).write("other", BARS[CODES[0], TYPES[0]], {"a": "1"})
        return stores

    return made


def content(file: File, key: Path) -> list[object]:
    """All that is in a database."""
    bars, found = klines_of(file), []
    for source in bars.sources():
        codes = bars.codes(source)
        found += [source, codes, bars.restore(source, codes, 10**6), bars.notes(source, "")]
    gaps, suspensions = GapStore(file), SuspensionStore(file)
    pages = [suspensions.page(one, ["", SOURCE]) for one in ("sse", "nyse", "nasdaq")]
    tokens = TokenStore(file, key)
    return [*found, gaps.page(None, 0, None, 10**6), pages, tokens.tokens(), tokens.changes()]


KINDS = [("sqlite", "postgresql"), ("postgresql", "sqlite"), ("postgresql", "postgresql2")]


@pytest.mark.parametrize(("old", "new"), KINDS)
def test_all_is_there_then_and_it_goes_on_from_there(
    opening: Open, fill: Callable[[File], Stores], tmp_path: Path, old: str, new: str
) -> None:
    source, target = opening(old), opening(new)
    stores = fill(source)
    told: list[Copied] = []
    copy(source, target, told.append)
    assert told == [
        Copied("instruments", 40),
        Copied("tokens", 40),
        Copied("suspensions", 60),
        Copied("gaps", 60),
        Copied("notes", 62),
        Copied("bars of other", 79),
        Copied(f"bars of {SOURCE}", 6 * 79),
    ]
    assert content(target, tmp_path / KEY_FILE) == content(source, tmp_path / KEY_FILE)
    with pytest.raises(InputError, match="is not empty"):
        copy(source, target, told.append)
    later = Suspension(exchange=SuspensionList.SSE, symbol="NEW", publish_date="2026-09-03")
    gaps, suspensions = GapStore(target), SuspensionStore(target)
    last = max(gap.number for gap in gaps.page(None, 0, None, 100))
    assert gaps.open("alltick", "crypto", ["GOLD"], 1, "later") == last + 1
    assert suspensions.add("", [later]) == 1
    assert stores.gaps.page(None, 0, None, 1)[0].number == last


@pytest.mark.parametrize(("old", "new"), KINDS)
def test_one_that_was_interrupted_goes_on(
    opening: Open,
    fill: Callable[[File], Stores],
    tmp_path: Path,
    old: str,
    new: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, target = opening(old), opening(new)
    fill(source)
    monkeypatch.setattr(copying, "PART", 17)
    monkeypatch.setattr(copying, "FEW", 7)

    def stop_after(most: int) -> None:
        left = iter(range(most))
        real = copying._bars

        def bars(*arguments: Any) -> int:
            if next(left, None) is None:
                raise KeyboardInterrupt
            return real(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(copying, "_bars", bars)
            copy(source, target, lambda _: None)

    for most in (0, 25):
        with pytest.raises(KeyboardInterrupt):
            stop_after(most)
    with pytest.raises(InputError, match="has only a part of"):
        copy(opening("sqlite9"), target, lambda _: None)
    with pytest.raises(InputError, match="has only a part of"):
        copy(target, opening("sqlite8"), lambda _: None)
    copy(source, target, lambda _: None)
    assert content(target, tmp_path / KEY_FILE) == content(source, tmp_path / KEY_FILE)


def test_what_somebody_writes_meanwhile_is_noticed(opening: Open, fill: Callable[[File], Stores]) -> None:
    source, target = opening("sqlite"), opening("postgresql")
    fill(source)

    def write(copied: Copied) -> None:
        if copied.what == "gaps":
            GapStore(source).open("alltick", "crypto", ["GOLD"], 1, "meanwhile")

    with pytest.raises(InputError, match="gaps: 61 were copied, and there are 60 now: somebody wrote"):
        copy(source, target, write)


def test_damaged_bars_are_counted_and_left_out(
    opening: Open, fill: Callable[[File], Stores], tmp_path: Path
) -> None:
    source, target = opening("sqlite"), opening("postgresql")
    fill(source)
    change_in(tmp_path / "sqlite.db", "UPDATE kline SET open = '7' WHERE time % 300 = 0")
    told: list[Copied] = []
    copy(source, target, told.append)
    assert sum(copied.damaged for copied in told) > 40
    assert content(target, tmp_path / KEY_FILE) == content(source, tmp_path / KEY_FILE)


def test_into_itself(opening: Open) -> None:
    with pytest.raises(InputError, match="into itself"):
        copy(opening("sqlite"), opening("sqlite"), lambda _: None)


def test_a_backup_brings_all_back(
    opening: Open, fill: Callable[[File], Stores], tmp_path: Path, postgres: Postgres
) -> None:
    """As docs/operating.md says; taken while the database is in use, it is of one moment."""
    file = opening("postgresql")
    fill(file)
    before = content(file, tmp_path / KEY_FILE)
    database = file.name.rpartition("/")[2]
    dump = postgres.folder / "tickwire.dump"
    server = ("-h", postgres.folder, "-p", postgres.port, "-U", "tickwire")
    postgres.run("pg_dump", *server, "-Fc", "-f", dump, database)
    GapStore(file).open("alltick", "crypto", ["GOLD"], 1, "after the backup")
    postgres.run("createdb", *server, "restored")
    postgres.run("pg_restore", *server, "--no-owner", "--exit-on-error", "-d", "restored", dump)
    with closing(open_file(tmp_path / "tickwire.db", postgres.url("restored"))) as restored:
        assert content(restored, tmp_path / KEY_FILE) == before
        klines_of(restored).write(SOURCE, [a_bar(60)])
        GapStore(restored).open("alltick", "crypto", ["GOLD"], 1, "later")
