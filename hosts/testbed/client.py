"""The owner's side of a testbed: start the supervisor, hold its lifeline."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hosts.errors import TestbedError

if TYPE_CHECKING:
    from types import TracebackType

_DOWN_TIMEOUT_S = 30.0


class Testbed:
    """A testbed that lives as long as this object is entered, and no longer than this process.

    The supervisor holds the other end of a pipe; whatever ends this process closes it. `facts` is what the
    supervisor reported: ``up_ms``, ``cgroup`` (v1 or v2), ``preferred`` (whether the hosts go before
    other work on this machine), ``delay`` (netem or delay line), ``notes``.
    """

    __test__ = False  # not a test class, whatever pytest thinks of the name

    def __init__(self, inventory: Path) -> None:
        self.inventory = inventory.absolute()
        self.facts: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the supervisor's process id."""
        assert self._process is not None, "the testbed was not started"  # noqa: S101 - a programming error
        return self._process.pid

    def start(self) -> Self:
        """Build the testbed and return once every host accepts SSH.

        Raises:
            TestbedError: it could not be built; the message is the supervisor's.

        """
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hosts.testbed", "--inventory", str(self.inventory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            start_new_session=True,  # Ctrl-C is for the owner, which then closes the lifeline
        )
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        line = self._process.stdout.readline()
        if not line:
            raise TestbedError(self._end())
        self.facts = json.loads(line)
        return self

    def stop(self) -> None:
        """Take the testbed down and return once nothing is left of it. Idempotent.

        Raises:
            TestbedError: it had broken before, or something could not be removed.

        """
        if self._process is None:
            return
        words = self._end()
        status, self._process = self._process.returncode, None
        if status:
            raise TestbedError(words)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _end(self) -> str:
        """Close the lifeline, wait for the supervisor's end and return what it said."""
        assert self._process is not None  # noqa: S101 - for the type checker
        try:
            _, words = self._process.communicate(timeout=_DOWN_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return (
                f"The testbed of {self.inventory} is not down after {_DOWN_TIMEOUT_S:g} s; "
                f"end it: python -m hosts.testbed --inventory {self.inventory} --reap --force"
            )
        return words.decode(errors="replace").strip() or f"the supervisor ended with {self._process.returncode}"
