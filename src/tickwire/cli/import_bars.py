"""`tickwire import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..config import load
from ..engine import DATABASE
from ..store import SqliteKlineStore, load_catalogue
