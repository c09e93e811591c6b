"""Which pages there are, where their files lie, and in which order they are read."""

from __future__ import annotations

from pathlib import Path

from .page import Page, read_page

PACKAGE = Path(__file__).parents[2]
FOLDER = PACKAGE / "docs" if (PACKAGE / "docs").is_dir() else PACKAGE.parents[1] / "docs"
"""The pages that a wheel brings lie in the package; in a checkout they are those of the repository."""
GROUPS = {
    "Start": ("quickstart", "terminal", "sandbox", "faq"),
    "Sources": ("sources", "relay", "exchanges", "publishing", "recording", "parquet", "data-rules"),
    "Protocol": ("protocol", "websocket", "klines", "access"),
    "Clients": ("client", "cli"),
    "Running": ("settings", "tls", "operating", "deploy", "cluster", "metrics", "performance", "security"),
}
LAST = "More"
"""The group of the pages that no other group names."""


class Shelf:
    """All pages, by name and by group, in the order in which they are read."""

    def __init__(self, folder: Path = FOLDER) -> None:
        """Reads the Markdown files of that folder; none is left out. Raises OSError."""
        files = {path.stem: path for path in sorted(folder.glob("*.md"))}
        named = {name for names in GROUPS.values() for name in names}
        wanted = GROUPS | {LAST: tuple(name for name in files if name not in named)}
        self.groups: dict[str, list[Page]] = {}
        for group, names in wanted.items():
            pages = [
                read_page(name, files[name].read_text("utf-8"), files.keys())
                for name in names
                if name in files
            ]
            if pages:
                self.groups[group] = pages
        self.pages = {page.name: page for pages in self.groups.values() for page in pages}
