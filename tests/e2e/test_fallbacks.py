"""A runner is killed: the strategy falls back as docs/add-a-strategy.md says, the row tells, the next runs go on."""

import os
import signal
import threading

import pytest

from hosts import config as configs
from hosts import inventory as inventories
from hosts.block import BlockMeasurement, run_specs
from hosts.grid import Block
from hosts.inventory import ROLES
from hosts.session import Session
from hosts.setup_orders import Site
from hosts.ssh import connect
from hosts.testbed import Testbed
from tests.e2e.conftest import NAME, REPOSITORY
from tests.e2e.traces import processes, traces, wait_until
from workers.partition import resolve
from workers.records import EdgeFrame, Event, EventKind, Outcome, Status, read_lines
from workers.store import StoredModel, put

pytestmark = [pytest.mark.root, pytest.mark.tensorflow, pytest.mark.timeout(400)]
SUBNETS = ("198.19.40.", "198.19.41.", "198.19.42.")


def runners(role, container):
    """Return the PIDs of a container's program on a host of the testbed."""
    inside = {line.split()[0] for line in processes(rf"/neukonfig/{NAME}/{role}/".encode(), "cgroup")}
    named = processes(rf"^[^\0]*python[^\0]*\0-m\0workers\.runner\0.*/{container}\.json\0$".encode())
    return [int(line.split()[0]) for line in named if line.split()[0] in inside]


def kill(role, container):
    """Kill a container's program; one that replaces itself by exec has no command line for a moment."""
    found = wait_until(lambda: runners(role, container))
    assert found, f"no runner of {container} on {role}"
    for pid in found:
        os.kill(pid, signal.SIGKILL)


def _is(event, kind, container):
    return event.kind is kind and event.detail["container"] == container


class Block4:
    """A block of four runs, there and back twice, on a testbed of its own.

    `after` maps a run to what is done as soon as its row is there; `amid` is done, in a thread, once the edge has
    logged the event of the run that `when` names.
    """

    def __init__(self, folder, strategy, after=None, amid=None, when=None):
        self._folder, self._strategy = folder, strategy
        self._after, self._amid, self._when = after or {}, amid, when
        self.logs = folder / "logs"
        self.rows = []

    def measure(self):
        config = configs.load(self._folder / "config.yaml")
        inventory = inventories.load(self._folder / "lab.yaml")
        stored = put("tests.models:sequential", "random", 1, self._folder / "store")
        points = StoredModel.read(self._folder / "store" / stored.digest).points
        specs = run_specs(config, {20.0: resolve(points, "input").index, 5.0: resolve(points, "output").index})
        block = Block("tiny", self._strategy, 100.0, 100.0)
        with Testbed(self._folder / "lab.yaml"):
            connections = {host.role: connect(host) for host in inventory.hosts}
            sites = {
                role: Site(getattr(inventory, role), connections[role], str(REPOSITORY), str(self.logs), stored.path)
                for role in ROLES
            }
            watcher = threading.Thread(target=self._watch)
            watcher.start()
            BlockMeasurement(
                config, block, specs, lambda: Session(config, inventory, sites, block, (8, 8)), self._row
            ).measure()
            watcher.join()
            self.left = [line for role in ("edge", "cloud") for line in runners(role, "p[0-9]+")]
            for connection in connections.values():
                connection.close()
        return self.rows

    def events(self, run):
        return [event for event in self._all_events() if event.run == run]

    def outcomes(self, run, since_ns=0):
        """Return what became of the frames that the edge received since then."""
        frames = read_lines(self.logs / "edge-frames.jsonl", EdgeFrame)
        return {row.outcome for row in frames if row.run == run and row.received_ns > since_ns}

    def died_ns(self, container):
        return next(event.at_ns for event in self._all_events() if _is(event, EventKind.CONTAINER_DIED, container))

    def routed_ns(self, container, after_ns):
        """Return when the edge first routed to a container after that moment."""
        routed = (event.at_ns for event in self._all_events() if _is(event, EventKind.ROUTED, container))
        return min(at_ns for at_ns in routed if at_ns > after_ns)

    def _all_events(self):
        return read_lines(self.logs / "edge-events.jsonl", Event)

    def _row(self, record):
        print(record.run, record.session, record.status.value, record.reason)
        self.rows.append(record)
        if record.run in self._after:
            self._after[record.run]()

    def _watch(self):
        if self._amid is None:
            return
        run, kind = self._when

        def there():
            path = self.logs / "edge-events.jsonl"
            return path.exists() and any(event.kind is kind for event in self.events(run))

        assert wait_until(there, 120), f"run {run} never came to {kind}"
        self._amid()


@pytest.fixture
def block(workspace, tmp_path):
    def measured(strategy, **mishaps):
        workspace(
            fps=[10],
            repeats=2,
            repartition_timeout_s=120,
            windows={"before_s": 1.5, "after_s": 1.0, "warmup_frames": 3},
        )
        one = Block4(tmp_path, strategy, **mishaps)
        one.measure()
        assert one.left == []
        assert wait_until(lambda: not traces(NAME, SUBNETS)), traces(NAME, SUBNETS)
        assert [row.run for row in one.rows] == [1, 2, 3, 4]
        return one

    return measured


def statuses(block):
    return [row.status for row in block.rows]


def sessions(block):
    return [row.session for row in block.rows]


def served(outcomes):
    """Whether frames were served all along; a runner that starts beside them may cost some their place in the queue."""
    return Outcome.ANSWERED in outcomes <= {Outcome.ANSWERED, Outcome.BUSY}


ONE_FAILED = [Status.OK, Status.FAILED, Status.OK, Status.OK]


def test_a_standby_that_dies_between_two_runs_is_made_again_while_frames_are_served(block):
    partner = []
    one = block("switch-a1", after={1: lambda: kill("cloud", "p1"), 2: lambda: partner.extend(runners("edge", "p1"))})
    assert statuses(one) == ONE_FAILED
    assert sessions(one) == [0, 0, 0, 0]
    assert "the standby was lost while p2 served on" in one.rows[1].reason
    assert "exit code 137" in one.rows[1].reason
    assert partner == []
    assert served(one.outcomes(2))
    assert [event.detail["container"] for event in one.events(2) if event.kind is EventKind.ROUTED] == ["p3"]


def test_the_standby_takes_over_from_an_active_that_dies_between_two_runs(block):
    partner = []
    one = block("switch-a1", after={1: lambda: kill("edge", "p2"), 2: lambda: partner.extend(runners("cloud", "p2"))})
    assert statuses(one) == ONE_FAILED
    assert sessions(one) == [0, 0, 0, 0]
    assert "p1 took over from p2" in one.rows[1].reason
    assert partner == []
    assert served(one.outcomes(2, one.routed_ns("p1", one.died_ns("p2"))))


@pytest.mark.parametrize("strategy", ["switch-a2", "switch-b2"])
def test_without_its_only_pair_a_strategy_is_down_and_the_next_run_has_a_session_of_its_own(block, strategy):
    one = block(strategy, after={1: lambda: kill("cloud", "p1")})
    assert statuses(one) == ONE_FAILED
    assert sessions(one) == [0, 0, 1, 1]
    assert "exit code 137" in one.rows[1].reason
    assert one.rows[1].exit_code == 137


def test_the_old_pipeline_serves_on_when_the_new_one_dies_before_it_is_ready(block):
    one = block(
        "switch-b1",
        when=(2, EventKind.WORK_STARTED),
        amid=lambda: kill("cloud", "p3"),
    )
    assert statuses(one) == ONE_FAILED
    assert sessions(one) == [0, 0, 1, 1]
    assert "container p3 ended (exit code 137, SIGKILL)" in one.rows[1].reason
    assert served(one.outcomes(2))
    assert [event.kind for event in one.events(2)].count(EventKind.ROUTED) == 0


def test_frames_wait_for_the_new_pipeline_when_the_old_one_dies_before_it_is_ready(block):
    one = block("switch-b1", when=(2, EventKind.WORK_STARTED), amid=lambda: kill("edge", "p2"))
    assert statuses(one) == ONE_FAILED
    assert sessions(one) == [0, 0, 0, 0]
    assert "p2 was lost and nothing served until p3 did" in one.rows[1].reason
    assert Outcome.PAUSED in one.outcomes(2, one.died_ns("p2"))
    assert served(one.outcomes(2, one.routed_ns("p3", one.died_ns("p2"))))
    assert served(one.outcomes(3))


def test_a_runner_that_dies_while_it_is_rebuilt_costs_this_run_alone(block):
    one = block("pause-resume", when=(2, EventKind.INTAKE_STOPPED), amid=lambda: kill("cloud", "p1"))
    assert statuses(one) == ONE_FAILED
    assert sessions(one) == [0, 0, 1, 1]
    assert "exit code 137" in one.rows[1].reason
