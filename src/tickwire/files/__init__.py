"""Files that people hand in, and what all files of secrets have in common."""

from .reading import (
    MOST_TOML,
    Version,
    check_regular,
    is_folder,
    read_bytes,
    read_text,
    read_toml,
    toml_in,
    version_of,
)
from .sorting import in_order
from .tables import CODE, NUMBER, OURS, PRICE, TIME, USUAL, Dress, header_of, plain_name, read_table
from .times import Stamp, Times

__all__ = [
    "CODE",
    "MOST_TOML",
    "NUMBER",
    "OURS",
    "PRICE",
    "TIME",
    "USUAL",
    "Dress",
    "Stamp",
    "Times",
    "Version",
    "check_regular",
    "header_of",
    "in_order",
    "is_folder",
    "plain_name",
    "read_bytes",
    "read_table",
    "read_text",
    "read_toml",
    "toml_in",
    "version_of",
]
