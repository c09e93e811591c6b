"""Numbers of connections are one connection's, whichever process gives them, and after a restart."""

from __future__ import annotations

from itertools import islice

from tickwire.gateway.place import EACH_RUN, ONLY, Place


def test_the_only_one_counts_by_one() -> None:
    assert [*islice(ONLY.connections(), 3)] == [1, 2, 3]
    assert (ONLY.name, ONLY.names) == ("gateway", ())


def test_several_never_give_the_same_number() -> None:
    places = [Place(number, 3, restarts) for number in (1, 2, 3) for restarts in (0, 1, 2)]
    first = [number for place in places for number in islice(place.connections(), 1000)]
    assert len({*first}) == len(first)
    last = next(islice(Place(2, 3).connections(), EACH_RUN - 1, None))
    assert last < next(Place(1, 3, 1).connections()), "up to the last of a run"
    assert {one.names for one in places} == {("gateway 1", "gateway 2", "gateway 3")}
