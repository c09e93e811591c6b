"""The pytest plugin, as the tests of a user get it: in a process of its own, by its entry point."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]

HEAVY = {
    "tickwire.engine",
    "tickwire.config",
    "tickwire.model",
    "uvicorn",
    "pydantic",
    "msgspec",
    "structlog",
}


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project as strict as pytest can be."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makeini(
        "[pytest]\naddopts = --strict-markers --strict-config -p no:cacheprovider\n"
        "  -p no:schemathesis -p no:hypothesispytest\n"  # which a user need not have, and take seconds
        "filterwarnings = error\n"
        "asyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    )
    return pytester


def run(project: pytest.Pytester, text: str, **outcomes: int) -> pytest.RunResult:
    """Runs a module of tests, which must end so."""
    project.makepyfile(text)
    result = project.runpytest_subprocess("-rfE")
    result.assert_outcomes(**outcomes)
    return result


def test_the_fixture_is_a_server_of_each_test_alone(project: pytest.Pytester) -> None:
    run(
        project,
        """
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
        """,
        passed=2,
    )


def test_it_serves_asynchronous_tests(project: pytest.Pytester) -> None:
    run(
        project,
        """
        from websockets.asyncio.client import connect

        async def test_it(alltick_server):
            async with connect(alltick_server.websocket_url()) as client:
                await client.send('{"cmd_id":22004,"data":{"symbol_list":[{"code":"GOLD"}]}}')
                assert '"ret":200' in await client.recv()
                alltick_server.trade("GOLD", "1234.56")
                while "1234.56" not in await client.recv():
                    pass
        """,
        passed=1,
    )


def test_the_nearest_marker_goes_before_those_around_it_and_the_fixture(project: pytest.Pytester) -> None:
    run(
        project,
        """
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
        """,
        passed=3,
    )


def test_a_mistake_in_a_marker_is_told(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
        import pytest

        @pytest.mark.alltick(paln="free")
        def test_misspelt(alltick_server):
            pass

        @pytest.mark.alltick("free")
        def test_without_a_keyword(alltick_server):
            pass
        """,
        errors=2,
    )
    result.stdout.fnmatch_lines(["*Unknown setting --paln; the nearest known one is --plan*"])
    result.stdout.fnmatch_lines(["*The marker alltick takes keywords only, not ('free',)*"])


def test_a_failing_test_shows_what_came_instead(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
        def test_it(alltick_server):
            alltick_server.wait_for(lambda heard: True, timeout=0.01)
        """,
        failed=1,
    )
    result.stdout.fnmatch_lines(["*TimeoutError: Nothing that fits came within 0.01 s; nothing did."])


def test_marker_and_fixtures_are_listed(project: pytest.Pytester) -> None:
    project.runpytest_subprocess("--markers").stdout.fnmatch_lines(["@pytest.mark.alltick(*settings*)*"])
    project.runpytest_subprocess("--fixtures").stdout.fnmatch_lines(
        ["alltick_settings *", "alltick_server *"], consecutive=False
    )


def test_runs_that_do_not_use_it_import_no_server() -> None:
    program = f"import sys, tickwire.testing.plugin; print({HEAVY} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
