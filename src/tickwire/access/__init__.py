"""Who may come in."""

from .gate import Gate, OpenGate

__all__ = ["Gate", "OpenGate"]
