"""The command lines and small sh scripts that are run on hosts. Pure."""

from __future__ import annotations

import posixpath
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

NO_SUCH_FILE = 44  # exit status of `get_script` where there is no such file


def command_line(argv: Sequence[str], *, reads: bool) -> str:
    """Return the line that runs `argv` in whatever login shell a host has, with an empty stdin unless it `reads`.

    Outside of an sh that survives its command, one that was killed by a signal would have no exit status.
    """
    return "exec /bin/sh -c " + shlex.quote(f"{shlex.join(argv)}{'' if reads else ' </dev/null'}; exit $?")


def script(text: str, *arguments: str) -> list[str]:
    """Return the argv of an sh script with arguments ``$1``, ``$2`` and so on."""
    return ["/bin/sh", "-c", text, "sh", *arguments]


def word(path: str) -> str:
    """Quote a host's path for sh; a leading ``~/`` becomes the home directory there."""
    if path.startswith("~/"):
        return '"$HOME"/' + shlex.quote(path[2:])
    return '"$HOME"' if path == "~" else shlex.quote(path)


def put_script(remote: str, token: str, size: int, mode: int) -> str:
    """Return the script that writes its stdin to a file, whole or not at all.

    Args:
        remote: the file.
        token: makes the temporary name unique.
        size: bytes that must arrive: stdin also ends where the connection breaks.
        mode: permissions.
    """
    part = word(f"{remote}.{token}.part")
    return (
        # Messages in English: `put_failure` looks for some.
        f"export LC_ALL=C; part={part}; trap 'rm -f \"$part\"' EXIT; "
        f'mkdir -p -- {word(posixpath.dirname(remote) or ".")} && (umask 077 && cat > "$part") && '
        f'if [ "$(wc -c < "$part")" -eq {size} ]; '
        f'then chmod {mode:o} "$part" && mv -fT -- "$part" {word(remote)}; '
        "else echo 'the upload was cut short' >&2; exit 1; fi"
    )


def get_script(remote: str) -> str:
    """Return the script that prints a file, with status `NO_SUCH_FILE` where there is none."""
    return f"[ -e {word(remote)} ] || exit {NO_SUCH_FILE}; exec cat < {word(remote)}"


def put_failure(label: str, remote: str, words: str) -> str:
    """Return the message for a failed `put_script`, from what it printed to stderr."""
    if "No space left on device" in words:
        return f"{label}: disk full: {remote} could not be written. Free space there, or set another `workdir`"
    if "quota exceeded" in words.lower():
        return f"{label}: disk quota used up: {remote} could not be written. Free space there, or set another `workdir`"
    last = words.strip().splitlines()[-1:] or ["no reason was given"]
    return f"{label}: {remote} could not be written: {last[0]}. Mend that, or set another `workdir`"
