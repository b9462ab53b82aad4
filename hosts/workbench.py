"""What the workflow's main process holds while jobs run: the results folder's lock and the local testbed."""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from hosts import check
from hosts import inventory as inventories
from hosts.errors import HostsError
from hosts.plan import describe, make_plan
from hosts.provenance import REPOSITORY
from hosts.room import refuse_without
from hosts.shared_testbed import testbed_for

if TYPE_CHECKING:
    from hosts.config import Config


class Workbench:
    """Opened before the first job, closed after the last; all file descriptors, so that a kill closes it too."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._lock: IO[str] | None = None
        self._testbed = ExitStack()

    def open(self) -> None:
        """Say what is planned, lock the results, write the resolved config, make the testbed and check the hosts.

        Raises:
            HostsError: a disk has no room, another workflow holds the results, no testbed can be made, or hosts
                lack something.
        """
        plan = make_plan(self._config)
        refuse_without(plan.rooms)
        results = Path(self._config.results)
        results.mkdir(parents=True, exist_ok=True)
        self._lock = take_lock(results / ".lock")
        # Jobs run this very Python, also where the venv's snakemake was called by its path.
        os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        # Jobs find the packages also where the working directory is another (snakemake --directory).
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
        print("\n".join(describe(self._config, plan)), file=sys.stderr, flush=True)
        try:
            (results / "config.json").write_bytes(msgspec.json.encode(self._config))
            inventory = inventories.load(Path(self._config.inventory))
            made = self._testbed.enter_context(testbed_for(inventory))
            if made is not None:
                print(f"testbed {inventory.testbed}: {_words(made.facts)}", file=sys.stderr)
            check.check_or_raise(inventory)
        except HostsError:
            self.close()
            raise

    def close_testbed(self) -> None:
        """Take the testbed down and keep the results locked. Idempotent."""
        self._testbed.close()

    def close(self) -> None:
        """Take the testbed down and free the results. Idempotent."""
        self.close_testbed()
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def take_lock(path: Path) -> IO[str]:
    """Return the lock of a results folder, held until it is closed.

    Raises:
        HostsError: another process holds it.
    """
    lock = path.open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise HostsError(
            f"{path.parent}: another workflow (pid {holder}) works on these results. "
            "Wait for its end, or set another `results` in the config"
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def _words(facts: dict[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in facts.items() if key != "ready")
