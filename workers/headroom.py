"""Whether one more part fits into the memory that is left, said before the kernel finds out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workers.cgroup import Cgroup

# The next part takes what the largest until now has taken, most of it for an inference, and so does an inference that
# serves at the same time; parts differ, so half as much again.
FACTOR = 3.0
_MB = 1e6


def lacking(cgroup: Cgroup, grown_bytes: int) -> str | None:
    """Say why one more part does not fit into a cgroup, None where it does.

    `grown_bytes` is the most that building one took until now.
    """
    limit = cgroup.memory_limit_bytes()
    if limit is None:
        return None
    used = cgroup.memory()
    left = limit - used.anon_bytes - used.mapped_bytes  # the rest of the page cache makes room by itself
    if FACTOR * grown_bytes <= left:
        return None
    return (
        f"no room: building a part and serving meanwhile may take {FACTOR * grown_bytes / _MB:.0f} MB, and "
        f"{left / _MB:.0f} of {limit / _MB:.0f} MB are left"
    )
