"""The exceptions of this package.

WorkerError
├── ProtocolError        a message or frame that does not follow the wire format
├── PartitionError       a model or partition point that cannot be used
├── RuntimeUnavailable   the container engine is missing or refuses
├── ContainerError       a container did not start, died, or could not be controlled
│   └── LastingError     and neither would it if that were tried again
├── ShapingError         the link could not be shaped
├── SourceError          the device's video cannot be read
└── IllegalTransition    an event that a strategy does not expect in its state
"""


class WorkerError(Exception):
    """Base of all errors that a worker raises on purpose: who, what, why, next step."""


class ProtocolError(WorkerError):
    """A message or frame does not follow the wire format."""


class PartitionError(WorkerError):
    """A model or partition point cannot be used."""


class RuntimeUnavailable(WorkerError):  # noqa: N818 - reads as the state it reports
    """The container engine is missing or refuses to work."""


class ContainerError(WorkerError):
    """A container did not start, died, or could not be controlled."""


class LastingError(ContainerError):
    """A container could not do what was asked of it, and could not if it were asked again."""


class ShapingError(WorkerError):
    """The link could not be shaped."""


class SourceError(WorkerError):
    """The device's video cannot be read."""


class IllegalTransition(WorkerError):  # noqa: N818 - the field's word for it
    """An event that a strategy does not expect in its state; the state is unchanged."""
