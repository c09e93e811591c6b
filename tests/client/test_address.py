"""What is no address of a server."""

from __future__ import annotations

import pytest

from tickwire.client import Buffer, Link


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/", "127.0.0.1", "ws://", ""])
def test_what_is_no_address_is_refused_at_once(address: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        Link(address, "t", Buffer())
