"""`import tickwire`: cheap, lazy, typed; and its examples."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tickwire
from tickwire.exports import HOME_OF, ROOMS

SOURCE = Path(tickwire.__file__).parent
EXAMPLES = Path(__file__).parent.parent / "examples" / "client"
SERVER_PARTS = "uvicorn starlette structlog pydantic typer rich ccxt pyarrow pandas tickwire.server".split()
WHEN_USED = [*SERVER_PARTS, "httpx", "websockets.asyncio"]
MOST_SECONDS = 0.15


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded(code: str) -> set[str]:
    """The modules that are there after it."""
    return {*json.loads(python(f"{code}\nimport json, sys\nprint(json.dumps([*sys.modules]))"))}


def test_importing_it_takes_no_time() -> None:
    code = "import time\nbegan = time.process_time()\nimport tickwire\nprint(time.process_time() - began)"
    assert min(float(python(code)) for _ in range(3)) < MOST_SECONDS


def test_importing_it_imports_nothing_of_ours_but_its_names() -> None:
    ours = {one for one in loaded("import tickwire") if one.startswith("tickwire")}
    assert ours == {"tickwire", "tickwire.exports"}


def test_the_client_needs_no_part_of_the_server() -> None:
    found = loaded("import tickwire\ntickwire.connect(), tickwire.Api(), tickwire.sync, tickwire.download")
    assert found.isdisjoint(WHEN_USED)
    assert "tickwire.client.feed" in found


@pytest.mark.parametrize("name", [*HOME_OF, *ROOMS])
def test_every_name_is_there(name: str) -> None:
    assert getattr(tickwire, name) is not None
    assert name in dir(tickwire)


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        tickwire.Nonsense  # type: ignore[attr-defined]  # noqa: B018


def test_those_who_check_types_are_told_of_the_same_names() -> None:
    stub = ast.parse((SOURCE / "__init__.pyi").read_text("utf-8"))
    named = {one.asname for node in stub.body if isinstance(node, ast.ImportFrom) for one in node.names}
    assert named == {*HOME_OF, *ROOMS}
    assert (SOURCE / "py.typed").exists()


def test_an_example_is_typed_for_its_user(tmp_path: Path) -> None:
    """Strictly, and without the project's own settings."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--cache-dir",
            str(tmp_path),
            *map(str, EXAMPLES.glob("*.py")),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "MYPYPATH": str(SOURCE.parent)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
