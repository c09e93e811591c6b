"""What of both documents is written by hand: their texts, and examples of what is said."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

_FOLDER = Path(__file__).parent
EXAMPLES: dict[str, Any] = msgspec.json.decode((_FOLDER / "examples.json").read_bytes())
"""By the name of a type, or of a request."""


def written(name: str) -> dict[str, Any]:
    """The file of that name."""
    return tomllib.loads((_FOLDER / f"{name}.toml").read_text("utf-8"))


def succeeded(data: Any) -> dict[str, Any]:
    """The example of an answer with that data."""
    return {"ret": 200, "msg": "ok", "trace": "", "data": data}
