"""Fuzzes one target with atheris, guided by what its inputs reach: python -m tests.fuzz.run TARGET SECONDS.

Begins with the corpus of the repository. What it learns is kept in build/fuzz/TARGET, so is what it finds,
as files whose names begin with `crash-`, `timeout-` or `oom-`: such a one belongs into the corpus, with what
mends it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

from .targets import CORPUS, quiet, target

LEARNED = Path("build/fuzz")
LONGEST = 10
"""Seconds that one input may take."""
MEMORY = 1024
"""MiB that the process may take."""


def main(name: str, seconds: str) -> None:
    learned = LEARNED / name
    learned.mkdir(parents=True, exist_ok=True)
    quiet()
    with atheris.instrument_imports(include=["tickwire"]):
        one = target(name)
    arguments = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        f"-timeout={LONGEST}",
        f"-rss_limit_mb={MEMORY}",
        "-max_len=8192",
        f"-artifact_prefix={learned}/",
        "-print_final_stats=1",
        "-verbosity=0",
        str(learned),
        str(CORPUS / name),
    ]
    atheris.Setup(arguments, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
