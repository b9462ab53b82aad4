"""The strategies by the name that configs, logs and tables use. A new one is one file and one line here."""

from workers.strategies.base import Strategy
from workers.strategies.hot import HotPoints
from workers.strategies.pause_resume import PauseResume
from workers.strategies.switching import DynamicSwitching
from workers.strategies.warm import WarmSwitching

STRATEGIES: dict[str, Strategy] = {
    "pause-resume": PauseResume(restart=True),
    "pause-resume-inprocess": PauseResume(restart=False),
    "switch-a1": DynamicSwitching(keeps_standby=True, own_containers=True),
    "switch-a2": DynamicSwitching(keeps_standby=True, own_containers=False),
    "switch-b1": DynamicSwitching(keeps_standby=False, own_containers=True),
    "switch-b2": DynamicSwitching(keeps_standby=False, own_containers=False),
    "switch-hot": HotPoints(),
    "switch-warm": WarmSwitching(),
}
