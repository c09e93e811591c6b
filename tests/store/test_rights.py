"""Who may read what is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tickwire.store.rights import settle_rights

pytestmark = pytest.mark.skipif(os.name != "posix", reason="no such rights")


@pytest.fixture(autouse=True)
def _loose(_umask: None) -> None:
    os.umask(0)


def made(path: Path, *names: str) -> Path:
    """A folder with files, as an older server left them."""
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).touch()
    return path


def modes(path: Path) -> dict[str, str]:
    return {
        one.relative_to(path).as_posix(): f"{one.stat().st_mode & 0o777:o}"
        for one in (path, *path.rglob("*"))
    }


DATA = (
    "tickwire.db",
    "tickwire.db-wal",
    "tickwire.db-shm",
    "tickwire.db.damaged-20261128T231900Z",
    "epoch",
    "lock",
)
SEALED = "kind=trade/market=crypto/date=2026-11-28/000000000000000-000000000000009.parquet"
RECORDED = (SEALED, "_tickwire/000000000000010.journal", "_tickwire/gaps.jsonl", "_tickwire/damaged/some")


@pytest.mark.parametrize(("group", "folder", "file"), [(False, "700", "600"), (True, "750", "640")])
def test_what_an_older_server_left_is_taken_back_and_told_once(
    tmp_path: Path, group: bool, folder: str, file: str
) -> None:
    data, ticks = made(tmp_path / "data", *DATA, "tls/ca.pem"), made(tmp_path / "ticks", *RECORDED)
    with capture_logs() as logged:
        settle_rights(data, ticks, group=group)
        settle_rights(data, ticks, group=group)
    assert [(one["folder"], one["files"]) for one in logged] == [(str(data), 9), (str(ticks), 10)]
    for path in (data, ticks):
        assert set(modes(path).values()) == {folder, file}
        assert all((path / name).is_dir() == (mode == folder) for name, mode in modes(path).items())
    made(tmp_path / "later", "new")
    assert modes(tmp_path / "later") == {".": folder, "new": file}


def test_the_group_is_let_in_and_shut_out_again(tmp_path: Path) -> None:
    data = made(tmp_path / "data", *DATA)
    for group, file in ((False, "600"), (True, "640"), (False, "600")):
        settle_rights(data, None, group=group)
        assert modes(data)["tickwire.db"] == file


def test_what_is_not_ours_stays_as_it_is(tmp_path: Path) -> None:
    home, shelf = made(tmp_path / "home", *DATA, "notes.txt"), made(tmp_path / "shelf", *RECORDED, "plot.png")
    (home / "epoch.link").symlink_to(tmp_path / "elsewhere")
    made(tmp_path, "elsewhere")
    settle_rights(home, shelf, group=False)
    assert modes(home) | {"epoch.link": ""} == {
        ".": "777",
        "notes.txt": "666",
        "epoch.link": "",
    } | dict.fromkeys(DATA, "600")
    found = modes(shelf)
    assert (found["."], found["plot.png"], found["_tickwire"], found[SEALED]) == ("777", "666", "700", "600")
    assert modes(tmp_path)["elsewhere"] == "666"


def test_keys_are_nobody_else_s_whoever_may_read_the_rest(tmp_path: Path) -> None:
    data = made(tmp_path / "data", *DATA, "token.key", "tls/server.key")
    for key in ("token.key", "tls/server.key"):
        (data / key).chmod(0o600)
    settle_rights(data, None, group=True)
    assert (modes(data)["token.key"], modes(data)["tls/server.key"]) == ("600", "600")


def test_each_of_several_recordings_is_looked_at(tmp_path: Path) -> None:
    for source in ("simulator", "exchange-binance"):
        made(tmp_path / "ticks" / source, *RECORDED)
    settle_rights(tmp_path / "none", tmp_path / "ticks", group=False)
    assert modes(tmp_path / "ticks")["simulator/_tickwire/gaps.jsonl"] == "600"
    assert modes(tmp_path / "ticks")["exchange-binance"] == "700"
