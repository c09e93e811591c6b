"""Shared by all tests."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import structlog
from hypothesis import HealthCheck, settings

from tickwire.server import lag

from .nats_server import NatsServer
from .postgres import Postgres, running
from .serving import Script, Served, serving

# Hundreds of tests start a program, which otherwise compiles all of its modules anew each time.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# httpx asks for it some eight times a request; it is not installed, and each time all folders were searched.
sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]

# A busy machine is no fault of what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are numbered: many are made anew in each run (masked frames, archives), and all workers of a run
    must find the same names."""
    return argname if isinstance(val, bytes) else None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Ten thousand tests stay until the end, so no collection goes through them, and as a server does
    (`serve._spare_the_loop`), a worker has fewer: they were a tenth of all that it did."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(10_000, 20, 50)
        gc.enable()


def pytest_unconfigure() -> None:
    """At the end all is looked through once more, for what was never closed and for leaks of modules in C."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server of PostgreSQL, whose databases are a test's own; it is not to be stopped."""
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def nats() -> Iterator[NatsServer]:
    """A server of NATS, for clusters of any name; it is not to be stopped."""
    server = NatsServer()
    yield server
    server.close()


@pytest.fixture(scope="session", autouse=True)
def _home_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What names no data directory has one of these tests, which no server of the user's holds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    """Commands that run in the process of the tests leave it theirs."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def _shared_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server in a test shares its loop, and a busy machine: that it is held up is no line of the log."""
    monkeypatch.setattr(lag, "BLOCKED", float("inf"))


@pytest.fixture(autouse=True)
def _log_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test sets up of the log ends with it: loggers that are kept would outlive it."""
    configure = structlog.configure
    monkeypatch.setattr(
        structlog, "configure", lambda **given: configure(**given | {"cache_logger_on_first_use": False})
    )
    yield
    structlog.reset_defaults()


@pytest.fixture
def script() -> Script:
    """A source that yields what the test tells it to."""
    return Script()


@pytest.fixture
async def served(tmp_path: Path, script: Script) -> AsyncIterator[Served]:
    """A server on that source."""
    async with serving(tmp_path, script) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plain(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server with the default settings for all tests of a module."""
    async with serving(tmp_path_factory.mktemp("plain"), Script()) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strict(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server with `strict_protocol` for all tests of a module."""
    async with serving(tmp_path_factory.mktemp("strict"), Script(), strict_protocol=True) as server:
        yield server
