"""The exceptions of this package.

ReportError
├── NothingToReport   no results folder, or no measured block in it
├── SchemaError       raw logs of a version that this code does not read
├── TableError        a table that a later stage needs is missing or of another version
└── OutputError       a file of the report cannot be written
"""


class ReportError(Exception):
    """Base of all errors this package raises on purpose: who, what, why, next step."""


class NothingToReport(ReportError):  # noqa: N818 - the state it reports
    """There is no results folder, or no measured block in it."""


class SchemaError(ReportError):
    """Raw logs are of a version that this code does not read."""


class TableError(ReportError):
    """A table that a later stage needs is missing or lacks columns."""


class OutputError(ReportError):
    """A file of the report cannot be written where it was asked for."""
