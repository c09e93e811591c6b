"""What the server says of itself to programs: its HTTP as OpenAPI, its WebSockets as AsyncAPI."""

from .routes import Schemas

__all__ = ["Schemas"]
