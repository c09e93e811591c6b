"""A store whose faults a test decides."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .disk import Disk


@pytest.fixture
def disk() -> Iterator[Disk]:
    made = Disk()
    yield made
    made.database.close()
