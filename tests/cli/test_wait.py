"""`tickwire wait` returns when a server is ready, or says what it saw instead."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tickwire.cli.main import EXIT_FAILED, EXIT_USAGE, run
from tickwire.testing import AllTickServer

Tickwire = Callable[..., tuple[int, str, str]]


@pytest.fixture
def tickwire(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tickwire:
    """Runs `tickwire wait` with arguments; returns exit status, standard output and error."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tickwire", "wait", *arguments])
        with pytest.raises(SystemExit) as exited:
            run()
        status = exited.value.code
        assert status is None or isinstance(status, int)
        return status or 0, *capsys.readouterr()

    return call


@contextmanager
def answering(*answers: tuple[int, bytes]) -> Iterator[str]:
    """The URL of a server that gives these answers to /readyz, the last one again and again."""
    left = [*answers]

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/readyz"
            status, body = (left.pop(0) if len(left) > 1 else left[0]) if found else (404, b"")
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


READY, STARTING = (200, b'{"ready":true}'), (503, b'{"ready": false,\n"source": "simulator"}')


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_ready_server(tickwire: Tickwire, slash: str) -> None:
    with AllTickServer(log_level="error") as server:
        assert tickwire(server.url + slash) == (0, "", "")


def test_a_server_that_becomes_ready(tickwire: Tickwire) -> None:
    with answering(STARTING, STARTING, READY) as url:
        assert tickwire(url, "--timeout", "10") == (0, "", "")


def test_a_server_that_is_not_there_yet(tickwire: Tickwire, monkeypatch: pytest.MonkeyPatch) -> None:
    with AllTickServer(log_level="error") as server:
        url = server.url
    monkeypatch.setattr(time, "sleep", lambda _: server.start())  # between the first look and the second
    assert tickwire(url, "--timeout", "10") == (0, "", "")
    server.stop()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (STARTING, '/readyz answered 503 {"ready": false, "source": "simulator"}'),
        ((404, b"no such page"), "/readyz answered 404 no such page"),
        ((200, b"<html>"), "/readyz answered 200 <html>"),
        ((200, b'{"ready":"yes"}'), '/readyz answered 200 {"ready":"yes"}'),
        ((200, b"[" * 60_000), "/readyz answered 200 [[["),
        ((500, b""), "/readyz answered 500."),
    ],
)
def test_what_is_not_ready_in_time_is_told_in_one_line(
    tickwire: Tickwire, answer: tuple[int, bytes], words: str
) -> None:
    with answering(answer) as url:
        status, out, error = tickwire(url, "--timeout", "0.2")
        assert (status, out) == (EXIT_FAILED, "")
        assert error.startswith(f"tickwire: {url} was not ready within 0.2 s: {words}")
        assert len(error.splitlines()) == 1
        assert len(error) < 250


def test_nobody_there_is_told(tickwire: Tickwire) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    began = time.monotonic()
    status, out, error = tickwire(f"http://127.0.0.1:{port}", "--timeout", "0.3")
    assert time.monotonic() - began >= 0.3
    assert (status, out) == (EXIT_FAILED, "")
    refused = f"127.0.0.1:{port}: connection refused"
    assert error == f"tickwire: http://127.0.0.1:{port} was not ready within 0.3 s: {refused}.\n"


def test_a_server_that_never_answers_is_told_in_time(
    tickwire: Tickwire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickwire.cli.wait.LONGEST_LOOK", 600.0)  # so that it is not this that ends it
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        status, _, error = tickwire(url, "--timeout", "0.3")
    assert (status, error) == (
        EXIT_FAILED,
        f"tickwire: {url} was not ready within 0.3 s: it does not answer.\n",
    )


def test_a_server_of_another_protocol_is_told(tickwire: Tickwire) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def greet() -> None:
            client, _ = other.accept()
            with client:
                client.sendall(b"220 mail.example\r\n")
                client.recv(2**16)

        thread = threading.Thread(target=greet)
        thread.start()
        status, _, error = tickwire(f"http://127.0.0.1:{other.getsockname()[1]}", "--timeout", "0")
        thread.join()
    assert status == EXIT_FAILED
    assert "220 mail.example" in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:8600", "ws://127.0.0.1:8600", "http://", "http://x:port", "http://x:99999", "http://[::1"],
)
def test_what_is_no_url_is_told_at_once(tickwire: Tickwire, url: str) -> None:
    status, out, error = tickwire(url)
    assert (status, out) == (EXIT_USAGE, "")
    assert error == f"tickwire: {url!r} is no URL of a server such as http://127.0.0.1:8600.\n"


def test_wrong_usage(tickwire: Tickwire) -> None:
    assert tickwire()[0] == EXIT_USAGE
    assert tickwire("http://127.0.0.1:1", "--timeout", "-1")[0] == EXIT_USAGE


def test_help_gives_an_example(tickwire: Tickwire) -> None:
    status, out, _ = tickwire("--help")
    assert status == 0
    assert "Example: tickwire serve" in out
