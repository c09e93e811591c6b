"""`python -m tickwire`."""

from .cli.main import run

run()
