"""The pytest plugin, as the tests of a user get it: in a process of its own, by its entry point."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest

HEAVY = {
    "tickwire.assembly.engine",
    "tickwire.config",
    "tickwire.model",
    "uvicorn",
    "pydantic",
    "msgspec",
    "structlog",
}
STRICT = """
[pytest]
addopts = --strict-markers --strict-config -p no:cacheprovider
  -p no:schemathesis -p no:hypothesispytest
filterwarnings = error
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
"""
"""As strict as pytest can be; without two plugins that a user need not have, and that take seconds."""
ALONE = """
from websockets.sync.client import connect

urls = set()

def test_one(alltick_server):
    with connect(alltick_server.websocket_url()) as client:
        client.send('{"cmd_id":22000}')
        assert '"ret":200' in client.recv()
    urls.add(alltick_server.url)
    assert len(alltick_server.received) == 1

def test_another(alltick_server):
    assert alltick_server.received == []
    assert alltick_server.url not in urls
"""
ASYNCHRONOUS = """
from websockets.asyncio.client import connect

async def test_it(alltick_server):
    async with connect(alltick_server.websocket_url()) as client:
        await client.send('{"cmd_id":22004,"data":{"symbol_list":[{"code":"GOLD"}]}}')
        assert '"ret":200' in await client.recv()
        alltick_server.trade("GOLD", "1234.56")
        while "1234.56" not in await client.recv():
            pass
"""
MARKERS = """
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

pytestmark = pytest.mark.alltick(plan="free", quiet=True)

@pytest.fixture
def alltick_settings():
    return {"plan": "basic", "codes": ["GOLD"]}

def most_connections(server):
    with connect(server.websocket_url()):
        try:
            with connect(server.websocket_url()):
                return "many"
        except InvalidStatus as refused:
            return refused.response.status_code

def test_of_the_module(alltick_server):
    assert most_connections(alltick_server) == 429
    assert alltick_server.time.now() == alltick_server.time.now()

@pytest.mark.alltick(plan="premium")
class TestOfAClass:
    def test_of_the_class(self, alltick_server):
        assert most_connections(alltick_server) == "many"

    @pytest.mark.alltick(plan="free")
    def test_of_its_own(self, alltick_server):
        assert most_connections(alltick_server) == 429
"""
MISTAKES = """
import pytest

@pytest.mark.alltick(paln="free")
def test_misspelt(alltick_server):
    pass

@pytest.mark.alltick("free")
def test_without_a_keyword(alltick_server):
    pass
"""
FAILING = """
def test_it(alltick_server):
    alltick_server.wait_for(lambda heard: True, timeout=0.01)
"""


class Ran(NamedTuple):
    """What a run of pytest printed, and what its tests came to, by module."""

    out: str
    outcomes: dict[str, Counter[str]]


def run(folder: Path, *arguments: str) -> str:
    """What pytest prints in that folder."""
    command = [sys.executable, "-m", "pytest", *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "pytest.ini").write_text(STRICT)
    return folder


@pytest.fixture(scope="module")
def ran(project: Path) -> Ran:
    """All the modules in one run."""
    modules = {"alone": ALONE, "asynchronous": ASYNCHRONOUS, "markers": MARKERS}
    for name, text in (modules | {"mistakes": MISTAKES, "failing": FAILING}).items():
        (project / f"test_{name}.py").write_text(text)
    out = run(project, "--junit-xml=ran.xml")
    outcomes: dict[str, Counter[str]] = {}
    for case in ElementTree.parse(project / "ran.xml").iter("testcase"):  # noqa: S314
        module = case.attrib["classname"].split(".")[0].removeprefix("test_")
        outcomes.setdefault(module, Counter())[next((one.tag for one in case), "passed")] += 1
    return Ran(out, outcomes)


def test_the_fixture_is_a_server_of_each_test_alone(ran: Ran) -> None:
    assert ran.outcomes["alone"] == {"passed": 2}, ran.out


def test_it_serves_asynchronous_tests(ran: Ran) -> None:
    assert ran.outcomes["asynchronous"] == {"passed": 1}, ran.out


def test_the_nearest_marker_goes_before_those_around_it_and_the_fixture(ran: Ran) -> None:
    assert ran.outcomes["markers"] == {"passed": 3}, ran.out


def test_a_mistake_in_a_marker_is_told(ran: Ran) -> None:
    assert ran.outcomes["mistakes"] == {"error": 2}, ran.out
    assert "Unknown setting --paln; the nearest known one is --plan" in ran.out
    assert "The marker alltick takes keywords only, not ('free',)" in ran.out


def test_a_failing_test_shows_what_came_instead(ran: Ran) -> None:
    assert ran.outcomes["failing"] == {"failure": 1}, ran.out
    assert "TimeoutError: Nothing that fits came within 0.01 s; nothing did.\n" in ran.out


def test_marker_and_fixtures_are_listed(project: Path) -> None:
    assert "@pytest.mark.alltick(**settings)" in run(project, "--markers")
    listed = run(project, "--fixtures").splitlines()
    for name in ("alltick_settings", "alltick_server"):
        assert [line for line in listed if line.startswith(f"{name} ")]


def test_runs_that_do_not_use_it_import_no_server() -> None:
    program = f"import sys, tickwire.testing.plugin; print({HEAVY} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
