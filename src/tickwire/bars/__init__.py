"""The bars of a source: computed from its trades, kept in a store, read as one."""

from .bars import Bars, Past, Reading

__all__ = ["Bars", "Past", "Reading"]
