"""Clock, dice, disk and network are handed in: nothing on the server's side takes the machine's own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import tickwire

SOURCE = Path(tickwire.__file__).parent
INSTEAD = {
    "clock": "Machine.wall, millis, time_ns or monotonic, or the loop's time()",
    "dice": "Machine.dice, or a Random with a seed",
    "disk": "Machine.disk, or, for what people hand in, tickwire.files",
    "network": "Machine.network and its Writer, or the loop",
    "real": "what it is handed",
}
NAMES = {
    "clock": r"time\.(time|monotonic|perf_counter)(_ns)?|datetime\.date(time)?\.(now|utcnow|today)",
    "dice": r"(random|secrets|uuid)\.\w+|os\.urandom",
    "network": r"socket\.(socket(pair)?|fromfd|create_\w+|getaddrinfo)|os\.write|asyncio\.(open|start)_\w+",
    "real": r"\.+machine\.(REAL|Machine|Disk|Network|Writer)",
    "disk": r"(io\.|gzip\.)?open|os\.(?!environ|name|sep|altsep|strerror)\w+|(shutil|tempfile)\.\w+",
}
METHODS = {
    "disk": r"(read|write)_(text|bytes)|touch|mkdir|rmdir|unlink|rename|l?stat|chmod|exists|is_(file|dir)"
    r"|iterdir|r?glob",
    "network": r"create_(connection|server|datagram_endpoint)",
}
"""Of whatever object; so is `open`, where it is called with a mode."""
MODE = re.compile(r"[rwaxbt+]+")
PROGRAMS = ("cli", "client", "testing")
"""They run beside a server or in other processes. What a relay uses of `client` is handed its clock and dice,
and connects by the loop."""
MAY_TAKE = {
    "machine": "clock dice disk network",  # which hands them in
    "files": "disk",  # what people hand in, read at the start
    # SQLite works on real files, which are made, locked and mended beside it, and set aside by the hour.
    "store.carrying": "clock dice",
    "store.data_directory": "disk",
    "store.lock": "disk",
    "store.opening": "disk",
    "store.postgres": "clock",  # how long a real server takes to answer
    "store.rights": "disk",
    "store.salvage": "dice disk",
    "store.spool": "disk real",
    "store.spooled": "clock",
    "store.sqlite": "clock disk",
    "store.sqlite_file": "dice disk",
    "store.tokens": "clock dice disk real",
    "store.wal": "disk",
    "store.recordings": "clock dice disk real",  # pyarrow as well, in threads that wait for a real disk
    "assembly.build": "real",  # where nothing is said
    "server.serve": "real",
    "server.worker": "disk network real",  # a process of several, and what begins them
    "server.workers": "disk real",
    "access.token": "dice",  # secrets: the command line makes them
    # What comes with the package.
    "calendars.exchange": "disk",
    "sandbox.scenario": "disk",
    "server.documents": "disk",
    "server.schemas.written": "disk",
    "store.catalogue": "disk",
    "store.migrations": "disk",
}
"""What who may take, with all modules below."""


def full_name(node: ast.expr, origins: Mapping[str, str]) -> str:
    """That of a name or an attribute, from where it was imported."""
    if isinstance(node, ast.Attribute):
        return f"{full_name(node.value, origins)}.{node.attr}"
    return origins.get(node.id, node.id) if isinstance(node, ast.Name) else ""


def taken(source: str) -> Iterator[tuple[str, int, str]]:
    """What a module takes of the machine, each with its kind and line; types of annotations are no use."""
    tree = ast.parse(source)
    nodes, hints, origins = list(ast.walk(tree)), set[ast.AST](), dict[str, str]()
    for node in nodes:
        if isinstance(node, ast.Import):
            origins |= {one.asname: one.name for one in node.names if one.asname}
        elif isinstance(node, ast.ImportFrom):
            origins |= {
                one.asname or one.name: f"{'.' * node.level}{node.module}.{one.name}" for one in node.names
            }
        for hint in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            hints.update(ast.walk(hint) if isinstance(hint, ast.AST) else ())
    calls = {id(node.func): node for node in nodes if isinstance(node, ast.Call)}
    for node in nodes:
        if (
            node in hints
            or not isinstance(node, (ast.Name, ast.Attribute))
            or isinstance(node.ctx, ast.Store)
        ):
            continue
        name, call = full_name(node, origins), calls.get(id(node))
        if name == "random.Random" and (call is None or call.args):
            continue  # a type, or seeded
        kinds = [kind for kind, known in NAMES.items() if re.fullmatch(known, name)]
        if not kinds and isinstance(node, ast.Attribute):
            modes = [one.value for one in call.args if isinstance(one, ast.Constant)] if call else []
            opens = node.attr == "open" and any(MODE.fullmatch(str(mode)) for mode in modes)
            kinds = [kind for kind, known in METHODS.items() if re.fullmatch(known, node.attr)]
            kinds += ["disk"] * opens
        if kinds:
            yield kinds[0], node.lineno, name


def violations(source: str, module: str, used: set[tuple[str, str]] | None = None) -> list[str]:
    """What a module takes that it may not. What it may is added to `used`."""
    found = []
    for kind, line, name in taken(source):
        owner = next((one for one in MAY_TAKE if f"{module}.".startswith(f"{one}.")), "")
        if kind in MAY_TAKE.get(owner, "").split():
            (used if used is not None else set()).add((owner, kind))
        else:
            found.append(f"{module}, line {line}: {name}; use {INSTEAD[kind]}")
    return found


def modules() -> Iterator[tuple[str, str]]:
    """Those of a server, with their text."""
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        if parts[0] not in PROGRAMS:
            yield ".".join(parts), path.read_text(encoding="utf-8")


def test_what_is_the_machine_s_is_handed_in() -> None:
    used: set[tuple[str, str]] = set()
    assert [one for module, text in modules() for one in violations(text, module, used)] == []
    assert used == {(owner, kind) for owner, kinds in MAY_TAKE.items() for kind in kinds.split()}


@pytest.mark.parametrize(
    "source",
    [
        "import time\nwhen = time.time()",
        "import time as clock\nwhen = clock.monotonic_ns()",
        "from time import time_ns as now\nwhen = now()",
        "import time\ndef f(clock=time.monotonic): ...",
        "from datetime import datetime, UTC\nwhen = datetime.now(UTC)",
        "import random\nrandom.shuffle(x)",
        "from random import Random\ndice = Random()",
        "from random import SystemRandom\ndice = SystemRandom()",
        "import secrets\nsecrets.token_hex(8)",
        "from uuid import uuid4\nname = uuid4()",
        "file = open('x')",
        "file = path.open('rb')",
        "text = path.read_text()",
        "import os\nos.replace(a, b)",
        "import os\nos.path.exists(a)",
        "import os\nos.write(3, b'')",
        "import socket\none: socket.socket = socket.socket()",
        "import asyncio\nasync def f(): await asyncio.open_connection('x', 1)",
        "async def f(loop): await loop.create_server(p)",
        "from ..machine import REAL\nwhen = REAL.millis()",
        "from ..machine import Disk\ntext = Disk().read(path)",
    ],
)
def test_the_rule_can_be_broken(source: str) -> None:
    assert violations(source, "server.api") != []


@pytest.mark.parametrize(
    "source",
    [
        "from random import Random\ndef f(dice: Random): return Random(f'{seed}:x')",
        "import socket\ndef f(one: socket.socket): one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'')",
        "import os\nfound = os.environ.get('X'), os.strerror(2)",
        "text = text.replace('a', 'b')\nmarkets.open(now)",
        "async def f(loop): return loop.time()",
        "from ..machine import Disk\ndef f(disk: Disk): return disk.read(path)",
        "from ..files import open_text\nopen_text(path)",
    ],
)
def test_the_rule_can_be_kept(source: str) -> None:
    assert violations(source, "server.api") == []
