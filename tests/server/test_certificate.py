"""Certificates that change while the server runs."""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import connect

from tickwire.machine import REAL
from tickwire.server import certificate
from tickwire.server.authority import Authority

from ..serving import OTHER_WS, Script, serving, trusting, until

NAME = ["127.0.0.1"]


class Files:
    """A certificate of a user's own, made by one authority or another."""

    def __init__(self, folder: Path) -> None:
        self.first, self.second = (
            Authority(folder / name / "ca.pem", NAME, REAL) for name in ("first", "second")
        )
        self.settings: dict[str, Any] = {"tls_cert": folder / "cert.pem", "tls_key": folder / "key.pem"}
        self.use(self.first)

    def use(self, own: Authority) -> None:
        shutil.copy(own.chain, self.settings["tls_cert"])
        shutil.copy(own.key, self.settings["tls_key"])


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """Looked at often."""
    monkeypatch.setattr(certificate, "LOOK", 0.02)
    return Files(tmp_path)


async def test_it_is_read_again_and_nobody_is_dropped(tmp_path: Path, script: Script, files: Files) -> None:
    async with serving(tmp_path / "data", script, **files.settings) as served:
        url = served.url.replace("https", "wss") + f"{OTHER_WS}?token=t"
        old, new = trusting(files.first.ca), trusting(files.second.ca)
        async with connect(url, ssl=old) as before:
            with pytest.raises(ssl.SSLCertVerificationError):
                await connect(url, ssl=new)
            with capture_logs() as logged:
                files.use(files.second)
                await until(lambda: any(line["event"] == "certificate read again" for line in logged))
            async with connect(url, ssl=new):
                await before.send('{"cmd_id":22000}')
                assert '"ret":200' in str(await before.recv())
            with pytest.raises(ssl.SSLCertVerificationError):
                await connect(url, ssl=old)


@pytest.mark.parametrize("fault", ["another key", "nothing", "gone"])
async def test_one_that_cannot_be_used_is_left_and_told_once(
    tmp_path: Path, script: Script, files: Files, fault: str
) -> None:
    async with serving(tmp_path / "data", script, **files.settings) as served:
        with capture_logs() as logged:
            match fault:
                case "another key":
                    shutil.copy(files.second.key, files.settings["tls_key"])
                case "nothing":
                    files.settings["tls_cert"].write_text("")
                case "gone":
                    files.settings["tls_cert"].unlink()
            await until(lambda: bool(logged))
            verify = trusting(files.first.ca)
            for _ in range(3):  # looks, too
                async with httpx.AsyncClient(verify=verify, timeout=120) as client:
                    assert (await client.get(f"{served.url}/healthz")).status_code == 200
            assert [line["event"] for line in logged] == ["the old certificate is kept"]
            files.use(files.second)
            await until(lambda: logged[-1]["event"] == "certificate read again")
        async with httpx.AsyncClient(verify=trusting(files.second.ca), timeout=120) as client:
            assert (await client.get(f"{served.url}/healthz")).status_code == 200
