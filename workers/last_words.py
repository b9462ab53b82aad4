"""What a program that ended has to say for itself, in one sentence."""

from __future__ import annotations

import re
import signal

# TensorFlow's notices, which every runner prints and which explain no death.
_NOTICE = re.compile(r"[IW]\d{4} |\d{4}-\d\d-\d\d [\d:.]+: [IW] |WARNING: All log messages before absl")
_BY_SIGNAL = 128


def ending(exit_code: int | None) -> str:
    """Name an exit code as engines give it: 128 + N for a program killed by signal N."""
    if exit_code is None:
        return "exit code unknown"
    try:
        killer = signal.Signals(exit_code - _BY_SIGNAL).name
    except ValueError:
        return f"exit code {exit_code}"
    return f"exit code {exit_code}, {killer}"


def last_words(log: str) -> str:
    """Return the last line of a log that is no mere notice."""
    lines = [line.strip() for line in log.splitlines() if line.strip() and not _NOTICE.match(line)]
    return lines[-1] if lines else "it printed no reason"
