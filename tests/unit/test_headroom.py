"""One more part is refused before it would not fit, and only then."""

import pytest

from workers.cgroup import Memory
from workers.headroom import lacking

MB = 10**6


class Group:
    def __init__(self, limit_mb, anon_mb, mapped_mb=0, cache_mb=0):
        self._limit_mb = limit_mb
        self._memory = Memory((anon_mb + mapped_mb + cache_mb) * MB, anon_mb * MB, None, 0, mapped_mb * MB)

    def memory_limit_bytes(self):
        return None if self._limit_mb is None else self._limit_mb * MB

    def memory(self):
        return self._memory


@pytest.mark.parametrize(
    ("group", "grown_mb", "fits"),
    [
        (Group(None, 900), 500, True),  # no limit
        (Group(1000, 900), 30, True),
        (Group(1000, 900), 40, False),  # thrice as much would not fit
        (Group(1000, 500, mapped_mb=400), 40, False),  # mapped weights are needed to serve
        (Group(1000, 500, cache_mb=400), 40, True),  # what else lies in the page cache is not
        (Group(1000, 1000), 0, True),  # nothing is known of how much it takes
    ],
)
def test_room_by_what_parts_have_taken(group, grown_mb, fits):
    assert (lacking(group, grown_mb * MB) is None) == fits


def test_the_reason_has_the_numbers():
    assert lacking(Group(240, 237), 40 * MB) == (
        "no room: building a part and serving meanwhile may take 120 MB, and 3 of 240 MB are left"
    )
