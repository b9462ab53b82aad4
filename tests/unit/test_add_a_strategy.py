"""The example of docs/add-a-strategy.md works as it stands there: promises, registry, manager, config, report."""

import asyncio
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hosts.config import parse
from report.theme import SPARE, ordered, style
from tests.contract.strategy_world import PROMISES
from tests.unit.fakes import FakeTier, settle
from workers import messages as m
from workers.intake import Intake
from workers.manager import PipelineManager
from workers.records import EventKind
from workers.strategies import STRATEGIES, base

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/add-a-strategy.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
(LINE,) = re.findall(r"^```text\n +(.*?),\n```$", PAGE, re.DOTALL | re.MULTILINE)
(CONFIG,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
NAME, MAKES = re.fullmatch(r'"([a-z-]+)": (\w+)\(\)', LINE).groups()


@pytest.fixture
def strategy(tmp_path, monkeypatch):
    """The example, imported from a file of its own and registered by the page's line."""
    path = tmp_path / "lazy_standby.py"
    path.write_text(EXAMPLE, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("lazy_standby", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(STRATEGIES, NAME, getattr(module, MAKES)())
    return STRATEGIES[NAME]


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_the_example_keeps_the_promise(strategy, promise):
    promise(strategy)


def test_the_first_change_builds_and_the_way_back_only_switches(strategy):
    state, told = base.State(), []
    p1_16, p1_21 = base.Cut("p1", 16), base.Cut("p1", 21)
    there, back = base.Change(21, 16), base.Change(16, 21)
    for event in (base.Start(16, 21), base.Prepared(p1_16), there, base.Prepared(p1_21), back, there):
        state, actions = strategy.handle(state, event)
        told.append(actions)
    assert told[2:] == [
        (base.BuildInside(p1_21, urgent=True),),
        (base.Route(p1_21), base.Conclude(21, moved=True), base.Armed()),
        (base.Route(p1_16), base.Conclude(16, moved=True), base.Armed()),
        (base.Route(p1_21), base.Conclude(21, moved=True), base.Armed()),
    ]


@pytest.mark.parametrize("command", [("check",), ("format", "--check")])
def test_the_example_is_written_as_our_code_is(command):
    argv = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(ROOT / "workers/strategies/lazy.py"), "-"]
    done = subprocess.run(argv, input=EXAMPLE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_config_of_the_page_is_one_once_the_example_is_registered(strategy):
    del strategy
    assert NAME in parse(yaml.safe_load(CONFIG), "the page").strategies


@pytest.mark.usefixtures("strategy")
def test_the_manager_runs_the_example_and_logs_its_steps():
    async def scenario():
        events, reports = [], []
        tiers = {"edge": FakeTier(), "cloud": FakeTier()}
        intake = Intake(4, lambda *_: None)
        manager = PipelineManager(STRATEGIES[NAME], tiers, intake, range(7000, 7003), reports.append, events.append)
        manager.deploy(m.Deploy(16, 21))
        await settle()
        for run, (point, other) in enumerate([(21, 16), (16, 21)], start=1):
            manager.change(m.NetworkChanged(run, 5.0, point, other), 1)
            await settle()
        await manager.stop()
        kinds = {run: [event.kind for event in events if event.run == run] for run in (1, 2)}
        assert EventKind.WORK_DONE in kinds[1]
        assert EventKind.WORK_STARTED not in kinds[2]
        assert [report for report in reports if isinstance(report, m.Repartitioned)] == [
            m.Repartitioned(1, 21, moved=True, ok=True, reason=None),
            m.Repartitioned(2, 16, moved=True, ok=True, reason=None),
        ]

    asyncio.run(scenario())


def test_the_report_draws_a_strategy_that_it_does_not_know():
    known = [name for name in STRATEGIES if name != NAME]
    assert ordered([NAME, *reversed(known)]) == [*known, NAME]
    drawn = style(NAME)
    assert drawn.name == NAME
    assert (drawn.light, drawn.dark, drawn.marker) in SPARE
