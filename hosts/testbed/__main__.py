"""Command line of the testbed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hosts.errors import HostsError
from hosts.testbed import reap
from hosts.testbed.plan import load
from hosts.testbed.supervisor import supervise
from workers.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Build the inventory's testbed and hold it until stdin closes; or remove what is left of one."""
    parser = argparse.ArgumentParser(prog="python -m hosts.testbed", description=main.__doc__)
    parser.add_argument("--inventory", type=Path, default=Path("hosts/local.yaml"), metavar="FILE")
    parser.add_argument("--reap", action="store_true", help="remove the leftovers of this testbed, and say which")
    parser.add_argument("--all", action="store_true", help="with --reap: of every testbed of this project")
    parser.add_argument("--force", action="store_true", help="with --reap: end testbeds that still run")
    arguments = parser.parse_args(argv)
    if (arguments.all or arguments.force) and not arguments.reap:
        parser.error("--all and --force go with --reap")
    try:
        if arguments.reap:
            _reap(arguments)
        else:
            supervise(load(arguments.inventory))
    except (HostsError, WorkerError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _reap(arguments: argparse.Namespace) -> None:
    if arguments.all:
        removed = reap.reap_all(force=arguments.force)
    else:
        removed = reap.reap(load(arguments.inventory).name, force=arguments.force)
    print("\n".join(removed) or "nothing left to remove")


if __name__ == "__main__":
    sys.exit(main())
