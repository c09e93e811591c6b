"""Files that people hand in, and what all files of secrets have in common."""

from .reading import MOST_TOML, check_regular, is_folder, read_bytes, read_text, read_toml, toml_in
from .tables import CODE, NUMBER, read_table

__all__ = [
    "CODE",
    "MOST_TOML",
    "NUMBER",
    "check_regular",
    "is_folder",
    "read_bytes",
    "read_table",
    "read_text",
    "read_toml",
    "toml_in",
]
