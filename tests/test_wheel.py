"""The wheel, built and served from: what `pip install tickwire` brings is all that a server needs."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from tickwire import __version__

from .serving import program

ROOT = Path(__file__).parents[1]


ACCELERATOR = "tickwire/machine/_fanout.abi3.so"


def build(folder: Path, **variables: str) -> Path:
    """The wheel of this tree, in that folder, built with these variables of the environment."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    environment = os.environ | variables
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True, timeout=180
    )
    assert done.stderr.split() == [str(next(folder.glob("*.whl")))], (
        "nothing but the name of the wheel is said"
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


def files(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def test_without_a_compiler_the_wheel_is_that_of_any_machine(tmp_path: Path) -> None:
    wheel = build(tmp_path, PATH=str(tmp_path))
    assert wheel.name.endswith("-py3-none-any.whl")
    assert ACCELERATOR not in files(wheel)


def test_a_build_that_fails_leaves_a_wheel_without_the_accelerator(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("cc", "gcc", "clang"):
        (folder / name).write_text("#!/bin/sh\necho no such header >&2\nexit 1\n")
        (folder / name).chmod(0o755)
    wheel = build(tmp_path, PATH=f"{folder}:{os.environ['PATH']}")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert ACCELERATOR not in files(wheel)


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no compiler")
def test_with_a_compiler_it_has_the_accelerator(tmp_path: Path) -> None:
    wheel = build(tmp_path)
    assert "-cp311-abi3-" in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "unpacked")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "unpacked")}
    command = [sys.executable, "-m", "tickwire", "--version"]
    said = subprocess.check_output(command, env=environment, text=True, timeout=60)
    assert said == f"{__version__} (with the accelerator)\n"


async def test_a_server_runs_from_the_wheel_alone(tmp_path: Path) -> None:
    unpacked = tmp_path / "unpacked"
    built = await asyncio.to_thread(build, tmp_path)
    held = files(built) - {ACCELERATOR}
    with zipfile.ZipFile(built) as wheel:
        wheel.extractall(unpacked)
    package = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "tickwire").rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".so")
    }
    pages = {f"tickwire/{path.relative_to(ROOT)}" for path in (ROOT / "docs").rglob("*") if path.is_file()}
    assert held == package | pages
    (unpacked / "tickwire" / "docs" / "faq.md").write_text("# Of the wheel\n")

    async with (
        program(tmp_path, PYTHONPATH=str(unpacked)) as server,
        httpx.AsyncClient(base_url=server.url, timeout=120) as client,
    ):
        terminal = await client.get("/", headers={"Accept": "text/html"})
        assert "<title>Tickwire" in terminal.text
        assert "Quick start" in (await client.get("/docs/quickstart")).text
        assert (await client.get("/docs/images/terminal-dark.png")).content.startswith(b"\x89PNG")
        scenarios = (await client.get("/admin/scenario")).json()
        assert "flaky-network" in str(scenarios)
        assert (await client.get("/docs/faq.md")).text == "# Of the wheel\n", "the tree's own page"
