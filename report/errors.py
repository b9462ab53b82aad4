"""The exceptions of this package.

ReportError
├── NothingToReport   no results folder, or no measured block in it
├── SchemaError       raw logs of a version that this code does not read
└── TableError        a table that a later stage needs is missing or of another version
"""


class ReportError(Exception):
    """Base of all errors this package raises on purpose: who, what, why, next step."""


class NothingToReport(ReportError):  # noqa: N818 - the state it reports
    """There is no results folder, or no measured block in it."""


class SchemaError(ReportError):
    """Raw logs are of a version that this code does not read."""


class TableError(ReportError):
    """A table that a later stage needs is missing or lacks columns."""
