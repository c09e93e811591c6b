"""Files that a person hands in, through the commands that read them: a fault is one line, and none waits."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tickwire.errors import InputError
from tickwire.files import MOST_TOML, read_text, read_toml, toml_in
from tickwire.machine import REAL
from tickwire.testing import AllTickServer

from ..cli.commands import environment, tickwire

COMMANDS: dict[str, tuple[str, ...]] = {
    "settings": ("serve", "--config", "FILE.toml"),
    "settings of a client": ("quote", "GOLD", "--config", "FILE.toml"),
    "instruments": ("serve", "--instruments", "FILE.toml"),
    "instruments in CSV": ("serve", "--instruments", "FILE.csv"),
    "scenario": ("serve", "--scenario", "FILE.toml"),
    "symbols": ("serve", "--source", "exchange:binance", "--symbols", "FILE.toml"),
    "symbols in CSV": ("serve", "--source", "exchange:binance", "--symbols", "FILE.csv"),
    "token": ("serve", "--source", "alltick", "--upstream-token-file", "FILE.txt"),
    "suspensions": ("suspend", "import", "FILE.csv", "--exchange", "nyse"),
    "bars": ("import", "FILE.csv"),
    "bars in Parquet": ("import", "FILE.parquet"),
    "ticks": ("serve", "--source", "replay", "--file", "FILE.csv"),
    "plans": ("token", "create", "--name", "a", "--config", "FILE.toml"),
}
DEEP = "a" + ".a" * 60_000 + " = 1"
QUOTED = '"a b"' + '."a b"' * 60_000 + " = 1"


def sparse(path: Path) -> None:
    """A hundred megabytes that take no room on the disk."""
    with path.open("wb") as file:
        file.truncate(10**8)


def zero(path: Path) -> None:
    path.symlink_to("/dev/zero")


FAULTS: dict[str, Callable[[Path], object]] = {
    "is not there": lambda _: None,
    "a folder": Path.mkdir,
    "a pipe": os.mkfifo,
    "zeros without end": zero,
    "a hundred megabytes": sparse,
    "UTF-16": lambda path: path.write_text("a = 1\n", "utf-16"),
    "UTF-16 without a mark": lambda path: path.write_text("a = 1\n", "utf-16-le"),
    "no UTF-8": lambda path: path.write_bytes(b"a = '\xff'\n"),
    "zeros": lambda path: path.write_bytes(b"\0" * 64),
    "60 000 parts": lambda path: path.write_text(DEEP, "ascii"),
    "lists in lists": lambda path: path.write_text("a = " + "[" * 100_000, "ascii"),
}


DRIVER = """
import contextlib, io, json, sys
from tickwire.cli.main import run
for command in json.load(sys.stdin):
    said, out, status = io.StringIO(), io.StringIO(), 0
    sys.argv = ["tickwire", *command]
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(out):
        try:
            run()
        except SystemExit as ended:
            status = ended.code
    print(json.dumps([status, said.getvalue()]), flush=True)
"""
"""Runs commands one after another: a process for each would take minutes."""


async def test_a_file_that_is_of_no_use_is_one_line(tmp_path: Path) -> None:
    commands: list[list[str]] = []
    for name, words in COMMANDS.items():
        for fault, make in FAULTS.items():
            folder = tmp_path / name / fault
            folder.mkdir(parents=True)
            command = [one.replace("FILE", str(folder / "file")) for one in words]
            make(Path(next(one for one in command if str(folder) in one)))
            if words[0] == "serve":
                command += ["--port", "0"]
            if words[0] != "quote":
                command += ["--data-dir", str(tmp_path / "data")]
            commands.append(command)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", DRIVER),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment(tmp_path),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(commands).encode())
        process.stdin.close()
        for command in commands:
            async with asyncio.timeout(120):
                status, said = json.loads(await process.stdout.readline())
            lines = said.splitlines()
            told = [line for line in lines if line.startswith("tickwire: ")]
            assert (status in (1, 2), len(told)) == (True, 1), (command, said[-500:])
            assert all("level=" in line for line in lines if line not in told), (command, said[-500:])
            assert max(map(len, lines)) < 700, command
            if "import" not in command or "Nothing was imported" not in told[0]:  # a log line named the file
                assert any(word in told[0] for word in command if "/file." in word), (command, told)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


# What is read.
@pytest.mark.parametrize("suffix", [".toml", ".csv"])
async def test_a_byte_order_mark_is_no_fault(suffix: str, tmp_path: Path) -> None:
    """As Windows' editor writes it."""
    texts = {
        ".toml": '[[instrument]]\ncode="MYIDX"\nmarket="crypto"\nprice_decimals=2\nvolume_decimals=0\n',
        ".csv": "code,market,price_decimals,volume_decimals\nMYIDX,crypto,2,0\n",
    }
    path, config = tmp_path / f"own{suffix}", tmp_path / "server.toml"
    path.write_text(texts[suffix], "utf-8-sig")
    config.write_text(f"instruments = {json.dumps([str(path)])}\n", "utf-8-sig")
    where = ("--data-dir", str(tmp_path / "data"), "--config", str(config))
    made = await tickwire(tmp_path, "token", "create", "--name", "a", "--codes", "MYIDX", *where)
    assert made.status == 0, made.err


def test_text_is_read_up_to_a_size(tmp_path: Path) -> None:
    path = tmp_path / "file.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\n".ljust(MOST_TOML, b"\n"))
    assert read_toml(path, "the file") == {"a": 1}
    path.write_bytes(b"a = 1\n".ljust(MOST_TOML + 1, b"\n"))
    with pytest.raises(InputError, match="larger than 4 MiB"):
        read_toml(path, "the file")
    assert read_text(path, "the file").startswith("a = 1")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (DEEP, "line 1: a key of too many parts"),
        (QUOTED, "line 1: a key of too many parts"),
        (f"\n[{DEEP.removesuffix(' = 1')}]", "line 2: a key of too many parts"),
        ("a = " + "[" * 100_000, "nested too deeply"),
        ("a = " + "{a = " * 100_000, "nested too deeply"),
        ("a = " + "9" * 5000, "is not TOML"),
        ('a = "' + '"' * 1_000_000, "is not TOML"),
    ],
)
def test_toml_that_is_made_to_take_long_takes_no_time(text: str, reason: str) -> None:
    began = time.process_time()
    with pytest.raises(InputError, match=reason):
        toml_in(text, "file.toml")
    assert time.process_time() - began < 10, "minutes, if it were read"


@pytest.mark.parametrize(
    "text",
    [
        "a.b.c.d = 1.5",
        'a = "one.two.three"',
        "\n".join(f'[table.{n}]\n"quoted name".x = "1.2.3.4"' for n in range(100)),
        'a = """Some words. And more of them. And so on, until it ends. All of it."""',
    ],
)
def test_what_people_write_is_read(text: str) -> None:
    assert toml_in(text, "file.toml")


async def test_a_wrong_value_is_shown_up_to_a_length(tmp_path: Path) -> None:
    config = tmp_path / "server.toml"
    for value in (json.dumps("x" * 100_000), "[" * 300 + "]" * 300, "0x" + "f" * 5000):
        config.write_text(f"port = {value}\n", "ascii")
        ended = await tickwire(tmp_path, "serve", "--config", str(config))
        assert (ended.status, len(ended.err.splitlines())) == (2, 1), ended.err[-300:]
        assert len(ended.err) < 700
    variables = {"TICKWIRE_PLANS": "a = " + "[" * 100_000}
    ended = await tickwire(tmp_path, "serve", **variables)
    assert (ended.status, len(ended.err.splitlines())) == (2, 1), ended.err[-300:]


async def test_a_scenario_in_json_is_bounded_as_well() -> None:
    with AllTickServer(quiet=True, codes=["GOLD"]) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=120) as client:

            async def post(body: bytes) -> httpx.Response:
                headers = {"content-type": "application/json"}
                return await client.post("/admin/scenario", content=body, headers=headers)

            def step(codes: str) -> bytes:
                return f'{{"name":"a","step":[{{"do":"halt","codes":{codes}}}]}}'.encode()

            for body in (
                *(b"[" * 50_000, step("[" * 900 + "]" * 900), step("9" * 5000), b'{"a":' * 30_000),
                *("{}".encode("utf-16"), b"\0", b"\xff", b""),
            ):
                answer = await post(body)
                assert answer.status_code == 400, (body[:20], answer.text[:200])
                assert len(answer.text) < 700
            assert (await post(step('["GOLD"]'))).status_code == 200
            assert (await post(b"\xef\xbb\xbf" + step('["GOLD"]'))).status_code == 200


async def test_a_token_file_that_becomes_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    from tickwire.sources.relay import TokenFile

    path = tmp_path / "token"
    path.write_text("﻿secret\n", "utf-8")
    token = TokenFile(path, REAL.disk)
    path.unlink()
    os.mkfifo(path)
    async with asyncio.timeout(120):
        assert await asyncio.to_thread(token) == "secret"
