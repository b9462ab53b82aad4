"""Puts code and models on hosts, by content: what is there already is not sent again."""

from __future__ import annotations

import hashlib
import io
import posixpath
import secrets
import shlex
import tarfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hosts import shell
from hosts.errors import HostsError, RemoteError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hosts.connection import Completed, Connection
    from hosts.inventory import Host

WORKERS: Final = Path(__file__).resolve().parent.parent / "workers"
KEPT_VERSIONS: Final = 3
_UNPACK: Final = Path(__file__).with_name("unpack.py")
_UNPACK_TIMEOUT_S: Final = 120.0
_ABSENT: Final = 44

# The folder's time says when it was last used: the oldest versions are removed first.
_FIND: Final = "cd {folder} 2>/dev/null || exit {absent}; touch -c .; pwd -P"
_BEGIN: Final = "find {parent} -maxdepth 1 -name {parts} -mmin +60 -exec rm -rf {{}} + 2>/dev/null; mkdir -p {part}"
_FINISH: Final = "mv -T {part} {folder} || {{ [ -d {folder} ] && rm -rf {part}; }}"


def deploy_workers(connection: Connection, host: Host) -> str:
    """Make the `workers` package be on a host, and return the absolute folder to put on PYTHONPATH.

    Raises:
        RemoteError: the host's Python does not work or its disk is full.
        ConnectError: the host is gone.
    """
    archive = pack(read_package(WORKERS))
    name = f"workers-{hashlib.sha256(archive).hexdigest()[:16]}"
    there = _find(connection, f"{host.workdir}/{name}")
    if there is not None:
        return there
    argv = [host.python, "-c", _UNPACK.read_text(encoding="utf-8"), host.workdir, name, str(KEPT_VERSIONS)]
    done = connection.run(argv, stdin=archive, timeout_s=_UNPACK_TIMEOUT_S)
    if done.status:
        raise RemoteError(_unpack_failure(connection, host, done))
    return done.stdout.decode().strip()


def deploy_tree(connection: Connection, local_dir: Path, remote_dir: str) -> int:
    """Make a folder be on a host and return the bytes sent, 0 where `remote_dir` was there.

    The folder's name must change with its content (a hash): one that is there is taken to be complete. It is
    uploaded under another name and renamed at the end. Hidden files stay here: they are notes on this copy. `~/` is the
    home on the host.

    Raises:
        FileNotFoundError: `local_dir` is missing or empty.
        RemoteError: the host's disk is full, or it refuses the folder.
        ConnectError: the host is gone.
    """
    if _find(connection, remote_dir) is not None:
        return 0
    files = sorted(path for path in local_dir.rglob("[!.]*") if path.is_file())
    if not files:
        raise FileNotFoundError(f"{local_dir}: there is no such folder, or nothing in it")
    part = f"{remote_dir}.{secrets.token_hex(4)}.part"
    words = {
        "folder": shell.word(remote_dir),
        "part": shell.word(part),
        "parent": shell.word(posixpath.dirname(remote_dir) or "."),
        "parts": shlex.quote(f"{posixpath.basename(remote_dir)}.*.part"),
    }
    try:
        _shell(connection, _BEGIN.format(**words), remote_dir)
        for file in files:
            mode = 0o755 if file.stat().st_mode & 0o100 else 0o644
            connection.put(file, f"{part}/{file.relative_to(local_dir).as_posix()}", mode=mode)
        _shell(connection, _FINISH.format(**words), remote_dir)
    except BaseException:
        with suppress(HostsError, TimeoutError):  # the first failure is the one to report
            connection.run(shell.script(f"rm -rf {words['part']}"))
        raise
    return sum(file.stat().st_size for file in files)


def read_package(folder: Path) -> dict[str, bytes]:
    """Return what belongs to a package, by its path from the package's parent: sources and their data."""
    return {
        path.relative_to(folder.parent).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in path.parts[len(folder.parts) :])
    }


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return a tar of these files that depends on nothing but their names and contents."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _find(connection: Connection, folder: str) -> str | None:
    """Return the absolute path of a folder on a host, None where there is none, and note that it is in use."""
    done = connection.run(shell.script(_FIND.format(folder=shell.word(folder), absent=_ABSENT)))
    return done.stdout.decode().removesuffix("\n") if done.status == 0 else None


def _shell(connection: Connection, text: str, folder: str) -> None:
    done = connection.run(shell.script(text))
    if done.status:
        raise RemoteError(shell.put_failure(connection.label, folder, done.stderr.decode(errors="replace")))


def _unpack_failure(connection: Connection, host: Host, done: Completed) -> str:
    words = done.stderr.decode(errors="replace")
    if done.status == 1 and "Traceback" not in words:
        return shell.put_failure(connection.label, host.workdir, words)
    last = words.strip().splitlines()[-1:] or ["it said nothing"]
    return (
        f"{connection.label}: the workers could not be unpacked: `{host.python}` ended with status {done.status} "
        f"({last[0]}). `python -m hosts.check` says what the host lacks"
    )
