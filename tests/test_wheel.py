"""The wheel, built and served from: what `pip install tickwire` brings is all that a server needs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx

from .serving import program

ROOT = Path(__file__).parents[1]


def build(folder: Path) -> Path:
    """The wheel of this tree, in that folder."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = folder.glob("*.whl")
    return wheel


async def test_a_server_runs_from_the_wheel_alone(tmp_path: Path) -> None:
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(await asyncio.to_thread(build, tmp_path)) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
        wheel.extractall(unpacked)
    package = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "tickwire").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    pages = {f"tickwire/{path.relative_to(ROOT)}" for path in (ROOT / "docs").rglob("*") if path.is_file()}
    assert held == package | pages
    (unpacked / "tickwire" / "docs" / "faq.md").write_text("# Of the wheel\n")

    async with (
        program(tmp_path, PYTHONPATH=str(unpacked)) as server,
        httpx.AsyncClient(base_url=server.url) as client,
    ):
        terminal = await client.get("/", headers={"Accept": "text/html"})
        assert "<title>Tickwire" in terminal.text
        assert "Quick start" in (await client.get("/docs/quickstart")).text
        assert (await client.get("/docs/images/terminal-dark.png")).content.startswith(b"\x89PNG")
        scenarios = (await client.get("/admin/scenario")).json()
        assert "flaky-network" in str(scenarios)
        assert (await client.get("/docs/faq.md")).text == "# Of the wheel\n", "the tree's own page"
