"""The order to profile, from the edge's pipeline manager to the tiers and back."""

import asyncio

import pytest

from tests.unit.fakes import FakeTier, settle
from workers import messages as m
from workers.intake import Intake
from workers.manager import PipelineManager
from workers.records import TierTimings
from workers.strategies import STRATEGIES

ORDER = m.ProfileTiers((1, 17), 15)


def timings(ms):
    return TierTimings((1, 1), (ms,), ((ms,), (0.0,)), {1: (0.1,), 17: (ms,)})


class ProfilingTier(FakeTier):
    """A tier that answers the order to profile as a real one does."""

    def __init__(self, ms):
        super().__init__()
        self._timings = timings(ms)
        self.gate = asyncio.Event()
        self.gate.set()

    async def obey(self, order):
        reply = await super().obey(order)
        if isinstance(order, m.Profile) and isinstance(reply, m.Fulfilled):
            await self.gate.wait()
            return m.Profiled(order.order, self._timings)
        return reply


def manager():
    tiers, reports = {"edge": ProfilingTier(3.0), "cloud": ProfilingTier(1.0)}, []
    made = PipelineManager(
        STRATEGIES["switch-b2"], tiers, Intake(4, lambda *_: None), range(7000, 7002), reports.append, lambda _: None
    )
    return made, tiers, reports


async def deployed():
    made, tiers, reports = manager()
    made.deploy(m.Deploy(1, 17))
    await settle()
    reports.clear()
    return made, tiers, reports


def test_both_tiers_are_profiled_in_the_container_that_serves():
    async def scenario():
        made, tiers, reports = await deployed()
        await made.profile(ORDER)
        assert reports == [m.TiersProfiled({"edge": timings(3.0), "cloud": timings(1.0)})]
        for tier in tiers.values():
            order = tier.orders[-1]
            assert (order.container, order.points, order.repetitions) == ("p1", (1, 17), 15)
        numbers = [order.order for tier in tiers.values() for order in tier.orders if isinstance(order, m.Profile)]
        assert len(set(numbers)) == 2

    asyncio.run(scenario())


def test_one_tier_is_left_alone_while_the_other_is_profiled():
    async def scenario():
        made, tiers, reports = await deployed()
        tiers["edge"].gate.clear()
        task = asyncio.ensure_future(made.profile(ORDER))
        await settle()
        assert tiers["edge"].kinds()[-1] == "Profile"
        assert "Profile" not in tiers["cloud"].kinds()
        assert reports == []
        tiers["edge"].gate.set()
        await task
        assert tiers["cloud"].kinds()[-1] == "Profile"

    asyncio.run(scenario())


@pytest.mark.parametrize("tier", ["edge", "cloud"])
def test_a_tier_that_cannot_is_trouble_with_its_reason(tier):
    async def scenario():
        made, tiers, reports = await deployed()
        tiers[tier].refusals = {m.Profile: f"{tier}: container p1 ended"}
        await made.profile(ORDER)
        assert reports == [m.Trouble(f"the model was not profiled: {tier}: container p1 ended")]

    asyncio.run(scenario())


def test_nothing_is_profiled_before_something_serves():
    async def scenario():
        made, tiers, reports = manager()
        await made.profile(ORDER)
        assert reports == [m.Trouble("edge: nothing is deployed that could be profiled")]
        assert tiers["edge"].orders == []

    asyncio.run(scenario())
