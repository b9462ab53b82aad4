"""The exceptions of this package.

HostsError
├── ConfigError       a config or inventory file that cannot be used; says the path of the key
├── ConnectError      a host that cannot be reached or is not who it should be
├── RemoteError       a command that failed on a host
├── CheckFailed       hosts lack something; carries one line for each lack
├── AgentError        an agent died, went silent or reported a failure
└── TestbedError      the local testbed could not be built
"""


class HostsError(Exception):
    """Base of all errors this package raises on purpose: who, what, why, next step."""


class ConfigError(HostsError):
    """A config or inventory file cannot be used; the message holds the path of the key."""


class ConnectError(HostsError):
    """A host cannot be reached or is not who it should be."""


class RemoteError(HostsError):
    """A command failed on a host."""


class CheckFailed(HostsError):  # noqa: N818 - the state it reports
    """Hosts lack something that the workflow needs; one line for each lack."""


class AgentError(HostsError):
    """An agent died, went silent or reported a failure."""


class TestbedError(HostsError):
    """The local testbed could not be built or taken down."""

    __test__ = False  # not a test class, whatever pytest thinks of the name
