"""The exceptions of the night watch.

WatchError (a ReportError)
├── ThresholdsError   the file of thresholds cannot be used
├── GridError         the config of a night cannot be used
├── HistoryError      the history cannot be read or written, or other code wrote it
├── NightError        a night measured nothing, too little, or is no single night
├── Busy              another night is under way with the same history
└── StepFailed        a command of the night did not succeed
"""

from report.errors import ReportError


class WatchError(ReportError):
    """Base of all errors of the night watch: who, what, why, next step."""


class ThresholdsError(WatchError):
    """The file of thresholds cannot be used; the message holds the path of the key."""


class GridError(WatchError):
    """The config of a night is not there, cannot be read, or is not the one that the night was measured by."""


class HistoryError(WatchError):
    """The history cannot be read or written, or other code wrote it."""


class NightError(WatchError):
    """A night measured nothing, too little, or holds the blocks of more than one."""


class Busy(WatchError):  # noqa: N818 - the state it reports
    """Another night is under way with the same history."""


class StepFailed(WatchError):  # noqa: N818 - the state it reports
    """A command that a night consists of did not succeed."""
