"""`tickwire`, and `python -m tickwire`: nothing is imported here that takes time."""

import sys

EXIT_INTERRUPTED = 130


def run() -> None:
    """Runs the command that the arguments name. Ctrl-C ends it quietly, also while it is being imported."""
    try:
        from .cli.main import run as run_command

        run_command()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    run()
