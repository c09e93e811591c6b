"""A page: what a Markdown file says, as HTML and in pieces that a search finds."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token
    from markdown_it.utils import EnvType, OptionsDict

PIECE = 1200
"""Characters of Markdown that a piece holds at most, unless a single paragraph or list has more."""
LOCAL = re.compile(r"(?:([\w-]+)\.md)?(#[\w-]*)?")
"""A link within a page, or to another one beside it."""
LOCAL_IN_TEXT = re.compile(r"\]\((?:([\w-]+)\.md)?(#[\w-]*)?\)")
OUTSIDE_IN_TEXT = re.compile(r"\[([^\]]*)\]\(\.\./[^)]*\)")
EDGES = {"table_open": (2, 0), "fence": (1, 1)}
"""How many lines at both ends of a block belong to each part of it, where a block may be taken apart."""
COMMENT = re.compile(r"^<!--.*-->\n", re.MULTILINE)
BOLD_START = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)
OPENING = re.compile(r"After this page,? ")
SENTENCE = re.compile(r".*?[.!?](?=\s|$)", re.DOTALL)


class Heading(NamedTuple):
    """A heading of level 1 to 6, and the anchor that leads to it."""

    level: int
    text: str
    anchor: str


class Piece(NamedTuple):
    """A part of a page, small enough to be an answer."""

    page: str
    anchor: str
    trail: str
    """The page's title and the headings above the last."""
    heading: str
    plain: str
    """Without the marks of Markdown."""
    markdown: str
    """With links that lead to the same place from anywhere on the server."""


class Page(NamedTuple):
    """A page of the documents."""

    name: str
    title: str
    summary: str
    """Its first sentence, which says what the reader can do after it."""
    text: str
    """The Markdown as it is written."""
    content: str
    """The HTML that it makes."""
    headings: list[Heading]
    pieces: list[Piece]


def read_page(name: str, text: str, names: Collection[str]) -> Page:
    """The page of that name; links to files that are none of `names` become plain text."""
    shown = COMMENT.sub("", text)
    markdown = reader()
    tokens = markdown.parse(shown)
    headings = list(_headings(tokens))
    for token in tokens:
        _leave_out_styles(token)
        _lead_links(token.children or [], names)
    title = headings[0].text if headings else name
    return Page(
        name,
        title,
        _summary(tokens),
        text,
        markdown.renderer.render(tokens, markdown.options, {}),
        headings,
        list(_pieces(name, title, shown, tokens, headings)),
    )


@cache
def reader() -> MarkdownIt:
    """What reads Markdown and writes HTML. It is imported with the first page: a server that is never asked
    for one starts without it."""
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark", {"html": False}).enable("table")
    made.add_render_rule("heading_close", _heading_close)
    made.add_render_rule("table_open", _table_open)
    made.add_render_rule("table_close", _table_close)
    return made


def from_anywhere(name: str, markdown: str) -> str:
    """Markdown of that page, its links to pages and images as paths of the server; links to other files of
    the source become plain text."""
    linked = LOCAL_IN_TEXT.sub(
        lambda found: f"](/docs/{found[1] or name}.md{found[2] or ''})" if any(found.groups()) else found[0],
        markdown,
    )
    return OUTSIDE_IN_TEXT.sub(r"\1", linked.replace("](images/", "](/docs/images/"))


def plain_text(markdown: str) -> str:
    """What stands there, without links' targets, emphasis and the lines of tables."""
    text = re.sub(r"^\|[-:| ]+\|$|^ *```.*$|^#+ ", "", markdown, flags=re.MULTILINE)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)|`|\*\*", r"\1", text)
    return " ".join(re.sub(r"(?<!\\)\|", " ", text).replace("\\|", "|").split())


def anchor_of(heading: str, taken: Collection[str]) -> str:
    """The anchor of a heading as GitHub makes it: lower case, hyphens for spaces, letters and digits kept."""
    made = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
    count, anchor = 0, made
    while anchor in taken:
        count += 1
        anchor = f"{made}-{count}"
    return anchor


def _headings(tokens: Sequence[Token]) -> Iterator[Heading]:
    """The headings, each marked with its anchor."""
    taken: set[str] = set()
    for token, inline in pairwise(tokens):
        if token.type == "heading_open":
            text = _text_of(inline)
            anchor = anchor_of(text, taken)
            taken.add(anchor)
            token.attrSet("id", anchor)
            yield Heading(int(token.tag[1]), text, anchor)


def _text_of(inline: Token) -> str:
    children = inline.children or []
    return "".join(" " if one.type == "softbreak" else one.content for one in children)


def _summary(tokens: Sequence[Token]) -> str:
    """The first sentence of the first paragraph."""
    paragraphs = (_text_of(inline) for token, inline in pairwise(tokens) if token.type == "paragraph_open")
    text = OPENING.sub("", next(paragraphs, ""), count=1)
    sentence = found[0] if (found := SENTENCE.match(text)) else text
    return sentence[:1].upper() + sentence[1:]


def _leave_out_styles(token: Token) -> None:
    """The alignment of a table's column as a class: the page's policy allows no style of its own."""
    style = token.attrs.pop("style", None)
    if style is not None:
        token.attrSet("class", str(style).removeprefix("text-align:"))


def _lead_links(children: Sequence[Token], names: Collection[str]) -> None:
    """Leads links to pages of this server, and leaves others within the repository out."""
    opened: Token | None = None
    for token in children:
        if token.type == "link_open":
            opened, target = token, str(token.attrGet("href"))
            found = LOCAL.fullmatch(target)
            if found is None:
                token.hidden = ":" not in target and not target.startswith("/")
            elif found[1] in names:
                token.attrSet("href", f"/docs/{found[1]}{found[2] or ''}")
            else:
                token.hidden = found[1] is not None
        elif token.type == "link_close" and opened is not None:
            token.hidden = opened.hidden


def _pieces(
    name: str, title: str, text: str, tokens: Sequence[Token], headings: Sequence[Heading]
) -> Iterator[Piece]:
    """The page, cut at its headings, at paragraphs that open in bold, and where a piece becomes too long."""
    lines = text.splitlines()
    above: list[Heading] = []
    bold, kept = "", ""
    coming = iter(headings)

    def piece() -> Piece:
        trail = [title, *(one.text for one in above[1:])]
        heading = bold or trail.pop()
        anchor = above[-1].anchor if above else ""
        shown = from_anywhere(name, kept.strip())
        return Piece(name, anchor, " › ".join(trail), heading, plain_text(shown), shown)

    for token in tokens:
        if token.level or token.map is None:
            continue
        block = "\n".join(lines[token.map[0] : token.map[1]]).rstrip()
        starts = BOLD_START.match(block)
        if token.type == "heading_open" or starts:
            if kept:
                yield piece()
            bold, kept = plain_text(starts[1]) if starts else "", ""
        if token.type == "heading_open":
            heading = next(coming)
            above = [one for one in above if one.level < heading.level] + [heading]
            continue
        for part in _parts(block, *EDGES.get(token.type, (len(lines), 0))):
            if kept and len(kept) + len(part) > PIECE:
                yield piece()
                kept = ""
            kept += part + "\n\n"
    if kept:
        yield piece()


def _parts(block: str, first: int, last: int) -> Iterator[str]:
    """A long block as several, each with those first and last lines of it."""
    lines = block.split("\n")
    head, foot = lines[:first], lines[len(lines) - last :]
    part: list[str] = []
    for line in lines[first : len(lines) - last]:
        if part and len("\n".join([*head, *part, line, *foot])) > PIECE:
            yield "\n".join([*head, *part, *foot])
            part = []
        part.append(line)
    yield "\n".join([*head, *part, *foot])


def _heading_close(
    _: RendererHTML, tokens: Sequence[Token], index: int, __: OptionsDict, ___: EnvType
) -> str:
    anchor = tokens[index - 2].attrGet("id")
    link = f' <a class="anchor" href="#{anchor}" aria-label="Link to this section">#</a>'
    return f"{link}</{tokens[index].tag}>\n"


def _table_open(*_: object) -> str:
    return '<div class="table"><table>\n'


def _table_close(*_: object) -> str:
    return "</table></div>\n"
