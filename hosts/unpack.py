"""Runs on a host, sent there by `hosts.deploy`: unpacks the workers from stdin. Standard library only.

Arguments: the folder to hold all versions, the name of this one, how many to keep. Prints the absolute path.
"""

from __future__ import annotations

import compileall
import hashlib
import io
import shutil
import sys
import tarfile
import tempfile
import time
from pathlib import Path

_STALE_S = 3600.0


def unpack(archive: bytes, versions: Path, name: str) -> Path:
    """Unpack and compile an archive, and give it its name once it is complete.

    Raises:
        ValueError: the archive is not the one that `name` ends with the hash of.
    """
    if not name.endswith(hashlib.sha256(archive).hexdigest()[:16]):
        raise ValueError("the upload was cut short")
    versions.mkdir(parents=True, exist_ok=True)
    folder = versions / name
    part = Path(tempfile.mkdtemp(prefix=f".{name}.", suffix=".part", dir=versions))
    try:
        part.chmod(0o755)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            # Pythons before 3.11.4 (Debian 12 has 3.11.2) know no filter; the hash says that the archive is ours.
            tar.extractall(part, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))  # type: ignore[arg-type]  # noqa: S202
        # Python would compile at each start where it may not write (in containers), which takes longer than starting.
        compileall.compile_dir(part, quiet=1, stripdir=str(part), prependdir=str(folder))
        try:
            part.rename(folder)
        except OSError:
            if not folder.is_dir():  # otherwise another deployment was faster
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def prune(versions: Path, keep: int) -> None:
    """Remove all but the `keep` versions used last, and what interrupted deployments left an hour ago."""
    folders = sorted(versions.glob("workers-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    stale = [part for part in versions.glob(".workers-*.part") if time.time() - part.stat().st_mtime > _STALE_S]
    for folder in [*folders[keep:], *stale]:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Unpack stdin; the reason of a failure is the last line of stderr."""
    versions = Path(sys.argv[1]).expanduser()
    try:
        folder = unpack(sys.stdin.buffer.read(), versions, sys.argv[2])
        prune(versions, int(sys.argv[3]))
    except (OSError, ValueError, tarfile.TarError) as error:
        print(getattr(error, "strerror", None) or error, file=sys.stderr)
        return 1
    print(folder.resolve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
