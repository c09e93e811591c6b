"""Every code block of README and docs/ that can run is run.

A page is followed from top to bottom, as a reader would, in a folder and on a port of its own: `tickwire
serve` starts a server (in place of the one before), other commands run in a shell, programs run against the
server, and the JSON that a page shows as an answer is compared with the answer. A page that needs a server
before it has started one has a plain one. The words behind the language of a block say what else is meant:

    ```toml mine.toml                             the block is kept under that name, for what follows
    ```sh not run: needs an AllTick account       its commands are only parsed, and it is told as skipped

`text` is what a program prints; `make` is asked only what it would do.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import csv
import gzip
import json
import os
import random
import re
import shlex
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import httpx
import msgspec
import pytest
import typer
import yaml  # type: ignore[import-untyped]
from markdown_it import MarkdownIt
from websockets.asyncio.client import connect

from tickwire.cli.main import app
from tickwire.config import load
from tickwire.model import Kind
from tickwire.sandbox import load_scenario
from tickwire.sources.exchange import load_symbols
from tickwire.store import load_catalogue
from tickwire.testing import AllTickServer
from tickwire.wire import ret as table
from tickwire.wire.items import GapData
from tickwire.wire.messages import (
    GAP_PUSH,
    PUSH_COMMAND,
    REPLAY_PUSH,
    SPARED_PUSH,
    STATE_PUSH,
    STATUS_PUSH,
    BatchKlineList,
    BookData,
    Command,
    CorrectionData,
    HttpError,
    HttpSuccess,
    HttpTooMany,
    KlineData,
    KlineList,
    Push,
    ReplayedTradeData,
    Response,
    SeveralTradesData,
    StaticInfoList,
    TradeData,
)
from tickwire.wire.overview import GapList, InstrumentList, MarketList, Usage
from tickwire.wire.publish import Standing, Tally, read_published
from tickwire.wire.reader import Reader
from tickwire.wire.replays import ReplayStateData
from tickwire.wire.session import SUBSCRIPTIONS
from tickwire.wire.spared import SparedData
from tickwire.wire.states import StateData
from tickwire.wire.status import StatusData

from . import forks
from .serving import OTHER_WS, STOCK_WS, program_environment

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PORT = "8600"
NOT_RUN = "not run: "
ENDLESS = re.compile(r"while True|async for|for event in feed|for message in ")
PUSHES: dict[int, tuple[Any, ...]] = {
    PUSH_COMMAND[Kind.DEPTH]: (Push[BookData],),
    PUSH_COMMAND[Kind.TRADE]: (Push[TradeData], Push[SeveralTradesData], Push[ReplayedTradeData]),
    PUSH_COMMAND[Kind.KLINE]: (Push[KlineData],),
    PUSH_COMMAND[Kind.CORRECTION]: (Push[CorrectionData],),
    STATUS_PUSH: (Push[StatusData],),
    REPLAY_PUSH: (Push[ReplayStateData],),
    SPARED_PUSH: (Push[SparedData],),
    STATE_PUSH: (Push[StateData],),
    GAP_PUSH: (Push[GapData],),
}
PATIENCE = 120.0
"""Seconds for what takes one on a machine with nothing else to do."""
CLIENTS = {"tail", "quote", "kline", "instruments", "markets", "watch", "check"}
"""Commands of `tickwire` that need a server."""
SHELL = {*"|&;<>()$`*?[]{}~"}
"""What a shell makes something of."""
TRADES = "code,tick_time_ms,price,volume\nGOLD,1788529064027,4415.32,8.00\n"
QUOTES = "code,tick_time_ms,bid,bid_volume,ask,ask_volume\nEURUSD,1788529064027,1.08,1,1.09,1\n"


class TradeList(msgspec.Struct):
    """The data of /trade-tick."""

    tick_list: list[TradeData]


class BookList(msgspec.Struct):
    """The data of /depth-tick."""

    tick_list: list[BookData]


ANSWERS: tuple[Any, ...] = (
    Response,
    HttpError,
    HttpTooMany,
    HttpSuccess[TradeList],
    HttpSuccess[BookList],
    HttpSuccess[KlineList],
    HttpSuccess[BatchKlineList],
    HttpSuccess[StaticInfoList],
    HttpSuccess[MarketList],
    HttpSuccess[InstrumentList],
    HttpSuccess[GapList],
    HttpSuccess[Usage],
    HttpSuccess[Tally],
    HttpSuccess[Standing],
)
ROWS = {(row.code, row.msg) for row in vars(table).values() if isinstance(row, table.Ret)}


class Block(NamedTuple):
    """A block of a page: where it stands, and what follows its language."""

    page: Path
    line: int
    language: str
    note: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    found = []
    for token in MarkdownIt("commonmark").parse(page.read_text("utf-8")):
        if token.type == "fence" and token.map is not None:
            language, _, note = token.info.strip().partition(" ")
            found.append(Block(page, token.map[0] + 1, language, note, token.content))
    return found


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
LEFT_OUT = [block for block in BLOCKS if block.note.startswith(NOT_RUN)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
async def test_a_page_can_be_followed(page: Path, tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as cleanup:
        reader = Follower(tmp_path)
        cleanup.push_async_callback(reader.leave)
        for name, text in (("trades", TRADES), ("quotes", QUOTES)):
            (tmp_path / f"{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
        for block in blocks_of(page):
            try:
                await reader.follow(block)
            except (Exception, pytest.fail.Exception) as error:
                raise AssertionError(f"{block}: {error}\n{reader.server_log}") from error
        reader.expect_no_error()


def test_the_clients_on_the_first_page_have_ten_lines() -> None:
    programs = [block.text for block in blocks_of(ROOT / "README.md") if block.language == "python"]
    assert len(programs) == 2
    assert all(len([line for line in text.splitlines() if line]) <= 10 for text in programs)


@pytest.mark.parametrize("block", LEFT_OUT, ids=str)
def test_a_block_that_cannot_run_says_why_and_is_spelt_right(block: Block) -> None:
    if block.language == "sh":
        for command in commands_of(block.text):
            parse([word for word in shlex.split(command, comments=True) if word.strip()])
    elif block.language == "python":
        ast.parse(block.text)
    elif block.language == "toml":
        tomllib.loads(block.text)
    reason = block.note.removeprefix(NOT_RUN)
    assert reason
    pytest.skip(f"{block}: {reason}")


class Follower:
    """Somebody who does what a page says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._port = str(free_port())
        self._address = f"127.0.0.1:{self._port}"
        self.printed = ""  # by the last command
        self._server: forks.Process | None = None  # what the page has started
        self._plain: AllTickServer | None = None
        self._environment = program_environment(
            PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            HOME=str(folder),
            XDG_CONFIG_HOME=str(folder),
            TICKWIRE_DATA_DIR=str(folder / "data"),
            TICKWIRE_PORT=self._port,
            TICKWIRE_URL=f"http://{self._address}",
        )

    async def follow(self, block: Block) -> None:
        """Does what a block says, or checks what it shows."""
        text = re.sub(rf"\b{PORT}\b", self._port, block.text)
        if block.note.startswith(NOT_RUN):
            return
        if block.language != "json":
            self.expect_no_error()
        printed, self.printed = self.printed, ""
        assert re.fullmatch(r"[\w-]+\.\w+|", block.note), f"{block.note!r} is neither a file nor {NOT_RUN!r}"
        if block.note:
            (self.folder / block.note).write_text(text, "utf-8")
        match block.language:
            case "sh":
                for command in commands_of(text):
                    await self._command(command)
            case "python":
                await self._program(text)
            case "json":
                await self._json(text, printed)
            case "ndjson":
                for line in text.splitlines():
                    read_published(line.encode())
            case "toml" | "csv":
                check_file(self.folder / (block.note or f"shown.{block.language}"), text)
            case "yaml":
                self._yaml(text)
            case "sql":
                assert duckdb.execute(text.replace("'ticks/", f"'{self.folder}/ticks/")).fetchall()
            case "text":
                pass
            case other:
                pytest.fail(f"nothing runs {other!r}: use a language that runs, `text`, or say {NOT_RUN!r}")

    # Commands.
    async def _command(self, command: str) -> None:
        self.expect_no_error()
        self.printed = ""
        words = shlex.split(command, comments=True)
        if words[:2] == ["tickwire", "serve"] and "--exit-at-end" not in words:
            await self._serve(command.rpartition("&")[0] if words[-1] == "&" else command)
        elif words[0] == "make":
            self._run(f"make -n -C {shlex.quote(str(ROOT))} {shlex.join(words[1:])}")
        else:
            if "//127.0.0.1:" in command or (words[0] == "tickwire" and words[1] in CLIENTS):
                self._need_server()
            plain = words[0] == "tickwire" and not SHELL & {*command}
            self.printed = self._fork(command, words[1:]) if plain else self._run(command)

    def expect_no_error(self) -> None:
        """An answer that is an error must be shown."""
        with contextlib.suppress(ValueError):
            answer = json.loads(self.printed)
            assert not isinstance(answer, dict) or "error" not in answer, answer
            assert not isinstance(answer, dict) or answer.get("ret", 200) == 200, answer

    def _fork(self, command: str, arguments: list[str]) -> str:
        """A command that needs no shell, without the time in which Python imports it."""
        with contextlib.chdir(self.folder):
            done = forks.run(*arguments, env=self._environment)
        return printed_by(command, done)

    def _run(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],  # noqa: S607
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return printed_by(command, done)

    def _need_server(self) -> None:
        if self._server is None and self._plain is None:
            self._plain = AllTickServer(port=int(self._port), data_dir=self.folder / "data")
            self._plain.start()

    async def _serve(self, command: str) -> None:
        await self.leave()
        with (self.folder / "server.log").open("wb") as log, contextlib.chdir(self.folder):
            if SHELL & {*command}:
                self._server = await asyncio.create_subprocess_exec(
                    *("bash", "-c", f"exec {command}"),
                    env=self._environment,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                )
            else:
                words = shlex.split(command, comments=True)[1:]
                self._server = await forks.spawn(*words, stderr=log, env=self._environment)
        assert self._server.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while line := await self._server.stdout.readline():
                if line.startswith(b"Ctrl-C"):
                    return
        pytest.fail(f"{command} does not start")

    @property
    def server_log(self) -> str:
        log = self.folder / "server.log"
        return log.read_text("utf-8") if log.exists() else ""

    async def leave(self) -> None:
        """Stops the server, if there is one."""
        server, plain = self._server, self._plain
        self._server = self._plain = None
        if plain is not None:
            plain.stop()
        if server is not None:
            with contextlib.suppress(ProcessLookupError):
                server.terminate()
            async with asyncio.timeout(PATIENCE):
                await server.communicate()

    # Programs.
    async def _program(self, text: str) -> None:
        self._need_server()
        file = self.folder / "test_program.py"
        file.write_text(text, "utf-8")
        tests = "def test_" in text
        without = [f"-pno:{name}" for name in ("cacheprovider", "schemathesis", "hypothesispytest")]
        options = ["-m", "pytest", "-q", *without] if tests else ["-W", "error", "-u"]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *options, str(file)),
            cwd=self.folder,
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(PATIENCE):
                lines: list[bytes] = []
                if ENDLESS.search(text):
                    lines = [await process.stdout.readline() for _ in range(5)]
                    if all(lines):
                        return
                out, err = await process.communicate()
            assert process.returncode == 0, (out + err).decode()
            assert out or any(lines)
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()

    # What is shown.
    async def _json(self, text: str, printed: str) -> None:
        try:
            shown = [json.loads(text)]
        except ValueError:
            shown = [json.loads(line) for line in text.splitlines()]
        if printed.startswith("{"):
            came = json.loads(printed)
            differ = difference(shown[0], came)
            assert not differ, f"the answer is another one: {differ}\n{printed}"
            assert shown[0].get("ret") == came.get("ret"), printed
        for message in shown:
            if "ret" in message or "cmd_id" in message or not printed.startswith("{"):
                check_message(message)
        if "ret" not in shown[0] and shown[0].get("cmd_id") in list(Command):
            await self._talk(shown)

    async def _talk(self, shown: list[dict[str, Any]]) -> None:
        """Sends the requests, and compares what comes with what is shown behind them."""
        self._need_server()
        path = STOCK_WS if re.search(r"\.(US|HK|SH|SZ)\"", json.dumps(shown)) else OTHER_WS
        url = f"ws://{self._address}{path}?token=test"
        async with connect(url) as talk, asyncio.timeout(PATIENCE):
            for message in shown:
                if "ret" not in message and message["cmd_id"] in list(Command):
                    await talk.send(json.dumps(message))
                    continue
                came = json.loads(await talk.recv())
                while (came["cmd_id"], "ret" in came) != (message["cmd_id"], "ret" in message):
                    came = json.loads(await talk.recv())
                assert came.get("ret") == message.get("ret"), came
                assert came == message or (came["data"] and not difference(message, came)), came

    def _yaml(self, text: str) -> None:
        yaml.safe_load(text)
        self._need_server()
        metrics = httpx.get(f"http://{self._address}/metrics").text
        for name in re.findall(r"\btickwire_\w+", text):
            assert name in metrics, f"there is no metric {name}"


def printed_by(command: str, done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, f"{command}\nexit {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def commands_of(text: str) -> Iterator[str]:
    """The commands of a block, each with its further lines."""
    command = ""
    end: str | None = None
    for line in text.splitlines():
        command += f"{line}\n"
        if end is not None:
            if line != end:
                continue
            end = None
        elif (here := re.search(r"<<-?'?(\w+)'?", line)) is not None:
            end = here[1]
            continue
        with contextlib.suppress(ValueError):
            if not line.endswith("\\") and shlex.split(command, comments=True):
                yield command
                command = ""
    assert not command.strip() or command.lstrip().startswith("#"), command


def parse(words: list[str]) -> None:
    """Reads a command of ours as the command line does, without carrying it out."""
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    if words[:1] != ["tickwire"]:
        return
    command: Any = typer.main.get_command(app)
    context, rest = None, [word for word in words[1:] if word != "&"]
    while True:
        context = command.make_context(command.name, rest, parent=context)
        if not hasattr(command, "resolve_command"):
            if command.name == "serve":
                load(settings_in(context.params), context.params["config"], {})
            return
        _, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])


def settings_in(flags: dict[str, Any]) -> dict[str, Any]:
    """The settings that flags of `serve` give, with the token that only its reader has."""
    given = {name: value for name, value in flags.items() if value not in (None, [], ()) and name != "config"}
    if "alltick" in str(given.get("source")):
        given["upstream_token"] = "their own"
    return given


def check_file(path: Path, text: str) -> None:
    """A file that a page shows is read as what it is."""
    path.write_text(text, "utf-8")
    if path.suffix == ".csv":
        header = next(csv.reader(text.splitlines()))
        if header == ["code", "symbol", "venue"]:
            load_symbols([path])
        return  # a command that follows reads it
    found = tomllib.loads(text)
    if "step" in found:
        load_scenario(str(path))
    elif "symbol" in found:
        load_symbols([path])
    elif "instrument" in found:
        load_catalogue([path])
    else:
        load({}, path, {})


def check_message(message: dict[str, Any]) -> None:
    """A message that a page shows is one of the protocol."""
    if "ret" in message:
        kinds: tuple[Any, ...] = ANSWERS
        if "data" not in message or message["ret"] != table.OK.code:
            assert (message["ret"], message["msg"]) in ROWS, "no such error"
    elif message.get("cmd_id") in PUSHES:
        kinds = PUSHES[message["cmd_id"]]
    elif message.get("cmd_id") in list(Command):
        reader = Reader(strict=True)
        request = reader.request(json.dumps(message).encode())
        assert request.refusal is None
        if request.cmd_id in SUBSCRIPTIONS:
            reader.data(request.data, SUBSCRIPTIONS[request.cmd_id][1])
        return
    else:
        pytest.fail("nothing checks this JSON: show it behind the command that answers it")
    assert any(is_one(message, kind) for kind in kinds), "no message has these fields"


def is_one(message: dict[str, Any], kind: Any) -> bool:
    try:
        return bool(json.loads(msgspec.json.encode(msgspec.convert(message, kind))) == message)
    except msgspec.ValidationError:
        return False


def difference(shown: Any, came: Any, where: str = "it") -> str:
    """Where two values differ in shape: names of fields, types of values; empty if nowhere."""
    if shown is None or came is None:
        return ""
    if type(shown) is not type(came):
        return f"{where} is {came!r:.80}"
    if isinstance(shown, dict):
        if shown.keys() != came.keys():
            return f"{where} has the fields {', '.join(came)}"
        return next(filter(None, (difference(shown[one], came[one], one) for one in shown)), "")
    if isinstance(shown, list) and came:
        others = came if len(came) == len(shown) else [came[0]] * len(shown)
        return next(filter(None, (difference(*both, where) for both in zip(shown, others, strict=True))), "")
    return ""


def free_port() -> int:
    """A port that nothing listens on, none of those that the system gives to clients."""
    while True:
        port = random.randrange(20_000, 30_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
