"""The rooms of the house and which of them may import which: the design's "May import"."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import tickwire

SOURCE = Path(tickwire.__file__).parent

# Everything may import errors. `tickwire` itself holds nothing but the version.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "model": set(),
    "calendars": {"model"},
    "klines": {"calendars", "model"},
    "access": {"model"},
    "sandbox": {"calendars", "files", "model"},
    "wire": {"model"},
    "files": {"model"},
    "machine": set(),
    "store": {"access", "calendars", "files", "machine", "model"},
    "client": {"access", "wire", "model"},
    "sources": {"client", "wire", "klines", "calendars", "files", "machine", "model"},
    "config": {"access", "files", "sources", "model"},
    "bus": {"access", "sandbox", "wire", "model"},
    "market": {
        "bus",
        "config",
        "wire",
        "sandbox",
        "sources",
        "store",
        "klines",
        "calendars",
        "files",
        "model",
    },
    "gateway": {"bus", "config", "access", "sandbox", "store", "wire", "model"},
    "exports": set(),
    "sync": {"client", "wire", "model"},
    "downloading": {"client", "market", "sync", "model"},
    "assembly": set(
        "bus gateway market config client files machine sources store access klines sandbox model".split()
    ),
    "server": set(
        "assembly bus gateway machine sources config sandbox access calendars files wire model".split()
    ),
    "testing": set("server assembly gateway config access machine sandbox store sources wire model".split()),
    "cli": set("server client config files machine market store access sandbox wire model".split()),
    "__main__": {"cli"},
}
PURE = {"model", "wire", "klines", "access", "calendars", "sandbox"}
"""Rooms where time is an argument and bytes are values."""
IMPURE = set(
    "asyncio socket socketserver selectors select ssl threading multiprocessing concurrent signal subprocess "
    "time sched uvicorn uvloop starlette httpx urllib.request http.client http.server "
    "websockets.asyncio websockets.sync websockets.legacy".split()
)
CLOCKS = {"now", "utcnow", "today"}
"""Methods of datetime that look at a clock."""


def imported(source: str, module: str, *, package: bool) -> Iterator[str]:
    """The full names of what a module imports, wherever in it the import stands.

    `from x import y` counts as x.y, since y may be a module.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = module.split(".") if package else module.split(".")[:-1]
            base = parts[: len(parts) - node.level + 1] if node.level else []
            origin = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{origin}.{name.name}" for name in node.names)


def violations(source: str, module: str, *, package: bool = False) -> list[str]:
    """What a module imports or calls against the rules."""
    room = room_of(module)
    if room is None:  # the package itself
        rooms = {"exports"}
    elif room not in MAY_IMPORT:
        return [f"{module}: the room {room} is missing from the table"]
    else:
        rooms = MAY_IMPORT[room] | {room, "errors"}
    found = []
    for name in imported(source, module, package=package):
        target = room_of(name)
        if name.split(".")[0] == "tickwire" and target is not None and target not in rooms:
            found.append(f"{module} imports {name}")
        if room in PURE and any(f"{name}.".startswith(f"{impure}.") for impure in IMPURE):
            found.append(f"{module} imports {name}")
    if room in PURE:
        found += [
            f"{module} calls {ast.unparse(node)}"
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Attribute) and node.attr in CLOCKS
        ]
    return found


def room_of(module: str) -> str | None:
    """The room that a module of ours is in; None for the package itself and what is only its names."""
    parts = module.split(".")
    known = len(parts) > 1 and not (len(parts) == 2 and parts[1] == "__version__")
    return parts[1] if parts[0] == "tickwire" and known else None


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = list(modules())


@pytest.mark.parametrize(("module", "path"), MODULES, ids=[module for module, _ in MODULES])
def test_a_module_imports_only_what_its_room_may(module: str, path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert violations(source, module, package=path.name == "__init__.py") == []


def test_every_room_is_in_the_table() -> None:
    rooms = {room for module, _ in MODULES if (room := room_of(module)) is not None}
    assert {"model", "wire", "market", "gateway", "sources", "store", "server", "assembly", "cli"} <= rooms
    assert rooms - MAY_IMPORT.keys() == set()


def test_the_table_has_no_circles_and_names_only_rooms_that_it_holds() -> None:
    done: set[str] = {"errors"}
    while ready := {room for room, targets in MAY_IMPORT.items() if room not in done and targets <= done}:
        done |= ready
    assert done == MAY_IMPORT.keys()


@pytest.mark.parametrize("module", [module for module, path in MODULES if path.name == "__init__.py"])
def test_the_front_of_a_room_holds_no_code(module: str) -> None:
    body = ast.parse(
        (SOURCE.parent / module.replace(".", "/") / "__init__.py").read_text(encoding="utf-8")
    ).body
    assert [
        ast.unparse(node)
        for node in body
        if not isinstance(node, (ast.Import, ast.ImportFrom, ast.Assign))
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ] == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("tickwire.model.events", "from ..wire import Push"),
        ("tickwire.model.events", "from .. import wire"),
        ("tickwire.model.events", "import tickwire.wire.push"),
        ("tickwire.model.events", "from tickwire import hub"),
        ("tickwire.model.events", "def late():\n    from ..store import EpochFile"),
        ("tickwire.model.events", "if TYPE_CHECKING:\n    from ..gateway.hub import Hub"),
        ("tickwire.wire.session", "from ..gateway.hub.lane import Lane"),
        ("tickwire.wire.session", "import asyncio"),
        ("tickwire.wire.session", "import socket as s"),
        ("tickwire.wire.session", "from time import monotonic"),
        ("tickwire.wire.session", "import os, selectors"),
        ("tickwire.wire.session", "from concurrent.futures import Future"),
        ("tickwire.wire.session", "from websockets import asyncio"),
        ("tickwire.wire.session", "from websockets.sync.client import connect"),
        ("tickwire.wire.session", "from datetime import datetime\nat = datetime.now"),
        ("tickwire.access.token", "import datetime\nday = datetime.date.today()"),
        ("tickwire.klines.grid", "import threading"),
        ("tickwire.gateway.hub.hub", "from ...sources import Source"),
        ("tickwire.gateway.hub.hub", "from ...market.feeds import Feeds"),
        ("tickwire.market.feeds", "from ..gateway.admission import Caller"),
        ("tickwire.store.epoch", "from ..gateway.hub import Hub"),
        ("tickwire.sources.replay", "from ..store import EpochFile"),
        ("tickwire.assembly.engine", "from ..server import Server"),
        ("tickwire.assembly.engine", "from ..cli.main import run"),
        ("tickwire.server.app", "from ..klines import Grid"),
        ("tickwire.server.pages", "from ..market.bars import Bars"),
        ("tickwire.cli.serve", "from ..assembly import Engine"),
        ("tickwire.errors", "from .model import Trade"),
        ("tickwire.cellar.wine", "import json"),
    ],
)
def test_the_rule_can_be_broken(module: str, source: str) -> None:
    assert violations(source, module) != []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("tickwire.model.events", "from ..errors import InputError\nfrom .decimals import fixed"),
        (
            "tickwire.wire.session",
            "from ..model import Kind\nimport timeit, json\nfrom websockets.server import X",
        ),
        ("tickwire.cli.main", "from .. import __version__\nfrom ..server import serve"),
        ("tickwire.server.app", "import asyncio, time\nfrom ..assembly import Engine"),
        ("tickwire.gateway.hub.hub", "from ...wire import Want"),
    ],
)
def test_the_rule_can_be_kept(module: str, source: str) -> None:
    assert violations(source, module) == []


def test_imports_of_a_room_s_front_are_read_from_the_room() -> None:
    front = "from .feeds import Feeds\nfrom ..model import X"
    assert [*imported(front, "tickwire.market", package=True)] == [
        "tickwire.market.feeds.Feeds",
        "tickwire.model.X",
    ]
    assert violations("from ..gateway import X", "tickwire.market", package=True) != []
