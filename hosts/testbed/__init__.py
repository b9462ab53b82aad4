"""A device, an edge and a cloud host on one machine: network namespaces with an SSH server each.

``python -m hosts.testbed --inventory FILE`` builds it and holds it until its stdin closes; `Testbed` does the
same from Python.
"""

from hosts.testbed.client import Testbed

__all__ = ["Testbed"]
