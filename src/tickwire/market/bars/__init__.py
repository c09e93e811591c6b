"""The bars of a source: computed from its trades, kept in a store, read as one."""

from .bars import Bars, Reading

__all__ = ["Bars", "Reading"]
