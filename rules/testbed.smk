"""Holds the local testbed while jobs run, and keeps two workflows from sharing one results folder.

The main process owns the lifeline of the testbed: however this process ends, the testbed goes with it.
"""

from hosts.unfinished import leave_in_order
from hosts.workbench import Workbench

workflow.global_resources.setdefault("testbed", 1)
WORKBENCH = Workbench(EXPERIMENT)


onstart:
    try:
        WORKBENCH.open()
    except HostsError as error:
        raise WorkflowError(str(error)) from None


onsuccess:
    WORKBENCH.close()


onerror:
    WORKBENCH.close_testbed()
    leave_in_order(EXPERIMENT, Path(PAGE), RENDER)
    WORKBENCH.close()
