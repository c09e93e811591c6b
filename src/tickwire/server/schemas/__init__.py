"""What the server says of itself to programs: its HTTP as OpenAPI, its WebSockets as AsyncAPI."""

from .routes import schema_routes

__all__ = ["schema_routes"]
