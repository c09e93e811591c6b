"""A real browser on a hostile page: no way leads from it to the admin API of a server on the same machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from ..serving import OTHER_HTTP, Script, Served, serving, trade

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
pytestmark = pytest.mark.skipif(
    not CHROMIUM,
    reason="NO CHROMIUM ON PATH: THAT NO WEB PAGE REACHES /admin IS NOT TESTED. Debian: apt install chromium",
)
EVIL = "evil.example"
"""A name that the browser is told leads to this machine."""

DATA = msgspec.json.encode(
    f"{OTHER_HTTP}/trade-tick?token=t&query=" + '{"data":{"symbol_list":[{"code":"BTCUSDT"}]}}'
)
PAGE = b"""<!doctype html><meta charset=utf-8><title>free money</title><body><script>
const HALT = JSON.stringify({step: [{do: "halt"}]});
const found = [];
const late = () => new Promise((_, no) => setTimeout(no, 4000));
const within = (promise) => Promise.race([promise, late()]);
async function attempt(name, act) {
  try { found.push([name, await within(act())]); } catch (error) { found.push([name, "failed"]); }
}
const read = async (url, options) => {
  const answer = await fetch(url, options);
  return answer.type === "opaque" ? "opaque" : answer.status + " " + await answer.text();
};
function xhr(url) {
  return new Promise((yes, no) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.setRequestHeader("content-type", "application/json");
    request.onload = () => yes(request.status + " " + request.responseText);
    request.onerror = no;
    request.send(HALT);
  });
}
function form(url, enctype) {
  return new Promise((yes) => {
    const frame = document.createElement("iframe");
    frame.name = "f" + Math.random();
    document.body.append(frame);
    const form = document.createElement("form");
    Object.assign(form, {action: url, method: "POST", enctype, target: frame.name});
    const input = document.createElement("input");
    input.name = '{"step": [{"do": "halt", "reason": "';
    input.value = '"}]}';
    form.append(input);
    document.body.append(form);
    frame.onload = () => {
      let text = "opaque";
      try { text = frame.contentDocument.body.innerText || "opaque"; } catch {}
      yes(text);
    };
    form.submit();
  });
}
function element(tag, url) {
  return new Promise((yes) => {
    const one = document.createElement(tag);
    one.onload = () => yes("loaded");
    one.onerror = () => yes("failed");
    one.src = url;
    document.body.append(one);
  });
}
function socket(url) {
  return new Promise((yes, no) => {
    const one = new WebSocket(url.replace("http", "ws"));
    one.onopen = () => { one.send(HALT); yes("open"); };
    one.onerror = no;
  });
}
async function attack(target) {
  const admin = target + "/admin/scenario";
  const kinds = ["application/json", "text/plain", "application/x-www-form-urlencoded"];
  for (const mode of ["cors", "no-cors", "same-origin"]) {
    for (const path of ["/admin/scenario", "/admin/connections"]) {
      const options = {mode, credentials: "include"};
      await attempt(`GET ${mode} ${target}${path}`, () => read(target + path, options));
    }
    for (const kind of kinds) {
      const options = {mode, method: "POST", body: HALT, headers: {"content-type": kind}};
      await attempt(`POST ${mode} ${kind} ${target}`, () => read(admin, options));
    }
    const untyped = {mode, method: "POST", body: new Blob([HALT])};
    await attempt(`POST ${mode} untyped ${target}`, () => read(admin, untyped));
    for (const method of ["DELETE", "PUT", "OPTIONS"]) {
      await attempt(`${method} ${mode} ${target}`, () => read(admin, {mode, method}));
    }
  }
  await attempt(`no referrer ${target}`, () => read(admin, {method: "POST", mode: "no-cors", body: HALT,
    referrerPolicy: "no-referrer"}));
  await attempt(`xhr ${target}`, () => xhr(admin));
  for (const enctype of ["text/plain", "multipart/form-data", "application/x-www-form-urlencoded"]) {
    await attempt(`form ${enctype} ${target}`, () => form(admin, enctype));
  }
  for (const type of kinds) {
    await attempt(`beacon ${type} ${target}`, async () => {
      navigator.sendBeacon(admin, new Blob([HALT], {type}));
      return "sent";
    });
  }
  for (const tag of ["img", "script", "iframe"]) await attempt(`${tag} ${target}`, () => element(tag, admin));
  await attempt(`websocket ${target}`, () => socket(admin));
  await attempt(`market data ${target}`, () => read(target + DATA));
}
(async () => {
  for (const target of TARGETS) await attack(target);
  await fetch("/report", {method: "POST", body: JSON.stringify(found)});
})();
</script>"""


class Site:
    """A hostile site on this machine.

    What it is asked for below /admin it hands on byte by byte: as if its own name were bound anew to the
    server's address.
    """

    def __init__(self, served: Served) -> None:
        self.served = served
        self.targets: list[str] = []
        self.report: asyncio.Future[list[tuple[str, str]]] = asyncio.get_running_loop().create_future()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            size = [
                int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
            ]
            body = await reader.readexactly(size[0]) if size else b""
            writer.write(await self._answer(head, body))
            await writer.drain()
        writer.close()

    async def _answer(self, head: bytes, body: bytes) -> bytes:
        _, path, _ = head.split(b" ", 2)
        if path.startswith((b"/admin", b"/quote")):
            address = httpx.URL(self.served.url)
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(head.replace(b"Connection: keep-alive", b"Connection: close") + body)
            answer = await reader.read()
            writer.close()
            return answer
        page = b""
        if path == b"/report":
            self.report.set_result([(name, seen) for name, seen in msgspec.json.decode(body)])
        elif path == b"/":
            page = PAGE.replace(b"TARGETS", msgspec.json.encode(self.targets)).replace(b"DATA", DATA)
        return (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n%s" % (len(page), page)
        )


@contextlib.asynccontextmanager
async def browser(folder: Path, url: str) -> AsyncIterator[None]:
    """A browser on that page; it and all that it has started are ended at the end."""
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    flags += [f"--user-data-dir={folder}", f"--host-resolver-rules=MAP {EVIL} 127.0.0.1"]
    quiet: dict[str, Any] = {"stdout": asyncio.subprocess.DEVNULL, "stderr": asyncio.subprocess.DEVNULL}
    process = await asyncio.create_subprocess_exec(CHROMIUM, *flags, url, start_new_session=True, **quiet)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def seen_by_a_page(folder: Path, served: Served, host: str, *targets: str) -> dict[str, str]:
    """What a page from that host, on a port of its own, gets out of its attempts."""
    site = Site(served)
    server = await asyncio.start_server(site.answer, "127.0.0.1", 0)
    async with server:
        own = f"http://{host}:{server.sockets[0].getsockname()[1]}"
        port = httpx.URL(served.url).port
        site.targets = [target.format(own=own, port=port) for target in targets]
        async with browser(folder, own + "/"), asyncio.timeout(120):
            return dict(await site.report)


@contextlib.asynccontextmanager
async def server(folder: Path) -> AsyncIterator[Served]:
    script = Script()
    async with serving(folder, script) as served:
        script.emit(trade())
        yield served


@pytest.mark.parametrize("host", ["127.0.0.1", EVIL])
async def test_a_page_from_another_port_or_site(tmp_path: Path, host: str) -> None:
    targets = ("http://127.0.0.1:{port}", "http://localhost:{port}", f"http://{EVIL}:{{port}}")
    async with server(tmp_path / "data") as served:
        seen = await seen_by_a_page(tmp_path / "browser", served, host, *targets)
        assert served.engine.market.scenarios.running == ()
    data = {name: text for name, text in seen.items() if name.startswith("market data")}
    assert len(data) == len(targets)
    assert all(text.startswith("200 ") for text in data.values())  # the server was reached, and answers pages
    answers = {name: text for name, text in seen.items() if name not in data}
    assert len(answers) > 30 * len(targets)
    assert {*answers.values()} <= {"failed", "opaque", "sent", "loaded"}
    read = [name for name, text in answers.items() if text == "loaded"]
    assert not [
        name for name in read if not name.startswith("iframe")
    ]  # a frame loads, and is not to be read


async def test_a_page_whose_name_was_bound_anew(tmp_path: Path) -> None:
    async with server(tmp_path / "data") as served:
        seen = await seen_by_a_page(tmp_path / "browser", served, EVIL, "{own}")
        assert served.engine.market.scenarios.running == ()
    texts = [text for text in seen.values() if '"' in text]
    assert len([text for text in texts if text.startswith("403 ")]) >= 10  # it reads what it is told: no
    assert not [
        text for text in texts if '"running"' in text or '"number"' in text or '"connections"' in text
    ]


async def test_the_same_page_under_a_name_of_this_machine_would_succeed(tmp_path: Path) -> None:
    """Else the tests above would prove nothing."""
    async with server(tmp_path / "data") as served:
        seen = await seen_by_a_page(tmp_path / "browser", served, "localhost", "{own}")
        assert served.engine.market.scenarios.running != ()
    assert any(text.startswith("200 ") and '"running"' in text for text in seen.values())
