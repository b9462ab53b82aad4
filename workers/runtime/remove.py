"""Remove containers by name, from whatever process: ``python -m workers.runtime.remove podman NAME``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from workers.errors import WorkerError
from workers.runtime import RUNTIMES, open_runtime

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Kill and remove containers, paused ones too; the exit status is 1 where one could not be removed."""
    parser = argparse.ArgumentParser(prog="python -m workers.runtime.remove", description=main.__doc__)
    parser.add_argument("runtime", choices=list(RUNTIMES))
    parser.add_argument("names", nargs="+", metavar="NAME")
    arguments = parser.parse_args(argv)
    runtime = open_runtime(arguments.runtime)
    status = 0
    for name in arguments.names:
        try:
            runtime.remove(name)
        except (WorkerError, OSError) as error:
            print(error, file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
