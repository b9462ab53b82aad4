"""An image without a registry: an empty skeleton, and the host's own system and Python mounted into it.

All functions are pure but for looking at the host's file system.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from workers.runtime.base import Mount

if TYPE_CHECKING:
    from collections.abc import Iterable

REPOSITORY = "localhost/neukonfig-skeleton"
# On merged-/usr hosts all but the first are symbolic links, which the skeleton repeats.
SYSTEM_FOLDERS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
# What the loader and the C library look up. Everything else in /etc is the host's own business.
SYSTEM_FILES = ("ld.so.cache", "alternatives", "localtime", "nsswitch.conf", "passwd", "group")
EMPTY_FOLDERS = {
    "dev": 0o755,
    "etc": 0o755,
    "proc": 0o555,
    "root": 0o700,
    "run": 0o755,
    "sys": 0o555,
    "tmp": 0o1777,
}
_MAX_LINKS = 40  # as in the kernel


def build_tar(root: Path = Path("/")) -> bytes:
    """Return the skeleton of the host whose file system is below `root`, the same bytes every time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, mode in EMPTY_FOLDERS.items():
            tar.addfile(_entry(name, tarfile.DIRTYPE, mode))
        for name in SYSTEM_FOLDERS:
            if (root / name).is_symlink():
                entry = _entry(name, tarfile.SYMTYPE, 0o777)
                entry.linkname = str((root / name).readlink())
                tar.addfile(entry)
            elif (root / name).is_dir():
                tar.addfile(_entry(name, tarfile.DIRTYPE, 0o755))
    return buffer.getvalue()


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    return entry


def image_name(tar: bytes) -> str:
    """Return the name of the image made of `tar`; another skeleton has another name."""
    return f"{REPOSITORY}:{hashlib.sha256(tar).hexdigest()[:12]}"


def system_mounts(root: Path = Path("/")) -> list[Mount]:
    """Return the read-only mounts that give the skeleton the host's programs and libraries."""
    folders = [f"/{name}" for name in SYSTEM_FOLDERS if _is_own_folder(root / name)]
    files = [f"/etc/{name}" for name in SYSTEM_FILES if (root / "etc" / name).exists()]
    return [Mount(path) for path in folders + files]


def _is_own_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def python_mounts(python: str) -> list[Mount]:
    """Return the read-only mounts that the interpreter `python` needs: its prefix and all that it leads to.

    A virtual environment's interpreter is a link, perhaps through several steps, into the base installation,
    whose place ``pyvenv.cfg`` names, too.
    """
    here = Path(python)
    prefixes = [here.parent.parent]
    for _ in range(_MAX_LINKS):
        if not here.is_symlink():
            break
        here = Path(os.path.normpath(here.parent / here.readlink()))
        prefixes.append(here.parent.parent)
    # The installation may itself sit behind a link, and CPython looks for its library at either end.
    prefixes.append(Path(os.path.realpath(here)).parent.parent)
    config = Path(python).parent.parent / "pyvenv.cfg"
    if config.is_file():
        home = parse_home(config.read_text(encoding="utf-8"))
        prefixes += [Path(home).parent] if home else []
    return [Mount(str(prefix)) for prefix in dict.fromkeys(prefixes) if prefix != Path("/")]


def parse_home(pyvenv_cfg: str) -> str | None:
    """Return the ``home`` of a ``pyvenv.cfg``: the folder of the base interpreter."""
    for line in pyvenv_cfg.splitlines():
        key, _, value = line.partition("=")
        if key.strip().lower() == "home":
            return value.strip()
    return None


def merge(mounts: Iterable[Mount]) -> list[Mount]:
    """Leave out what another mount already shows the same way; the outer ones come first.

    Asked for twice, a path is writable if one of them asked for that.
    """
    writable: dict[str, bool] = {}
    for mount in mounts:
        path = os.path.normpath(mount.path)
        writable[path] = writable.get(path, False) or mount.writable
    kept: dict[str, bool] = {}
    for path in sorted(writable, key=lambda path: Path(path).parts):
        around = [str(parent) for parent in Path(path).parents if str(parent) in kept]
        if not around or kept[around[0]] != writable[path]:
            kept[path] = writable[path]
    return [Mount(path, writable=mode) for path, mode in kept.items()]
