"""One server at a time on a data directory; the commands work beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tickwire.errors import InputError, SettingsError, StartError
from tickwire.testing import AllTickServer

from ..cli.commands import tickwire
from ..serving import Script, program, serving

BARS = """code,timestamp_s,open,high,low,close,volume
GOLD,1788480000,100.5,101.5,99.5,101,7
"""


async def test_a_second_server_is_refused_and_the_commands_are_not(tmp_path: Path) -> None:
    where = ("--data-dir", str(tmp_path / "data"))
    bars = tmp_path / "bars.csv"
    bars.write_text(BARS, "ascii")
    async with program(tmp_path) as first:
        second = await tickwire(tmp_path, "serve", "--port", "0", *where)
        assert (second.status, second.out) == (1, "")
        assert second.err.splitlines() == [
            f"tickwire: Another Tickwire (process {first.process.pid}) serves from the data directory "
            f"{tmp_path / 'data'}. Stop it, or give this one a directory of its own: --data-dir DIR."
        ]
        other = ("--source", "publish", "--port", "0", "--host", "0.0.0.0", "--no-auth")
        assert "serves from the data directory" in (await tickwire(tmp_path, "serve", *other, *where)).err
        for command in (
            ("import", str(bars)),
            ("suspend", "add", "nyse", "IBM", "--reason", "News"),
            ("suspend", "list"),
            ("token", "create", "--name", "desk"),
            ("token", "list"),
        ):
            done = await tickwire(tmp_path, *command, *where)
            assert done.status == 0, done.err
        await first.end()
    async with program(tmp_path):
        pass


async def test_one_that_was_killed_is_followed_at_once(tmp_path: Path) -> None:
    async with program(tmp_path) as first:
        first.process.kill()
        await first.process.wait()
        async with program(tmp_path) as second:
            assert "process" not in second.log


async def test_servers_of_one_process_follow_one_another(tmp_path: Path) -> None:
    for _ in range(2):
        async with serving(tmp_path, Script()) as served:
            assert (await served.request("GET", "/readyz")).status_code == 200
            with pytest.raises(StartError, match="serves from the data directory"):
                async with serving(tmp_path, Script()):
                    pass


def test_servers_of_tests_too(tmp_path: Path) -> None:
    server = AllTickServer(data_dir=tmp_path, codes=["GOLD"])
    for _ in range(2):
        with server, pytest.raises(StartError, match="--data-dir DIR"):
            AllTickServer(data_dir=tmp_path, codes=["GOLD"]).start()


async def test_a_start_that_fails_half_way_lets_go_of_it(tmp_path: Path) -> None:
    torn = tmp_path / "torn.toml"
    torn.write_text("[[step]]\n", "ascii")
    data = tmp_path / "data"
    with pytest.raises(InputError):
        AllTickServer(data_dir=data, scenario=[str(torn)]).start()
    with pytest.raises(SettingsError):
        AllTickServer(data_dir=data, codes=["NOSUCH"]).start()
    (data / "token.key").mkdir()
    token = await tickwire(tmp_path, "token", "create", "--name", "a", "--data-dir", str(data))
    assert token.status == 1
    (data / "token.key").rmdir()
    record = tmp_path / "file"
    record.touch()
    with pytest.raises(StartError, match="Cannot record into"):
        AllTickServer(data_dir=data, record=record).start()
    with AllTickServer(data_dir=data):
        pass
