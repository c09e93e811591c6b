"""The documents as the server hands them out: rendered, as plain Markdown, searched, and in one text."""

from .routes import Documents

__all__ = ["Documents"]
