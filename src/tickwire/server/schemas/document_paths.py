"""The paths of what is read: the terminal's page, the documentation, and the two documents themselves."""

from __future__ import annotations

from typing import Any

from ..documents.search import LONGEST_QUESTION
from .operation import NO_METHOD, OPEN, PLAIN, Path, answer, operation, plain

HTML, MARKDOWN, TEXT = "text/html", "text/markdown", "text/plain"
_QUESTION = {"type": "string", "minLength": 1, "maxLength": LONGEST_QUESTION, "pattern": r"[A-Za-z0-9]"}
ASK = plain("ask", "A question: the answer is what a full-text search finds.", _QUESTION, "too many requests")
SEARCH = plain("search", "Words to be searched for.", _QUESTION, "K-lines")
NAME = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "The name of a page.",
    "schema": {"type": "string", "pattern": "^[a-z]+$"},
    "example": "protocol",
}


def document_paths() -> dict[str, Path]:
    """The paths and their operations."""
    return {
        "/": _page("index", "The terminal for a browser, a few lines for others", TEXT, HTML),
        "/docs": _page("docs", "The pages of the documentation; a search in them", HTML, asked=SEARCH),
        "/docs.md": _page("docs_list", "The list of pages, as Markdown", MARKDOWN, asked=ASK),
        "/docs/style.css": _page("docs_style", "How the pages look", "text/css"),
        "/docs/{name}": _page("docs_page", "A page", HTML, of=NAME),
        "/docs/{name}.md": _page("docs_plain", "A page, as Markdown", MARKDOWN, of=NAME, asked=ASK),
        "/llms.txt": _page("llms", "The list of pages for a language model (llmstxt.org)", TEXT),
        "/llms-full.txt": _page("llms_full", "All pages in one", TEXT),
        "/openapi.json": _document("openapi", "This document"),
        "/asyncapi.json": _document("asyncapi", "The WebSockets, as AsyncAPI"),
    }


_SAME = {"description": "It is the one that `If-None-Match` names."}


def _page(
    name: str,
    summary: str,
    *types: str,
    of: dict[str, Any] | None = None,
    asked: dict[str, Any] | None = None,
) -> Path:
    content = dict.fromkeys(types, PLAIN)
    answers = {"200": {"description": "The page.", "content": content}, "304": _SAME, "405": NO_METHOD}
    if of is not None:
        answers["404"] = {"description": "There is no such page.", "content": content}
    if asked is not None:
        answers["400"] = {"description": "The question is empty or too long.", "content": content}
        answers["501"] = {"description": "This server's SQLite has no full-text search.", "content": content}
    parameters = [one for one in (of, asked) if one is not None]
    return {"get": operation(name, "documents", summary, answers, security=OPEN, parameters=parameters)}


def _document(name: str, summary: str) -> Path:
    answers = {"200": answer("The document.", {"type": "object"}), "304": _SAME, "405": NO_METHOD}
    return {"get": operation(name, "documents", summary, answers, security=OPEN)}
