"""Sockets out: WebSocket and HTTP on one port."""

from .serve import Server, serve

__all__ = ["Server", "serve"]
